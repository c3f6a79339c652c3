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

#[test]
fn null_is_no_value() {
    let fault = Spec::read(CSV, &json!({"output": {"delimiter": null}})).unwrap_err();
    assert!(fault.to_string().ends_with("[output] `delimiter` is null, not text in quotes"), "{fault}");
    let fault = Spec::read(CSV, &json!([1])).unwrap_err();
    assert!(fault.to_string().ends_with("the spec is a list, not a table of keys"), "{fault}");
    assert_eq!(fault.code, &code::CONFIG_INVALID);
}

#[test]
fn the_exploded_array_itself_may_be_a_column() {
    for from in ["/order/lines", "/order/lines/0/code", "/order/linesman", "/order", "./order/lines/code"] {
        let column = format!("[[column]]\nname = \"a\"\nfrom = \"{from}\"");
        good(CSV, &format!("[input]\nexplode = \"/order/lines\"\n{column}"));
    }
}

#[test]
fn a_spec_is_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Spec>();
}

#[test]
fn a_kind_without_a_spec_is_refused() {
    let fault = Spec::read("pass-through", &Value::Null).unwrap_err();
    assert_eq!(fault.code, &code::TRANSFORM_KIND_UNKNOWN);
    assert_eq!(
        Spec::read("json-to-cvs", &Value::Null).unwrap_err().hint(),
        "did you mean `json-to-csv`? There are: json-to-csv, csv-to-json, json-to-json"
    );
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
