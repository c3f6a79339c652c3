//! The type `json`.

use serde::de::IgnoredAny;

use super::super::JsonText;
use super::{Form, Found, Why};
use crate::json_csv::is_taken;

pub(super) fn write(text: JsonText, found: Found<'_>, out: &mut Vec<u8>) -> Result<Form, Why> {
    match (text, found) {
        (_, Found::Null) => return Ok(Form::Null),
        (_, Found::Bare(bare)) => out.extend_from_slice(bare.as_bytes()),
        (JsonText::Quote, Found::Text(text)) => {
            // Into memory, and of a str: nothing that could fail.
            serde_json::to_writer(&mut *out, text).map_err(|_| Why::NotJson)?;
        }
        (JsonText::Read, Found::Text(text)) => {
            serde_json::from_str::<IgnoredAny>(text).map_err(|_| Why::NotJson)?;
            // What our own reader would refuse is not passed on to others.
            if !is_taken(text) {
                return Err(Why::DoubtfulJson);
            }
            compact(text, out);
        }
    }
    Ok(Form::Bare)
}

/// Drops the blanks outside strings. Through a `Value` numbers would be rewritten.
fn compact(json: &str, out: &mut Vec<u8>) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        if !in_string && matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            continue;
        }
        out.push(byte);
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: JsonText, found: Found<'_>) -> Result<String, Why> {
        let mut out = Vec::new();
        write(text, found, &mut out).map(|_| String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_written() {
        let text = "a\"b\n";
        assert_eq!(written(JsonText::Quote, Found::Text(text)).unwrap(), r#""a\"b\n""#);
        assert_eq!(written(JsonText::Quote, Found::Bare("[1]")).unwrap(), "[1]");
        let json = "{ \"a b\" : [ 1.10 , \"\\\" \\\\\" , null ] ,\n\"c\":2 }";
        assert_eq!(
            written(JsonText::Read, Found::Text(json)).unwrap(),
            r#"{"a b":[1.10,"\" \\",null],"c":2}"#
        );
        for no_json in ["", "N/A", "{", "[1,]", "1 2"] {
            assert_eq!(written(JsonText::Read, Found::Text(no_json)), Err(Why::NotJson), "{no_json}");
        }
        // serde_json takes these, or is itself near its limit.
        let (deep, too_deep) = ([126, 127].map(|depth| "[".repeat(depth) + &"]".repeat(depth))).into();
        for doubtful in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, r#""\ud800""#, &too_deep] {
            assert_eq!(written(JsonText::Read, Found::Text(doubtful)), Err(Why::DoubtfulJson), "{doubtful}");
        }
        assert_eq!(written(JsonText::Read, Found::Text(&deep)).unwrap(), deep);
        for fine in ["1e999", "\"\\ud83d\\ude00\"", "null", "[{\"a\":1},{\"a\":2}]"] {
            assert_eq!(written(JsonText::Read, Found::Text(fine)).unwrap(), fine);
        }
    }

    proptest! {
        #[test]
        fn compact_is_what_serde_writes(text in "[ \"\\\\a\n]{0,8}", number: i64) {
            let value = serde_json::json!({ &text: [number, text], "n": { "x": null } });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(written(JsonText::Read, Found::Text(&pretty)).unwrap(), value.to_string());
        }
    }
}
