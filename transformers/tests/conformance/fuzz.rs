//! The fuzz targets on stable: random bytes, and texts put together of what JSON is made of, many records of one shape among them.

use proptest::prelude::*;

#[path = "../../fuzz/targets.rs"]
mod targets;

/// Bytes that look like JSON, and now and then are.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\n",
        " ",
        "{\"a\":1,\"b\":[1,{\"a\":2}]}\n",
        "{\"a\":\"x, y\",\"b\":null}\n",
        "{\"b\":true,\"a\":\"\\u00e9\\n\"}\n",
        "\"a\":",
        "\"b\":",
        "\"c\":{\"d\":1.50}",
        "1",
        "-0",
        "1e400",
        "null",
        "true",
        "\"\"",
        "\"text\"",
        "\u{feff}",
        "é",
        "\\u",
        "\\ud83d\\ude00",
        "0",
        ".",
        "-",
        "\t",
        "\r",
        "\0",
        "{\"a\":{\"b\":[{\"a\":1},{}]}}",
        "},{\"a\":1",
    ]);
    let record = prop::sample::select(vec![
        "{\"a\":1,\"b\":[1,{\"a\":2}],\"c\":{\"d\":\"some longer text, with a comma\"}}",
        "{\"a\":\"0123456789abcdef0123456789\",\"b\":[{\"a\":\"q\\\"\"},{\"a\":[ ]}]}",
        "{ \"a\" : 12345678901234567890 , \"b\" : [ 1 , 2 ] }",
    ]);
    let separator = prop::sample::select(vec!["\n", ",", "", " ,\n  "]);
    let many = (record, separator, 1usize..40)
        .prop_map(|(record, separator, count)| vec![record; count].join(separator));
    prop_oneof![
        3 => prop::collection::vec(fragment.clone(), 0..40).prop_map(|fragments| fragments.concat().into_bytes()),
        3 => (many.clone(), prop::collection::vec(fragment.clone(), 0..4), many.clone(), any::<bool>()).prop_map(
            |(first, between, second, array)| {
                let text = [&first, &between.concat(), &second].map(String::as_str).concat();
                if array { format!("[{text}]").into_bytes() } else { text.into_bytes() }
            }
        ),
        2 => (many, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
            let mut text = text.into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            text
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// More than proptest's own 256, and as many as PROPTEST_CASES says when that is more.
fn more_cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(400), ..config }
}

fn choices(count: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), count..=count)
}

proptest! {
    #![proptest_config(more_cases())]

    #[test]
    fn json_to_csv(choices in choices(3), input in json_like()) {
        targets::json_to_csv(&[choices, input].concat());
    }

    #[test]
    fn mapping(choices in choices(2), input in json_like()) {
        targets::mapping(&[choices, input].concat());
    }

    #[test]
    fn spec(input in json_like()) {
        targets::spec(&input);
    }

    #[test]
    fn codec(choices in choices(2), input in json_like(), front in prop::sample::select(vec![&b""[..], b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\xff\xfe"])) {
        targets::codec(&[&choices[..], front, &input].concat());
    }
}

#[test]
fn one_cut_at_every_byte_of_many_records() {
    let record = "{\"a\":\"é, \\\"q\\\"\",\"b\":[1, {\"c\":null}],\"d\":{\"e\":-1.50}}";
    for text in [[record; 4].join("\n"), format!("[{}]", [record; 4].join(",")), [record; 4].join("")] {
        for length in 1..=text.len().min(250) {
            targets::json_to_csv(&[&[length as u8, 1, 1], text.as_bytes()].concat());
        }
    }
}
