//! What a spec makes of records, through the public interface; each case as a user would write it.

use base64ct::{Base64, Encoding};
use outport_core::Fault;
use outport_transform::{About, Finish, Summary, build};
use serde_json::Value;

pub struct Outcome {
    pub out: String,
    pub rejects: Vec<Value>,
    pub summary: Summary,
}

/// Runs a spec over an input that is cut into chunks of this length.
pub fn run_cut(kind: &str, spec: &str, input: &[u8], length: usize) -> Result<Outcome, Fault> {
    let params: Value = toml::from_str::<Value>(spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let mut transform = build(kind, &params)?;
    transform.about(&About { source_key: "in/a.json".into(), run_time: "2026-11-22T10:00:00Z".into() });
    let (mut all, mut rejects, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let summary = loop {
        for chunk in input.chunks(length) {
            let mut rest = chunk;
            while !rest.is_empty() {
                rest = &rest[transform.push(rest, &mut out)?..];
                all.append(&mut out);
                transform.take_rejects(&mut rejects);
            }
        }
        let mut finish = transform.finish(&mut out)?;
        all.append(&mut out);
        while finish == Finish::More {
            finish = transform.finish(&mut out)?;
            all.append(&mut out);
        }
        transform.take_rejects(&mut rejects);
        match finish {
            Finish::Done(summary) => break summary,
            _ => {
                all.clear();
                rejects.clear();
            }
        }
    };
    assert_eq!(summary.bytes_out, all.len() as u64);
    assert_eq!(summary.bytes_in, input.len() as u64);
    assert_eq!(summary.rejected, rejects.iter().filter(|byte| **byte == b'\n').count() as u64);
    let rejects = String::from_utf8(rejects).unwrap();
    let rejects = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Ok(Outcome { out: String::from_utf8(all).unwrap(), rejects, summary })
}

/// The same however the input is cut.
pub fn convert(kind: &str, spec: &str, input: &str) -> Result<Outcome, Fault> {
    let whole = run_cut(kind, spec, input.as_bytes(), input.len().max(1));
    for length in [1, 2, 7] {
        let cut = run_cut(kind, spec, input.as_bytes(), length);
        match (&whole, &cut) {
            (Ok(whole), Ok(cut)) => {
                assert_eq!(whole.out, cut.out, "{input} in chunks of {length}");
                assert_eq!(whole.rejects, cut.rejects, "{input} in chunks of {length}");
            }
            (whole, cut) => assert_eq!(
                whole.as_ref().map(|_| ()).map_err(|fault| &fault.message),
                cut.as_ref().map(|_| ()).map_err(|fault| &fault.message),
                "{input} in chunks of {length}"
            ),
        }
    }
    whole
}

#[track_caller]
fn gives(spec: &str, input: &str, expected: &str) {
    let outcome = convert("json-to-csv", spec, input).unwrap_or_else(|fault| panic!("{spec}: {fault}"));
    assert_eq!(outcome.out, expected, "{spec}");
}

#[track_caller]
fn fails(spec: &str, input: &str, code: &str, text: &str) {
    match convert("json-to-csv", spec, input) {
        Ok(outcome) => panic!("{spec} gave {:?}", outcome.out),
        Err(fault) => {
            assert_eq!(fault.code.name, code, "{spec}: {fault}");
            assert!(fault.message.contains(text), "{spec}: {fault}");
        }
    }
}

#[test]
fn columns_are_chosen_named_and_typed() {
    let spec = r#"
        [[column]]
        name = "patient"
        from = "/patient/mrn"
        required = true
        [[column]]
        name = "day"
        from = "/at"
        type = "datetime"
        out = "%Y-%m-%d"
        tz = "America/New_York"
        [[column]]
        name = "amount"
        from = "/amount"
        type = "decimal"
        scale = 2
        default = "0"
        [[column]]
        name = "first tag"
        from = "/tags/0"
        [[column]]
        name = "address"
        from = "/address"
        [[column]]
        name = "source"
        const = "HOSP-A"
        [[column]]
        name = "n"
        builtin = "record_number"
        [[column]]
        name = "byte"
        builtin = "byte_offset"
        [[column]]
        name = "key"
        builtin = "source_key"
        [[column]]
        name = "ran"
        builtin = "run_time"
    "#;
    let input = concat!(
        r#"{"x":1,"patient":{"mrn":"M1","no":2},"at":"2026-01-01T03:00:00Z","amount":"15e-1","tags":["a,b",2],"address":{"zip": "01", "no":[1]}}"#,
        "\n",
        r#"{"amount":null,"patient":{"mrn":"\u004d2"},"tags":[],"address":null,"at":null}"#
    );
    let second = input.find('\n').unwrap() + 1;
    let expected = format!(
        "patient,day,amount,first tag,address,source,n,byte,key,ran\n\
         M1,2025-12-31,1.50,\"a,b\",\"{{\"\"zip\"\":\"\"01\"\",\"\"no\"\":[1]}}\",HOSP-A,1,0,in/a.json,2026-11-22T10:00:00Z\n\
         M2,,0.00,,,HOSP-A,2,{second},in/a.json,2026-11-22T10:00:00Z\n",
    );
    gives(spec, input, &expected);
}

#[test]
fn what_does_not_fit_is_told_by_column_and_place() {
    let amount =
        "[[column]]\nname = \"amount\"\nfrom = \"/amount\"\ntype = \"decimal\"\nscale = 2\nrequired = true\n";
    let good = "{\"amount\":1}\n";
    fails(
        amount,
        &format!("{good}{{\"amount\":\"N/A\"}}"),
        "mapping.mismatch",
        "could not convert record 2 (line 2, byte 13, at /amount): column \"amount\": expected decimal(2), found text of 3 characters",
    );
    fails(amount, &format!("{good}{{\"amount\":1.234}}"), "mapping.mismatch", "rounded");
    fails(amount, &format!("{good}{{}}"), "mapping.required", "is missing");
    fails(amount, &format!("{good}{{\"amount\":null}}"), "mapping.required", "is null");
    let strict = format!("[output]\nunknown_keys = \"error\"\n{amount}");
    fails(
        &strict,
        "{\"amount\":1,\"a\\nb\":2}",
        "mapping.unknown_key",
        "at /a\\nb): the spec has no column for this key",
    );
    gives(&strict, good, "amount\n1.00\n");
    fails(amount, "{\"amount\":1,\"amount\":2}", "json.duplicate_key", "the key stands twice in one object");
    fails(amount, "{\"amount\":1,", "json.truncated", "the input ends inside a record");
}

#[test]
fn arrays_become_rows() {
    let spec = |empty: &str| {
        format!(
            "[input]\nexplode = \"/lines\"\nexplode_empty = \"{empty}\"\n\
             [[column]]\nname = \"order\"\nfrom = \"/id\"\n[[column]]\nname = \"sku\"\nfrom = \"./sku\"\n\
             [[column]]\nname = \"line\"\nfrom = \".\"\n"
        )
    };
    let input = r#"{"lines":[{"sku":"a"},{"sku":"b","n":2},7],"id":1}{"id":2,"lines":[]}{"id":3}{"lines":null,"id":4}"#;
    let rows = "order,sku,line\n1,a,\"{\"\"sku\"\":\"\"a\"\"}\"\n1,b,\"{\"\"sku\"\":\"\"b\"\",\"\"n\"\":2}\"\n1,,7\n";
    gives(&spec("keep"), input, &format!("{rows}2,,\n3,,\n4,,\n"));
    gives(&spec("drop"), input, rows);
    fails(
        &spec("keep"),
        r#"{"lines":{"a":1}}"#,
        "mapping.array",
        "at /lines): the value that is to be exploded is no array",
    );
    // Without columns the elements' keys stand under the array's.
    gives(
        "[input]\nexplode = \"/l\"",
        r#"{"l":[{"a":1},{"b":2}],"id":7}{"id":8}"#,
        "l.a,l.b,id\n1,,7\n,2,7\n,,8\n",
    );
}

#[test]
fn arrays_in_one_cell_or_in_columns_of_their_own() {
    let input = r#"{"t":["a","b, c",null,1.50],"n":1}{"t":[],"n":[true]}"#;
    gives("[output]\narrays = \"join\"", input, "t,n\n\"a;b, c;;1.50\",1\n\"\",true\n");
    gives("[output]\narrays = \"join\"\narray_join = \" \"", r#"{"t":["a","b"]}"#, "t\na b\n");
    fails("[output]\narrays = \"join\"", r#"{"t":[[1]]}"#, "mapping.array", "cannot be joined");
    fails("[output]\narrays = \"error\"", r#"{"a":1}{"t":[1]}"#, "mapping.array", "there is an array");
    gives(
        "[output]\narrays = \"index\"",
        r#"{"t":["a",{"b":[1,2]}]}{"t":["c"]}"#,
        "t.0,t.1.b.0,t.1.b.1\na,1,2\nc,,\n",
    );
    fails(
        "[output]\narrays = \"index\"\narray_index_limit = 2",
        r#"{"t":[1,2,3]}"#,
        "mapping.array",
        "has 3 elements",
    );
    let column = "[output]\narrays = \"join\"\n[[column]]\nname = \"t\"\nfrom = \"/t\"\n";
    gives(column, r#"{"t":["a","b"]}"#, "t\na;b\n");
}

#[test]
fn filters_leave_records_out() {
    let input = r#"{"id":1,"s":"open"}{"id":2.0,"s":"shut"}{"id":3}{"id":"2","s":null}"#;
    let filter = |test: &str| format!("[[filter]]\n{test}\n");
    gives(&filter("from = \"/s\"\neq = \"open\""), input, "id,s\n1,open\n");
    gives(&filter("from = \"/id\"\nin = [2, 3]"), input, "id,s\n2.0,shut\n3,\n");
    gives(&filter("from = \"/s\"\nexists = true"), input, "id,s\n1,open\n2.0,shut\n");
    gives(&filter("from = \"/s\"\nmatches = \"^o\""), input, "id,s\n1,open\n");
    gives(&filter("from = \"/id\"\nne = 1"), input, "id,s\n2.0,shut\n3,\n2,\n");
    gives(&filter("from = \"/s\"\neq = \"none\""), input, "");
    let element = "[input]\nexplode = \"/l\"\n[[column]]\nname = \"a\"\nfrom = \"./a\"\n[[filter]]\nfrom = \"./a\"\nne = 2\n";
    gives(element, r#"{"l":[{"a":1},{"a":2},{"a":3}]}"#, "a\n1\n3\n");
    let outcome = convert("json-to-csv", &filter("from = \"/s\"\neq = \"open\""), input).unwrap();
    assert_eq!((outcome.summary.records, outcome.summary.rejected), (Some(4), 0));
}

#[test]
fn a_dialect_is_written_as_it_says() {
    let input = r#"{"a":"x;y","b":null,"c":-1}{"a":"=1","c":"NULL"}"#;
    gives(
        "[output]\ndelimiter = \";\"\nline_ending = \"crlf\"",
        input,
        "a;b;c\r\n\"x;y\";;-1\r\n=1;;NULL\r\n",
    );
    gives("[output]\nnull = \"NULL\"\nmissing = \"-\"", input, "a,b,c\nx;y,NULL,-1\n=1,-,\"NULL\"\n");
    gives("[output]\nquote = \"all\"\nheader = false", input, "\"x;y\",,\"-1\"\n\"=1\",,\"NULL\"\n");
    gives("[output]\nquote = \"non_numeric\"", input, "\"a\",\"b\",\"c\"\n\"x;y\",,-1\n\"=1\",,\"NULL\"\n");
    gives("[output]\ncsv_injection = \"prefix\"", input, "a,b,c\nx;y,,-1\n'=1,,NULL\n");
    gives("[output]\nnested_separator = \"__\"", r#"{"a":{"b":1}}"#, "a__b\n1\n");
    fails("[output]\nmax_columns = 2", input, "json.too_many_columns", "more than 2 columns");
}

#[test]
fn an_input_is_read_as_it_says() {
    gives("[input]\nduplicate_keys = \"last\"", r#"{"a":1,"b":{"c":1,"c":2},"a":3}"#, "a,b.c\n3,2\n");
    gives("[input]\nduplicate_keys = \"first\"", r#"{"a":1,"b":{"c":1,"c":2},"a":3}"#, "a,b.c\n1,1\n");
    let column = "[input]\nduplicate_keys = \"first\"\n[[column]]\nname = \"a\"\nfrom = \"/a\"\n";
    gives(column, r#"{"a":1,"\u0061":2}"#, "a\n1\n");
    gives("[input]\nrecords = \"/d/r\"", r#"{"d":{"r":[{"a":1}]}}"#, "a\n1\n");
    let column = "[input]\nrecords = \"/d/r\"\n[[column]]\nname = \"x\"\nfrom = \"/a\"\n";
    gives(column, r#"{"n":1,"d":{"r":[{"a":1},{"b":2}],"x":[]}}"#, "x\n1\n\"\"\n");
    fails("[input]\nformat = \"array\"", r#"{"a":1}"#, "json.syntax", "as the spec says");
    fails("[input]\nformat = \"ndjson\"", r#"[{"a":1}]"#, "json.not_records", "an array");
    fails("[input]\nformat = \"object\"", r#"{"a":1}{"a":2}"#, "json.not_records", "a second record");
    fails("[input]\nformat = \"ndjson\"", "{\"a\":\n1}", "json.syntax", "the end of the line");
    gives("[input]\nformat = \"concat\"", "{\"a\":\n1}{\"a\":2}", "a\n1\n2\n");
    fails("[input]\nmax_depth = 2", r#"{"a":[[1]]}"#, "json.depth", "more than 2");
}

#[test]
fn bad_records_are_kept_apart() {
    let spec = "[errors]\npolicy = \"quarantine\"\nmax_bad = 5\n[[column]]\nname = \"n\"\nfrom = \"/n\"\ntype = \"integer\"\nrequired = true\n";
    let lines = [
        r#"{"n":1}"#,
        r#"{"n":"x"}"#,
        r#"{"n":2"#,
        r#"{"n":3} "#,
        "",
        r#" {"m":[ 1 ]}"#,
        "junk",
        r#"{"n":4}"#,
        r#"{"n":5"#,
    ];
    let input = lines.join("\n");
    let outcome = convert("json-to-csv", spec, &input).unwrap();
    assert_eq!(outcome.out, "n\n1\n3\n4\n");
    assert_eq!((outcome.summary.records, outcome.summary.rejected), (Some(8), 5));
    let rejected = |at: usize| {
        let reject = &outcome.rejects[at];
        let raw = Base64::decode_vec(reject["raw_b64"].as_str().unwrap()).unwrap();
        let (byte, len) =
            (reject["byte"].as_u64().unwrap() as usize, reject["len"].as_u64().unwrap() as usize);
        assert_eq!(raw, &input.as_bytes()[byte..byte + len], "{reject}");
        (
            reject["record"].as_u64().unwrap(),
            reject["line"].as_u64().unwrap(),
            String::from_utf8(raw).unwrap(),
        )
    };
    assert_eq!(rejected(0), (2, 2, r#"{"n":"x"}"#.into()));
    assert_eq!(rejected(1), (3, 3, r#"{"n":2"#.into()));
    assert_eq!(rejected(2), (5, 6, r#"{"m":[ 1 ]}"#.into()));
    assert_eq!(rejected(3), (6, 7, "junk".into()));
    assert_eq!(rejected(4), (8, 9, r#"{"n":5"#.into()));
    assert!(outcome.rejects[0]["error"].as_str().unwrap().contains("expected integer"));
    let codes: Vec<&str> = outcome.rejects.iter().map(|reject| reject["code"].as_str().unwrap()).collect();
    let expected = ["mapping.mismatch", "json.syntax", "mapping.required", "json.syntax", "json.truncated"];
    assert_eq!(codes, expected);
    // One more than is allowed fails the file.
    fails(&spec.replace("= 5", "= 4"), &input, "mapping.too_many_bad", "max_bad is 4");
    fails(&spec.replace("= 5", "= \"60%\""), &input, "mapping.too_many_bad", "5 records are bad");
    let share = spec.replace("= 5", "= \"63%\"");
    assert_eq!(convert("json-to-csv", &share, &input).unwrap().summary.rejected, 5);
    // What is no UTF-8 is a bad line too.
    let outcome = run_cut("json-to-csv", spec, b"{\"n\":1}\n{\"n\":\"\xff\"}\n{\"n\":2}\n", 3).unwrap();
    assert_eq!((outcome.out.as_str(), outcome.summary.rejected), ("n\n1\n2\n", 1));
    // Right behind a record it is bad together with it.
    for length in [1, 8, 100] {
        let outcome = run_cut("json-to-csv", spec, b"{\"n\":1}\xff\n{\"n\":2}\n", length).unwrap();
        assert_eq!((outcome.out.as_str(), outcome.summary.rejected), ("n\n2\n", 1), "chunks of {length}");
    }
    // In an array nobody knows where the next record begins.
    fails(spec, "[{\"n\":1},{\"n\":2", "json.truncated", "");
    let outcome = convert("json-to-csv", spec, "[{\"n\":1},{\"n\":true},{\"n\":3}]").unwrap();
    assert_eq!((outcome.out.as_str(), outcome.summary.rejected), ("n\n1\n3\n", 1));
}

#[test]
fn quarantine_without_columns_leaves_late_keys_right() {
    let spec = "[errors]\npolicy = \"quarantine\"\nmax_bad = 1\n";
    let outcome = convert("json-to-csv", spec, "{\"a\":1}\n{\"a\":}\n{\"b\":2}\n").unwrap();
    assert_eq!((outcome.out.as_str(), outcome.rejects.len()), ("a,b\n1,\n,2\n", 1));
}

#[test]
fn records_are_selected_filtered_and_renamed() {
    let records = "[input]\nrecords = \"/items\"\n[[filter]]\nfrom = \"/ok\"\neq = true\n";
    let input = r#"{"items":[{"ok":true,"a": 1.10},{"ok":false},{"ok":true,"a":null}]}"#;
    let as_they_are = convert("json-to-json", records, input).unwrap();
    assert_eq!(as_they_are.out, "{\"ok\":true,\"a\":1.10}\n{\"ok\":true,\"a\":null}\n");
    let array = convert("json-to-json", &format!("{records}[output]\nformat = \"array\"\n"), input).unwrap();
    assert_eq!(array.out, "[\n{\"ok\":true,\"a\":1.10},\n{\"ok\":true,\"a\":null}\n]\n");
    let renamed = format!(
        "{records}[[column]]\nname = \"b\\\"c\"\nfrom = \"/a\"\n[[column]]\nname = \"x\"\nfrom = \"/x\"\n"
    );
    let renamed = convert("json-to-json", &renamed, input).unwrap();
    assert_eq!(renamed.out, "{\"b\\\"c\":1.10}\n{\"b\\\"c\":null}\n");
    let none = "[output]\nformat = \"array\"\n[[filter]]\nfrom = \"/x\"\nexists = true\n";
    assert_eq!(convert("json-to-json", none, "{}").unwrap().out, "[]\n");
    let nothing = "[[column]]\nname = \"x\"\nfrom = \"/x\"\n";
    assert_eq!(convert("json-to-json", nothing, "{}{\"x\":[ 1 ]}").unwrap().out, "{}\n{\"x\":[1]}\n");
}

#[test]
fn a_deep_record_needs_no_deep_stack() {
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let spec = "[input]\nmax_depth = 10000\nduplicate_keys = \"last\"\n";
    let outcome = run_cut("json-to-csv", spec, deep(9000).as_bytes(), 1 << 20).unwrap();
    assert_eq!(outcome.out.len(), "a\n".len() + 18_000 + 1);
}

#[test]
fn bytes_are_read_and_written_as_the_spec_says() {
    let input = "[input]\nencoding = \"windows-1252\"\n[output]\nencoding = \"utf-16le\"\nbom = true\nline_ending = \"crlf\"\n";
    let params: Value = toml::from_str(input).unwrap();
    let mut out = Vec::new();
    outport_transform::run(
        &mut *build("json-to-csv", &params).unwrap(),
        || Ok(&b"{\"a\":\"\xe9\"}"[..]),
        &mut out,
    )
    .unwrap();
    let expected: Vec<u8> = "\u{feff}a\r\né\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(out, expected);
    // UTF-16 says itself what it is, and so does gzip.
    let utf16: Vec<u8> = "\u{feff}{\"a\":\"é\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut packed = Vec::new();
    let zip: Value = toml::from_str("[output]\ncompression = \"gzip\"\n").unwrap();
    outport_transform::run(&mut *build("json-to-json", &zip).unwrap(), || Ok(&utf16[..]), &mut packed)
        .unwrap();
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    let mut csv = Vec::new();
    let plain = serde_json::json!({});
    outport_transform::run(&mut *build("json-to-csv", &plain).unwrap(), || Ok(&packed[..]), &mut csv)
        .unwrap();
    assert_eq!(csv, "a\né\n".as_bytes());
}
