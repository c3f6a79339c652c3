//! What is read, and what is refused with which words.

use outport_core::{Fault, code};
use serde_json::{Value, json};

use super::super::*;

fn toml(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn read(kind: &str, text: &str) -> Result<Spec, Fault> {
    Spec::read(kind, &toml(text))
}

fn good(kind: &str, text: &str) -> Spec {
    read(kind, text).unwrap_or_else(|fault| panic!("{text}: {}", fault.report()))
}

const CSV: &str = "json-to-csv";
const TO_JSON: &str = "csv-to-json";
const LINES: &str = "json-to-json";

#[test]
fn nothing_gives_the_defaults() {
    for kind in [CSV, TO_JSON, LINES] {
        let spec = Spec::read(kind, &Value::Null).unwrap();
        assert_eq!(spec, Spec::read(kind, &json!({})).unwrap());
        assert_eq!(spec.kind().as_str(), kind);
        assert_eq!(spec.columns(), &Columns::Observed);
        assert!(spec.filters().is_empty());
        assert_eq!(spec.errors(), ErrorPolicy::Reject);
        assert_eq!(spec.input().max_record_bytes, 64 << 20);
        assert_eq!(spec.input().encoding, encoding_rs::UTF_8);
        assert_eq!(spec.input().compression, Decompression::Auto);
        assert_eq!(spec.compression(), Compression::None);
    }
    let spec = good(CSV, "");
    let Conversion::JsonToCsv { input, output } = spec.conversion() else { panic!("{spec:?}") };
    let wanted = JsonInput {
        layout: Layout::Auto,
        records: None,
        explode: None,
        max_depth: 128,
        duplicate_keys: DuplicateKeys::Error,
    };
    assert_eq!(input, &wanted);
    let wanted = CsvOutput {
        delimiter: b',',
        quote: Quote::Minimal,
        line_ending: LineEnding::Lf,
        header: true,
        bom: false,
        encoding: TextEncoding::Utf8,
        null: String::new(),
        missing: String::new(),
        nested_separator: ".".to_owned(),
        arrays: Arrays::Json,
        csv_injection: CsvInjection::Off,
        max_columns: 10_000,
    };
    assert_eq!(output, &wanted);
}

#[test]
fn every_key_does_something() {
    let plain = [good(CSV, ""), good(TO_JSON, ""), good(LINES, "")];
    for (kind, text) in [
        (CSV, "[input]\nformat = \"ndjson\""),
        (CSV, "[input]\nrecords = \"/items\""),
        (CSV, "[input]\nexplode = \"/items\""),
        (CSV, "[input]\nencoding = \"latin1\""),
        (CSV, "[input]\ncompression = \"zstd\""),
        (CSV, "[input]\nmax_record_bytes = \"1KiB\""),
        (CSV, "[input]\nmax_record_bytes = 1024"),
        (CSV, "[input]\nmax_depth = 3"),
        (CSV, "[input]\nduplicate_keys = \"last\""),
        (TO_JSON, "[input]\ndelimiter = \"\\t\""),
        (TO_JSON, "[input]\nheader = false"),
        (TO_JSON, "[input]\nnull = \"NULL\""),
        (LINES, "[output]\nformat = \"array\""),
        (CSV, "[output]\ndelimiter = \"|\""),
        (CSV, "[output]\nquote = \"non_numeric\""),
        (CSV, "[output]\nline_ending = \"crlf\""),
        (CSV, "[output]\nheader = false"),
        (CSV, "[output]\nbom = true"),
        (CSV, "[output]\nencoding = \"utf-16\""),
        (CSV, "[output]\nencoding = \"windows-1252\"\nunmappable = \"?\""),
        (CSV, "[output]\nnull = \"NULL\""),
        (CSV, "[output]\nmissing = \"-\""),
        (CSV, "[output]\nnested_separator = \"__\""),
        (CSV, "[output]\narrays = \"join\""),
        (CSV, "[output]\narrays = \"join\"\narray_join = \"\""),
        (CSV, "[output]\narrays = \"index\"\narray_index_limit = 2"),
        (CSV, "[output]\ncsv_injection = \"prefix\""),
        (CSV, "[output]\nmax_columns = 3"),
        (CSV, "[output]\ncompression = \"gzip\""),
        (CSV, "[errors]\npolicy = \"quarantine\"\nmax_bad = 3"),
        (CSV, "[[column]]\nname = \"a\"\nfrom = \"/a\""),
        (CSV, "[[filter]]\nfrom = \"/a\"\nexists = true"),
    ] {
        assert!(!plain.contains(&good(kind, text)), "{text}");
    }
    let differ =
        |kind, one: &str, other: &str| assert_ne!(good(kind, one), good(kind, other), "{one} {other}");
    differ(CSV, "[input]\nexplode = \"/a\"", "[input]\nexplode = \"/a\"\nexplode_empty = \"drop\"");
    differ(CSV, "[output]\narrays = \"join\"", "[output]\narrays = \"join\"\narray_join = \"|\"");
    differ(CSV, "[output]\narrays = \"index\"", "[output]\narrays = \"index\"\narray_index_limit = 3");
    let column = "[[column]]\nname = \"a\"\nfrom = \"/a\"\n";
    differ(CSV, column, &format!("[output]\nunknown_keys = \"error\"\n{column}"));
    for more in
        ["required = true", "default = 1", "type = \"string\"", "type = \"json\"", "type = \"decimal\""]
    {
        differ(CSV, column, &format!("{column}{more}"));
    }
    let decimal = format!("{column}type = \"decimal\"\nscale = 2\n");
    differ(CSV, &decimal, &format!("{decimal}round = \"half_even\""));
    let date = format!("{column}type = \"date\"\n");
    for more in
        ["in = \"unix\"", "in = [\"rfc3339\", \"%Y%m%d\"]", "out = \"%d.%m.%Y\"", "tz = \"Asia/Tokyo\""]
    {
        differ(CSV, &date, &format!("{date}{more}"));
    }
}

#[test]
fn the_example_of_the_documentation_is_understood() {
    let spec = good(
        CSV,
        r#"
        version = 1
        kind = "json-to-csv"
        [input]
        records = "/items"
        explode = "/observations"
        [[column]]
        name = "amount"
        from = "./amount"
        type = "decimal"
        scale = 2
        default = 0
        [[column]]
        name = "source"
        const = "HOSP-A"
        [[column]]
        name = "row_no"
        builtin = "record_number"
        [[filter]]
        from = "/active"
        eq = true
        "#,
    );
    let Columns::Given { columns, others } = spec.columns() else { panic!("{spec:?}") };
    assert_eq!((columns.len(), *others), (3, Others::Ignore));
    let Source::Record { from, ty, absent } = &columns[0].source else { panic!("{columns:?}") };
    assert!(from.is_relative());
    assert_eq!(ty.to_string(), "decimal(2)");
    let Absent::Default(cell) = absent else { panic!("{absent:?}") };
    assert_eq!((cell.text.as_str(), cell.form), ("0.00", Form::Bare));
    let Source::Const(cell) = &columns[1].source else { panic!("{columns:?}") };
    assert_eq!((cell.text.as_str(), cell.form), ("HOSP-A", Form::Text));
    assert_eq!(columns[2].source, Source::Builtin(Builtin::RecordNumber));
    assert_eq!(spec.filters()[0].test, Test::Eq(Scalar::Boolean(true)));
}

/// Each mistake: what was read, and the fault's code, message (behind "could not read the ... spec: ") and hint.
#[test]
fn mistakes_say_where_why_and_what_to_do() {
    let column = |rest: &str| format!("[[column]]\nname = \"a\"\n{rest}");
    let unknown = &code::CONFIG_UNKNOWN_KEY;
    let invalid = &code::CONFIG_INVALID;
    let cases: Vec<(&str, String, &outport_core::Code, &str, &str)> = vec![
        (CSV, "inputs = 1".into(), unknown, "the spec has no key `inputs`", "did you mean `input`?"),
        (
            CSV,
            "delimiter = \";\"".into(),
            unknown,
            "the spec has no key `delimiter`",
            "`delimiter` is a key of [output]",
        ),
        (
            CSV,
            "[output]\ndelimeter = \";\"".into(),
            unknown,
            "[output] has no key `delimeter`",
            "did you mean `delimiter`?",
        ),
        (
            CSV,
            "[errors]\nxyz = 1".into(),
            unknown,
            "[errors] has no key `xyz`",
            "the keys here are: policy, max_bad",
        ),
        (
            CSV,
            "[input]\ndelimiter = \";\"".into(),
            invalid,
            "[input] has the key `delimiter`, which has no meaning in a json-to-csv spec",
            "remove it; it is for csv-to-json",
        ),
        (
            TO_JSON,
            "[input]\nrecords = \"/a\"".into(),
            invalid,
            "[input] has the key `records`, which has no meaning in a csv-to-json spec",
            "remove it; it is for json-to-csv and json-to-json",
        ),
        (
            LINES,
            "[output]\nheader = false".into(),
            invalid,
            "[output] has the key `header`, which has no meaning in a json-to-json spec",
            "remove it; it is for json-to-csv",
        ),
        (
            CSV,
            "version = 2".into(),
            invalid,
            "the spec `version` is 2, which is not from 1 to 1",
            "write a number from 1 to 1",
        ),
        (
            CSV,
            "kind = \"csv-to-json\"".into(),
            invalid,
            "the spec `kind` is the text \"csv-to-json\", but the transform is json-to-csv",
            "correct the one or the other",
        ),
        (
            CSV,
            "input = 3".into(),
            invalid,
            "[input] is the number 3, not a table of keys",
            "the keys of [input] are: format, records, explode, explode_empty, encoding, compression, max_record_bytes, max_depth, duplicate_keys",
        ),
        (
            CSV,
            "column = { name = \"a\" }".into(),
            invalid,
            "the spec `column` is a table, not a list of tables, at least one",
            "write [[column]] in front of each",
        ),
        (
            CSV,
            "[input]\nformat = \"njson\"".into(),
            invalid,
            "[input] `format` is \"njson\", which is none of its words",
            "did you mean `ndjson`?",
        ),
        (
            CSV,
            "[input]\nformat = \"xml\"".into(),
            invalid,
            "[input] `format` is \"xml\", which is none of its words",
            "use one of: auto, ndjson, array, object, concat",
        ),
        (
            CSV,
            "[input]\nformat = \"ndjson\"\nrecords = \"/a\"".into(),
            invalid,
            "[input] `records` has no meaning without `format = \"auto\"` or `format = \"object\"`",
            "remove it, or add `format = \"auto\"` or `format = \"object\"`",
        ),
        (
            CSV,
            "[input]\nrecords = \"items\"".into(),
            invalid,
            "[input] `records` is \"items\", which is no JSON Pointer (RFC 6901): a JSON Pointer starts with a slash",
            "write `/a/b` for the key b in the object a; `~1` stands for a slash in a key, `~0` for `~`",
        ),
        (
            CSV,
            "[input]\nrecords = \"./items\"".into(),
            invalid,
            "[input] `records` starts with a dot, but there is nothing that it could count from",
            "write it without the dot: \"/items\"",
        ),
        (
            CSV,
            "[input]\nexplode = \"\"".into(),
            invalid,
            "[input] `explode` is the whole record, which is no array",
            "name the array inside the record, such as `/items`; for an array of records use `records`",
        ),
        (
            CSV,
            "[input]\nexplode_empty = \"drop\"".into(),
            invalid,
            "[input] `explode_empty` has no meaning without `explode`",
            "remove it, or add `explode`",
        ),
        (
            CSV,
            "[input]\nencoding = \"utf8x\"".into(),
            invalid,
            "[input] `encoding` is \"utf8x\", which is no known encoding",
            "did you mean `utf-8`?",
        ),
        (
            CSV,
            "[input]\nencoding = \"iso-2022-kr\"".into(),
            invalid,
            "[input] `encoding` is \"iso-2022-kr\", which is no known encoding",
            "",
        ),
        (
            CSV,
            "[input]\nmax_record_bytes = \"64 parsecs\"".into(),
            invalid,
            "[input] `max_record_bytes` is the text \"64 parsecs\", which is no size from 1 byte to 1GiB",
            "write a number of bytes, or one with a unit: \"64MiB\"",
        ),
        (
            CSV,
            "[input]\nmax_record_bytes = \"2GiB\"".into(),
            invalid,
            "[input] `max_record_bytes` is the text \"2GiB\", which is no size from 1 byte to 1GiB",
            "",
        ),
        (
            CSV,
            "[input]\nmax_record_bytes = 0".into(),
            invalid,
            "[input] `max_record_bytes` is the number 0, which is no size from 1 byte to 1GiB",
            "",
        ),
        (
            CSV,
            "[input]\nmax_depth = 0".into(),
            invalid,
            "[input] `max_depth` is 0, which is not from 1 to 10000",
            "write a number from 1 to 10000",
        ),
        (
            CSV,
            "[input]\nmax_depth = 1.5".into(),
            invalid,
            "[input] `max_depth` is the number 1.5, not a whole number",
            "write a whole number",
        ),
        (
            CSV,
            "[output]\nheader = \"yes\"".into(),
            invalid,
            "[output] `header` is the text \"yes\", not true or false",
            "write true or false",
        ),
        (
            CSV,
            "[output]\ndelimiter = \"ab\"".into(),
            invalid,
            "[output] `delimiter` is not one ASCII character other than a quote, a line break and NUL",
            "use one of: \",\" \";\" \"|\" \"\\t\"",
        ),
        (
            CSV,
            "[output]\ndelimiter = \"\\\"\"".into(),
            invalid,
            "[output] `delimiter` is not one ASCII character other than a quote, a line break and NUL",
            "",
        ),
        (
            CSV,
            "[output]\ndelimiter = \"\\n\"".into(),
            invalid,
            "[output] `delimiter` is not one ASCII character other than a quote, a line break and NUL",
            "",
        ),
        (
            CSV,
            "[output]\ndelimiter = \"\\r\"".into(),
            invalid,
            "[output] `delimiter` is not one ASCII character other than a quote, a line break and NUL",
            "",
        ),
        (
            CSV,
            "[output]\ndelimiter = \"\u{a7}\"".into(),
            invalid,
            "[output] `delimiter` is not one ASCII character other than a quote, a line break and NUL",
            "",
        ),
        (
            CSV,
            "[output]\nnull = \"a,b\"".into(),
            invalid,
            "[output] `null` has a quote, a line break, NUL or the delimiter in it, and stands in the file unquoted",
            "use a plain word, such as `NULL`",
        ),
        (
            CSV,
            "[output]\nmissing = \"\\\"\"".into(),
            invalid,
            "[output] `missing` has a quote, a line break, NUL or the delimiter in it, and stands in the file unquoted",
            "",
        ),
        (
            CSV,
            "[output]\nnested_separator = \"\"".into(),
            invalid,
            "[output] `nested_separator` is empty",
            "write at least one character",
        ),
        (
            CSV,
            "[output]\narray_join = \"|\"".into(),
            invalid,
            "[output] `array_join` has no meaning without `arrays = \"join\"`",
            "remove it, or add `arrays = \"join\"`",
        ),
        (
            CSV,
            "[output]\narrays = \"join\"\narray_index_limit = 3".into(),
            invalid,
            "[output] `array_index_limit` has no meaning without `arrays = \"index\"`",
            "",
        ),
        (
            CSV,
            "[output]\nunmappable = \"?\"".into(),
            invalid,
            "[output] `unmappable` has no meaning without `encoding`",
            "",
        ),
        (
            CSV,
            "[output]\nencoding = \"utf-16\"\nunmappable = \"?\"".into(),
            invalid,
            "[output] `unmappable` has no meaning with UTF-16LE, which has every character",
            "remove it",
        ),
        (
            CSV,
            "[output]\nencoding = \"latin1\"\nbom = true".into(),
            invalid,
            "[output] `bom` is true, but windows-1252 has no byte order mark",
            "",
        ),
        (
            CSV,
            "[output]\nunknown_keys = \"error\"".into(),
            invalid,
            "[output] `unknown_keys` has no meaning without [[column]]: every key is unknown then",
            "name the columns with [[column]], or remove it",
        ),
        (
            CSV,
            "[output]\nunknown_keys = \"ignore\"".into(),
            invalid,
            "[output] `unknown_keys` has no meaning without [[column]]: every key is unknown then",
            "",
        ),
        (
            CSV,
            format!("[output]\nunknown_keys = \"add\"\n{}", column("from = \"/a\"")),
            invalid,
            "[output] `unknown_keys` is \"add\", but with [[column]] the columns are those and no others",
            "use ignore or error, or remove every [[column]]",
        ),
        (
            CSV,
            format!("[output]\nnested_separator = \"_\"\n{}", column("from = \"/a\"")),
            invalid,
            "[output] `nested_separator` has no meaning with [[column]], which names the columns",
            "remove it",
        ),
        (
            CSV,
            format!("[output]\narrays = \"index\"\n{}", column("from = \"/a\"")),
            invalid,
            "[output] `arrays` is \"index\", but a column of [[column]] cannot become several",
            "",
        ),
        (
            CSV,
            format!(
                "[output]\nmax_columns = 1\n{}[[column]]\nname = \"b\"\nfrom = \"/b\"",
                column("from = \"/a\"\n")
            ),
            invalid,
            "[output] `max_columns` is 1, but there are 2 columns",
            "raise it, or remove it",
        ),
        (
            CSV,
            "[errors]\nmax_bad = 5".into(),
            invalid,
            "[errors] `max_bad` allows bad records, but the policy is to reject the file at the first",
            "add `policy = \"quarantine\"`, or remove it",
        ),
        (
            CSV,
            "[errors]\npolicy = \"quarantine\"".into(),
            invalid,
            "[errors] `max_bad` is 0, and so nothing could ever be quarantined",
            "say how many records may be bad: `max_bad = 100` or `max_bad = \"0.1%\"`",
        ),
        (
            CSV,
            "[errors]\npolicy = \"quarantine\"\nmax_bad = \"0%\"".into(),
            invalid,
            "[errors] `max_bad` is 0, and so nothing could ever be quarantined",
            "",
        ),
        (
            CSV,
            "[errors]\npolicy = \"quarantine\"\nmax_bad = \"110%\"".into(),
            invalid,
            "[errors] `max_bad` is the text \"110%\", which is neither a count nor a share from 0% to 100%",
            "",
        ),
        (
            CSV,
            "[errors]\npolicy = \"quarantine\"\nmax_bad = -1".into(),
            invalid,
            "[errors] `max_bad` is the number -1, which is neither a count nor a share from 0% to 100%",
            "",
        ),
        (
            CSV,
            "[[column]]\nfrom = \"/a\"".into(),
            invalid,
            "column 1 `name` is missing",
            "add `name`: The name of the column.",
        ),
        (CSV, "[[column]]\nname = \"\"\nfrom = \"/a\"".into(), invalid, "column 1 \"\" `name` is empty", ""),
        (
            CSV,
            "[[column]]\nname = \"a\\nb\"\nfrom = \"/a\"".into(),
            invalid,
            "column 1 \"a\\nb\" `name` has a line break or another control character",
            "leave it out",
        ),
        (
            CSV,
            column(""),
            invalid,
            "column 1 \"a\" does not say where its value comes from",
            "add `from = \"/...\"` (a JSON Pointer), `const = ...` or `builtin = \"...\"`",
        ),
        (
            CSV,
            column("from = \"/a\"\nconst = 1"),
            invalid,
            "column 1 \"a\" says more than once where its value comes from",
            "keep one of `from`, `const` and `builtin`",
        ),
        (
            CSV,
            column("const = 1\nbuiltin = \"run_time\""),
            invalid,
            "column 1 \"a\" says more than once where its value comes from",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\n[[column]]\nname = \"a\"\nfrom = \"/b\""),
            invalid,
            "column 2 \"a\" `name` is the name of an earlier column too",
            "readers keep only one of two columns of a name; rename one",
        ),
        (
            CSV,
            column("from = \"./a\""),
            invalid,
            "column 1 \"a\" `from` counts from the exploded element, but nothing is exploded",
            "remove the dot, or add `explode` to [input]",
        ),
        (
            CSV,
            column("from = \"/a\"\nfrm = 1"),
            unknown,
            "column 1 \"a\" has no key `frm`",
            "did you mean `from`?",
        ),
        (
            CSV,
            column("from = \"/a\"\nscale = 2"),
            invalid,
            "column 1 \"a\" `scale` has no meaning without `type = \"decimal\"`",
            "remove it, or add `type = \"decimal\"`",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"decimal\"\nround = \"half_even\""),
            invalid,
            "column 1 \"a\" `round` has no meaning without `scale`",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"decimal\"\nscale = -1"),
            invalid,
            "column 1 \"a\" `scale` is the number -1, not a whole number",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"decimal\"\nscale = 1001"),
            invalid,
            "column 1 \"a\" `scale` is 1001, which is not from 0 to 1000",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"string\"\ntz = \"UTC\""),
            invalid,
            "column 1 \"a\" `tz` has no meaning without `type = \"date\"` or `type = \"datetime\"`",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\nin = \"unix\""),
            invalid,
            "column 1 \"a\" `in` has no meaning without `type = \"date\"` or `type = \"datetime\"`",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\nout = \"unix\""),
            invalid,
            "column 1 \"a\" `out` has no meaning without `type = \"date\"` or `type = \"datetime\"`",
            "",
        ),
        (
            CSV,
            column("const = 1\ntype = \"integer\""),
            invalid,
            "column 1 \"a\" `type` has no meaning without `from`",
            "",
        ),
        (
            CSV,
            column("builtin = \"run_time\"\nrequired = true"),
            invalid,
            "column 1 \"a\" `required` has no meaning without `from`",
            "",
        ),
        (
            CSV,
            column("const = 1\ndefault = 2"),
            invalid,
            "column 1 \"a\" `default` has no meaning without `from`",
            "",
        ),
        (
            CSV,
            column("builtin = \"record\""),
            invalid,
            "column 1 \"a\" `builtin` is \"record\", which is none of its words",
            "did you mean `record_number`?",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"bool\""),
            invalid,
            "column 1 \"a\" `type` is \"bool\", which is none of its words",
            "did you mean `boolean`?",
        ),
        (
            CSV,
            column("from = \"/a\"\nrequired = true\ndefault = 1"),
            invalid,
            "column 1 \"a\" `default` stands for a missing value, but the value is required",
            "remove the one or the other",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"integer\"\ndefault = \"none\""),
            invalid,
            "column 1 \"a\" `default` is not of the column's type: expected integer, found text of 4 characters (letters)",
            "write a value that could stand in the input: one of the type integer",
        ),
        (
            CSV,
            column("const = [1]"),
            invalid,
            "column 1 \"a\" `const` is a list, not text, a number or a boolean",
            "",
        ),
        (
            CSV,
            column("const = 2024-01-31"),
            invalid,
            "column 1 \"a\" `const` is a date of TOML, not text, a number or a boolean",
            "put the date into quotes",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"date\"\nin = \"rfc3399\""),
            invalid,
            "column 1 \"a\" `in` is \"rfc3399\": that is neither a format nor a pattern",
            "did you mean `rfc3339`?",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"date\"\nin = []"),
            invalid,
            "column 1 \"a\" `in` is a list, not text in quotes or a list of such texts, at least one",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"date\"\nin = \"%H:%M\""),
            invalid,
            "column 1 \"a\" `in` is \"%H:%M\": it does not give a whole date",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"datetime\"\nin = \"%Y-%m-%d\""),
            invalid,
            "column 1 \"a\" `in` is \"%Y-%m-%d\": it gives a day and no time",
            "add the time (%H:%M:%S), or use `type = \"date\"`",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"datetime\"\nin = \"%Y-%m-%d %I:%M\""),
            invalid,
            "column 1 \"a\" `in` is \"%Y-%m-%d %I:%M\": it does not tell morning from afternoon",
            "",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"date\"\ntz = \"America/New York\""),
            invalid,
            "column 1 \"a\" `tz` is \"America/New York\", which is no time zone",
            "did you mean `America/New_York`?",
        ),
        (
            CSV,
            column("from = \"/a\"\ntype = \"date\"\nout = \"iso\""),
            invalid,
            "column 1 \"a\" `out` is \"iso\": that is neither rfc3339 nor a pattern",
            "",
        ),
        (
            TO_JSON,
            column("from = \"/a/b\""),
            invalid,
            "column 1 \"a\" `from` is no name of a CSV column: a row has no values inside one another",
            "write a slash and the name in the header: `/amount`",
        ),
        (
            TO_JSON,
            column("from = \"\""),
            invalid,
            "column 1 \"a\" `from` is no name of a CSV column: a row has no values inside one another",
            "",
        ),
        (
            CSV,
            "[[filter]]\nfrom = \"/a\"".into(),
            invalid,
            "filter 1 does not say what the value must be",
            "add one of: eq, ne, in, exists, matches",
        ),
        (
            CSV,
            "[[filter]]\nfrom = \"/a\"\neq = 1\nne = 2".into(),
            invalid,
            "filter 1 has `eq` and `ne`",
            "make a [[filter]] of each: a record must pass all of them",
        ),
        (CSV, "[[filter]]\neq = 1".into(), invalid, "filter 1 `from` is missing", ""),
        (
            CSV,
            "[[filter]]\nfrom = \"./a\"\neq = 1".into(),
            invalid,
            "filter 1 `from` counts from the exploded element, but nothing is exploded",
            "",
        ),
        (
            CSV,
            "[[filter]]\nfrom = \"/a\"\nin = []".into(),
            invalid,
            "filter 1 `in` is a list, not a list of texts, numbers or booleans, at least one",
            "",
        ),
        (
            CSV,
            "[[filter]]\nfrom = \"/a\"\neq = {}".into(),
            invalid,
            "filter 1 `eq` is a table, not text, a number or a boolean",
            "",
        ),
        (
            CSV,
            "[[filter]]\nfrom = \"/a\"\nexists = \"yes\"".into(),
            invalid,
            "filter 1 `exists` is the text \"yes\", not true or false",
            "",
        ),
        (
            CSV,
            "[[filter]]\nfrom = \"/a\"\nmatches = \"(\"".into(),
            invalid,
            "filter 1 `matches` is no regular expression: unclosed group",
            "",
        ),
        (
            CSV,
            "[[filter]]\nfrom = \"/a\"\nmatches = \"(\\\\w{100}){100}\"".into(),
            invalid,
            "filter 1 `matches` is a pattern that becomes larger than 1 MiB",
            "",
        ),
        (
            TO_JSON,
            "[[filter]]\nfrom = \"/a\"\neq = 1".into(),
            invalid,
            "filter 1 `eq` is no text, and in CSV there is nothing else",
            "put it into quotes, as the cell is written",
        ),
    ];
    for (kind, text, code, message, hint) in cases {
        let fault = read(kind, &text).err().unwrap_or_else(|| panic!("this was read: {text}"));
        assert_eq!(fault.to_string(), format!("could not read the {kind} spec: {message}"), "{text}");
        assert_eq!(fault.code, code, "{text}");
        // Where the table has no hint, it matters less than that there is one.
        if hint.is_empty() {
            assert!(fault.hint.is_some(), "{text}");
        } else {
            assert_eq!(fault.hint(), hint, "{text}");
        }
    }
}

#[test]
fn null_is_no_value() {
    let fault = Spec::read(CSV, &json!({"output": {"delimiter": null}})).unwrap_err();
    assert!(fault.to_string().ends_with("[output] `delimiter` is null, not text in quotes"), "{fault}");
    let fault = Spec::read(CSV, &json!([1])).unwrap_err();
    assert!(fault.to_string().ends_with("the spec is a list, not a table of keys"), "{fault}");
    assert_eq!(fault.code, &code::CONFIG_INVALID);
}

#[test]
fn a_kind_without_a_spec_is_refused() {
    let fault = Spec::read("pass-through", &Value::Null).unwrap_err();
    assert_eq!(fault.code, &code::TRANSFORM_KIND_UNKNOWN);
    assert_eq!(Spec::read("json-to-cvs", &Value::Null).unwrap_err().hint(), "did you mean `json-to-csv`?");
}

#[test]
fn json_in_a_csv_cell_is_read_and_json_in_json_is_quoted() {
    let column = "[[column]]\nname = \"a\"\nfrom = \"/a\"\ntype = \"json\"";
    let of = |kind| match good(kind, column).columns() {
        Columns::Given { columns, .. } => columns[0].source.clone(),
        Columns::Observed => panic!("no columns"),
    };
    assert!(matches!(of(TO_JSON), Source::Record { ty: Type::Json(JsonText::Read), .. }));
    assert!(matches!(of(CSV), Source::Record { ty: Type::Json(JsonText::Quote), .. }));
}

#[test]
fn numbers_are_those_that_toml_can_hold() {
    let with = |number: &str| {
        let params = format!(r#"{{"column": [{{"name": "a", "const": {number}}}]}}"#);
        Spec::read(CSV, &serde_json::from_str(&params).unwrap())
    };
    for number in ["0", "-1", "1.5", "1e+30", "9007199254740993", "-0.0"] {
        let spec = with(number).unwrap_or_else(|fault| panic!("{}", fault.report()));
        let Columns::Given { columns, .. } = spec.columns() else { panic!("{spec:?}") };
        let Source::Const(cell) = &columns[0].source else { panic!("{columns:?}") };
        assert_eq!((cell.text.as_str(), cell.form), (number, Form::Bare));
    }
    for number in ["1.10", "1E5", "123456789012345678901234567890", "-0", "1e400"] {
        let fault = with(number).expect_err(number);
        assert!(fault.to_string().contains("which TOML would hold as another"), "{number} {fault}");
    }
    let nan = read(CSV, "[[column]]\nname = \"a\"\nconst = nan").unwrap_err();
    assert!(nan.to_string().ends_with("`const` is null, not text, a number or a boolean"), "{nan}");
}
