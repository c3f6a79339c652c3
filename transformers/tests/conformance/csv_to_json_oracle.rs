//! `csv-to-json` against the csv crate, and against json-to-csv the other way round.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::mapping::{convert, run_cut};

/// The rows as the csv crate reads them, repairing what it can.
fn leniently(input: &str) -> Vec<Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn objects(json: &str) -> Vec<Map<String, Value>> {
    json.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Measured with csv 1.4: it reads each of these without an error.
#[test]
fn what_the_csv_crate_repairs_in_silence_is_refused() {
    let cases: [(&str, &[&[&str]], &str); 8] = [
        // Text behind a closing quote is glued to what was quoted.
        ("a,b\n\"x\"y,z\n", &[&["a", "b"], &["xy", "z"]], "csv.syntax"),
        ("a,b\n\"x\" ,z\n", &[&["a", "b"], &["x ", "z"]], "csv.syntax"),
        // A quote inside a plain cell stays, and the delimiter behind it counts.
        ("a,b\n5\",z\n", &[&["a", "b"], &["5\"", "z"]], "csv.syntax"),
        ("a,b\n \"x,y\",z\n", &[&["a", "b"], &[" \"x", "y\"", "z"]], "csv.syntax"),
        // A quote that is not closed takes the rest of the file.
        ("a,b\n1,\"x\n2,y\n", &[&["a", "b"], &["1", "x\n2,y\n"]], "csv.truncated"),
        ("a,b\n1,\"", &[&["a", "b"], &["1", ""]], "csv.truncated"),
        ("a,b\n1,x\0\n", &[&["a", "b"], &["1", "x\0"]], "csv.syntax"),
        ("a,a\n1,2\n", &[&["a", "a"], &["1", "2"]], "csv.header"),
    ];
    for (input, rows, code) in cases {
        assert_eq!(leniently(input), rows, "{input:?}");
        let fault = convert("csv-to-json", "", input).err().unwrap_or_else(|| panic!("{input:?}"));
        assert_eq!(fault.code.name, code, "{input:?}: {fault}");
    }
    // A blank line in a file of one column: the csv crate drops the row.
    assert_eq!(leniently("a\n\n1\n"), [["a"], ["1"]]);
    assert_eq!(convert("csv-to-json", "", "a\n\n1\n").unwrap().out, "{\"a\":null}\n{\"a\":\"1\"}\n");
}

fn value(ty: &'static str) -> BoxedStrategy<Value> {
    let text = "[a-c0,;\"'\r\n é😀=NUL-]{0,6}";
    let number = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let some: BoxedStrategy<Value> = match ty {
        "string" => text.prop_map(Value::String).boxed(),
        "integer" => any::<i64>().prop_map(Value::from).boxed(),
        "decimal" => "-?(0|[1-9][0-9]{0,4})\\.[0-9]{1,5}"
            .prop_filter("minus zero has no sign", |text| text.bytes().any(|b| (b'1'..=b'9').contains(&b)))
            // serde_json keeps floats as it prints them; zeros at the end would be lost in the expectation.
            .prop_filter("as a float prints it", |text| !text.ends_with('0'))
            .prop_map(number)
            .boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        _ => vec(prop_oneof![text.prop_map(Value::String), any::<u8>().prop_map(Value::from)], 0..3)
            .prop_map(Value::from)
            .boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 4 => some].boxed()
}

/// Columns of one type each, and records that have them all: what CSV can say.
fn table() -> impl Strategy<Value = (Vec<&'static str>, Vec<Vec<Value>>)> {
    let types = prop::sample::select(vec!["string", "integer", "decimal", "boolean", "json"]);
    vec(types, 1..5).prop_flat_map(|types| {
        let row: Vec<_> = types.iter().map(|ty| value(ty)).collect();
        (Just(types), vec(row, 0..8))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What is taken, the csv crate reads the same.
    #[test]
    fn what_is_taken_is_what_the_csv_crate_reads(input in "[ab,\"\r\n é]{0,24}", length in 1_usize..9) {
        if let Ok(outcome) = run_cut("csv-to-json", "", input.as_bytes(), length) {
            let mut rows = leniently(&input).into_iter();
            let header = rows.next().unwrap_or_default();
            let expected: Vec<Vec<String>> = rows.collect();
            let found: Vec<Vec<String>> = objects(&outcome.out)
                .iter()
                .map(|record| {
                    assert!(record.keys().all(|name| header.contains(name)), "{input:?}");
                    header.iter().map(|name| record[name].as_str().unwrap_or_default().to_owned()).collect()
                })
                // It drops blank lines, which are rows where there is one column.
                .filter(|row: &Vec<String>| row.len() > 1 || !row[0].is_empty())
                .collect();
            let expected: Vec<_> =
                expected.into_iter().filter(|row| row.len() > 1 || !row[0].is_empty()).collect();
            prop_assert_eq!(found, expected, "{:?}", input);
        }
    }

    /// What the csv crate writes is read back, whatever it quotes.
    #[test]
    fn what_the_csv_crate_writes_is_read(
        rows in vec(vec("[a,;\"\r\n é]{0,5}", 3), 1..6), quotes in 0_usize..3, ends in 0_usize..3,
        length in 1_usize..30,
    ) {
        let style = [csv::QuoteStyle::Always, csv::QuoteStyle::Necessary, csv::QuoteStyle::NonNumeric][quotes];
        let end = [csv::Terminator::CRLF, csv::Terminator::Any(b'\n'), csv::Terminator::Any(b'\r')][ends];
        let mut writer =
            csv::WriterBuilder::new().quote_style(style).terminator(end).delimiter(b';').from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let written = writer.into_inner().unwrap();
        let spec = "[input]\nheader = false\ndelimiter = \";\"";
        let outcome = run_cut("csv-to-json", spec, &written, length).unwrap();
        let found: Vec<Vec<String>> = objects(&outcome.out)
            .iter()
            .map(|record| ["1", "2", "3"].map(|n| record[n].as_str().unwrap_or_default().to_owned()).to_vec())
            .collect();
        prop_assert_eq!(found, rows);
    }

    /// To CSV and back, by types: the same records.
    #[test]
    fn there_and_back((types, rows) in table(), crlf: bool, all: bool, array: bool, length in 1_usize..40) {
        let json: String = rows
            .iter()
            .map(|row| {
                let record: Vec<_> =
                    row.iter().enumerate().map(|(at, value)| format!("\"k{at}\":{value}")).collect();
                format!("{{{}}}\n", record.join(","))
            })
            .collect();
        prop_assume!(!json.is_empty());
        let quote = if all { "all" } else { "minimal" };
        let line_ending = if crlf { "crlf" } else { "lf" };
        let there = format!(
            "[output]\ndelimiter = \";\"\nnull = \"NUL\"\nquote = \"{quote}\"\nline_ending = \"{line_ending}\"\n"
        );
        let csv = run_cut("json-to-csv", &there, json.as_bytes(), length).unwrap().out;
        let mut back = "[input]\ndelimiter = \";\"\nnull = \"NUL\"\n".to_owned();
        if array {
            back += "[output]\nformat = \"array\"\n";
        }
        for (at, ty) in types.iter().enumerate() {
            back += &format!("[[column]]\nname = \"k{at}\"\nfrom = \"/k{at}\"\ntype = \"{ty}\"\n");
        }
        let outcome = run_cut("csv-to-json", &back, csv.as_bytes(), length).unwrap();
        if array {
            let found: Vec<Value> = serde_json::from_str(&outcome.out).unwrap();
            let wanted: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(found, wanted);
        } else {
            prop_assert_eq!(outcome.out, json, "{}", csv);
        }
    }

    #[test]
    fn nothing_panics(input in vec(any::<u8>(), 0..60), length in 1_usize..9) {
        let spec = "[errors]\npolicy = \"quarantine\"\nmax_bad = 3\n";
        let _ = run_cut("csv-to-json", spec, &input, length).is_ok();
    }
}
