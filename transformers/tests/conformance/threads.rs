//! Several threads, whose guesses at where records begin may be wrong: the same rows and the same faults as with one.

use outport_core::Fault;
use outport_transform::{JsonToCsv, Limits, Summary, Transform, run};

use crate::outcome::convert_within;

/// Blocks are 512 KiB, and eight are under way with four threads: enough for a few rounds.
const SIZE: usize = 12 << 20;

fn convert_by(threads: usize, front: usize, input: &[u8]) -> Result<(Vec<u8>, Summary), Fault> {
    let mut transform = JsonToCsv::new().with_front(front);
    transform.use_threads(threads);
    let mut out = Vec::new();
    let summary = run(&mut transform, || Ok(input), &mut out)?;
    Ok((out, summary))
}

/// With several threads and fronts the outcome is the one of one thread that holds everything.
#[track_caller]
fn same(name: &str, input: &[u8]) -> Result<(String, Summary), Fault> {
    let one = convert_within(input, Limits::default());
    for (threads, front) in [(1, 1 << 16), (2, 1 << 16), (4, 1 << 20), (3, 8 << 20)] {
        let other = convert_by(threads, front, input);
        match (&one, &other) {
            (Ok((csv, summary)), Ok((other_csv, other_summary))) => {
                assert!(
                    csv.as_bytes() == other_csv,
                    "{name}: other rows with {threads} threads, front {front}"
                );
                assert_eq!(summary, other_summary, "{name}: {threads} threads, front {front}");
            }
            (one, other) => {
                let told = |fault: &Fault| (fault.code.name, fault.message.clone());
                let one = one.as_ref().map(|(_, summary)| *summary).map_err(told);
                let other = other.as_ref().map(|(_, summary)| *summary).map_err(told);
                assert_eq!(one, other, "{name}: {threads} threads, front {front}");
            }
        }
    }
    one
}

/// `SIZE` bytes of records, numbered.
fn records(separator: &str, record: impl Fn(u64) -> String) -> String {
    let mut all = String::with_capacity(SIZE + 1024);
    let mut number = 0;
    while all.len() < SIZE {
        if number > 0 {
            all += separator;
        }
        all += &record(number);
        number += 1;
    }
    all
}

fn plain(number: u64) -> String {
    format!(
        "{{\"id\":{number},\"name\":\"N, {number} é\",\"at\":{{\"town\":\"Z\\u00fcrich\",\"zip\":null}},\"tags\":[\"a b\",{{\"k\":{number}}}],\"note\":\"{}\"}}",
        "lorem ipsum ".repeat(number as usize % 40)
    )
}

/// Objects inside that begin just like records: behind a comma, on a line of their own, in strings.
fn treacherous(number: u64) -> String {
    let inside = format!("{{\"id\":{number},\"name\":\"x\"}}");
    format!(
        "{{\"id\":{number},\"list\":[{inside},{inside},\n{inside},\n{inside}],\"text\":\"}},{{\\\"id\\\":1\",\"pad\":\"{}\"}}",
        "}{".repeat(200)
    )
}

#[test]
fn records_of_all_shapes_come_out_the_same() {
    let shapes: [(&str, String); 8] = [
        ("lines", records("\n", plain)),
        ("an array on one line", format!("[{}]", records(",", plain))),
        ("an array on lines", format!("[\n{}\n]\n", records(" ,\n  ", plain))),
        ("nothing between", records("", plain)),
        ("treacherous lines", records("\n", treacherous)),
        ("treacherous array", format!("[{}]", records(",", treacherous))),
        ("pretty", records("\n", |n| plain(n).replace(",\"", ",\n  \"").replace("\":", "\" : "))),
        ("no members", records("\n", |_| "{}".into())),
    ];
    for (name, input) in shapes {
        let (_, summary) = same(name, input.as_bytes()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(summary.records.is_some_and(|records| records > 1000), "{name}: {summary:?}");
    }
}

#[test]
fn keys_in_any_order_left_out_or_late() {
    let turned = |n: u64| match n % 7 {
        0 => format!("{{\"a\":{n},\"b\":\"x\",\"c\":true}}"),
        1 => format!("{{\"c\":false,\"a\":{n}}}"),
        2 => format!("{{\"b\":\"y, z\",\"c\":null,\"a\":{n}}}"),
        3 => "{}".into(),
        _ => format!("{{\"a\":{n},\"c\":true,\"b\":\"\"}}"),
    };
    same("turned", records("\n", turned).as_bytes()).unwrap();
    let late = |n: u64| if n == 150_000 { "{\"late\":[1, 2]}".into() } else { turned(n) };
    let (csv, _) = same("late", records("\n", late).as_bytes()).unwrap();
    assert!(csv.starts_with("a,b,c,late\n"));
    let input = format!("[{},{{\"last\":1}}]", records(",", turned));
    let (csv, summary) = same("last", input.as_bytes()).unwrap();
    assert!(csv.ends_with(",,,1\n"));
    assert_eq!(summary.columns, Some(4));
}

#[test]
fn what_is_wrong_is_told_the_same() {
    let good = records("\n", plain).into_bytes();
    let array = format!("[{}]", records(",", plain)).into_bytes();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut told = std::collections::BTreeSet::new();
    for round in 0..24 {
        let mut spoiled = if round % 2 == 0 { good.clone() } else { array.clone() };
        // xorshift: the same places in every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let at = seed as usize % spoiled.len();
        match round % 8 {
            0 | 1 => spoiled[at] = 0xff,
            2 | 3 => spoiled.truncate(at),
            4 | 5 => spoiled[at] = b'"',
            _ => {
                spoiled.splice(at..at, *b"}}");
            }
        }
        if let Err(fault) = same(&format!("round {round}"), &spoiled) {
            told.insert(fault.code.name);
        }
    }
    assert!(
        told.contains("json.utf8") && told.contains("json.syntax") && told.contains("json.truncated"),
        "{told:?}"
    );
}

#[test]
fn rows_much_larger_than_their_records_come_in_portions() {
    let first: Vec<String> = (0..300).map(|key| format!("\"k{key}\":0")).collect();
    let input = format!("{{{}}}\n{}", first.join(","), "{\"k7\":1}\n".repeat(300_000));
    let (csv, _) = same("wide and empty", input.as_bytes()).unwrap();
    assert_eq!(csv.lines().count(), 300_002);
}
