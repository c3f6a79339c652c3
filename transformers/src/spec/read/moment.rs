//! `in`, `out` and `tz` of the types date and datetime.

use jiff::Zoned;
use jiff::civil::date as day;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use outport_core::Fault;

use super::super::cell::with_digits;
use super::super::zone;
use super::super::{Moment, MomentIn, MomentOut};
use super::nearest::nearest;
use super::table::Table;

pub(super) fn date(table: &Table<'_>) -> Result<Moment, Fault> {
    moment(table, false)
}

pub(super) fn datetime(table: &Table<'_>) -> Result<Moment, Fault> {
    moment(table, true)
}

fn moment(table: &Table<'_>, with_time: bool) -> Result<Moment, Fault> {
    let read = table.texts("in")?.into_iter().map(|format| format_in(table, &format, with_time));
    Ok(Moment { read: read.collect::<Result<_, _>>()?, write: format_out(table, with_time)?, tz: tz(table)? })
}

/// A time in which no two fields have the same number: what a pattern reads back shows what it reads. In a
/// zone with a name: without one, `%Q` would write an offset.
fn sample() -> Zoned {
    let local = day(2024, 1, 31).at(22, 7, 9, 123_456_789);
    let zone = zone::named("America/New_York").unwrap_or(TimeZone::UTC);
    zone.to_ambiguous_timestamp(local).compatible().unwrap_or_default().to_zoned(zone)
}

fn format_in(table: &Table<'_>, format: &str, with_time: bool) -> Result<MomentIn, Fault> {
    match format {
        "rfc3339" => return Ok(MomentIn::Rfc3339),
        "unix" => return Ok(MomentIn::Unix),
        "unix_ms" => return Ok(MomentIn::UnixMs),
        _ => {}
    }
    let wrong = |why: &str, hint: &str| Err(table.invalid("in", &format!("is {format:?}: {why}"), hint));
    if !format.contains('%') {
        let hint = "use rfc3339, unix (seconds), unix_ms, or a strptime pattern such as \"%Y-%m-%d\"";
        return wrong("that is neither a format nor a pattern", hint);
    }
    // What it writes it must read, and read as a whole date.
    let sample = sample();
    let parts = strtime::format(format, &sample).and_then(|text| BrokenDownTime::parse(format, text));
    let parts = match parts {
        Ok(parts) => parts,
        Err(error) => {
            return wrong(&one_line(&error), "see https://docs.rs/jiff, module fmt::strtime, for patterns");
        }
    };
    if parts.iana_time_zone().is_some() {
        return wrong("names of zones inside values are not read", "read the offset with %z, or set `tz`");
    }
    if let Some(time) = parts.timestamp() {
        if with_digits(format, 9).is_some() && time.subsec_nanosecond() == 0 {
            return wrong("it has a fraction beside seconds since 1970", "use `unix`, which has fractions");
        }
        return Ok(MomentIn::Pattern(format.to_owned()));
    }
    if parts.to_date().ok() != Some(sample.date()) {
        return wrong("it does not give a whole date", "a date is %Y-%m-%d, %d.%m.%y, %Y%j, or the like");
    }
    match parts.hour() {
        None if with_time => {
            return wrong("it gives a day and no time", "add the time (%H:%M:%S), or use `type = \"date\"`");
        }
        Some(hour) if hour != sample.hour() => {
            return wrong("it does not tell morning from afternoon", "add %p, or read the hours with %H");
        }
        Some(_) if with_time && parts.to_time().is_err() => {
            return wrong("it has seconds without minutes", "read the minutes with %M");
        }
        _ => {}
    }
    Ok(MomentIn::Pattern(format.to_owned()))
}

fn format_out(table: &Table<'_>, with_time: bool) -> Result<MomentOut, Fault> {
    let format = table.name("out")?;
    if format == "rfc3339" {
        return Ok(MomentOut::Rfc3339);
    }
    let wrong = |why: &str, hint: &str| Err(table.invalid("out", &format!("is {format:?}: {why}"), hint));
    if !format.contains('%') {
        return wrong(
            "that is neither rfc3339 nor a pattern",
            "use rfc3339, or a strftime pattern such as \"%d.%m.%Y\"",
        );
    }
    let sample = sample();
    let written = match with_time {
        true => strtime::format(&format, &sample),
        false => strtime::format(&format, sample.date()),
    };
    match written {
        Ok(_) => Ok(MomentOut::Pattern(format)),
        Err(error) if !with_time && strtime::format(&format, &sample).is_ok() => {
            wrong(&one_line(&error), "a date has no time and no zone; use `type = \"datetime\"` for those")
        }
        Err(error) => wrong(&one_line(&error), "see https://docs.rs/jiff, module fmt::strtime, for patterns"),
    }
}

fn tz(table: &Table<'_>) -> Result<Option<TimeZone>, Fault> {
    if !table.has("tz") {
        return Ok(None);
    }
    let name = table.name("tz")?;
    zone::named(&name).map(Some).ok_or_else(|| {
        let names = zone::names();
        let hint = match nearest(&name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "use an IANA name, such as `America/New_York`, `Europe/Berlin` or `UTC`".to_owned(),
        };
        table.invalid("tz", &format!("is {name:?}, which is no time zone"), hint)
    })
}

fn one_line(error: &jiff::Error) -> String {
    error.to_string().replace('\n', " ")
}
