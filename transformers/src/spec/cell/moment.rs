//! The types `date` and `datetime`.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::super::number::Number;
use super::rfc3339::{self, Said};
use super::scalar::spelling;
use super::{Form, Found, Why};

/// How a date or a time is read and written.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The formats it may be written in, at least one; the first that fits counts.
    pub read: Vec<MomentIn>,
    /// The format it is written in.
    pub write: MomentOut,
    /// The zone that local times are of and that every time is converted to. Without it, a time keeps the
    /// offset it came with, and seconds since 1970 are UTC.
    pub tz: Option<TimeZone>,
}

/// One format of `in`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MomentIn {
    /// RFC 3339: `2026-01-31`, `2026-01-31T10:00:00Z`; the latter also without offset when there is a zone.
    Rfc3339,
    /// Seconds since 1970-01-01T00:00:00Z, with at most nine digits behind the point.
    Unix,
    /// Milliseconds since then, whole.
    UnixMs,
    /// A strptime pattern that gives a whole date.
    Pattern(String),
}

/// The format of `out`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MomentOut {
    /// RFC 3339.
    Rfc3339,
    /// A strftime pattern that can write every time.
    Pattern(String),
}

/// What was read.
enum Read {
    /// A day. No point in time: midnight would be a guess.
    Day(Date),
    /// The time of a clock nobody knows where; its date is certain.
    Local(DateTime),
    /// A point in time, with the offset it came with.
    Time(Timestamp, Offset),
    /// The same in the last hours of the year 9999, which jiff does not count any more (its times end at 9999-12-30T22:00:00Z, so
    /// that every offset can show them). Banks write "for ever" so.
    Beyond(DateTime, Offset),
}

impl Moment {
    pub(super) fn write_date(&self, found: Found<'_>, out: &mut Vec<u8>) -> Result<Form, Why> {
        let date = match self.read(spelling(found)?)? {
            Read::Day(date) => date,
            Read::Local(local) => local.date(),
            Read::Time(time, offset) => self.zoned(time, offset).date(),
            Read::Beyond(local, offset) => self.beyond(local, offset)?.0.date(),
        };
        match &self.write {
            MomentOut::Rfc3339 => append(out, "%Y-%m-%d", date, date),
            MomentOut::Pattern(pattern) => append(out, pattern, date, date),
        }
    }

    pub(super) fn write_time(&self, found: Found<'_>, out: &mut Vec<u8>) -> Result<Form, Why> {
        let (parts, date, is_utc) = match self.read(spelling(found)?)? {
            Read::Time(time, offset) => parts_of(&self.shown(time, offset)),
            Read::Local(local) => {
                let offset = self.place(local)?;
                match offset.to_timestamp(local) {
                    Ok(time) => parts_of(&self.shown(time, offset)),
                    Err(_) => self.parts_beyond(local, offset),
                }
            }
            Read::Beyond(local, offset) => {
                let (local, offset) = self.beyond(local, offset)?;
                self.parts_beyond(local, offset)
            }
            Read::Day(_) => return Err(Why::NoTime),
        };
        let pattern = match &self.write {
            MomentOut::Pattern(pattern) => pattern,
            MomentOut::Rfc3339 if is_utc => "%Y-%m-%dT%H:%M:%S%.fZ",
            MomentOut::Rfc3339 => "%Y-%m-%dT%H:%M:%S%.f%:z",
        };
        append(out, pattern, parts, date)
    }

    /// Such a time by the clocks of `tz`. No clocks change in these hours, so the last offset that jiff knows is theirs.
    fn beyond(&self, local: DateTime, offset: Offset) -> Result<(DateTime, Offset), Why> {
        let Some(zone) = &self.tz else { return Ok((local, offset)) };
        let there = zone.to_offset(Timestamp::MAX);
        let apart = SignedDuration::from_secs(i64::from(there.seconds() - offset.seconds()));
        local.checked_add(apart).map(|local| (local, there)).map_err(|_| Why::NoSuchTime)
    }

    fn parts_beyond(&self, local: DateTime, offset: Offset) -> (BrokenDownTime, Date, bool) {
        let mut parts = BrokenDownTime::from(local);
        parts.set_offset(Some(offset));
        let is_utc = self.tz.as_ref().map_or(offset == Offset::UTC, |zone| *zone == TimeZone::UTC);
        (parts, local.date(), is_utc)
    }

    fn zoned(&self, time: Timestamp, offset: Offset) -> Zoned {
        time.to_zoned(self.tz.clone().unwrap_or_else(|| match offset {
            Offset::UTC => TimeZone::UTC,
            offset => offset.to_time_zone(),
        }))
    }

    /// The time as `out` shows it. RFC 3339 (section 5.6) has no seconds in offsets, as some clocks had once (Monrovia's were 44
    /// minutes 30 seconds behind UTC until 1972): there it is the same moment by a clock that is some seconds off.
    fn shown(&self, time: Timestamp, offset: Offset) -> Zoned {
        let zoned = self.zoned(time, offset);
        let seconds = zoned.offset().seconds();
        let minutes = Offset::from_seconds((seconds + 30).div_euclid(60) * 60);
        match minutes {
            Ok(minutes) if self.write == MomentOut::Rfc3339 && seconds % 60 != 0 => {
                time.to_zoned(minutes.to_time_zone())
            }
            _ => zoned,
        }
    }

    /// The offset of a time that a clock in `tz` showed. jiff would choose one in a gap or a fold; the other may be the
    /// right one, and an hour is much in a laboratory.
    fn place(&self, local: DateTime) -> Result<Offset, Why> {
        let zone = self.tz.as_ref().ok_or(Why::NoZone)?;
        match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => Ok(offset),
            AmbiguousOffset::Gap { .. } => Err(Why::Skipped),
            AmbiguousOffset::Fold { .. } => Err(Why::Repeated),
        }
    }

    /// The first format that fits. Where none does, the reason of one that fitted in form says more than
    /// "none".
    fn read(&self, text: &str) -> Result<Read, Why> {
        let mut reason = Why::Format;
        for format in &self.read {
            match format.read(text) {
                Err(Why::Format) => {}
                Err(why) => reason = why,
                read => return read,
            }
        }
        Err(reason)
    }
}

impl MomentIn {
    fn read(&self, text: &str) -> Result<Read, Why> {
        match self {
            Self::Rfc3339 => match rfc3339::read(text)? {
                Said::Day(date) => Ok(Read::Day(date)),
                Said::Local(local) => Ok(Read::Local(local)),
                Said::Time(local, offset) => at(local, offset),
            },
            Self::Unix => seconds(text, 0),
            Self::UnixMs => seconds(text, 3),
            Self::Pattern(pattern) => by_pattern(pattern, text),
        }
    }
}

fn at(local: DateTime, offset: Offset) -> Result<Read, Why> {
    Ok(offset.to_timestamp(local).map_or(Read::Beyond(local, offset), |time| Read::Time(time, offset)))
}

fn parts_of(zoned: &Zoned) -> (BrokenDownTime, Date, bool) {
    (BrokenDownTime::from(zoned), zoned.date(), *zoned.time_zone() == TimeZone::UTC)
}

/// Seconds since 1970, or the same counted in powers of ten of a second.
fn seconds(text: &str, power: u32) -> Result<Read, Why> {
    let number = Number::parse(text).filter(|number| number.exponent.is_none()).ok_or(Why::Format)?;
    // Whole milliseconds only: who has fractions of them has another unit than they think.
    let most = if power == 0 { 9 } else { 0 };
    if number.fraction.len() > most {
        return Err(Why::Format);
    }
    // 31 digits of nanoseconds fit into i128; jiff's years end after 21.
    if number.whole.len() > 22 {
        return Err(Why::NoSuchTime);
    }
    let places = 9 - power as usize;
    let digits = (0..number.whole.len() + places).map(|index| number.digit(index));
    let nanoseconds = digits.fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    let nanoseconds = if number.negative { -nanoseconds } else { nanoseconds };
    if let Ok(time) = Timestamp::from_nanosecond(nanoseconds) {
        return Ok(Read::Time(time, Offset::UTC));
    }
    let since_1970 = SignedDuration::try_from_nanos_i128(nanoseconds).ok_or(Why::NoSuchTime)?;
    let local = Date::constant(1970, 1, 1).to_datetime(Time::midnight()).checked_add(since_1970);
    local.map(|local| Read::Beyond(local, Offset::UTC)).map_err(|_| Why::NoSuchTime)
}

fn by_pattern(pattern: &str, text: &str) -> Result<Read, Why> {
    let parts = BrokenDownTime::parse(pattern, text).map_err(|_| Why::Format)?;
    if let Some(time) = parts.timestamp() {
        let (back, ..) = parts_of(&time.to_zoned(TimeZone::UTC));
        return spelt(pattern, text, &back, Read::Time(time, Offset::UTC));
    }
    if leap_second(&parts, pattern, text) {
        return Err(Why::LeapSecond);
    }
    if parts.hour().is_none() {
        let date = parts.to_date().map_err(|_| Why::NoSuchTime)?;
        return spelt(pattern, text, &date.into(), Read::Day(date));
    }
    let local = parts.to_datetime().map_err(|_| Why::NoSuchTime)?;
    let mut back = BrokenDownTime::from(local);
    back.set_offset(parts.offset());
    let read = match parts.offset() {
        Some(offset) => at(local, offset)?,
        None => Read::Local(local),
    };
    spelt(pattern, text, &back, read)
}

/// What was read, if the pattern writes it as it stood there. jiff reads more than that: `1/1/24` by `%m/%d/%Y` as the year 24, any
/// blanks or none for a blank, a plus sign in front of a number. Names may have any case, and a fraction as many digits as it likes.
fn spelt(pattern: &str, text: &str, back: &BrokenDownTime, read: Read) -> Result<Read, Why> {
    let is_spelt = |pattern: &str| back.to_string(pattern).is_ok_and(|back| back.eq_ignore_ascii_case(text));
    let by_digits = |digits| with_digits(pattern, digits).is_some_and(|pattern| is_spelt(&pattern));
    if is_spelt(pattern) || (1..=9).any(by_digits) { Ok(read) } else { Err(Why::Format) }
}

/// The pattern with so many digits in each fraction of a second (`%f`, `%.f`, `%3f`, `%N` ...); none without a fraction.
pub(in crate::spec) fn with_digits(pattern: &str, digits: u8) -> Option<String> {
    let (mut result, mut found) = (String::with_capacity(pattern.len() + 2), false);
    let mut parts = pattern.split('%');
    result += parts.next().unwrap_or_default();
    while let Some(part) = parts.next() {
        result.push('%');
        let rest =
            part.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | '^' | '#'));
        if part.is_empty() {
            // `%%`, and what follows is no directive.
            result.push('%');
            result += parts.next().unwrap_or_default();
        } else if rest.starts_with(['f', 'N']) {
            let point = if part.starts_with('.') { "." } else { "" };
            result += &format!("{point}{digits}{rest}");
            found = true;
        } else {
            result += part;
        }
    }
    found.then_some(result)
}

/// jiff reads second 60 as 59 and does not tell; written back, the text then has one 59 more than it had.
fn leap_second(parts: &BrokenDownTime, pattern: &str, text: &str) -> bool {
    parts.second() == Some(59)
        && text.contains("60")
        && parts.to_string(pattern).is_ok_and(|back| back.matches("59").count() > text.matches("59").count())
}

fn append<'a>(
    out: &mut Vec<u8>,
    pattern: &str,
    time: impl Into<BrokenDownTime> + 'a,
    date: Date,
) -> Result<Form, Why> {
    // Patterns of four digits a year, RFC 3339 among them, are wrong before the year 0.
    if date.year() < 0 {
        return Err(Why::Unwritable);
    }
    let text = strtime::format(pattern, time).map_err(|_| Why::Unwritable)?;
    out.extend_from_slice(text.as_bytes());
    Ok(Form::Text)
}

#[cfg(test)]
mod tests;
