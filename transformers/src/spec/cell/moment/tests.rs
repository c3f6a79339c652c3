//! What dates and times are read as and written as.

use proptest::prelude::*;

use super::super::super::zone;
use super::*;

fn moment(read: &[MomentIn], write: &str, tz: Option<&str>) -> Moment {
    let write = match write {
        "rfc3339" => MomentOut::Rfc3339,
        pattern => MomentOut::Pattern(pattern.to_owned()),
    };
    Moment { read: read.to_vec(), write, tz: tz.map(|name| zone::named(name).unwrap()) }
}

fn pattern(pattern: &str) -> MomentIn {
    MomentIn::Pattern(pattern.to_owned())
}

fn time(moment: &Moment, text: &str) -> Result<String, Why> {
    let mut out = Vec::new();
    moment.write_time(Found::Text(text), &mut out).map(|_| String::from_utf8(out).unwrap())
}

fn date(moment: &Moment, text: &str) -> Result<String, Why> {
    let mut out = Vec::new();
    moment.write_date(Found::Text(text), &mut out).map(|_| String::from_utf8(out).unwrap())
}

#[test]
fn rfc_3339_keeps_the_offset_it_came_with() {
    let moment = moment(&[MomentIn::Rfc3339], "rfc3339", None);
    for (text, wanted) in [
        ("2024-01-31T22:07:09Z", Ok("2024-01-31T22:07:09Z")),
        ("2024-01-31t22:07:09.500z", Ok("2024-01-31T22:07:09.5Z")),
        ("2024-01-31T22:07:09+05:30", Ok("2024-01-31T22:07:09+05:30")),
        ("2024-01-31T22:07:09.123456789-08:00", Ok("2024-01-31T22:07:09.123456789-08:00")),
        ("2024-01-31T22:07:09+00:00", Ok("2024-01-31T22:07:09Z")),
        ("2024-01-31T22:07:09", Err(Why::NoZone)),
        ("2024-01-31", Err(Why::NoTime)),
        ("2016-12-31T23:59:60Z", Err(Why::LeapSecond)),
        ("N/A", Err(Why::Format)),
    ] {
        assert_eq!(time(&moment, text), wanted.map(str::to_owned), "{text}");
    }
}

#[test]
fn a_fraction_has_as_many_digits_as_it_likes() {
    for of_fraction in ["%.f", "%.3f", "%.9f", ".%f", ".%3f", ".%N"] {
        let moment = moment(&[pattern(&format!("%F %T{of_fraction}"))], "rfc3339", Some("UTC"));
        for (text, wanted) in [
            ("2024-01-01 00:00:00.500", Ok("2024-01-01T00:00:00.5Z")),
            ("2024-01-01 00:00:00.5", Ok("2024-01-01T00:00:00.5Z")),
            ("2024-01-01 00:00:00.000", Ok("2024-01-01T00:00:00Z")),
            ("2024-01-01 00:00:00.0", Ok("2024-01-01T00:00:00Z")),
            ("2024-01-01 00:00:00.123456789", Ok("2024-01-01T00:00:00.123456789Z")),
            ("2024-01-01 00:00:00.1234567890", Err(Why::Format)),
            ("2024-01-01 00:00:00.", Err(Why::Format)),
            ("2024-01-01 00:00:0.5", Err(Why::Format)),
        ] {
            assert_eq!(time(&moment, text), wanted.map(str::to_owned), "{of_fraction}: {text}");
        }
    }
    // Behind the other points nothing is a fraction.
    let moment = moment(&[pattern("%H.%M.%S.%f %d.%m.%Y")], "rfc3339", Some("UTC"));
    assert_eq!(time(&moment, "10.00.00.5 01.01.2024").as_deref(), Ok("2024-01-01T10:00:00.5Z"));
    assert_eq!(time(&moment, "10.0.0.5 01.01.2024"), Err(Why::Format));
    assert_eq!(with_digits("100%% %H%.3f%%f", 2).as_deref(), Some("100%% %H%.2f%%f"));
    assert_eq!(with_digits("%%%%%f", 1).as_deref(), Some("%%%%%1f"));
    assert_eq!(with_digits("%H %%f", 1), None);
}

#[test]
fn the_last_day_has_a_time_in_every_zone() {
    for (zone, text, wanted) in [
        ("Europe/Berlin", "9999-12-31T00:00:00Z", Ok("9999-12-31T01:00:00+01:00")),
        ("Europe/Berlin", "9999-12-31T00:00:00", Ok("9999-12-31T00:00:00+01:00")),
        ("Europe/Berlin", "9999-12-31T23:59:59Z", Err(Why::NoSuchTime)),
        ("Europe/London", "9999-12-31T23:59:59Z", Ok("9999-12-31T23:59:59+00:00")),
        ("America/New_York", "9999-12-31T23:59:59Z", Ok("9999-12-31T18:59:59-05:00")),
        ("UTC", "9999-12-31T23:59:59Z", Ok("9999-12-31T23:59:59Z")),
        ("UTC", "9999-12-31T23:59:59-01:00", Err(Why::NoSuchTime)),
    ] {
        let moment = moment(&[MomentIn::Rfc3339], "rfc3339", Some(zone));
        assert_eq!(time(&moment, text), wanted.map(str::to_owned), "{zone}, {text}");
    }
    let day = moment(&[MomentIn::Rfc3339], "rfc3339", Some("Pacific/Auckland"));
    assert_eq!(date(&day, "9999-12-30T23:00:00Z").as_deref(), Ok("9999-12-31"));
    assert_eq!(date(&day, "9999-12-31T12:00:00Z"), Err(Why::NoSuchTime));
}

#[test]
fn rfc_3339_has_no_seconds_in_offsets() {
    // Monrovia was 44:30 minutes behind until 1972, New York 4:56:02 hours until 1883: the same moments, by clocks nearby.
    for (zone, text, wanted) in [
        ("Africa/Monrovia", "1970-01-01T00:00:00", "1970-01-01T00:00:30-00:44"),
        ("Africa/Monrovia", "1970-01-01T00:44:30Z", "1970-01-01T00:00:30-00:44"),
        ("America/New_York", "1880-01-01T00:00:00.5", "1880-01-01T00:00:02.5-04:56"),
        ("Africa/Monrovia", "1980-01-01T00:00:00", "1980-01-01T00:00:00+00:00"),
        ("America/New_York", "1890-01-01T00:00:00", "1890-01-01T00:00:00-05:00"),
    ] {
        let moment = moment(&[MomentIn::Rfc3339], "rfc3339", Some(zone));
        assert_eq!(time(&moment, text).as_deref(), Ok(wanted), "{zone}, {text}");
    }
    // A pattern writes what the zone's own clock showed.
    let pattern = moment(&[MomentIn::Rfc3339], "%F %T %::z", Some("Africa/Monrovia"));
    assert_eq!(time(&pattern, "1970-01-01T00:00:00").as_deref(), Ok("1970-01-01 00:00:00 -00:44:30"));
}

#[test]
fn a_zone_places_local_times_and_converts_the_others() {
    let new_york = moment(&[MomentIn::Rfc3339], "rfc3339", Some("America/New_York"));
    for (text, wanted) in [
        ("2024-01-31T10:00:00", Ok("2024-01-31T10:00:00-05:00")),
        ("2024-07-31T10:00:00", Ok("2024-07-31T10:00:00-04:00")),
        ("2024-07-31T10:00:00Z", Ok("2024-07-31T06:00:00-04:00")),
        // 2024-03-10 02:00 to 03:00 does not exist there; 2024-11-03 01:00 to 02:00 is there twice.
        ("2024-03-10T02:30:00", Err(Why::Skipped)),
        ("2024-11-03T01:30:00", Err(Why::Repeated)),
        ("2024-11-03T01:30:00-04:00", Ok("2024-11-03T01:30:00-04:00")),
        ("2024-11-03T01:30:00-05:00", Ok("2024-11-03T01:30:00-05:00")),
    ] {
        assert_eq!(time(&new_york, text), wanted.map(str::to_owned), "{text}");
    }
    let utc = moment(&[MomentIn::Rfc3339], "rfc3339", Some("UTC"));
    assert_eq!(time(&utc, "2024-01-31T10:00:00+01:00").as_deref(), Ok("2024-01-31T09:00:00Z"));
    assert_eq!(time(&utc, "2024-01-31T10:00:00").as_deref(), Ok("2024-01-31T10:00:00Z"));
}

#[test]
fn a_date_is_that_of_the_zone() {
    let read = [MomentIn::Rfc3339, pattern("%d.%m.%Y"), MomentIn::Unix];
    let plain = moment(&read, "rfc3339", None);
    let tokyo = moment(&read, "%Y%m%d", Some("Asia/Tokyo"));
    for (text, here, there) in [
        ("2024-01-31", "2024-01-31", "20240131"),
        ("31.01.2024", "2024-01-31", "20240131"),
        ("2024-01-31T22:00:00Z", "2024-01-31", "20240201"),
        ("2024-01-31T22:00:00", "2024-01-31", "20240131"),
        ("1706738400", "2024-01-31", "20240201"),
    ] {
        assert_eq!(date(&plain, text).as_deref(), Ok(here), "{text}");
        assert_eq!(date(&tokyo, text).as_deref(), Ok(there), "{text}");
    }
    assert_eq!(date(&plain, "2023-02-29"), Err(Why::NoSuchTime));
    assert_eq!(date(&plain, "29.02.2023"), Err(Why::NoSuchTime));
    assert_eq!(date(&plain, "31/01/2024"), Err(Why::Format));
}

#[test]
fn seconds_since_1970() {
    let unix = moment(&[MomentIn::Unix], "rfc3339", None);
    let millis = moment(&[MomentIn::UnixMs], "rfc3339", None);
    for (moment, text, wanted) in [
        (&unix, "0", Ok("1970-01-01T00:00:00Z")),
        (&unix, "-1", Ok("1969-12-31T23:59:59Z")),
        (&unix, "1706738829.25", Ok("2024-01-31T22:07:09.25Z")),
        (&unix, "-0.5", Ok("1969-12-31T23:59:59.5Z")),
        (&unix, "1.0000000001", Err(Why::Format)),
        (&unix, "1e9", Err(Why::Format)),
        (&unix, "99999999999999999999999", Err(Why::NoSuchTime)),
        (&unix, "999999999999", Err(Why::NoSuchTime)),
        (&unix, "", Err(Why::Format)),
        (&millis, "1706738829123", Ok("2024-01-31T22:07:09.123Z")),
        (&millis, "-1", Ok("1969-12-31T23:59:59.999Z")),
        (&millis, "1.5", Err(Why::Format)),
    ] {
        assert_eq!(time(moment, text), wanted.map(str::to_owned), "{text}");
    }
}

#[test]
fn patterns() {
    let local = moment(&[pattern("%m/%d/%Y %I:%M %p")], "%Y-%m-%d %H:%M %Z", Some("America/Chicago"));
    assert_eq!(time(&local, "01/31/2024 10:07 PM").as_deref(), Ok("2024-01-31 22:07 CST"));
    assert_eq!(time(&local, "13/31/2024 10:07 PM"), Err(Why::Format));
    let offset = moment(&[pattern("%Y%m%d%H%M%S%z")], "rfc3339", None);
    assert_eq!(time(&offset, "20240131220709-0600").as_deref(), Ok("2024-01-31T22:07:09-06:00"));
    assert_eq!(time(&offset, "20161231235960+0000"), Err(Why::LeapSecond));
    assert_eq!(time(&offset, "20240131235959+0000").as_deref(), Ok("2024-01-31T23:59:59Z"));
    assert_eq!(time(&offset, "19600131000059+0000").as_deref(), Ok("1960-01-31T00:00:59Z"));
    assert_eq!(time(&offset, "20240131220709-0600 "), Err(Why::Format));
    let unplaced = moment(&[pattern("%Y%m%d%H%M%S")], "rfc3339", None);
    assert_eq!(time(&unplaced, "20240131220709"), Err(Why::NoZone));
    let epoch = moment(&[pattern("@%s")], "rfc3339", None);
    assert_eq!(time(&epoch, "@0").as_deref(), Ok("1970-01-01T00:00:00Z"));
}

#[test]
fn a_pattern_reads_what_it_writes_and_nothing_else() {
    for (read, text, wanted) in [
        ("%m/%d/%Y", "01/31/2024", Ok("2024-01-31")),
        ("%m/%d/%Y", "1/1/24", Err(Why::Format)),
        ("%m/%d/%Y", " 01/31/2024", Err(Why::Format)),
        ("%d.%m.%Y", "01.01.+2024", Err(Why::Format)),
        ("%d.%m.%Y", "01.01.24", Err(Why::Format)),
        ("%Y%m%d", "+20240131", Err(Why::Format)),
        ("%-d.%-m.%Y", "1.2.2024", Ok("2024-02-01")),
        ("%-d.%-m.%Y", "01.02.2024", Err(Why::Format)),
        ("%d-%b-%Y", "31-JAN-2024", Ok("2024-01-31")),
        ("%d.%m.%y", "31.01.24", Ok("2024-01-31")),
        ("%d.%m.%Y %H:%M", "01.01.202409:05", Err(Why::Format)),
        ("%d.%m.%Y %H:%M", "01.01.2024\n09:05", Err(Why::Format)),
        ("%d.%m.%Y %H:%M", "01.01.2024 09:05", Ok("2024-01-01")),
        ("%d.%m.%Y %I:%M %p", "01.01.2024 09:05 pm", Ok("2024-01-01")),
        ("%Y-%m-%d %H:%M:%S%.f", "2024-01-31 10:00:00.500", Ok("2024-01-31")),
        ("%Y-%m-%d %H:%M:%S%.f", "2024-01-31 10:00:00", Ok("2024-01-31")),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-01-31T10:00:00+0100", Ok("2024-01-31")),
        ("%s", "1706738400", Ok("2024-01-31")),
    ] {
        let moment = moment(&[pattern(read)], "rfc3339", None);
        assert_eq!(date(&moment, text), wanted.map(str::to_owned), "{text} by {read}");
    }
}

#[test]
fn for_ever_is_a_time() {
    let (rfc, unix) = ([MomentIn::Rfc3339], [MomentIn::Unix, MomentIn::UnixMs]);
    for (read, zone, text, wanted) in [
        (&rfc[..], None, "9999-12-31T23:59:59Z", Ok("9999-12-31T23:59:59Z")),
        (&rfc, None, "9999-12-31T23:59:59.999+01:00", Ok("9999-12-31T23:59:59.999+01:00")),
        (&rfc, Some("UTC"), "9999-12-31T23:59:59Z", Ok("9999-12-31T23:59:59Z")),
        (&rfc, Some("UTC"), "9999-12-31T23:59:59", Ok("9999-12-31T23:59:59Z")),
        (&rfc, Some("Europe/Berlin"), "9999-12-31T23:59:59", Ok("9999-12-31T23:59:59+01:00")),
        (&rfc, Some("Europe/Berlin"), "9999-12-31T23:59:59Z", Err(Why::NoSuchTime)),
        (&unix, None, "253402300799", Ok("9999-12-31T23:59:59Z")),
        // What are too many seconds for the year 9999 are milliseconds.
        (&unix, None, "253402300800", Ok("1978-01-11T21:31:40.8Z")),
        (&unix, None, "1706738400000", Ok("2024-01-31T22:00:00Z")),
        (&unix[..1], None, "253402300800", Err(Why::NoSuchTime)),
    ] {
        assert_eq!(time(&moment(read, "rfc3339", zone), text), wanted.map(str::to_owned), "{text}");
    }
    assert_eq!(date(&moment(&rfc, "rfc3339", None), "9999-12-31T23:59:59Z").as_deref(), Ok("9999-12-31"));
}

#[test]
fn what_is_no_time_at_all() {
    let moment = moment(&[MomentIn::Rfc3339, MomentIn::Unix], "rfc3339", None);
    let mut out = Vec::new();
    for found in [Found::Bare("true"), Found::Bare("[0]"), Found::Bare("{}"), Found::Text("")] {
        assert!(moment.write_time(found, &mut out).is_err(), "{found:?}");
    }
    assert!(moment.write_time(Found::Bare("0"), &mut out).is_ok());
    assert_eq!(out, b"1970-01-01T00:00:00Z");
}

#[test]
fn the_year_0_is_written_and_none_before() {
    let moment = moment(&[MomentIn::Unix], "rfc3339", None);
    assert_eq!(time(&moment, "-62167219200").as_deref(), Ok("0000-01-01T00:00:00Z"));
    assert_eq!(time(&moment, "-62167219201"), Err(Why::Unwritable));
}

proptest! {
    /// Out and in again is the same second, whatever the zone makes of it.
    #[test]
    fn a_time_comes_back(second in 0_i64..4_102_444_800, zone in prop_oneof![
        Just("Europe/Berlin"), Just("America/St_Johns"), Just("Australia/Lord_Howe"), Just("UTC"),
    ]) {
        let there = time(&moment(&[MomentIn::Unix], "rfc3339", Some(zone)), &second.to_string()).unwrap();
        let back = moment(&[MomentIn::Rfc3339], "%s", None);
        prop_assert_eq!(time(&back, &there).unwrap(), second.to_string());
    }
}
