//! When the endpoint of a simulation is down.

use std::str::FromStr;

use jiff::Timestamp;

use crate::timing::Millis;
use crate::window::Window;

/// Times at which an endpoint answers with a fault. The end is not part of it.
///
/// ```
/// use outport_core::simulate::Outage;
/// let weekly: Outage = "fri 18:00..mon 08:00 Europe/Berlin".parse().unwrap();
/// let once: Outage = "2026-11-20T18:00:00Z..2026-11-23T08:00:00Z".parse().unwrap();
/// assert_eq!(once.until(0), None);
/// assert!("2026-11-20T18:00..2026-11-23T08:00".parse::<Outage>().unwrap_err().contains("zone"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outage {
    /// Each week or day.
    Again(Window),
    /// From an instant to an instant.
    Once {
        /// Its first millisecond.
        start: Millis,
        /// The first millisecond after it.
        end: Millis,
    },
}

impl Outage {
    /// When the outage that holds `now` ends; `None`: the endpoint is up.
    pub fn until(&self, now: Millis) -> Option<Millis> {
        match self {
            Self::Again(window) => window.closed_until(now),
            Self::Once { start, end } => (*start <= now && now < *end).then_some(*end),
        }
    }

    /// When it begins next, at `now` or later.
    pub fn next_start(&self, now: Millis) -> Option<Millis> {
        match self {
            Self::Again(window) => window.next_start(now),
            Self::Once { start, .. } => (*start >= now).then_some(*start),
        }
    }
}

/// When the endpoint is up again; `None`: it is up.
pub(super) fn down_until(outages: &[Outage], now: Millis) -> Option<Millis> {
    outages.iter().filter_map(|outage| outage.until(now)).max()
}

/// When the next outage begins.
pub(super) fn next_start(outages: &[Outage], now: Millis) -> Option<Millis> {
    outages.iter().filter_map(|outage| outage.next_start(now)).min()
}

impl FromStr for Outage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text:?} is no outage: {why}; write it as \"fri 18:00..mon 08:00 Europe/Berlin\", \"02:00..02:30\" or \
                 \"2026-11-20T18:00:00Z..2026-11-23T08:00:00Z\""
            )
        };
        // Only an instant has a date, and only a date has two dashes before its time.
        let is_instant = |text: &str| text.matches('-').count() >= 2 && text.contains(['T', 't']);
        match text.trim().split_once("..") {
            Some((start, end)) if is_instant(start) || is_instant(end) => {
                let (start, end) =
                    (instant(start).map_err(|why| wrong(&why))?, instant(end).map_err(|why| wrong(&why))?);
                if end <= start {
                    return Err(wrong("it ends before it begins"));
                }
                Ok(Self::Once { start, end })
            }
            _ => text.parse().map(Self::Again).map_err(|problem: String| {
                // The window's own words, without its examples.
                let why = problem.split("window: ").nth(1).and_then(|rest| rest.split("; write").next());
                wrong(why.unwrap_or("it is not understood"))
            }),
        }
    }
}

/// An instant as RFC 3339 with a zone or an offset.
///
/// # Errors
/// What is wrong with it, in words.
pub fn instant(text: &str) -> Result<Millis, String> {
    let text = text.trim();
    match text.parse::<Timestamp>() {
        Ok(at) => Ok(at.as_millisecond()),
        Err(_) if text.parse::<jiff::civil::DateTime>().is_ok() => {
            Err(format!("{text} has no zone: end it with Z or an offset such as +01:00"))
        }
        Err(_) => Err(format!("{text} is no time such as 2026-11-20T18:00:00Z")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_outage_is_refused_with_examples() {
        let cases = [
            ("", "it has no .."),
            ("fri 18:00..mon 25:00", "its end is not understood"),
            ("1:00..2:00 Mars/Base", "no time zone Mars/Base"),
            ("2026-11-20T18:00..2026-11-23T08:00", "no zone"),
            ("2026-11-23T18:00:00Z..2026-11-20T08:00:00Z", "ends before it begins"),
            ("2026-11-20T18:00:00Z..mon 08:00", "is no time such as"),
            ("2026-11-31T18:00:00Z..2026-12-01T08:00:00Z", "is no time such as"),
        ];
        for (text, why) in cases {
            let error = text.parse::<Outage>().unwrap_err();
            assert!(error.contains(why) && error.contains("write it as"), "{error}");
        }
    }

    #[test]
    fn the_latest_end_and_the_earliest_start_count() {
        let outages = [Outage::Once { start: 10, end: 20 }, Outage::Once { start: 15, end: 30 }];
        assert_eq!((down_until(&outages, 9), down_until(&outages, 16)), (None, Some(30)));
        assert_eq!((next_start(&outages, 11), next_start(&outages, 16)), (Some(15), None));
    }
}
