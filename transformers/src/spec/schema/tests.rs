//! The published files are the schema, and the schema and the reader agree.

use std::path::PathBuf;

use boon::{Compiler, Schemas};

use super::*;

const KINDS: [Kind; 3] = [Kind::JsonToCsv, Kind::CsvToJson, Kind::JsonToJson];

fn published(kind: Kind) -> PathBuf {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    docs.join(format!("{}.schema.json", kind.as_str()))
}

fn text(kind: Kind) -> String {
    format!("{:#}\n", Spec::schema(kind))
}

#[test]
fn the_published_files_are_the_schema() {
    for kind in KINDS {
        let file = published(kind);
        let found =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(
            found == text(kind),
            "{} is not the schema any more; `cargo test -p outport-transform -- --ignored publish` writes it",
            file.display()
        );
    }
}

#[test]
#[ignore = "writes docs/*.schema.json; for whoever changed the table of keys"]
fn publish() {
    for kind in KINDS {
        std::fs::write(published(kind), text(kind)).unwrap();
    }
}

/// The three schemas, for boon to judge by.
struct Judge {
    schemas: Schemas,
    of_kind: Vec<(Kind, boon::SchemaIndex)>,
}

impl Judge {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let compiled = KINDS.map(|kind| {
            compiler.add_resource(kind.as_str(), Spec::schema(kind)).unwrap();
            let index = compiler.compile(kind.as_str(), &mut schemas);
            (kind, index.unwrap_or_else(|error| panic!("{error:#}")))
        });
        Self { schemas, of_kind: compiled.to_vec() }
    }

    fn takes(&self, kind: Kind, spec: &Value) -> bool {
        let index = self.of_kind.iter().find(|(known, _)| *known == kind).unwrap().1;
        self.schemas.validate(spec, index).is_ok()
    }
}

fn parse(toml: &str) -> Value {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"))
}

#[test]
fn what_is_good_is_good_for_both() {
    let judge = Judge::new();
    let column = "[[column]]\nname = \"a\"\nfrom = \"/a\"\n";
    for (kind, toml) in [
        (Kind::JsonToCsv, String::new()),
        (
            Kind::JsonToCsv,
            "version = 1\nkind = \"json-to-csv\"\n[errors]\npolicy = \"reject\"\nmax_bad = \"0\"".into(),
        ),
        (Kind::JsonToCsv, "[errors]\npolicy = \"quarantine\"\nmax_bad = \"0.01%\"".into()),
        (Kind::JsonToCsv, "[errors]\npolicy = \"quarantine\"\nmax_bad = 10".into()),
        (
            Kind::JsonToCsv,
            "[input]\nrecords = \"/a/b~1c\"\nexplode = \"/x\"\nmax_record_bytes = \"1 GiB\"".into(),
        ),
        (Kind::JsonToCsv, "[input]\nformat = \"object\"\nrecords = \"\"\nmax_record_bytes = 5".into()),
        (
            Kind::JsonToCsv,
            "[output]\ndelimiter = \"\\t\"\nbom = true\narrays = \"index\"\narray_index_limit = 2".into(),
        ),
        (Kind::JsonToCsv, "[output]\nunknown_keys = \"add\"\nnested_separator = \"/\"".into()),
        (
            Kind::JsonToCsv,
            format!("[output]\nunknown_keys = \"error\"\narrays = \"join\"\narray_join = \"\"\n{column}"),
        ),
        (
            Kind::JsonToCsv,
            format!("{column}type = \"decimal\"\nscale = 0\nround = \"half_even\"\ndefault = 1"),
        ),
        (
            Kind::JsonToCsv,
            format!("{column}type = \"datetime\"\nin = [\"unix\", \"%s\"]\nout = \"%F\"\ntz = \"UTC\""),
        ),
        (Kind::JsonToCsv, format!("{column}required = false\ndefault = \"\"")),
        (
            Kind::JsonToCsv,
            "[[column]]\nname = \"a\"\nconst = true\n[[column]]\nname = \"b\"\nbuiltin = \"run_time\"".into(),
        ),
        (Kind::JsonToCsv, "[input]\nexplode = \"/x\"\n[[column]]\nname = \"a\"\nfrom = \".\"".into()),
        (Kind::JsonToCsv, "[[filter]]\nfrom = \"/a\"\nin = [1, \"a\", true]".into()),
        (Kind::CsvToJson, "[input]\ndelimiter = \";\"\nnull = \"NULL\"\n[output]\nformat = \"array\"".into()),
        (Kind::CsvToJson, format!("{column}[[filter]]\nfrom = \"/a\"\neq = \"1\"")),
        (Kind::JsonToJson, "[input]\nduplicate_keys = \"last\"\n[output]\ncompression = \"zstd\"".into()),
    ] {
        let spec = parse(&toml);
        let read =
            Spec::read(kind.as_str(), &spec).unwrap_or_else(|fault| panic!("{toml}: {}", fault.report()));
        assert!(judge.takes(kind, &spec), "the schema refuses {toml}");
        assert!(judge.takes(kind, &parse(&read.explain())), "the schema refuses what is explained of {toml}");
    }
}

#[test]
fn what_is_bad_is_bad_for_both() {
    let judge = Judge::new();
    let column = |rest: &str| format!("[[column]]\nname = \"a\"\n{rest}");
    for (kind, toml) in [
        (Kind::JsonToCsv, "version = 2".into()),
        (Kind::JsonToCsv, "kind = \"json-to-json\"".into()),
        (Kind::JsonToCsv, "colum = 1".into()),
        (Kind::JsonToCsv, "column = []".into()),
        (Kind::JsonToCsv, "input = 1".into()),
        (Kind::JsonToCsv, "[input]\nformat = \"xml\"".into()),
        (Kind::JsonToCsv, "[input]\ndelimiter = \";\"".into()),
        (Kind::JsonToCsv, "[input]\nformat = \"ndjson\"\nrecords = \"/a\"".into()),
        (Kind::JsonToCsv, "[input]\nrecords = \"./a\"".into()),
        (Kind::JsonToCsv, "[input]\nrecords = \"a\"".into()),
        (Kind::JsonToCsv, "[input]\nrecords = \"/a~2\"".into()),
        (Kind::JsonToCsv, "[input]\nexplode_empty = \"keep\"".into()),
        (Kind::JsonToCsv, "[input]\nmax_record_bytes = \"64MB\"".into()),
        (Kind::JsonToCsv, "[input]\nmax_record_bytes = 2000000000".into()),
        (Kind::JsonToCsv, "[input]\nmax_depth = 0".into()),
        (Kind::JsonToCsv, "[output]\nheader = 1".into()),
        (Kind::JsonToCsv, "[output]\nformat = \"array\"".into()),
        (Kind::JsonToCsv, "[output]\ndelimiter = \"\\\"\"".into()),
        (Kind::JsonToCsv, "[output]\ndelimiter = \"\\n\"".into()),
        (Kind::JsonToCsv, "[output]\ndelimiter = \"\"".into()),
        (Kind::JsonToCsv, "[output]\ndelimiter = \";;\"".into()),
        (Kind::JsonToCsv, "[output]\ndelimiter = \"é\"".into()),
        (Kind::JsonToCsv, "[output]\nnull = \"\\\"\"".into()),
        (Kind::JsonToCsv, "[output]\nnested_separator = \"\"".into()),
        (Kind::JsonToCsv, "[output]\narray_join = \";\"".into()),
        (Kind::JsonToCsv, "[output]\narrays = \"json\"\narray_index_limit = 3".into()),
        (Kind::JsonToCsv, "[output]\nunmappable = \"?\"".into()),
        (Kind::JsonToCsv, "[output]\nunknown_keys = \"ignore\"".into()),
        (Kind::JsonToCsv, format!("[output]\nunknown_keys = \"add\"\n{}", column("from = \"/a\""))),
        (Kind::JsonToCsv, format!("[output]\nnested_separator = \"_\"\n{}", column("from = \"/a\""))),
        (Kind::JsonToCsv, format!("[output]\narrays = \"index\"\n{}", column("from = \"/a\""))),
        (Kind::JsonToCsv, "[errors]\nmax_bad = 5".into()),
        (Kind::JsonToCsv, "[errors]\nmax_bad = \"5%\"".into()),
        (Kind::JsonToCsv, "[errors]\nmax_bad = \"some\"".into()),
        (Kind::JsonToCsv, "[errors]\npolicy = \"quarantine\"".into()),
        (Kind::JsonToCsv, "[errors]\npolicy = \"quarantine\"\nmax_bad = \"0.0%\"".into()),
        (Kind::JsonToCsv, "[errors]\npolicy = \"quarantine\"\nmax_bad = 0".into()),
        (Kind::JsonToCsv, "[[column]]\nfrom = \"/a\"".into()),
        (Kind::JsonToCsv, column("")),
        (Kind::JsonToCsv, column("from = \"/a\"\nconst = 1")),
        (Kind::JsonToCsv, column("const = []")),
        (Kind::JsonToCsv, column("builtin = \"now\"")),
        (Kind::JsonToCsv, column("const = 1\nrequired = true")),
        (Kind::JsonToCsv, column("const = 1\ndefault = 1")),
        (Kind::JsonToCsv, column("const = 1\ntype = \"integer\"")),
        (Kind::JsonToCsv, column("from = \"/a\"\nrequired = true\ndefault = 1")),
        (Kind::JsonToCsv, column("from = \"/a\"\nscale = 2")),
        (Kind::JsonToCsv, column("from = \"/a\"\ntype = \"integer\"\nscale = 2")),
        (Kind::JsonToCsv, column("from = \"/a\"\ntype = \"decimal\"\nround = \"half_even\"")),
        (Kind::JsonToCsv, column("from = \"/a\"\ntype = \"decimal\"\ntz = \"UTC\"")),
        (Kind::JsonToCsv, column("from = \"/a\"\nin = \"unix\"")),
        (Kind::JsonToCsv, column("from = \"/a\"\ntype = \"date\"\nin = []")),
        (Kind::JsonToCsv, column("from = \"/a\"\ntype = \"date\"\nin = [1]")),
        (Kind::JsonToCsv, "[[filter]]\nfrom = \"/a\"".into()),
        (Kind::JsonToCsv, "[[filter]]\nfrom = \"/a\"\neq = 1\nne = 1".into()),
        (Kind::JsonToCsv, "[[filter]]\neq = 1".into()),
        (Kind::JsonToCsv, "[[filter]]\nfrom = \"/a\"\nin = []".into()),
        (Kind::CsvToJson, "[input]\nrecords = \"/a\"".into()),
        (Kind::CsvToJson, "[output]\ndelimiter = \";\"".into()),
        (Kind::CsvToJson, column("from = \"/a/b\"")),
        (Kind::CsvToJson, "[[filter]]\nfrom = \"/a\"\neq = 1".into()),
        (Kind::JsonToJson, "[output]\nbom = true".into()),
    ] {
        let spec = parse(&toml);
        assert!(Spec::read(kind.as_str(), &spec).is_err(), "this was read: {toml}");
        assert!(!judge.takes(kind, &spec), "the schema takes {toml}");
    }
}

/// What a schema cannot say, or says better in the reader's words; the documentation of `Spec::schema` lists
/// it.
#[test]
fn the_reader_alone_knows_more() {
    let judge = Judge::new();
    let column = |rest: &str| format!("[[column]]\nname = \"a\"\nfrom = \"/a\"\n{rest}");
    for toml in [
        column("[[column]]\nname = \"a\"\nfrom = \"/b\""),
        column("type = \"date\"\ntz = \"Europe/Atlantis\""),
        column("type = \"date\"\nin = \"%H\""),
        column("type = \"integer\"\ndefault = \"x\""),
        "[input]\nencoding = \"ebcdic\"".into(),
        "[input]\nexplode = \"\"".into(),
        "[output]\nnull = \",\"".into(),
        "[output]\nencoding = \"latin1\"\nbom = true".into(),
        "[errors]\npolicy = \"quarantine\"\nmax_bad = \"200%\"".into(),
        "[[filter]]\nfrom = \"./a\"\neq = 1".into(),
        "[[filter]]\nfrom = \"/a\"\nmatches = \"(\"".into(),
    ] {
        let spec = parse(&toml);
        assert!(Spec::read("json-to-csv", &spec).is_err(), "this was read: {toml}");
        assert!(judge.takes(Kind::JsonToCsv, &spec), "the schema refuses {toml}: move it to the cases above");
    }
}
