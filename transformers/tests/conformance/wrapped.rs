//! Records in an array inside an object.

use outport_core::Fault;
use outport_transform::{Finish, JsonToCsv, Transform, run};

fn convert(records: &[&str], input: &str) -> Result<String, Fault> {
    let mut out = Vec::new();
    let path = records.iter().copied();
    run(&mut JsonToCsv::new().with_records(path), || Ok(input.as_bytes()), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn records_are_found_wherever_they_stand() {
    let cases: [(&[&str], &str, &str); 9] = [
        (&["items"], r#"{"items":[{"a":1},{"a":2}]}"#, "a\n1\n2\n"),
        (
            &["items"],
            "\u{feff} {\"x\":[1,{\"items\":[{}]}],\"items\" : [ {\"a\":1} , {\"b\":2}\n] , \"total\":2}\n",
            "a,b\n1,\n,2\n",
        ),
        (&["items"], r#"{"items":[]}"#, ""),
        (&["a", "b"], r#"{"a":{"c":[{"x":1}],"b":[{"y":[1,2]}]},"b":[{"z":1}]}"#, "y\n\"[1,2]\"\n"),
        (&["a", "b"], r#"{"b":[{"z":1}],"x":{"b":[1]},"a":{"b":[{"y":1}]}}"#, "y\n1\n"),
        (&["a/b", ""], r#"{"a/b":{"":[{"y":1}]}}"#, "y\n1\n"),
        (&["items"], r#"{"items":[{"items":[{"deep":1}]}],"total":1}"#, "items\n\"[{\"\"deep\"\":1}]\"\n"),
        (&["\u{e9}"], r#"{"\u00e9":[{"y":1}]}"#, "y\n1\n"),
        (&[], r#"{"items":[{"a":1}]}"#, "items\n\"[{\"\"a\"\":1}]\"\n"),
    ];
    for (records, input, expected) in cases {
        assert_eq!(convert(records, input).as_deref(), Ok(expected), "{input}");
    }
}

#[test]
fn what_is_wrong_around_them_is_told() {
    let cases: [(&[&str], &str, &str, &str); 13] = [
        (&["items"], r#"{"rows":[{"a":1}]}"#, "json.not_records", "there is no array at /items"),
        (&["items"], r#"{"items":7}"#, "json.not_records", "there is no array at /items"),
        (&["a", "b"], r#"{"a":{"b":{"c":[]}}}"#, "json.not_records", "there is no array at /a/b"),
        (
            &["items"],
            r#"[{"a":1}]"#,
            "json.syntax",
            "expected the object around the records (`{`), found `[`",
        ),
        (
            &["items"],
            r#"{"items":[{"a":1}]"#,
            "json.truncated",
            "the input ends inside the object around the records",
        ),
        (&["items"], r#"{"items":[{"a":1}"#, "json.truncated", "before the `]`"),
        (&["items"], r#"{"x":"#, "json.truncated", "inside the object around the records"),
        (&["items"], r#"{"items":[{"a":1}]} {"a":1}"#, "json.syntax", "more data after the end"),
        (
            &["items"],
            r#"{"items":[{"a":1}],"items":[{"a":2}]}"#,
            "json.duplicate_key",
            "the key stands twice",
        ),
        (&["items"], r#"{"items":[{"a":1}],}"#, "json.syntax", "a key after the comma"),
        (
            &["items"],
            r#"{"items":[{"a":1},7]}"#,
            "json.not_records",
            "a number stands where a record belongs",
        ),
        (&["items"], r#"{"x":01,"items":[]}"#, "json.syntax", "leading zero"),
        (&["items"], "", "json.empty", "0 bytes"),
    ];
    for (records, input, code, text) in cases {
        let fault = convert(records, input).unwrap_err();
        assert_eq!(fault.code.name, code, "{input}: {fault}");
        assert!(fault.message.contains(text), "{input}: {fault}");
    }
}

#[test]
fn cuts_threads_and_late_keys_do_not_matter() {
    let record = |n: u64| {
        format!("{{\"id\":{n},\"items\":[{{\"k\":{n}}}],\"text\":\"{}\"}}", "é, ".repeat(n as usize % 30))
    };
    let mut records: Vec<String> = (0..40_000).map(record).collect();
    records.push("{\"late\":true}".into());
    let input = format!(
        "{{\"meta\":{{\"items\":[1]}},\"items\":[{}],\"total\":{{\"n\":[3]}}}}\n",
        records.join(",\n  ")
    );
    let plain = convert(&[], &format!("[{}]", records.join(","))).unwrap();
    assert!(convert(&["items"], &input).unwrap() == plain);
    for (threads, length, front) in [(1, 1013, 1 << 10), (2, 65_536, 1 << 12), (4, 300_000, 1 << 20)] {
        let mut transform = JsonToCsv::new().with_records(["items"]).with_front(front);
        transform.use_threads(threads);
        let (mut all, mut out) = (Vec::new(), Vec::new());
        loop {
            for chunk in input.as_bytes().chunks(length) {
                let mut rest = chunk;
                while !rest.is_empty() {
                    rest = &rest[transform.push(rest, &mut out).unwrap()..];
                    all.append(&mut out);
                }
            }
            let mut finish = transform.finish(&mut out).unwrap();
            while finish == Finish::More {
                all.append(&mut out);
                finish = transform.finish(&mut out).unwrap();
            }
            all.append(&mut out);
            match finish {
                Finish::Done(summary) => {
                    assert_eq!(summary.records, Some(40_001));
                    break;
                }
                _ => all.clear(),
            }
        }
        assert!(all == plain.as_bytes(), "{threads} threads, chunks of {length}, front {front}");
    }
    let small = "{\"m\":{\"x\":\"\\u00e9\"},\"items\":[{\"a\":\"é\"},{\"b\":[1, 2]}],\"n\":[{}]}";
    let expected = convert(&["items"], small);
    for length in 1..small.len() {
        let mut transform = JsonToCsv::new().with_records(["items"]);
        let mut out = Vec::new();
        for chunk in small.as_bytes().chunks(length) {
            assert_eq!(transform.push(chunk, &mut out), Ok(chunk.len()));
        }
        assert!(matches!(transform.finish(&mut out), Ok(Finish::Done(_))));
        assert_eq!(String::from_utf8(out).as_deref().ok(), expected.as_deref().ok(), "chunks of {length}");
    }
}
