use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Shape, Size, Written, wide, write};

fn file(shape: Shape, seed: u64, size_bytes: u64) -> (String, Written) {
    let mut out = Vec::new();
    let written = write(shape, seed, size_bytes, &mut out).expect("a Vec takes everything");
    (String::from_utf8(out).expect("UTF-8"), written)
}

/// Numbers as they were measured must stay comparable: who changes the bytes changes these.
#[test]
fn the_same_seed_gives_the_same_bytes_for_ever() {
    let digests = Shape::ALL.map(|shape| {
        let digest = Sha256::digest(file(shape, 1, 100_000).0);
        format!("{} {}", shape.name(), digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    });
    assert_eq!(
        digests,
        [
            "flat b73a772fcae69b1f5db02aebb39fd397fafcc7d1e34599fc353e3d200b493a67",
            "nested b4a2e2a4420968f8a774577b569ba49660d2afd2f08c8e5240e381fc82d18817",
            "array 595a304f749924e98db6a57d2a782dc8c780d645483867b904596604d4a0c58b",
            "wrapped e758954ecb7c286532e51886bae43a3db9078424af43369fda7c6da11cc2c35b",
            "wide 3377df88fc91bba997e663bf02d93a04568d9fb5b42eb04634ab61bc1a5c04c3",
            "late 94d7c1066c5cb1b04e47e514f4344889a41a857e797845deb89306273e6e343b"
        ]
    );
}

#[test]
fn another_seed_gives_other_bytes() {
    for shape in Shape::ALL {
        assert_ne!(file(shape, 1, 10_000).0, file(shape, 2, 10_000).0, "{shape:?}");
    }
}

fn records(shape: Shape, text: &str) -> Vec<Value> {
    match shape {
        Shape::Array => serde_json::from_str(text).expect("an array"),
        Shape::Wrapped => {
            let whole: Value = serde_json::from_str(text).expect("an object");
            assert!(whole["meta"].is_object() && whole["total"] == 1, "{whole}");
            whole["items"].as_array().expect("items").clone()
        }
        _ => text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect(),
    }
}

#[test]
fn every_shape_is_json_with_as_many_records_as_it_says() {
    for shape in Shape::ALL {
        let (text, written) = file(shape, 3, 50_000);
        assert_eq!(records(shape, &text).len() as u64, written.records, "{shape:?}");
        assert_eq!(text.len() as u64, written.bytes, "{shape:?}");
        assert!((50_000..65_000).contains(&written.bytes), "{shape:?}: {written:?}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{shape:?}");
    }
}

#[test]
fn even_a_file_of_one_byte_has_a_record() {
    for shape in Shape::ALL {
        let (text, written) = file(shape, 3, 1);
        assert_eq!(records(shape, &text).len() as u64, written.records, "{shape:?}");
        assert_eq!(written.records, if shape == Shape::Late { 2 } else { 1 }, "{shape:?}");
    }
}

#[test]
fn an_array_is_one_line() {
    assert_eq!(file(Shape::Array, 3, 50_000).0.lines().count(), 1);
}

#[test]
fn the_records_have_the_fields_that_tell_tools_apart() {
    let (text, _) = file(Shape::Flat, 3, 100_000);
    for part in ["\\\"", "\\n", "\\u00e9", "visit, no", "李雷", "null", "true", "false", ":\"\""] {
        assert!(text.contains(part), "{part}");
    }
    let flat = records(Shape::Flat, &text);
    assert!(flat.iter().all(|record| record.as_object().is_some_and(|fields| fields.len() == 15)));
    let account = |record: &Value| record["account"].as_u64();
    assert!(flat.iter().all(|record| account(record) > Some(1 << 53)));
    assert!(flat.iter().any(|record| account(record).is_some_and(|n| n as f64 as u64 != n)));

    let (text, _) = file(Shape::Wide, 3, 20_000);
    let columns = |record: &Value| record.as_object().map(|fields| fields.len() as u64);
    assert!(records(Shape::Wide, &text).iter().all(|record| columns(record) == Some(wide::COLUMNS)));

    let nested = records(Shape::Nested, &file(Shape::Nested, 3, 50_000).0);
    assert!(nested.iter().all(|record| record.pointer("/patient/name/first").is_some_and(Value::is_string)));
    let observed: BTreeSet<usize> =
        nested.iter().filter_map(|record| record["observations"].as_array().map(Vec::len)).collect();
    assert_eq!(observed, BTreeSet::from([0, 1, 2, 3]));
}

/// The plain pass that the late key is measured against is one over the same bytes.
#[test]
fn late_is_flat_and_one_record_more() {
    let (flat, of_flat) = file(Shape::Flat, 3, 50_000);
    let (late, of_late) = file(Shape::Late, 3, 50_000);
    let last = late.strip_prefix(&flat).expect("begins with the same bytes");
    assert_eq!(of_late.records, of_flat.records + 1);
    assert!(last.contains("late_key") && !flat.contains("late_key"), "{last}");
}

#[test]
fn sizes_are_read_and_shown() {
    for (text, bytes, shown) in [
        ("300MB", 300_000_000, "300 MB"),
        ("5GB", 5_000_000_000, "5 GB"),
        ("64 kB", 64_000, "64 kB"),
        ("1500000", 1_500_000, "1500 kB"),
        ("17B", 17, "17 B"),
    ] {
        let size: Size = text.parse().expect(text);
        assert_eq!((size.0, size.to_string()), (bytes, shown.to_owned()), "{text}");
    }
    for text in ["", "MB", "0", "0GB", "-1MB", "1.5GB", "300 MiB", "99999999999GB"] {
        assert!(text.parse::<Size>().is_err(), "{text}");
    }
}
