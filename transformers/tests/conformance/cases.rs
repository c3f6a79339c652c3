//! The crate's own cases: `fixtures/cases/NAME.json` with `NAME.csv` (the exact output) or `NAME.fault` (code
//! and place).

use std::fs;
use std::path::Path;

use outport_core::Class;
use outport_core::Retry;

use crate::outcome::{cells, convert};

/// Fewer would mean that the folder was not found whole.
const AT_LEAST: usize = 55;

#[test]
fn every_case_gives_its_output_or_its_fault() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "json") {
            continue;
        }
        seen += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let input = fs::read(&path).unwrap();
        let expected_csv = fs::read_to_string(path.with_extension("csv")).ok();
        let expected_fault = fs::read_to_string(path.with_extension("fault")).ok();
        match (convert(&input), expected_csv, expected_fault) {
            (Ok((csv, summary)), Some(expected), None) => {
                if csv != expected {
                    wrong.push(format!("{name}: gave\n{csv}instead of\n{expected}"));
                }
                let rows = cells(&csv);
                let columns = rows.first().map_or(0, Vec::len);
                assert_eq!(summary.columns, Some(columns as u64), "{name}");
                if columns > 0 {
                    assert_eq!(summary.records, Some(rows.len() as u64 - 1), "{name}");
                }
            }
            (Err(fault), None, Some(expected)) => {
                let expected = expected.trim_end();
                let (code, place) = expected.split_once(' ').unwrap_or((expected, ""));
                if fault.code.name != code || !fault.message.contains(place) {
                    wrong.push(format!("{name}: {} instead of {expected}", fault.report()));
                }
                assert_eq!((fault.code.class, fault.code.retry), (Class::Input, Retry::Never), "{name}");
                assert!(!fault.message.contains('\n'), "{name}");
            }
            (outcome, ..) => wrong.push(format!("{name}: {outcome:?}")),
        }
    }
    assert!(seen >= AT_LEAST, "only {seen} cases in {}", folder.display());
    assert!(wrong.is_empty(), "{} of {seen} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn faults_never_show_content() {
    // The marker stands wherever a value can: the message must not have it.
    let inputs = [
        r#"{"a":"secretmarker"x}"#,
        r#"{"a":"secretmarker}"#,
        r#"{"a":"secretmarker\q"}"#,
        r#"{"a":["secretmarker","b":1]}"#,
        r#"{"a":secretmarker}"#,
        r#"{"a":"secretmarker"} secretmarker"#,
        r#"["secretmarker"]"#,
        "{\"a\":\"secretmarker\u{1}\"}",
    ];
    for input in inputs {
        let fault = convert(input.as_bytes()).unwrap_err();
        assert!(!fault.report().contains("secret"), "{}", fault.report());
    }
}

#[test]
fn hints_know_the_usual_mistakes() {
    let cases: [(&[u8], &str); 9] = [
        (b"{'a':1}", "double quotes"),
        (b"[{\"a\":1},]", "trailing comma"),
        (b"{\"a\":1,}", "trailing comma"),
        (b"{\"a\":[1,]}", "trailing comma"),
        (b"// hello\n{\"a\":1}", "comments"),
        (b"{\"a\":007}", "as a string"),
        (b"{\"a\":\"x\ty\"}", "\\t"),
        (b"\xff\xfe{\0", "UTF-16"),
        (b"{\0\"\0a\0", "UTF-16"),
    ];
    for (input, part) in cases {
        let fault = convert(input).unwrap_err();
        assert!(fault.hint().contains(part), "{}", fault.report());
    }
}

#[test]
fn a_conflict_names_both_paths() {
    let fault = convert(b"{\"a\":{\"b\":1}}\n{}\n{\"a.b\":2}").unwrap_err();
    assert_eq!(
        fault.message,
        "could not name the columns: /a/b (first in record 1) and /a.b (first in record 3) would both get the same name"
    );
}
