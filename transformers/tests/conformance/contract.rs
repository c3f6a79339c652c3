//! Contract mode: the spec that is written from records reads back, keeps to them, and refuses what differs.

use outport_core::Fault;
use outport_transform::{Finish, Spec, infer};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::mapping::{convert, run_cut};
use crate::outcome::cells;

/// The contract, however the input is cut.
fn contract(params: &Value, input: &str) -> Result<String, Fault> {
    let cut = |length: usize| {
        let mut transform = infer(params)?;
        let mut out = Vec::new();
        for chunk in input.as_bytes().chunks(length) {
            assert_eq!(transform.push(chunk, &mut out)?, chunk.len());
            assert!(out.is_empty());
        }
        let Finish::Done(summary) = transform.finish(&mut out)? else { panic!("one pass is enough") };
        assert_eq!((summary.bytes_in, summary.bytes_out), (input.len() as u64, out.len() as u64));
        let page = String::from_utf8(out).unwrap();
        assert_eq!(summary.columns, Some(page.matches("[[column]]").count() as u64));
        Ok::<_, Fault>(page)
    };
    let whole = cut(input.len().max(1));
    for length in [1, 7] {
        assert_eq!(cut(length), whole, "{input} in chunks of {length}");
    }
    if let Ok(page) = &whole {
        let params: Value = toml::from_str(page).unwrap_or_else(|error| panic!("{page}\n{error}"));
        Spec::read("json-to-csv", &params).unwrap_or_else(|fault| panic!("{page}\n{}", fault.report()));
    }
    whole
}

fn of(input: &str) -> String {
    contract(&Value::Null, input).unwrap()
}

#[test]
fn a_contract_says_columns_types_and_what_was_seen() {
    let input = concat!(
        r#"{"id":"007","who":{"name":"Ann","born":"1990-02-28"},"amount":1.5,"n":1,"tags":["a"],"at":"2026-01-31T10:00:00Z","x":null,"ok":true}"#,
        "\n",
        r#"{"id":"008","who":null,"amount":12,"n":2,"tags":[],"at":"2026-01-31T10:00:00+01:00","x":null,"ok":false,"late/key~":"v"}"#,
        "\n",
        r#"{"id":"9","who":{"name":"Bo"},"amount":0.125,"n":3,"tags":"none","at":null,"x":null,"ok":true}"#,
    );
    let expected = format!(
        r#"# What 3 records ({} bytes) held. Whatever comes and differs is refused: widen what is too narrow.
version = 1
kind = "json-to-csv"

[output]
unknown_keys = "error"

# in 3 of 3 records: 3 texts
[[column]]
name = "id"
from = "/id"
type = "string"
required = true

# in 2 of 3 records: 2 texts
[[column]]
name = "who.name"
from = "/who/name"
type = "string"

# in 1 of 3 records: 1 text
[[column]]
name = "who.born"
from = "/who/born"
type = "date"

# in 3 of 3 records: 1 integer, 2 numbers with a point or exponent
[[column]]
name = "amount"
from = "/amount"
type = "decimal"
scale = 3
required = true

# in 3 of 3 records: 3 integers
[[column]]
name = "n"
from = "/n"
type = "integer"
required = true

# in 3 of 3 records: 1 text, 2 arrays
[[column]]
name = "tags"
from = "/tags"
type = "json"
required = true

# in 3 of 3 records: 2 texts, 1 null
[[column]]
name = "at"
from = "/at"
type = "datetime"

# in 3 of 3 records: 3 nulls
# no type fits: say what it is to be
[[column]]
name = "x"
from = "/x"

# in 3 of 3 records: 3 booleans
[[column]]
name = "ok"
from = "/ok"
type = "boolean"
required = true

# in 1 of 3 records: 1 text
[[column]]
name = "late/key~"
from = "/late~1key~0"
type = "string"
"#,
        input.len()
    );
    let page = of(input);
    assert_eq!(page, expected);
    assert!(!page.contains("Ann") && !page.contains("007") && !page.contains("1990"));
    let csv = convert("json-to-csv", &page, input).unwrap().out;
    assert_eq!(
        csv,
        "id,who.name,who.born,amount,n,tags,at,x,ok,late/key~\n\
         007,Ann,1990-02-28,1.500,1,\"[\"\"a\"\"]\",2026-01-31T10:00:00Z,,true,\n\
         008,,,12.000,2,[],2026-01-31T10:00:00+01:00,,false,v\n\
         9,Bo,,0.125,3,\"\"\"none\"\"\",,,true,\n"
    );
}

#[test]
fn what_differs_later_is_refused_with_a_readable_difference() {
    let page = of("{\"amount\":1.50,\"who\":{\"name\":\"a\"},\"n\":1}\n{\"amount\":2,\"n\":7,\"who\":{}}\n");
    let good = "{\"amount\":1,\"n\":1}\n{\"amount\":2,\"n\":2}\n";
    let page = page.replace("scale = 1", "scale = 2");
    for (third, code, text) in [
        (
            "{\"amount\":\"N/A\",\"n\":1}",
            "mapping.mismatch",
            "record 3 (line 3, byte 38, at /amount): column \"amount\": expected decimal(2), found text of 3 characters",
        ),
        (
            "{\"amount\":1.125,\"n\":1}",
            "mapping.mismatch",
            "expected decimal(2), found a number with 1 digit before and 3",
        ),
        ("{\"amount\":1,\"n\":1.5}", "mapping.mismatch", "column \"n\": expected integer"),
        ("{\"n\":1}", "mapping.required", "column \"amount\" is required and is missing"),
        ("{\"amount\":null,\"n\":1}", "mapping.required", "is required and is null"),
        ("{\"amount\":1,\"n\":1,\"m\":1}", "mapping.unknown_key", "at /m): the spec has no column"),
        ("{\"amount\":1,\"n\":1,\"who\":{\"name\":\"a\",\"x\":1}}", "mapping.unknown_key", "at /who/x)"),
        // What stands where only keys below have columns would be lost.
        ("{\"amount\":1,\"n\":1,\"who\":\"Ann\"}", "mapping.unknown_key", "at /who)"),
        ("{\"amount\":1,\"n\":1,\"who\":[1]}", "mapping.unknown_key", "at /who)"),
    ] {
        let input = format!("{good}{third}\n{good}");
        let fault = convert("json-to-csv", &page, &input).err().unwrap_or_else(|| panic!("{third} passes"));
        assert_eq!(fault.code.name, code, "{third}: {fault}");
        assert!(fault.message.contains(text), "{third}: {fault}");
        let quarantine = format!("{page}\n[errors]\npolicy = \"quarantine\"\nmax_bad = 1\n");
        let outcome = convert("json-to-csv", &quarantine, &input).unwrap();
        assert_eq!(outcome.out, "amount,who.name,n\n1.00,,1\n2.00,,2\n1.00,,1\n2.00,,2\n");
        assert_eq!(outcome.rejects[0]["record"], 3);
        assert!(outcome.rejects[0]["error"].as_str().unwrap().contains(text));
    }
    let null = "{\"amount\":1,\"n\":1,\"who\":null}";
    assert_eq!(convert("json-to-csv", &page, null).unwrap().out, "amount,who.name,n\n1.00,,1\n");
}

#[test]
fn objects_and_other_values_at_one_path_are_json() {
    let input = "{\"a\":{\"b\":1},\"e\":{}}\n{\"a\":2,\"e\":null}\n{\"a\":{\"c\":{\"d\":3}}}\n";
    let page = of(input);
    assert_eq!(page.matches("type = \"json\"").count(), 2, "{page}");
    assert_eq!(page.matches("[[column]]").count(), 2, "{page}");
    let csv = convert("json-to-csv", &page, input).unwrap().out;
    assert_eq!(csv, "a,e\n\"{\"\"b\"\":1}\",{}\n2,\n\"{\"\"c\"\":{\"\"d\"\":3}}\",\n");
}

#[test]
fn settings_of_the_input_count_and_stand_in_the_contract() {
    let params = json!({"input": {"records": "/d/r", "duplicate_keys": "last", "max_depth": 9}});
    let input = r#"{"n":1,"d":{"r":[{"a":"x","a":1},{"a":2}]}}"#;
    let page = contract(&params, input).unwrap();
    let settings = page.split("[input]\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let mut settings: Vec<_> = settings.lines().collect();
    settings.sort_unstable();
    assert_eq!(settings, ["duplicate_keys = \"last\"", "max_depth = 9", "records = \"/d/r\""]);
    assert!(page.contains("type = \"integer\""), "{page}");
    assert_eq!(convert("json-to-csv", &page, input).unwrap().out, "a\n1\n2\n");
    for (params, key) in [
        (json!({"output": {"delimiter": ";"}}), "`output`"),
        (json!({"input": {"explode": "/a"}}), "`input.explode`"),
        (json!({"column": [{"name": "a", "from": "/a"}]}), "`column`"),
    ] {
        let fault = infer(&params).err().unwrap();
        assert_eq!(fault.code.name, "config.invalid");
        assert!(fault.message.contains(key), "{fault}");
    }
}

#[test]
fn names_that_a_spec_cannot_have_are_made_into_some() {
    let input = r#"{"":1,"a\nb":2,"c\u007fd":{"":3},"é\"\\":4}"#;
    let page = of(input);
    let csv = convert("json-to-csv", &page, input).unwrap().out;
    assert_eq!(csv, "_,a_b_,c_d._,\"é\"\"\\\"\n1,2,3,4\n");
}

#[test]
fn what_gives_no_contract_says_why() {
    for (input, code) in [
        ("", "json.empty"),
        ("[]", "json.not_records"),
        ("{}{}", "json.not_records"),
        ("[1]", "json.not_records"),
        ("{\"a\":1", "json.truncated"),
        ("{\"a.b\":1,\"a\":{\"b\":2}}", "json.column_conflict"),
    ] {
        assert_eq!(contract(&Value::Null, input).unwrap_err().code.name, code, "{input}");
    }
    let many: Vec<String> = (0..10_001).map(|key| format!("\"k{key}\":1")).collect();
    let fault = contract(&Value::Null, &format!("{{{}}}", many.join(","))).unwrap_err();
    assert_eq!(fault.code.name, "json.too_many_columns");
}

/// A value as JSON text: numbers are written in ways that a value of serde_json would not keep.
fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,25})",
        "-?(0|[1-9][0-9]{0,3})\\.[0-9]{1,6}",
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?[eE][+-]?[0-9]{1,2}",
        "[a-c0-9 ,.\"=NUL\u{e9}-]{0,5}".prop_map(|text| Value::from(text).to_string()),
        "20[0-9]{2}-0[1-9]-[0-2][0-9]".prop_map(|text| Value::from(text).to_string()),
        "20[0-9]{2}-0[1-9]-1[0-9][T ][01][0-9]:[0-5][0-9]:[0-5][0-9](Z|\\+01:00|)"
            .prop_map(|text| Value::from(text).to_string()),
        "(0|00)[1-9]{1,3}".prop_map(|text| Value::from(text).to_string()),
    ]
}

fn object(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    vec(prop::option::weighted(0.8, inner), 3).prop_map(|values| {
        let there =
            values.iter().zip(["a", "b", "c"]).filter_map(|(value, key)| Some((key, value.as_ref()?)));
        let members: Vec<_> = there.map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Records with objects inside and, where `mixed`, anything anywhere.
fn records(mixed: bool) -> impl Strategy<Value = String> {
    let any = prop_oneof![
        4 => leaf(),
        1 => vec(leaf(), 0..3).prop_map(|elements| format!("[{}]", elements.join(","))),
        1 => object(leaf()),
    ];
    let record =
        (object(leaf()), prop::option::of(object(leaf())), any).prop_map(move |(record, inner, any)| {
            let mut record = record.strip_suffix('}').unwrap_or_default().to_owned();
            let mut add = |key: &str, value: &str| {
                let comma = if record.len() > 1 { "," } else { "" };
                record += &format!("{comma}\"{key}\":{value}");
            };
            if let Some(inner) = inner {
                add("o", &inner);
            }
            if mixed {
                add("m", &any);
            }
            format!("{record}}}\n")
        });
    vec(record, 1..8).prop_map(|records| records.concat())
}

/// Whether two cells say the same: numbers by their value, times by the moment, text by its characters.
fn says_the_same(without: &str, with: &str) -> bool {
    let plain = |text: &str| {
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().ok()?;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{}{fraction}", whole.trim_start_matches('-'));
        let digits = all.trim_start_matches('0').trim_end_matches('0').to_owned();
        let zeros = all.len() - all.trim_end_matches('0').len();
        let power = exponent - i64::try_from(fraction.len()).ok()? + i64::try_from(zeros).ok()?;
        let is_number = !all.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
        let negative = whole.starts_with('-') && !digits.is_empty();
        is_number.then_some(if digits.is_empty() { (false, digits, 0) } else { (negative, digits, power) })
    };
    let time = |text: &str| text.replace(' ', "T").replace("+00:00", "Z");
    without == with
        || time(without) == time(with)
        || plain(without).is_some_and(|value| Some(value) == plain(with))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_a_contract_was_written_from_keeps_to_it(input in records(false)) {
        if let Ok(page) = contract(&Value::Null, &input) {
            let with = convert("json-to-csv", &page, &input).unwrap_or_else(|fault| panic!("{page}{input}{fault}"));
            let without = convert("json-to-csv", "", &input).unwrap();
            prop_assert_eq!(with.summary.records, without.summary.records);
            let (with, without) = (cells(&with.out), cells(&without.out));
            prop_assert_eq!(&with[0], &without[0], "{}", page);
            prop_assert_eq!(with.len(), without.len());
            for (one, other) in without.iter().flatten().zip(with.iter().flatten()) {
                // A column of nothing but `{}` is JSON in a contract and empty without one.
                prop_assert!(says_the_same(one, other) || (one.is_empty() && other == "{}"), "{} {}\n{}{}", one, other, page, input);
            }
        }
    }

    #[test]
    fn whatever_comes_keeps_to_its_own_contract(input in records(true), length in 1_usize..50) {
        let page = contract(&Value::Null, &input).unwrap();
        let outcome = run_cut("json-to-csv", &page, input.as_bytes(), length);
        let outcome = outcome.unwrap_or_else(|fault| panic!("{page}{input}{fault}"));
        prop_assert_eq!(cells(&outcome.out).len(), input.lines().count() + 1);
    }
}
