//! What is explained reads back to the same spec.

use super::*;
use proptest::prelude::*;

fn read_back(spec: &Spec) {
    let toml = spec.explain();
    let params = toml::from_str(&toml).unwrap_or_else(|error| panic!("{toml}\n{error}"));
    let back = Spec::read(spec.kind().as_str(), &params)
        .unwrap_or_else(|fault| panic!("{toml}\n{}", fault.report()));
    assert_eq!(&back, spec, "{toml}");
    assert_eq!(back.explain(), toml);
}

#[test]
fn every_kind_of_value_reads_back() {
    for (kind, text) in [
        ("json-to-csv", ""),
        ("csv-to-json", ""),
        ("json-to-json", ""),
        (
            "json-to-csv",
            r#"
            [input]
            format = "object"
            records = "/a~1b/~0"
            explode = "/c"
            explode_empty = "drop"
            encoding = "latin1"
            compression = "gzip"
            max_record_bytes = 1000
            max_depth = 7
            duplicate_keys = "first"
            [output]
            delimiter = "\t"
            quote = "all"
            line_ending = "crlf"
            header = false
            encoding = "shift_jis"
            unmappable = "?"
            null = "NULL"
            missing = "\\N"
            arrays = "join"
            array_join = "\u007f\n\""
            csv_injection = "prefix"
            max_columns = 77
            unknown_keys = "error"
            compression = "zstd"
            [errors]
            policy = "quarantine"
            max_bad = "0.25%"
            [[column]]
            name = "Ä \"b\""
            from = "./x"
            type = "decimal"
            scale = 2
            round = "half_even"
            default = 1.5
            [[column]]
            name = "when"
            from = "/t"
            type = "datetime"
            in = ["unix_ms", "%Y %j %H", "rfc3339", "unix"]
            out = "%d.%m.%Y %H:%M"
            tz = "europe/berlin"
            required = true
            [[column]]
            name = "day"
            from = "/d"
            type = "date"
            [[column]]
            name = "plain"
            from = ""
            [[column]]
            name = "json"
            from = "/j"
            type = "json"
            default = "x"
            [[column]]
            name = "const"
            const = -12
            [[column]]
            name = "yes"
            const = true
            [[column]]
            name = "key"
            builtin = "source_key"
            [[filter]]
            from = "/a"
            in = ["x", 1, 2.5, false]
            [[filter]]
            from = "./b"
            matches = "^\\d+\\s$"
            [[filter]]
            from = "/c"
            exists = false
            [[filter]]
            from = "/c"
            ne = ""
            "#,
        ),
        (
            "csv-to-json",
            "[input]\ndelimiter = \";\"\nheader = false\nnull = \"-\"\n[output]\nformat = \"array\"\n\
             [[column]]\nname = \"a\"\nfrom = \"/1\"\ntype = \"json\"\ndefault = \"[1, 2]\"",
        ),
        (
            "json-to-csv",
            "[output]\nbom = true\nencoding = \"utf-16be\"\nnested_separator = \"__\"\narrays = \"index\"",
        ),
    ] {
        let spec =
            Spec::read(kind, &toml::from_str(text).unwrap()).unwrap_or_else(|f| panic!("{}", f.report()));
        read_back(&spec);
    }
}

#[test]
fn defaults_are_shown_with_what_they_mean() {
    let spec = Spec::read("json-to-csv", &serde_json::Value::Null).unwrap();
    let toml = spec.explain();
    for line in [
        "version = 1\n",
        "kind = \"json-to-csv\"\n",
        "max_record_bytes = \"64MiB\"      # The most bytes that one record may have.\n",
        "delimiter = \",\"                 # What stands between two cells.\n",
        "policy = \"reject\"",
    ] {
        assert!(toml.contains(line), "{line} is not in\n{toml}");
    }
}

proptest! {
    #[test]
    fn any_text_reads_back(
        name in "[^\\p{Cc}]{1,8}",
        key in "\\PC{0,8}|[\u{0}-\u{20}\u{7f}]{0,4}",
        value in "\\PC{0,8}|[\u{0}-\u{20}\u{7f}\"\\\\]{0,4}",
        number: i64, float: f64, bad in 1_u64..,
    ) {
        let from = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        let params = serde_json::json!({
            "column": [
                {"name": name, "from": from, "default": value},
                {"name": format!("{name}2"), "const": number},
            ],
            "filter": [{"from": from, "in": [value, number]}],
            "errors": {"policy": "quarantine", "max_bad": bad},
        });
        let mut params = params;
        if float.is_finite() {
            params["filter"][0]["in"][1] = float.into();
        }
        read_back(&Spec::read("json-to-csv", &params).unwrap());
    }
}
