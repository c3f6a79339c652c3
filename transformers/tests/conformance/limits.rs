//! Wide, deep, late and large: what is inside the limits works, what is beyond is a named fault.

use outport_transform::Limits;

use crate::outcome::{cells, convert, convert_within};

fn code(input: &str, limits: Limits) -> &'static str {
    convert_within(input.as_bytes(), limits).map_or_else(|fault| fault.code.name, |_| "ok")
}

#[test]
fn five_thousand_columns() {
    let record = |value: usize| {
        let members: Vec<String> = (0..5000).map(|key| format!("\"column_{key}\":{}", key * value)).collect();
        format!("{{{}}}\n", members.join(","))
    };
    let rows = cells(&convert((record(1) + &record(2)).as_bytes()).unwrap().0);
    assert_eq!((rows.len(), rows[0].len()), (3, 5000));
    assert!((0..5000).all(|key| rows[0][key] == format!("column_{key}")));
    assert!((0..5000).all(|key| rows[2][key] == (2 * key).to_string()));
}

#[test]
fn a_late_key_past_every_sampling_window() {
    // 101, 20,481 and 25,001 are where other tools stop to look.
    for late in [101, 20_481, 25_001, 30_000] {
        let mut input = String::new();
        for record in 1..=30_000 {
            input += if record == late { "{\"a\":1,\"late\":\"here\"}\n" } else { "{\"a\":1}\n" };
        }
        let (csv, summary) = convert(input.as_bytes()).unwrap();
        assert_eq!((summary.records, summary.columns), (Some(30_000), Some(2)));
        assert_eq!(csv.lines().next(), Some("a,late"));
        assert_eq!(csv.lines().position(|line| line == "1,here"), Some(late));
        assert_eq!(csv.lines().filter(|line| *line == "1,").count(), 29_999);
    }
}

#[test]
fn columns_are_counted_as_the_header_has_them() {
    let limits = Limits { columns: 2, ..Limits::default() };
    let cases = [
        ("{\"a\":1,\"b\":2}", "ok"),
        ("{\"a\":1,\"b\":2,\"c\":3}", "json.too_many_columns"),
        ("{\"a\":1}\n{\"b\":1}\n{\"c\":1}", "json.too_many_columns"),
        ("{\"a\":{\"b\":{\"c\":1,\"d\":2}}}", "ok"),
        ("{\"a\":null,\"b\":1}\n{\"a\":{\"x\":1}}", "ok"),
        ("{\"a\":1,\"b\":1}\n{\"a\":{\"x\":1}}", "json.too_many_columns"),
        ("{\"a\":1,\"b\":{},\"c\":null}", "json.too_many_columns"),
        ("{\"a\":1,\"b\":[{\"c\":1,\"d\":2}]}", "ok"),
    ];
    for (input, expected) in cases {
        assert_eq!(code(input, limits), expected, "{input}");
    }
}

#[test]
fn ten_thousand_columns_and_not_one_more() {
    let record = |columns: usize| {
        let members: Vec<String> = (0..columns).map(|key| format!("\"k{key}\":{{\"v\":1}}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(code(&record(10_000), Limits::default()), "ok");
    assert_eq!(code(&record(10_001), Limits::default()), "json.too_many_columns");
}

#[test]
fn names_cannot_fill_the_memory() {
    // 40 keys of 1 MiB are only 40 columns.
    let input: String = (0..40u8).map(|key| format!("{{\"{}{key}\":1}}\n", "k".repeat(1 << 20))).collect();
    assert_eq!(code(&input, Limits::default()), "json.too_many_columns");
}

#[test]
fn depth_counts_the_record_as_one() {
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let arrays = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    for shape in [&objects as &dyn Fn(usize) -> String, &arrays] {
        assert_eq!(code(&shape(128), Limits::default()), "ok");
        assert_eq!(code(&shape(129), Limits::default()), "json.depth");
        // The stack must not matter.
        assert_eq!(code(&shape(100_000), Limits::default()), "json.depth");
    }
    // The array around the records is not part of a record.
    assert_eq!(code(&format!("[{}]", objects(128)), Limits::default()), "ok");
}

#[test]
fn a_record_of_64_mib_and_not_one_byte_more() {
    let record = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    assert_eq!(code(&record(64 << 20), Limits::default()), "ok");
    let fault = convert(format!("\n{}", record((64 << 20) + 1)).as_bytes()).unwrap_err();
    assert_eq!(fault.code.name, "json.record_too_large");
    assert!(fault.message.contains("record 1 (line 2, byte 1)"), "{fault}");
}

#[test]
fn a_record_without_end_is_not_gathered_to_the_end() {
    // A string that nobody closes runs into the limit; a brace that nobody closes is found at the next
    // record.
    let limits = Limits { record_bytes: 1000, ..Limits::default() };
    assert_eq!(code(&format!("{{\"a\":\"{}", "x".repeat(5000)), limits), "json.record_too_large");
    assert_eq!(code(&format!("{{\"a\":1\n{}", "{\"a\":1}\n".repeat(500)), limits), "json.syntax");
    // Blanks count as well.
    assert_eq!(code(&format!("{{\"a\":1{}}}", " ".repeat(5000)), limits), "json.record_too_large");
}

#[test]
fn a_wrapper_too_large_says_what_to_send_instead() {
    let limits = Limits { record_bytes: 1000, ..Limits::default() };
    let input = format!("{{\"meta\":1,\"items\":[{}{{}}]}}", "{\"a\":1},".repeat(500));
    let fault = convert_within(input.as_bytes(), limits).unwrap_err();
    assert_eq!(fault.code.name, "json.record_too_large");
    assert!(fault.hint().contains("the array at /items"), "{}", fault.report());
}
