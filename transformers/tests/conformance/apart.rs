//! What is set apart is exactly what is bad: no good record goes with it, and none of it is told twice.

use base64ct::{Base64, Encoding};
use outport_transform::{build, run_with_rejects};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::mapping::{convert, run_cut};

const QUARANTINE: &str = "[errors]\npolicy = \"quarantine\"\nmax_bad = 3\n";
const COLUMN: &str = "[[column]]\nname = \"a\"\nfrom = \"/a\"\n";

/// A rejected record: its number, and as it came.
type Rejected<'a> = (u64, &'a str);

/// Rows and rejected records, however the input is cut.
fn rows_and_rejects(spec: &str, input: &str) -> (String, Vec<(u64, String)>) {
    let outcome = convert("json-to-csv", spec, input).unwrap();
    let rejects = outcome.rejects.iter().map(|reject| {
        let raw = Base64::decode_vec(reject["raw_b64"].as_str().unwrap()).unwrap();
        (reject["record"].as_u64().unwrap(), String::from_utf8(raw).unwrap())
    });
    (outcome.out, rejects.collect())
}

#[test]
fn a_line_is_good_or_bad_as_a_whole() {
    let bad = ["{\"a\":2},\"b\":20}", "{\"a\":2}}", "{\"a\":2}garbage", "{\"a\":2} {\"a\":3}", "{\"a\":2}{"];
    for format in ["auto", "ndjson"] {
        let by_keys = format!("[input]\nformat = \"{format}\"\n{QUARANTINE}");
        for spec in [&by_keys, &format!("{by_keys}{COLUMN}")] {
            for bad in bad {
                let rejected = vec![(2, bad.to_owned())];
                let (out, rejects) = rows_and_rejects(spec, &format!("{{\"a\":1}}\n{bad}\n{{\"a\":4}}\n"));
                assert_eq!((out.as_str(), &rejects), ("a\n1\n4\n", &rejected), "{format}: {bad}");
                let (out, rejects) = rows_and_rejects(spec, &format!("{{\"a\":1}}\n{bad}"));
                assert_eq!((out.as_str(), &rejects), ("a\n1\n", &rejected), "{format}: {bad} at the end");
            }
        }
    }
}

#[test]
fn where_nobody_says_it_the_first_record_shows_whether_lines_are_records() {
    let spec = format!("{QUARANTINE}{COLUMN}type = \"integer\"\n");
    let none: &[Rejected<'_>] = &[];
    let cases: [(&str, &str, &[Rejected<'_>]); 8] = [
        ("{\n\"a\":1\n}\n{\"a\":2}", "1 2", none),
        ("{\n\"a\":1\n}\n{\n\"a\":\"x\"\n}\n{\"a\":3}", "1 3", &[(2, "{\n\"a\":\"x\"\n}")]),
        ("{\n\"a\":0,\"items\":[\n{\"a\":1},\n{\"a\":2}\n]}", "0", none),
        ("{\"a\":1}{\"a\":2}\n{\n\"a\":3}", "1 2 3", none),
        ("# export\n\n{\n\"a\":1\n}\n{\n\"a\":2\n}\n", "1 2", &[(1, "# export")]),
        ("# export\n{\"a\":1}\n{\"a\":\n{\"a\":3}\n", "1 3", &[(1, "# export"), (3, "{\"a\":")]),
        ("{\"a\":1}\njunk\n{\"a\":3}", "1 3", &[(2, "junk")]),
        // As the page says: behind a first line that is a record, each record is a line.
        ("{\"a\":1}\n{\n\"a\":2\n}", "1", &[(2, "{"), (3, "\"a\":2"), (4, "}")]),
    ];
    for (input, rows, rejected) in cases {
        let (out, rejects) = rows_and_rejects(&spec, input);
        let expected = format!("a {rows} ").replace(' ', "\n");
        let rejected: Vec<_> = rejected.iter().map(|(record, raw)| (*record, (*raw).to_owned())).collect();
        assert_eq!((out, rejects), (expected, rejected), "{input}");
    }
    for input in [
        "{\"a\":1\n{\"a\":2}\n",
        "{\n\"a\":1\n}\n{\"a\":}\n",
        "{\"a\":1}{\"a\":2}\n{\"a\":}\n",
        "{\n\"a\":1\n",
    ] {
        let fault = convert("json-to-csv", &spec, input).err().unwrap_or_else(|| panic!("{input}"));
        assert!(fault.hint().contains("format = \"ndjson\""), "{input}: {}", fault.report());
    }
    for input in ["", "\n", "[{\"a\":1},\n{\"a\":}\n]"] {
        let fault = convert("json-to-csv", &spec, input).err().unwrap_or_else(|| panic!("{input}"));
        assert!(!fault.hint().contains("ndjson"), "{input}: {}", fault.report());
    }
}

#[test]
fn a_good_record_behind_a_bad_one_that_is_cut_inside_a_character() {
    let by_lines = format!("[input]\nformat = \"ndjson\"\n{QUARANTINE}");
    let columns = format!("{by_lines}{COLUMN}");
    for spec in [&by_lines, &columns] {
        for character in ["é", "€", "😀"] {
            for bad in ["\n", "\"\n", "\",\n", "\u{1}\n"] {
                let input =
                    format!("{{\"a\":\"{character}{bad}{{\"a\":\"good\"}}\n{{\"a\":\"{character}\"}}\n");
                let outcome = convert("json-to-csv", spec, &input).unwrap();
                assert_eq!(outcome.out, format!("a\ngood\n{character}\n"), "{input:?}");
                assert_eq!((outcome.summary.records, outcome.rejects.len()), (Some(3), 1), "{input:?}");
                let raw = Base64::decode_vec(outcome.rejects[0]["raw_b64"].as_str().unwrap()).unwrap();
                assert_eq!(raw, input.lines().next().unwrap().as_bytes(), "{input:?}");
            }
            // Cut by what reads blocks of its own, too.
            let front = "p".repeat((256 << 10) - 7);
            let input = format!("{{\"a\":\"{front}{character}\n{{\"a\":\"good\"}}\n");
            let outcome = run_cut("json-to-csv", spec, input.as_bytes(), input.len()).unwrap();
            assert_eq!((outcome.out.as_str(), outcome.rejects.len()), ("a\ngood\n", 1));
        }
    }
}

#[test]
fn bytes_that_are_no_utf8_go_with_their_own_record() {
    let input = b"{\"a\":\"x\xff\n{\"a\":\"\xe2\x82\n{\"a\":\"good\"}\n";
    for length in 1..=input.len() {
        let outcome = run_cut("json-to-csv", QUARANTINE, input, length).unwrap();
        assert_eq!((outcome.out.as_str(), outcome.rejects.len()), ("a\ngood\n", 2), "chunks of {length}");
    }
}

#[test]
fn a_second_pass_rejects_the_same_once() {
    let good = format!("{{\"a\":\"{}\"}}\n", "x".repeat(1000));
    // A column that comes behind the front makes the second pass.
    let input = format!("{{bad\n{}{{\"late\":1}}\n", good.repeat(9000));
    let spec: Value = toml::from_str(QUARANTINE).unwrap();
    let passes = std::cell::Cell::new(0);
    let open = || {
        passes.set(passes.get() + 1);
        Ok(input.as_bytes())
    };
    let (mut out, mut rejects) = (Vec::new(), Vec::new());
    let mut transform = build("json-to-csv", &spec).unwrap();
    let summary = run_with_rejects(&mut *transform, open, &mut out, &mut rejects).unwrap();
    assert_eq!((passes.get(), summary.rejected), (2, 1));
    assert_eq!(rejects.iter().filter(|byte| **byte == b'\n').count(), 1);
    // The same to what cannot take anything back.
    let (mut once, mut again) = (outport_transform::Once(Vec::new()), Vec::new());
    let mut transform = build("json-to-csv", &spec).unwrap();
    run_with_rejects(&mut *transform, || Ok(input.as_bytes()), &mut once, &mut again).unwrap();
    assert!(once.0 == out);
    assert_eq!(again, rejects);
}

/// Held to a spec alone or by several threads, at any place, with columns found before or on the way.
fn refused_everywhere(spec: &str, good: &str, bad: &str, code: &str) {
    let params: Value = toml::from_str(spec).unwrap();
    let before = good.repeat((9 << 20) / good.len());
    for front in [String::new(), good.repeat(3), before] {
        for behind in [String::new(), good.repeat(5)] {
            let input = format!("{front}{bad}{behind}");
            for threads in [1, 2, 4] {
                let mut transform = build("json-to-csv", &params).unwrap();
                transform.use_threads(threads);
                let fault = outport_transform::run(&mut *transform, || Ok(input.as_bytes()), &mut Vec::new())
                    .err()
                    .unwrap_or_else(|| panic!("{bad:?} behind {} bytes, {threads} threads", front.len()));
                let record = front.lines().count() + 1;
                assert_eq!(fault.code.name, code, "{fault}");
                assert!(fault.message.contains(&format!("record {record} ")), "{record}: {fault}");
            }
        }
    }
}

#[test]
fn one_record_a_line_is_one_record_a_line_everywhere() {
    let spec = "[input]\nformat = \"ndjson\"\n";
    refused_everywhere(spec, "{\"a\":1}\n", "{\"a\":\n1}\n", "json.syntax");
    refused_everywhere(spec, "{\"a\":1}\n", "{\n\"a\":1}\n", "json.syntax");
    refused_everywhere(spec, "{\"a\":[1]}\n", "{\"a\":[1,\n2]}\n", "json.syntax");
    refused_everywhere(spec, "{\"a\":1}\n", "{\"a\":1}{\"a\":2}\n", "json.syntax");
    refused_everywhere(spec, "{\"a\":1}\n", "{\"a\":1} {\"a\":2}\n", "json.syntax");
}

#[test]
fn depth_counts_everywhere() {
    let spec = "[input]\nmax_depth = 1\n";
    refused_everywhere(spec, "{\"a\":1}\n", "{\"a\":{}}\n", "json.depth");
    let spec = "[input]\nmax_depth = 2\n";
    refused_everywhere(spec, "{\"a\":{\"b\":1}}\n", "{\"a\":{\"b\":{}}}\n", "json.depth");
    refused_everywhere(spec, "{\"a\":[1]}\n", "{\"a\":[[]]}\n", "json.depth");
}

#[test]
fn places_behind_a_filter_say_what_they_count() {
    let spec = "[output]\nmax_columns = 1\n[[filter]]\nfrom = \"/a\"\nin = [1, 2, 3]\n";
    let input = "{\"a\":0,\"t\":1}\n{\"a\":1}\n{\"a\":2}\n{\"a\":3,\"b\":1}\n";
    let fault = convert("json-to-csv", spec, input).err().unwrap();
    assert_eq!(fault.code.name, "json.too_many_columns");
    assert!(fault.message.contains("record 3 (line 3, byte 28, at /b)"), "{fault}");
    assert!(fault.message.contains("counted behind what the spec filters"), "{fault}");
}

/// Lines that are records, no records, and blank.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let parts: [&[u8]; 14] = [
        b"{\"a\":1}",
        b"{\"a\":\"\xc3\xa9\"}",
        b"{\"a\":1,\"a\":2}",
        b"{\"a\":[{}]}",
        b"{}",
        b"{",
        b"}",
        b"\"",
        b" ",
        b"\r",
        b"[1]",
        b"\xff",
        b"\xe2\x82",
        b",",
    ];
    let part = proptest::sample::select(parts.to_vec());
    // Mostly one part: a whole record.
    prop_oneof![4 => vec(part.clone(), 1), 1 => vec(part, 0..4)].prop_map(|parts| parts.concat())
}

proptest! {
    /// Each line by itself says whether it is good, and what becomes of it among others is the same.
    #[test]
    fn lines_do_not_matter_to_one_another(lines in vec(line(), 1..12), length in 1..40_usize, ends in any::<bool>()) {
        let by_lines = format!("[input]\nformat = \"ndjson\"\n{COLUMN}");
        let mut input = lines.join(&b'\n');
        if ends {
            input.push(b'\n');
        }
        let (mut rows, mut bad) = (String::from("a\n"), Vec::new());
        for line in &lines {
            match run_cut("json-to-csv", &by_lines, line, line.len().max(1)) {
                Ok(alone) => rows += alone.out.strip_prefix("a\n").unwrap(),
                Err(fault) if fault.code.name == "json.empty" => {}
                Err(_) => bad.push(line.clone()),
            }
        }
        let spec = format!("[errors]\npolicy = \"quarantine\"\nmax_bad = 100\n{by_lines}");
        match run_cut("json-to-csv", &spec, &input, length) {
            Ok(outcome) => {
                prop_assert_eq!(outcome.out, rows);
                let raw = |reject: &Value| Base64::decode_vec(reject["raw_b64"].as_str().unwrap()).unwrap();
                let found: Vec<_> = outcome.rejects.iter().map(raw).collect();
                let trimmed = |line: &Vec<u8>| line.trim_ascii().to_vec();
                prop_assert_eq!(found.iter().map(trimmed).collect::<Vec<_>>(), bad.iter().map(trimmed).collect::<Vec<_>>());
            }
            Err(fault) => {
                prop_assert_eq!(fault.code.name, "json.empty");
                prop_assert!(bad.is_empty() && rows == "a\n");
            }
        }
    }
}
