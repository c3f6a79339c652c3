//! Strings of every length around what is read at once, with whatever needs care at every place in them.

use std::fmt::Write;

use crate::outcome::convert;

/// Beyond four times the sixteen bytes that are read at once.
const LONGEST: usize = 70;

/// How it is spelt in JSON, and what it means.
const CARE: [(&str, &str); 8] = [
    ("", ""),
    (",", ","),
    ("\\n", "\n"),
    ("\\\"", "\""),
    ("\\\\", "\\"),
    ("é", "é"),
    ("\\u00e9", "é"),
    ("\\ud83d\\ude00", "😀"),
];

fn as_cell(text: &str) -> String {
    let needs_quotes = text.is_empty() || text.contains([',', '"', '\n', '\r']);
    if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// As the value of a key, and in an array.
#[test]
fn are_written_whole() {
    let (mut json, mut expected) = (String::new(), "id,s,tags\n".to_owned());
    for length in 0..LONGEST {
        for place in 0..=length {
            for (spelling, meaning) in CARE {
                let (front, back) = ("x".repeat(place), "y".repeat(length - place));
                let spelt = format!("{front}{spelling}{back}");
                writeln!(json, "{{\"id\":{length},\"s\":\"{spelt}\",\"tags\":[\"{spelt}\",1]}}").unwrap();
                let text = as_cell(&format!("{front}{meaning}{back}"));
                let tags = as_cell(&format!("[\"{spelt}\",1]"));
                writeln!(expected, "{length},{text},{tags}").unwrap();
            }
        }
    }
    let (csv, _) = convert(json.as_bytes()).unwrap();
    for (found, expected) in csv.split('\n').zip(expected.split('\n')) {
        assert_eq!(found, expected);
    }
    assert!(csv == expected);
}
