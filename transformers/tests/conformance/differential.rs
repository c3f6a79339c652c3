//! Against serde_json: random records must give the cells that its values say, and damaged text must be
//! refused exactly where it refuses.

use std::collections::BTreeSet;

use outport_transform::Limits;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::outcome::{cells, convert, convert_cut};

/// The schema the slow way: the records merged into one tree of maps (serde_json keeps their order).
#[derive(Default)]
struct Merged {
    has_value: bool,
    children: Vec<(String, Merged)>,
}

impl Merged {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(members) => {
                for (key, value) in members {
                    let at = self.children.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
                        self.children.push((key.clone(), Merged::default()));
                        self.children.len() - 1
                    });
                    self.children[at].1.add(value);
                }
            }
            _ => self.has_value = true,
        }
    }

    fn columns(&self, path: &[String], columns: &mut Vec<Vec<String>>) {
        for (key, child) in &self.children {
            let path = [path, std::slice::from_ref(key)].concat();
            if child.has_value || child.children.is_empty() {
                columns.push(path.clone());
            }
            child.columns(&path, columns);
        }
    }
}

fn cell(record: &Map<String, Value>, path: &[String]) -> String {
    match record.get(&path[0]) {
        Some(Value::Object(members)) if path.len() > 1 => cell(members, &path[1..]),
        _ if path.len() > 1 => String::new(),
        None | Some(Value::Null | Value::Object(_)) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Header and rows, or none when two columns have one name.
fn expected(records: &[Map<String, Value>]) -> Option<Vec<Vec<String>>> {
    let mut merged = Merged::default();
    for record in records {
        merged.add(&Value::Object(record.clone()));
    }
    let mut columns = Vec::new();
    merged.columns(&[], &mut columns);
    let header: Vec<String> = columns.iter().map(|path| path.join(".")).collect();
    if header.iter().collect::<BTreeSet<_>>().len() < header.len() {
        return None;
    }
    if header.is_empty() {
        return Some(Vec::new());
    }
    let rows = records.iter().map(|record| columns.iter().map(|path| cell(record, path)).collect());
    Some(std::iter::once(header).chain(rows).collect())
}

/// Few keys, so that records share them, clash, and now and then need quotes or hold the separator.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-e]",
        1 => Just(String::new()),
        1 => Just("a.b".to_owned()),
        2 => "\\PC{0,6}",
        1 => "[\"\\\\,\n\r\t é😀\u{feff}]{1,3}",
    ]
}

/// Without exponents: serde_json rewrites `1E+2` to `1e+2`, and here numbers stay as written.
fn number() -> impl Strategy<Value = Value> {
    "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?".prop_map(|text| serde_json::from_str(&text).unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        ".{0,12}".prop_map(Value::from),
        "[\"\\\\,\n\r\t\u{0}\u{1f}/é😀]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((key(), value()), 0..6).prop_map(|members| members.into_iter().collect())
}

/// The ways to write the same records down.
fn written(records: &[Map<String, Value>], form: u8) -> String {
    let lines = records.iter().map(|record| serde_json::to_string(record).unwrap());
    match form {
        0 => lines.map(|line| line + "\n").collect(),
        1 => lines.collect::<String>(),
        2 => serde_json::to_string(records).unwrap(),
        _ => serde_json::to_string_pretty(records).unwrap().replace('\n', "\r\n"),
    }
}

/// At least 600 cases each; PROPTEST_CASES asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(600), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_records_give_the_cells_of_serde_json(
        records in prop::collection::vec(record(), 1..8),
        form in 0u8..4,
        cut in 1usize..40,
    ) {
        let input = written(&records, form);
        let outcome = convert(input.as_bytes());
        match expected(&records) {
            None => prop_assert_eq!(outcome.as_ref().unwrap_err().code.name, "json.column_conflict"),
            Some(rows) => {
                let (csv, summary) = outcome.clone().map_err(|fault| TestCaseError::fail(fault.report()))?;
                prop_assert_eq!(cells(&csv), rows);
                prop_assert_eq!(summary.records, Some(records.len() as u64));
            }
        }
        prop_assert_eq!(convert_cut(input.as_bytes(), &[cut], Limits::default()), outcome);
    }

    #[test]
    fn damaged_text_is_refused_where_serde_json_refuses(
        records in prop::collection::vec(record(), 1..4),
        form in 0u8..4,
        damage in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..3),
        cut in 1usize..20,
    ) {
        let mut input = written(&records, form).into_bytes();
        for (at, damage) in damage {
            damage.apply(&mut input, &at);
        }
        let outcome = convert(&input);
        let ours = match &outcome {
            Ok(_) => Verdict::Fine,
            // Valid JSON that cannot be a table: serde_json has no opinion on it.
            Err(fault) if ["json.column_conflict", "json.duplicate_key"].contains(&fault.code.name) => Verdict::NoTable,
            Err(_) => Verdict::Refused,
        };
        let theirs = reference(&input);
        // A duplicate key or a conflict is met before or after a mistake, so it excuses both verdicts.
        prop_assert!(
            ours == theirs || ours == Verdict::NoTable,
            "{:?}, serde_json {:?}: {:?} of {}", ours, theirs, outcome, String::from_utf8_lossy(&input)
        );
        prop_assert_eq!(convert_cut(&input, &[cut], Limits::default()), outcome);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    NoTable,
    Refused,
}

/// What serde_json says to a stream of objects or one array of them. It wants UTF-8 and objects, and no empty
/// input.
fn reference(input: &[u8]) -> Verdict {
    let input = input.strip_prefix("\u{feff}".as_bytes()).unwrap_or(input);
    // serde_json checks the UTF-8 of strings only, which is the same: outside of strings all is ASCII.
    let first = input.iter().find(|byte| !b" \t\r\n".contains(byte));
    let fine = match first {
        None => false,
        Some(b'[') => serde_json::from_slice::<Vec<Map<String, Value>>>(input).is_ok(),
        Some(_) => serde_json::Deserializer::from_slice(input)
            .into_iter::<Map<String, Value>>()
            .all(|record| record.is_ok()),
    };
    if fine { Verdict::Fine } else { Verdict::Refused }
}

#[derive(Debug, Clone)]
enum Damage {
    Remove,
    Insert(Vec<u8>),
    Replace(u8),
    CutOff,
    Repeat,
}

impl Damage {
    fn apply(&self, input: &mut Vec<u8>, at: &prop::sample::Index) {
        if input.is_empty() {
            return;
        }
        let at = at.index(input.len());
        match self {
            Self::Remove => drop(input.remove(at)),
            Self::Insert(bytes) => drop(input.splice(at..at, bytes.iter().copied())),
            Self::Replace(byte) => input[at] = *byte,
            Self::CutOff => input.truncate(at),
            Self::Repeat => {
                let tail = input[at..].to_vec();
                input.extend(tail);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let structural = prop::sample::select(b"{}[]:,\"\\ \n\t-+.eE01tfnu/'\0\x01\x7f\x80\xc3\xe2\xff".to_vec());
    let token = prop::sample::select(vec![
        &b"null"[..],
        b"true",
        b"fals",
        b"01",
        b"1.",
        b"1e",
        b"-",
        b"-0",
        b"\\ud800",
        b"\\udc00",
        b"\\u00",
        b"\xef\xbb\xbf",
        b"\"a\":1,",
        b"{}",
        b"[]",
        b",,",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
        b" ",
        b"//",
        b"NaN",
    ]);
    prop_oneof![
        Just(Damage::Remove),
        structural.clone().prop_map(|byte| Damage::Insert(vec![byte])),
        structural.prop_map(Damage::Replace),
        token.prop_map(|token| Damage::Insert(token.to_vec())),
        Just(Damage::CutOff),
        Just(Damage::Repeat),
    ]
}
