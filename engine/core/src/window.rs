//! Maintenance windows: the times at which a partner wants no connection.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

use crate::timing::Millis;

/// A window that comes back each week (`sat 22:00..sun 04:00 Europe/Berlin`) or each day (`02:00..02:30`). Times are wall
/// clock times of its zone, UTC when none is named: at the end of summer time a window is an hour longer or shorter, as
/// it is for the people who agreed on it. Its end is not part of it.
///
/// ```
/// use outport_core::window::Window;
/// let window: Window = "sun 02:00..sun 04:00 Europe/Berlin".parse().unwrap();
/// // 2026-11-22 is a Sunday; Berlin is one hour ahead of UTC then.
/// let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
/// assert_eq!(window.closed_until(at("2026-11-22T02:30:00Z")), Some(at("2026-11-22T03:00:00Z")));
/// assert_eq!(window.closed_until(at("2026-11-22T03:00:00Z")), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    start: Edge,
    end: Edge,
    zone: TimeZone,
    text: String,
}

/// One end of a window; without a weekday it comes each day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    weekday: Option<Weekday>,
    time: Time,
}

impl Window {
    /// When the window that holds `now` ends; `None`: `now` is in none.
    pub fn closed_until(&self, now: Millis) -> Option<Millis> {
        let now = Timestamp::from_millisecond(now).ok()?.to_zoned(self.zone.clone());
        // A window that holds `now` began today or up to a week (a day) ago.
        let days = if self.start.weekday.is_some() { 7 } else { 1 };
        (0..=days).find_map(|ago| {
            let start_date = now.date().checked_sub(ago.days()).ok()?;
            if self.start.weekday.is_some_and(|weekday| weekday != start_date.weekday()) {
                return None;
            }
            let length = self.end_day();
            let end_date = start_date.checked_add(length.days()).ok()?;
            let at = |date: jiff::civil::Date, time: Time| -> Option<Zoned> {
                date.to_datetime(time).to_zoned(self.zone.clone()).ok()
            };
            let (start, end) = (at(start_date, self.start.time)?, at(end_date, self.end.time)?);
            (start <= now && now < end).then(|| end.timestamp().as_millisecond())
        })
    }

    /// When the window begins next: at `now` or later, also when `now` is in it.
    pub fn next_start(&self, now: Millis) -> Option<Millis> {
        let now = Timestamp::from_millisecond(now).ok()?.to_zoned(self.zone.clone());
        // Today's may be over; a start that the clocks skip comes a day, or a week, later.
        (0..=14).find_map(|ahead| {
            let date = now.date().checked_add(ahead.days()).ok()?;
            if self.start.weekday.is_some_and(|weekday| weekday != date.weekday()) {
                return None;
            }
            let start = date.to_datetime(self.start.time).to_zoned(self.zone.clone()).ok()?;
            (start >= now).then(|| start.timestamp().as_millisecond())
        })
    }

    /// How many days after its start the window ends.
    fn end_day(&self) -> i64 {
        let overnight = self.end.time <= self.start.time;
        match (self.start.weekday, self.end.weekday) {
            (Some(start), Some(end)) => {
                let days = i64::from(start.until(end));
                if days == 0 && overnight { 7 } else { days }
            }
            _ => i64::from(overnight),
        }
    }
}

/// When the windows let somebody in again; `None`: now.
pub fn closed_until(windows: &[Window], now: Millis) -> Option<Millis> {
    windows.iter().filter_map(|window| window.closed_until(now)).max()
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text:?} is no maintenance window: {why}; write it as \"sat 22:00..sun 04:00 Europe/Berlin\" or \
                 \"02:00..02:30\""
            )
        };
        let (start, rest) = text.trim().split_once("..").ok_or_else(|| wrong("it has no .."))?;
        let mut words: Vec<&str> = rest.split_whitespace().collect();
        let is_zone = |word: &&str| !word.contains(':') && weekday(word).is_none();
        let zone = match words.pop_if(|word| is_zone(&&**word)) {
            Some(name) => TimeZone::get(name).map_err(|_| wrong(&format!("there is no time zone {name}")))?,
            None => TimeZone::UTC,
        };
        let start_words: Vec<&str> = start.split_whitespace().collect();
        let start = edge(&start_words).ok_or_else(|| wrong("its start is not understood"))?;
        let end = edge(&words).ok_or_else(|| wrong("its end is not understood"))?;
        if start.weekday.is_some() != end.weekday.is_some() {
            return Err(wrong("name a weekday on both sides or on none"));
        }
        if start == end {
            return Err(wrong("it would never end"));
        }
        Ok(Self { start, end, zone, text: text.trim().to_owned() })
    }
}

fn edge(words: &[&str]) -> Option<Edge> {
    let (day, time) = match words {
        [time] => (None, time),
        [day, time] => (Some(weekday(day)?), time),
        _ => return None,
    };
    let (hour, minute) = time.split_once(':')?;
    let time = Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
    Some(Edge { weekday: day, time })
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word.to_ascii_lowercase().as_str() {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Window {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn windows_hold_their_start_and_not_their_end() {
        // 2026-11-21 is a Saturday.
        let cases = [
            ("02:00..02:30", "2026-11-21T02:00:00Z", Some("2026-11-21T02:30:00Z")),
            ("02:00..02:30", "2026-11-21T02:30:00Z", None),
            ("02:00..02:30", "2026-11-21T01:59:59Z", None),
            ("23:00..01:00", "2026-11-21T00:59:00Z", Some("2026-11-21T01:00:00Z")),
            ("23:00..01:00", "2026-11-21T23:30:00Z", Some("2026-11-22T01:00:00Z")),
            ("sat 22:00..sun 04:00", "2026-11-22T03:00:00Z", Some("2026-11-22T04:00:00Z")),
            ("sat 22:00..sun 04:00", "2026-11-21T03:00:00Z", None),
            ("sun 22:00..sat 04:00", "2026-11-26T03:00:00Z", Some("2026-11-28T04:00:00Z")),
            ("sat 10:00..sat 09:00", "2026-11-27T23:00:00Z", Some("2026-11-28T09:00:00Z")),
            ("sat 10:00..sat 09:00", "2026-11-28T09:30:00Z", None),
        ];
        for (window, now, until) in cases {
            let window: Window = window.parse().unwrap();
            assert_eq!(window.closed_until(at(now)), until.map(at), "{window} at {now}");
        }
    }

    #[test]
    fn a_night_in_which_the_clocks_change_is_as_long_as_people_say() {
        // Berlin turned its clocks back on 2026-10-25 at 03:00 to 02:00.
        let window: Window = "sun 01:00..sun 04:00 Europe/Berlin".parse().unwrap();
        let start = at("2026-10-24T23:00:00Z");
        assert_eq!(window.closed_until(start), Some(at("2026-10-25T03:00:00Z")));
        assert_eq!(window.closed_until(start - 1), None);
    }

    #[test]
    fn what_is_no_window_is_refused_with_an_example() {
        for text in
            ["", "02:00", "02:00..", "25:00..26:00", "sat 1:00..2:00", "02:00..02:00", "1:00..2:00 Mars/Base"]
        {
            let error = text.parse::<Window>().unwrap_err();
            assert!(error.contains("write it as"), "{error}");
        }
    }

    #[test]
    fn the_next_start_is_today_or_later() {
        let cases = [
            ("02:00..02:30", "2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z"),
            ("02:00..02:30", "2026-11-21T02:00:01Z", "2026-11-22T02:00:00Z"),
            ("fri 18:00..mon 08:00", "2026-11-21T03:00:00Z", "2026-11-27T18:00:00Z"),
            ("fri 18:00..mon 08:00 Europe/Berlin", "2026-11-17T03:00:00Z", "2026-11-20T17:00:00Z"),
        ];
        for (window, now, start) in cases {
            let window: Window = window.parse().unwrap();
            assert_eq!(window.next_start(at(now)), Some(at(start)), "{window} at {now}");
        }
    }

    #[test]
    fn the_last_of_several_counts() {
        let windows = ["01:00..03:00".parse().unwrap(), "02:00..04:00".parse().unwrap()];
        assert_eq!(closed_until(&windows, at("2026-11-21T02:30:00Z")), Some(at("2026-11-21T04:00:00Z")));
        assert_eq!(closed_until(&windows, at("2026-11-21T05:00:00Z")), None);
    }
}
