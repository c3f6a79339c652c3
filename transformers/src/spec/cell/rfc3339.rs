//! Times as RFC 3339 writes them, and the same without an offset.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::Why;

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// `full-date`: a day.
    Day(Date),
    /// `full-date`, T and `partial-time`: what a clock shows, not said where. Not RFC 3339, but what most
    /// systems export; only a zone makes a time of it.
    Local(DateTime),
    /// `date-time`. An offset of `Z` is UTC.
    Time(DateTime, Offset),
}

/// Reads a text by the grammar of RFC 3339 section 5.6, with a space for the T as its note allows.
///
/// Own, because jiff reads ISO 8601 (more forms than a contract should let in) and makes 59 of second 60.
pub(super) fn read(text: &str) -> Result<Said, Why> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return Err(Why::Format);
    }
    let year = i16::try_from(digits(&bytes[..4])?).map_err(|_| Why::Format)?;
    let date = Date::new(year, small(&bytes[5..7])?, small(&bytes[8..10])?).map_err(|_| Why::NoSuchTime)?;
    if bytes.len() == 10 {
        return Ok(Said::Day(date));
    }
    if bytes.len() < 19 || !matches!(bytes[10], b'T' | b't' | b' ') || bytes[13] != b':' || bytes[16] != b':'
    {
        return Err(Why::Format);
    }
    let (hour, minute, second) = (small(&bytes[11..13])?, small(&bytes[14..16])?, small(&bytes[17..19])?);
    let (nanosecond, rest) = fraction(&bytes[19..])?;
    let offset = offset(rest)?;
    if second == 60 {
        return Err(Why::LeapSecond);
    }
    let time = jiff::civil::Time::new(hour, minute, second, nanosecond).map_err(|_| Why::NoSuchTime)?;
    let local = DateTime::from_parts(date, time);
    Ok(offset.map_or(Said::Local(local), |offset| Said::Time(local, offset)))
}

fn digits(text: &[u8]) -> Result<u32, Why> {
    text.iter().try_fold(0, |number, byte| match byte {
        b'0'..=b'9' => Ok(number * 10 + u32::from(byte - b'0')),
        _ => Err(Why::Format),
    })
}

fn small(text: &[u8]) -> Result<i8, Why> {
    i8::try_from(digits(text)?).map_err(|_| Why::Format)
}

/// `time-secfrac`, in nanoseconds. More than nine digits are refused: a clock of this exactness is not kept
/// anywhere, and dropping digits would be rounding.
fn fraction(text: &[u8]) -> Result<(i32, &[u8]), Why> {
    let Some(text) = text.strip_prefix(b".") else { return Ok((0, text)) };
    let length = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let power = u32::try_from(length).ok().filter(|length| (1..=9).contains(length)).ok_or(Why::Format)?;
    let nanoseconds = digits(&text[..length])? * 10_u32.pow(9 - power);
    Ok((i32::try_from(nanoseconds).map_err(|_| Why::Format)?, &text[length..]))
}

/// `time-offset`; none when the text ends before it.
fn offset(text: &[u8]) -> Result<Option<Offset>, Why> {
    let (sign, hours, minutes) = match text {
        [] => return Ok(None),
        [b'Z' | b'z'] => return Ok(Some(Offset::UTC)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => (*sign, digits(&[*h1, *h2])?, digits(&[*m1, *m2])?),
        _ => return Err(Why::Format),
    };
    if hours > 23 || minutes > 59 {
        return Err(Why::NoSuchTime);
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).map_err(|_| Why::NoSuchTime)?;
    let seconds = if sign == b'-' { -seconds } else { seconds };
    Offset::from_seconds(seconds).map(Some).map_err(|_| Why::NoSuchTime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_read() {
        for text in [
            "2024-02-29",
            "2024-01-31T10:00:00",
            "2024-01-31T10:00:00Z",
            "2024-01-31t10:00:00z",
            "2024-01-31 10:00:00.123456789+05:30",
            "2024-01-31T10:00:00-00:00",
            "0000-01-01T00:00:00Z",
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not() {
        for (text, why) in [
            ("", Why::Format),
            ("20240131", Why::Format),
            ("2024-1-31", Why::Format),
            ("2024-01-31T", Why::Format),
            ("2024-01-31T10:00", Why::Format),
            ("2024-01-31T10:00Z", Why::Format),
            ("2024-01-31T10:00:00.Z", Why::Format),
            ("2024-01-31T10:00:00.1234567890Z", Why::Format),
            ("2024-01-31T10:00:00+0530", Why::Format),
            ("2024-01-31T10:00:00[UTC]", Why::Format),
            ("2024-01-31T10:00:00Z ", Why::Format),
            (" 2024-01-31", Why::Format),
            ("+024-01-31", Why::Format),
            ("2024-01-3é1", Why::Format),
            ("2023-02-29", Why::NoSuchTime),
            ("2024-01-31T24:00:00Z", Why::NoSuchTime),
            ("2024-01-31T10:00:00+24:00", Why::NoSuchTime),
            ("2016-12-31T23:59:60Z", Why::LeapSecond),
            ("2024-01-31T10:00:61Z", Why::NoSuchTime),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
    }

    proptest! {
        /// What it takes, jiff reads the same.
        #[test]
        fn the_value_is_that_of_jiff(
            second in -60_000_000_000_i64..250_000_000_000, nanosecond in 0_i32..1_000_000_000,
        ) {
            let time = jiff::Timestamp::new(second, nanosecond).unwrap();
            let Ok(Said::Time(local, offset)) = read(&time.to_string()) else { panic!("{time}") };
            prop_assert_eq!(offset.to_timestamp(local).unwrap(), time);
        }

        #[test]
        fn nothing_panics(text in "[0-9TZ:+. é-]{0,30}") {
            let _ = read(&text).is_ok();
        }
    }
}
