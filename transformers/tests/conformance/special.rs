//! The inputs that break converters: each with what is stated about it, in one thread and in two, and with nothing written
//! that anybody could take for a result.

use std::fmt::Write as _;

use outport_transform::{JsonToCsv, Once, Transform, run};

/// Enough records in front that the fast way knows their shape and threads have blocks of their own.
const BEFORE: u64 = 50_000;

fn before() -> String {
    (0..BEFORE).fold(String::new(), |mut text, id| {
        let _ = writeln!(text, "{{\"id\":{id},\"a\":\"x\"}}");
        text
    })
}

/// Holds `input` to a fault of this code and place: alone and with threads, with the columns found in the pass that writes rows
/// and in one before it.
fn is_refused(what: &str, input: &[u8], code: &str, place: &str) {
    for (threads, front) in [(1, 8 << 20), (2, 8 << 20), (1, 1 << 16), (2, 1 << 16)] {
        let transform = || {
            let mut transform = JsonToCsv::new().with_front(front);
            transform.use_threads(threads);
            transform
        };
        let mut thrown_away = Vec::new();
        let first = run(&mut transform(), || Ok(input), &mut thrown_away).unwrap_err();
        // What cannot be taken back is not written before all of the input was looked at.
        let mut kept = Once(Vec::new());
        let fault = run(&mut transform(), || Ok(input), &mut kept).unwrap_err();
        assert_eq!((fault.code.name, fault.message.as_str()), (first.code.name, first.message.as_str()));
        assert!(kept.0.is_empty(), "{what}: rows of a file that is refused");
        assert_eq!(fault.code.name, code, "{what}: {fault}");
        assert!(fault.message.contains(place), "{what}: {place} is not in {fault}");
    }
}

/// The same for a bad record, first in the input and behind many good ones. `place` gets the number, the line (both from 1) and
/// the offset (from 0) at which it begins.
fn record_is_refused(what: &str, bad: &[u8], code: &str, place: impl Fn(u64, u64, u64) -> String) {
    is_refused(what, bad, code, &place(1, 1, 0));
    let front = before();
    let input = [front.as_bytes(), bad].concat();
    is_refused(what, &input, code, &place(BEFORE + 1, BEFORE + 1, front.len() as u64));
}

#[test]
fn a_hundred_thousand_levels() {
    for (open, close, bytes_a_level) in [("[", "]", 1), ("{\"a\":", "}", 5)] {
        let bad = format!("{{\"a\":{}{}}}\n", open.repeat(100_000), close.repeat(100_000));
        // The record is the first level, the 129th is one too many.
        record_is_refused("deep", bad.as_bytes(), "json.depth", |record, line, byte| {
            format!("record {record} (line {line}, byte {}, at /a", byte + 5 + 127 * bytes_a_level)
        });
    }
}

#[test]
fn text_longer_than_a_record_may_be() {
    let bad = format!("{{\"a\":\"{}\"}}\n", "x".repeat(64 << 20));
    record_is_refused("long", bad.as_bytes(), "json.record_too_large", |record, line, byte| {
        format!("record {record} (line {line}, byte {byte})")
    });
}

#[test]
fn one_key_twice() {
    record_is_refused("twice", b"{\"a\":1,\"b\":2,\"a\":3}\n", "json.duplicate_key", |record, line, byte| {
        // Behind the key.
        format!("record {record} (line {line}, byte {}, at /a)", byte + 16)
    });
}

#[test]
fn half_of_a_surrogate_pair() {
    for (bad, at) in [(&b"{\"a\":\"\\ud800\"}\n"[..], 12), (b"{\"a\":\"\\udc00x\"}\n", 11)] {
        record_is_refused("lone", bad, "json.utf8", |record, line, byte| {
            format!("record {record} (line {line}, byte {}, at /a)", byte + at)
        });
    }
}

#[test]
fn nul() {
    record_is_refused("raw, in text", b"{\"a\":\"x\0y\"}\n", "json.syntax", |record, line, byte| {
        format!("record {record} (line {line}, byte {}, at /a)", byte + 7)
    });
    record_is_refused("between records", b"\0{\"a\":1}\n", "json.syntax", |_, line, byte| {
        format!("(line {line}, byte {byte})")
    });
    // Escaped it is a character like any other.
    let mut out = Vec::new();
    run(&mut JsonToCsv::new(), || Ok(&b"{\"a\":\"x\\u0000y\"}"[..]), &mut out).unwrap();
    assert_eq!(out, b"a\nx\0y\n");
}

/// The same records in an array, one a line.
fn array(end: &str) -> (Vec<u8>, u64) {
    let records = before();
    let records = records.trim_end().replace('\n', ",\n");
    let text = format!("[\n{records}{end}");
    let bytes = text.len() as u64;
    (text.into_bytes(), bytes)
}

fn array_is_refused(what: &str, end: &str, code: &str, place: impl Fn(u64) -> String) {
    let (input, bytes) = array(end);
    is_refused(what, &input, code, &place(bytes));
}

#[test]
fn an_array_that_breaks_off() {
    let (next, line) = (BEFORE + 1, BEFORE + 2);
    array_is_refused("between records", ",\n", "json.truncated", |bytes| {
        format!("record {next} (line {line}, byte {bytes})")
    });
    array_is_refused("inside a record", ",\n{\"id\":", "json.truncated", |bytes| {
        format!("record {next} (line {line}, byte {bytes}, at /id)")
    });
}

#[test]
fn something_behind_the_array() {
    let line = BEFORE + 2;
    for garbage in ["x", "{\"id\":1}", "[]", "]", ","] {
        array_is_refused("behind", &format!("]\n{garbage}"), "json.syntax", |bytes| {
            format!("(line {}, byte {})", line, bytes - garbage.len() as u64)
        });
    }
}

#[test]
fn no_utf8_in_the_last_byte() {
    // Behind the last record, in it, and the beginning of a character that never comes.
    record_is_refused("behind", b"{\"a\":\"x\"}\xff", "json.utf8", |record, line, byte| {
        format!("record {} (line {line}, byte {})", record + 1, byte + 9)
    });
    record_is_refused("in text", b"{\"a\":\"x\xc3\"}", "json.utf8", |record, line, byte| {
        format!("record {record} (line {line}, byte {}, at /a)", byte + 7)
    });
    record_is_refused("half", b"{\"a\":\"x\"}\n\xc3", "json.truncated", |record, line, byte| {
        format!("record {} (line {}, byte {})", record + 1, line + 1, byte + 10)
    });
}
