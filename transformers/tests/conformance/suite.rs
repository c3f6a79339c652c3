//! JSONTestSuite: `y_` must be accepted, `n_` refused, `i_` either, never a panic.
//!
//! Most of its files hold no records, so each is tried twice: as the file itself, and as the value of a
//! record's only key (`{"v":FILE}`). The wrapped form is the one that tests the grammar of values; as the
//! file itself a top value that is not made of objects has to be refused, but as `json.not_records`.

use std::fs;

use serde_json::Value;

use crate::outcome::{cells, convert, shared_testdata};

/// The RFC lets a reader take these; a cell cannot hold two values (README: a key twice is refused).
const DUPLICATE_KEYS: [&str; 2] = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

fn files(prefix: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let folder = shared_testdata("json/JSONTestSuite/test_parsing")?;
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    files.sort();
    assert!(files.len() >= 30, "only {} files {prefix}", files.len());
    Some(files)
}

fn wrapped(file: &[u8]) -> Vec<u8> {
    [&b"{\"v\":"[..], file, b"}"].concat()
}

#[test]
fn valid_files_are_accepted() {
    let Some(files) = files("y_") else { return };
    for (name, file) in files {
        let whole: Value = serde_json::from_slice(&file).unwrap();
        if DUPLICATE_KEYS.contains(&name.as_str()) {
            assert_eq!(convert(&file).expect_err(&name).code.name, "json.duplicate_key", "{name}");
            assert_eq!(convert(&wrapped(&file)).expect_err(&name).code.name, "json.duplicate_key", "{name}");
            continue;
        }
        let (csv, summary) =
            convert(&wrapped(&file)).unwrap_or_else(|fault| panic!("{name}: {}", fault.report()));
        assert_eq!(summary.records, Some(1), "{name}");
        let rows = cells(&csv);
        match &whole {
            Value::String(text) => assert_eq!(rows[1], [text.as_str()], "{name}"),
            Value::Null => assert_eq!(rows[1], [""], "{name}"),
            // As written, but for blanks around it.
            Value::Number(_) | Value::Bool(_) => {
                assert_eq!(rows[1], [std::str::from_utf8(&file).unwrap().trim()], "{name}");
            }
            Value::Array(_) => {
                assert_eq!(serde_json::from_str::<Value>(&rows[1][0]).unwrap(), whole, "{name}")
            }
            Value::Object(members) => {
                let expected: Vec<String> = match members.len() {
                    0 => vec!["v".to_owned()],
                    _ => members.keys().map(|key| format!("v.{key}")).collect(),
                };
                assert_eq!(rows[0], expected, "{name}");
            }
        }

        let are_records = match &whole {
            Value::Object(_) => true,
            Value::Array(values) => values.iter().all(Value::is_object),
            _ => false,
        };
        match convert(&file) {
            Ok(_) => assert!(are_records, "{name}"),
            Err(fault) => assert!(!are_records && fault.code.name == "json.not_records", "{name}: {fault}"),
        }
    }
}

#[test]
fn invalid_files_are_refused() {
    let Some(files) = files("n_") else { return };
    for (name, file) in files {
        assert!(convert(&file).is_err(), "{name} was accepted");
        let fault = convert(&wrapped(&file)).expect_err(&name);
        assert!(
            ["json.syntax", "json.truncated", "json.utf8", "json.depth", "json.not_records"]
                .contains(&fault.code.name),
            "{name}: {fault}"
        );
    }
}

#[test]
fn open_files_are_answered() {
    let Some(files) = files("i_") else { return };
    for (name, file) in files {
        // Numbers of any size are text here; everything else open is about text that is not Unicode, or
        // depth.
        let outcome = convert(&wrapped(&file));
        let number = name.starts_with("i_number_");
        let mark = name == "i_structure_UTF-8_BOM_empty_object.json";
        assert_eq!(outcome.is_ok(), number, "{name}: {outcome:?}");
        assert_eq!(convert(&file).is_ok(), mark, "{name}");
    }
}
