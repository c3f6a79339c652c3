//! Where the input is cut into chunks must not matter, for outputs and faults alike.

use std::fs;
use std::path::Path;

use outport_transform::{Finish, JsonToCsv, Limits, OUT_FULL, Transform};

use crate::outcome::{convert_cut, convert_within};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn one_cut_at_every_byte() {
    for (name, input) in fixtures() {
        let whole = convert_within(&input, Limits::default());
        for at in 1..input.len() {
            let cut = convert_cut(&input, &[at, input.len()], Limits::default());
            assert_eq!(cut, whole, "{name} cut at {at}");
        }
    }
}

#[test]
fn cut_between_all_bytes() {
    for (name, input) in fixtures() {
        for lengths in [&[1][..], &[2], &[3], &[1, 7]] {
            let cut = convert_cut(&input, lengths, Limits::default());
            assert_eq!(cut, convert_within(&input, Limits::default()), "{name} in chunks of {lengths:?}");
        }
    }
}

#[test]
fn limits_are_met_at_the_same_place_however_it_is_cut() {
    // Some with a mistake before, at and behind the limit of 40 bytes a record.
    let inputs = [
        format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}", "x".repeat(60)),
        format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}", "x".repeat(32)),
        format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}", "x".repeat(33)),
        format!("{{\"a\":\"{}\"]", "x".repeat(31)),
        format!("{{\"a\":\"{}\"]", "x".repeat(32)),
        format!("{{\"a\":\"{}\"]", "x".repeat(33)),
        format!("{{\"a\":\"{}\"]", "x".repeat(60)),
        format!("{{\"a\":[{}", "1,".repeat(60)),
        format!("{{\"a\":{}", "[".repeat(20)),
    ];
    let limits = Limits { record_bytes: 40, depth: 8, ..Limits::default() };
    let mut codes = Vec::new();
    for input in inputs {
        let whole = convert_within(input.as_bytes(), limits);
        for length in 1..input.len() {
            assert_eq!(
                convert_cut(input.as_bytes(), &[length], limits),
                whole,
                "{input} in chunks of {length}"
            );
        }
        codes.push(whole.map_or_else(|fault| fault.code.name, |_| "ok"));
    }
    let (large, syntax) = ("json.record_too_large", "json.syntax");
    assert_eq!(codes, [large, "ok", large, syntax, syntax, large, large, large, "json.depth"]);
}

#[test]
fn a_record_longer_than_every_buffer() {
    // Longer than the 16 KiB block, the 256 KiB read and the 1 MiB of output.
    let text = "é😀,\\n\\u00e9".repeat(150_000);
    let input = format!("{{\"a\":\"{text}\",\"b\":[\"{text}\"]}}\n{{\"a\":1}}\n");
    let (whole, summary) = convert_within(input.as_bytes(), Limits::default()).unwrap();
    assert_eq!(summary.records, Some(2));
    let decoded = "é😀,\né".repeat(150_000);
    assert_eq!(whole, format!("a,b\n\"{decoded}\",\"[\"\"{text}\"\"]\"\n1,\n"));
    assert_eq!(convert_cut(input.as_bytes(), &[1013], Limits::default()).unwrap().0, whole);
}

#[test]
fn a_wide_header_over_tiny_records_comes_in_portions() {
    // 20,000 records of 3 bytes become 20,000 rows of 2,000 bytes.
    let first: Vec<String> = (0..2000).map(|key| format!("\"k{key}\":0")).collect();
    let input = format!("{{{}}}\n{}", first.join(","), "{}\n".repeat(20_000));
    for front in [1, 8 << 20] {
        let mut transform = JsonToCsv::new().with_front(front);
        let (mut csv, mut out) = (Vec::new(), Vec::new());
        let mut passes = 0;
        let summary = loop {
            passes += 1;
            csv.clear();
            let mut rest = input.as_bytes();
            while !rest.is_empty() {
                rest = &rest[transform.push(rest, &mut out).unwrap()..];
                assert!(out.len() < OUT_FULL + 20_000, "{} bytes at once", out.len());
                csv.append(&mut out);
            }
            let mut finish = transform.finish(&mut out).unwrap();
            while finish == Finish::More {
                assert!(out.len() < OUT_FULL + 20_000, "{} bytes at once", out.len());
                csv.append(&mut out);
                finish = transform.finish(&mut out).unwrap();
            }
            csv.append(&mut out);
            if let Finish::Done(summary) = finish {
                break summary;
            }
        };
        assert_eq!(passes, if front == 1 { 2 } else { 1 });
        assert_eq!((summary.records, summary.bytes_out), (Some(20_001), csv.len() as u64));
        assert!(csv.len() > 40_000_000);
        let csv = String::from_utf8(csv).unwrap();
        let empty = ",".repeat(1999);
        assert!(csv.lines().skip(2).all(|line| line == empty));
    }
}

#[test]
fn a_mistake_is_told_before_a_clash_of_names_wherever_the_front_ends() {
    let clash = r#"{"a.b":1,"a":{"b":2}}"#;
    for (input, code) in [
        (format!("{clash}\n{{\"c\":1}}"), "json.column_conflict"),
        (format!("{clash}\n{{\"c\":}}"), "json.syntax"),
        (
            format!("{{\"a.b\":1}}\n{}\n{{\"a\":{{\"b\":2}}}}\n{{\"c\":", "{\"x\":1}\n".repeat(20)),
            "json.truncated",
        ),
    ] {
        for length in [1, 10, 1000] {
            let fault = convert_cut(input.as_bytes(), &[length], Limits::default()).unwrap_err();
            assert_eq!(fault.code.name, code, "{input}");
        }
    }
}
