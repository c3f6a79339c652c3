//! An instant on the command line: absolute with a zone or an offset, or so long ago.

use std::str::FromStr;

use jiff::{Timestamp, Zoned, civil};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, code};
use crate::timing::Millis;

/// A time as it was written. It becomes an instant by the database's clock, never by that of the terminal.
///
/// ```
/// use outport_core::replay::When;
/// assert_eq!("2026-11-01T10:00:00+01:00".parse::<When>()?.at(0), 1_793_523_600_000);
/// assert_eq!("1h30m".parse::<When>()?.at(10_000_000), 4_600_000);
/// assert!("2026-11-01T10:00:00".parse::<When>().is_err(), "whose ten o'clock?");
/// # Ok::<(), outport_core::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    given: String,
    meant: Meant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    At(Millis),
    Ago(Millis),
}

/// An instant, and the words it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// The instant.
    pub at: Millis,
    /// As the operator wrote it.
    pub given: String,
}

impl Moment {
    /// Whether the same was meant: the same instant, or the same words (`2h`, said again a minute later).
    pub fn is_same(&self, other: &Self) -> bool {
        self.at == other.at || self.given == other.given
    }
}

/// The instant as RFC 3339 in UTC, to the millisecond where it has some.
impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Timestamp::from_millisecond(self.at) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => f.write_str("(out of range)"),
        }
    }
}

impl When {
    /// The instant, when it is `now`.
    pub fn at(&self, now: Millis) -> Millis {
        match self.meant {
            Meant::At(at) => at,
            Meant::Ago(ago) => now.saturating_sub(ago),
        }
    }

    /// The instant with its words.
    pub fn moment(&self, now: Millis) -> Moment {
        Moment { at: self.at(now), given: self.given.clone() }
    }
}

impl FromStr for When {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let given = text.to_owned();
        if let Some(ago) = ago(text) {
            return Ok(Self { given, meant: Meant::Ago(ago) });
        }
        let at = match text.parse::<Zoned>() {
            Ok(zoned) => Ok(zoned.timestamp()),
            Err(_) => text.parse::<Timestamp>(),
        };
        match at {
            Ok(at) => Ok(Self { given, meant: Meant::At(at.as_millisecond()) }),
            Err(_) if text.parse::<civil::DateTime>().is_ok() => Err(Fault::new(
                &code::USAGE,
                format!("the time {text:?} has no zone"),
            )
            .with_hint(
                "say whose time it is: add Z for UTC or an offset like +01:00, or write 2h for two hours ago",
            )),
            Err(error) => Err(Fault::new(&code::USAGE, format!("{text:?} is no time: {error}")).with_hint(
                "write 2026-11-01T10:00:00Z, 2026-11-01T10:00:00+01:00, or 2h or 3d for so long ago",
            )),
        }
    }
}

/// `2h`, `3d`, `1d12h`: numbers with s, m, h, d (24 hours) or w. `None`: it is not that.
fn ago(text: &str) -> Option<Millis> {
    let mut total: Millis = 0;
    let mut number: Option<Millis> = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(i64::from(digit))?);
            continue;
        }
        let unit = match c {
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            'w' => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_767_323_045_678;

    #[test]
    fn absolute_and_relative_times_become_instants() {
        for (text, want) in [
            ("2026-01-02T03:04:05Z", 1_767_323_045_000),
            ("2026-01-02T04:04:05+01:00", 1_767_323_045_000),
            ("2026-01-02T03:04:05.678Z", NOW),
            ("2026-01-02 03:04:05Z", 1_767_323_045_000),
            ("0s", NOW),
            ("2h", NOW - 7_200_000),
            ("3d", NOW - 259_200_000),
            ("1w1d1h1m1s", NOW - 694_861_000),
        ] {
            assert_eq!(text.parse::<When>().unwrap().at(NOW), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_how_to_write_one() {
        for (text, message, hint) in [
            ("2026-01-02T03:04:05", "has no zone", "add Z"),
            ("2026-01-02 03:04", "has no zone", "+01:00"),
            ("2026-01-02", "has no zone", "add Z"),
            ("yesterday", "is no time", "2h"),
            ("", "is no time", "2h"),
            ("2", "is no time", "2h"),
            ("h", "is no time", "2h"),
            ("2h3", "is no time", "2h"),
            ("-2h", "is no time", "2h"),
            ("2026-13-02T03:04:05Z", "is no time", "2026"),
            ("99999999999999999999d", "is no time", "2h"),
            ("9999999999999w", "is no time", "2h"),
        ] {
            let fault = text.parse::<When>().unwrap_err();
            assert_eq!(fault.code, &code::USAGE);
            assert!(fault.message.contains(message), "{text:?}: {}", fault.message);
            assert!(fault.hint().contains(hint), "{text:?}: {}", fault.hint());
        }
    }

    #[test]
    fn the_same_words_or_the_same_instant_are_the_same() {
        let moment = |text: &str, now| text.parse::<When>().unwrap().moment(now);
        assert!(moment("2h", NOW).is_same(&moment("2h", NOW + 60_000)));
        assert!(!moment("2h", NOW).is_same(&moment("3h", NOW)));
        assert!(moment("2026-01-02T03:04:05Z", 0).is_same(&moment("2026-01-02T04:04:05+01:00", 1)));
        assert_eq!(moment("2026-01-02T04:04:05+01:00", 0).to_string(), "2026-01-02T03:04:05Z");
    }
}
