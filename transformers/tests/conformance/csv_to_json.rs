//! What `csv-to-json` makes of rows, and what it refuses; each case as a user would write it.

use base64ct::{Base64, Encoding};

use crate::mapping::{convert, run_cut};

#[track_caller]
fn gives(spec: &str, input: &str, expected: &str) {
    let outcome = convert("csv-to-json", spec, input).unwrap_or_else(|fault| panic!("{input:?}: {fault}"));
    assert_eq!(outcome.out, expected, "{input:?}");
}

#[track_caller]
fn fails(spec: &str, input: &str, code: &str, text: &str) {
    match convert("csv-to-json", spec, input) {
        Ok(outcome) => panic!("{input:?} gave {:?}", outcome.out),
        Err(fault) => {
            assert_eq!(fault.code.name, code, "{input:?}: {fault}");
            assert!(fault.message.contains(text), "{input:?}: {fault}");
        }
    }
}

#[test]
fn every_cell_becomes_a_member() {
    gives("", "a,b\n1,x\n", "{\"a\":\"1\",\"b\":\"x\"}\n");
    // The last line needs no end; CR, LF and CR LF all end a row; a line break between quotes does not.
    gives("", "a,b\r\n1,\"x\r\ny\"\r3,4", "{\"a\":\"1\",\"b\":\"x\\r\\ny\"}\n{\"a\":\"3\",\"b\":\"4\"}\n");
    // Nothing without quotes is null, with quotes it is text.
    gives("", "a,b,c\n,\"\",\" \"\n", "{\"a\":null,\"b\":\"\",\"c\":\" \"}\n");
    gives("[input]\nnull = \"NULL\"", "a,b,c\nNULL,\"NULL\",\n", "{\"a\":null,\"b\":\"NULL\",\"c\":\"\"}\n");
    gives("[input]\ndelimiter = \"\\t\"", "a\tb\n1,5\t\"2\t\"\n", "{\"a\":\"1,5\",\"b\":\"2\\t\"}\n");
    gives("", "\"a \"\"b\"\"\",\"c\nd\"\n1,\"\"\"\"\n", "{\"a \\\"b\\\"\":\"1\",\"c\\nd\":\"\\\"\"}\n");
    gives("[input]\nheader = false", "x,\n,y\n", "{\"1\":\"x\",\"2\":null}\n{\"1\":null,\"2\":\"y\"}\n");
    // Blanks, leading zeros and backslashes are content.
    gives("", "a,b\n 007 ,C:\\\\x\n", "{\"a\":\" 007 \",\"b\":\"C:\\\\\\\\x\"}\n");
    gives("", "a,\n1,2\n", "{\"a\":\"1\",\"\":\"2\"}\n");
}

#[test]
fn records_come_in_an_array_too() {
    let array = "[output]\nformat = \"array\"";
    gives(array, "a\n1\n2\n", "[\n{\"a\":\"1\"},\n{\"a\":\"2\"}\n]\n");
    for nothing in ["", "\u{feff}", "a,b", "a,b\n", "\n\n", "a,b\r\n\r\n"] {
        gives(array, nothing, "[]\n");
        gives("", nothing, "");
    }
    let headless = "[input]\nheader = false";
    for nothing in ["", "\n\r\n"] {
        gives(headless, nothing, "");
    }
    // In a file of several columns no line without anything is a row; in a file of one column each is.
    gives(headless, "\n\r\n1,2\n\n3,4\n", "{\"1\":\"1\",\"2\":\"2\"}\n{\"1\":\"3\",\"2\":\"4\"}\n");
    gives(headless, "1\n\n3\n", "{\"1\":\"1\"}\n{\"1\":null}\n{\"1\":\"3\"}\n");
    fails(
        headless,
        "\n1\n",
        "csv.ragged",
        "record 1 (line 2, byte 1): this is the first row and has one cell",
    );
}

#[test]
fn a_byte_order_mark_is_dropped_and_what_only_begins_like_one_is_not() {
    gives("", "\u{feff}\"a\",b\n1,2\n", "{\"a\":\"1\",\"b\":\"2\"}\n");
    // U+FEC1 begins with the same two bytes.
    gives("", "\u{fec1}\n1\n", "{\"\u{fec1}\":\"1\"}\n");
    gives("", "a\n\u{feff}\n", "{\"a\":\"\u{feff}\"}\n");
    fails("", "\u{feff}\"a", "csv.truncated", "could not convert the input (line 1, byte 3)");
}

#[test]
fn a_line_without_anything_is_a_row_only_where_there_is_one_column() {
    gives("", "\n\na,b\n\n1,2\n\r\n3,4\n\n", "{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":\"3\",\"b\":\"4\"}\n");
    gives("", "a\n1\n\n\"\"\n", "{\"a\":\"1\"}\n{\"a\":null}\n{\"a\":\"\"}\n");
}

#[test]
fn columns_are_chosen_named_and_typed() {
    let spec = r#"
        [input]
        delimiter = ";"
        [[column]]
        name = "number"
        from = "/id"
        type = "integer"
        required = true
        [[column]]
        name = "amount"
        from = "/amount"
        type = "decimal"
        scale = 2
        default = "0"
        [[column]]
        name = "paid"
        from = "/a~1b"
        type = "boolean"
        [[column]]
        name = "day"
        from = "/day"
        type = "date"
        in = "%d.%m.%Y"
        [[column]]
        name = "tags"
        from = "/tags"
        type = "json"
        [[column]]
        name = "note"
        from = "/note"
        [[column]]
        name = "source"
        const = 7
        [[column]]
        name = "n"
        builtin = "record_number"
        [[column]]
        name = "byte"
        builtin = "byte_offset"
        [[column]]
        name = "key"
        builtin = "source_key"
        [[filter]]
        from = "/amount"
        ne = "-"
    "#;
    let input = "id;amount;a/b;day;tags\n1;1.5;TRUE;31.01.2026;[1, {\"a\": null}]\n2;-;;;\n3;;;;\n";
    let input = input.replace("[1, {\"a\": null}]", "\"[1, {\"\"a\"\": null}]\"");
    let third = input.find("3;").unwrap();
    let expected = format!(
        "{{\"number\":1,\"amount\":1.50,\"paid\":true,\"day\":\"2026-01-31\",\"tags\":[1,{{\"a\":null}}],\
         \"source\":7,\"n\":1,\"byte\":23,\"key\":\"in/a.json\"}}\n\
         {{\"number\":3,\"amount\":0.00,\"paid\":null,\"day\":null,\"tags\":null,\
         \"source\":7,\"n\":3,\"byte\":{third},\"key\":\"in/a.json\"}}\n"
    );
    gives(spec, &input, &expected);
    let wrong = input.replace("3;", "three;");
    let at = format!(
        "record 3 (line 4, byte {third}, at /id): column \"number\": expected integer, found text of 5"
    );
    fails(spec, &wrong, "mapping.mismatch", &at);
}

#[test]
fn the_header_is_held_to_what_the_spec_says() {
    let column = "[[column]]\nname = \"x\"\nfrom = \"/x\"\n";
    let required = format!("{column}required = true\n");
    gives(column, "a\n1\n", "{}\n");
    fails(&required, "a\n1\n", "mapping.required", "(line 1, byte 0, at /x)");
    fails(&required, "", "mapping.required", "is missing");
    let strict =
        format!("[output]\nunknown_keys = \"error\"\n{column}[[filter]]\nfrom = \"/y\"\nexists = true\n");
    gives(&strict, "y,x\n1,2\n,3\n", "{\"x\":\"2\"}\n");
    fails(&strict, "x,y,z\n", "mapping.unknown_key", "no column for column 3 of the input");
}

#[test]
fn what_is_not_csv_is_refused_with_its_place() {
    fails(
        "",
        "a,b\n1,2\n3\n",
        "csv.ragged",
        "record 2 (line 3, byte 8): the row has 1 cell, the first row has 2",
    );
    fails("", "a,b\n1,2,\n", "csv.ragged", "record 1 (line 2, byte 4): the row has 3 cells");
    fails("[input]\nheader = false", "1,2\n3\n", "csv.ragged", "record 2 (line 2, byte 4)");
    fails("", "a,b,a\n", "csv.header", "cells 1 and 3 of the header have the same name");
    fails(
        "",
        "a,b\n\"1\n2\",\"3\n",
        "csv.truncated",
        "record 1 (line 3, byte 10): the quote that opens here",
    );
    fails("", "a,b\n\"1\n\"x,2\n", "csv.syntax", "record 1 (line 3, byte 8): behind a closing quote");
    fails("", "a,b\n\"1\" ,2\n", "csv.syntax", "behind a closing quote");
    fails("", "a,b\n1,5\"\n", "csv.syntax", "record 1 (line 2, byte 7): a quote stands inside a cell");
    fails("", "a,b\n1, \"2\"\n", "csv.syntax", "a quote stands inside a cell");
    fails("", "a,b\n1,x\0\n", "csv.syntax", "record 1 (line 2, byte 4): NUL");
    fails(
        "[input]\nmax_record_bytes = 5",
        "a,b\n1,345\n1,3456\n",
        "csv.record_too_large",
        "record 2 (line 3, byte 10)",
    );
    // Too large comes first, however the input is cut.
    fails("[input]\nmax_record_bytes = 5", "a,b\n1,3456\"\n", "csv.record_too_large", "larger than 5 bytes");
    gives("[input]\nmax_record_bytes = 5", "a,b\n1,345\r\n", "{\"a\":\"1\",\"b\":\"345\"}\n");
    for length in [1, 2, 3, 100] {
        // Put together the two halves would be a character, but a delimiter stands between them.
        let fault = run_cut("csv-to-json", "", b"a,b\n\xc3,\xa9\n", length).err().unwrap();
        assert_eq!(
            fault.message,
            "could not convert record 1 (line 2, byte 4): the bytes of the row are not UTF-8"
        );
        let fault = run_cut("csv-to-json", "", b"a,b\n1,\xff\n", length).err().unwrap();
        assert_eq!(fault.code.name, "csv.utf8");
        // UTF-16 says itself what it is, or gets a hint.
        let marked = run_cut("csv-to-json", "", b"\xff\xfea\0\n\x001\0\n\0", length).unwrap();
        assert_eq!(marked.out, "{\"a\":\"1\"}\n");
        let fault = run_cut("csv-to-json", "", b"a\0,\0b\0\n\0", length).err().unwrap();
        assert!(fault.hint().contains("UTF-16"), "{fault}");
    }
}

#[test]
fn no_message_shows_what_may_be_content() {
    for input in
        ["secret,b,secret\n", "a,b\nsecret\n", "secret\"", "\"secret\"secret", "a\n\"secret", "secret\0"]
    {
        let fault = convert("csv-to-json", "", input).err().unwrap();
        assert!(!fault.report().contains("secret"), "{fault}");
    }
}

#[test]
fn bad_rows_are_kept_apart() {
    let spec = "[errors]\npolicy = \"quarantine\"\nmax_bad = 4\n[[column]]\nname = \"n\"\nfrom = \"/n\"\ntype = \"integer\"\n[[column]]\nname = \"t\"\nfrom = \"/t\"\n";
    let input = b"\xef\xbb\xbfn,t\r\n1,a\r\nx,\"b\r\nc\"\r\n2\r\n\r\n3,\xff\r\n4,\"d\"\r\n5,6,7";
    for length in 1..=input.len() {
        let outcome = run_cut("csv-to-json", spec, input, length).unwrap();
        assert_eq!(outcome.out, "{\"n\":1,\"t\":\"a\"}\n{\"n\":4,\"t\":\"d\"}\n");
        assert_eq!((outcome.summary.records, outcome.summary.rejected), (Some(6), 4));
        let rejects: Vec<_> = outcome
            .rejects
            .iter()
            .map(|reject| {
                let raw = Base64::decode_vec(reject["raw_b64"].as_str().unwrap()).unwrap();
                let (byte, len) = (reject["byte"].as_u64().unwrap(), reject["len"].as_u64().unwrap());
                assert_eq!(raw, &input[byte as usize..(byte + len) as usize], "{reject}");
                (reject["record"].as_u64().unwrap(), reject["line"].as_u64().unwrap(), raw)
            })
            .collect();
        let expected: [(u64, u64, &[u8]); 4] =
            [(2, 3, b"x,\"b\r\nc\""), (3, 5, b"2"), (4, 7, b"3,\xff"), (6, 9, b"5,6,7")];
        assert_eq!(rejects, expected.map(|(record, line, raw)| (record, line, raw.to_vec())));
        assert!(outcome.rejects[0]["error"].as_str().unwrap().contains("column \"n\": expected integer"));
    }
    let text = "n,t\n1,a\nx,b\n";
    fails(&spec.replace("= 4", "= \"40%\""), text, "mapping.too_many_bad", "1 records are bad");
    // Without a first row nobody knows what the others are.
    let no_header = "[input]\nheader = false\n[errors]\npolicy = \"quarantine\"\nmax_bad = 4\n";
    fails(no_header, "\nx\ny\nz,w\n", "csv.ragged", "first row and has one cell");
    // Behind these nobody knows where the next row begins.
    fails(spec, "n,t\n1,\"a\n2,b\n", "csv.truncated", "");
    fails(spec, "n,t\n1,\"a\"b\n2,b\n", "csv.syntax", "");
    fails(spec, "n,t,n\n1,a,b\n", "csv.header", "");
}

#[test]
fn a_bad_first_record_leaves_the_array_right() {
    let spec = "[output]\nformat = \"array\"\n[errors]\npolicy = \"quarantine\"\nmax_bad = 2\n";
    let outcome = convert("csv-to-json", spec, "a,b\n1\n2,3\n4\n").unwrap();
    assert_eq!(outcome.out, "[\n{\"a\":\"2\",\"b\":\"3\"}\n]\n");
}

#[test]
fn output_comes_in_portions() {
    let mut transform = outport_transform::build("csv-to-json", &serde_json::json!({})).unwrap();
    let header: Vec<String> = (0..1_000).map(|name| format!("name{name}")).collect();
    let input = format!("{}\n{}", header.join(","), format!("{}\n", ",".repeat(999)).repeat(1_000));
    let (mut rest, mut out, mut all) = (input.as_bytes(), Vec::new(), 0);
    while !rest.is_empty() {
        rest = &rest[transform.push(rest, &mut out).unwrap()..];
        assert!(out.len() < outport_transform::OUT_FULL + 20_000, "{} bytes at once", out.len());
        all += out.len();
        out.clear();
    }
    assert!(all > 10_000_000, "{all}");
}
