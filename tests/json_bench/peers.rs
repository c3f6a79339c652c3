//! The other tools' options, each the best for that tool and input that keeps its data where it can. Where an option spares a tool
//! work that somebody who does not know the file could not spare it, it has it all the same.

use std::path::Path;
use std::process::Command;

use outport_tests::json_inputs::Shape;

/// Our specification for the input `wrapped`.
pub const WRAPPED_SPEC: &str = "wrapped.toml";
pub const DUCKDB: &str = "with_duckdb.py";
pub const POLARS: &str = "with_polars.py";
pub const PANDAS: &str = "with_pandas.py";

/// What lies beside the inputs: called with input, output, shape and number of threads.
pub const FILES: [(&str, &str); 4] = [
    (WRAPPED_SPEC, "[input]\nrecords = \"/items\"\n"),
    (DUCKDB, include_str!("peers/with_duckdb.py")),
    (POLARS, include_str!("peers/with_polars.py")),
    (PANDAS, include_str!("peers/with_pandas.py")),
];

/// Its program lies beside its Python. Dots between names as ours has them; `_link` columns only where there is a second table to
/// be linked (the observations of `nested`): without them it writes less.
pub fn flatterer(python: &Path, shape: Shape, input: &Path, output: &Path, threads: usize) -> Command {
    let mut command = Command::new(python.with_file_name("flatterer"));
    command.args(["--force", "--main-table-name", "main", "--path-separator", "."]);
    command.args(["--threads", &threads.to_string()]);
    if shape != Shape::Nested {
        command.arg("--no-link");
    }
    if shape.is_lines() {
        command.arg("--ndjson");
    }
    if shape == Shape::Wrapped {
        command.args(["--path", "items"]);
    }
    command.arg(input).arg(output);
    command
}

/// `-S`: numbers stay text, nothing is guessed. `unsparsify` holds the whole file in memory, so it stands only where records differ in
/// their keys: in `late`, and in `nested`, whose arrays it has flattened into columns (`tags.1`, `tags.2`).
pub fn miller(shape: Shape, input: &Path) -> Command {
    let mut command = Command::new("mlr");
    command.args(["-S", if shape.is_lines() { "--ijsonl" } else { "--ijson" }, "--ocsv"]);
    match shape {
        Shape::Late => command.arg("unsparsify"),
        // In front of it: by itself it comes last, and then every other set of keys begins with a header of its own.
        Shape::Nested => command.args(["flatten", "then", "unsparsify"]),
        Shape::Wrapped => command.args(["put", "-q", "for (_, item in $items) { emit1 item }"]),
        _ => command.arg("cat"),
    };
    command.arg(input);
    command
}

/// Columns by the first record and one record in memory at a time, but for `late`, where the union of all keys needs all records
/// (`--slurp`). Of `nested`, objects are flattened with dots and arrays are JSON text, as ours has them.
pub fn jq(shape: Shape, input: &Path) -> Command {
    const ROW: &str = "def row($keys): [.[$keys[]]] | @csv;";
    const FLAT: &str = "def cells($before): to_entries[] | ($before + .key) as $name | .value \
        | if type == \"object\" then cells($name + \".\") elif type == \"array\" then {($name): tojson} else {($name): .} end; \
        def flat: [cells(\"\")] | add;";
    let (options, program): (&[&str], &str) = match shape {
        Shape::Flat | Shape::Wide => (
            &["-n"],
            "input as $first | ($first | keys_unsorted) as $keys | ($keys | @csv), (($first, inputs) | row($keys))",
        ),
        Shape::Nested => (
            &["-n"],
            "(input | flat) as $first | ($first | keys_unsorted) as $keys | ($keys | @csv), ($first, (inputs | flat) | row($keys))",
        ),
        Shape::Array => (&[], "(.[0] | keys_unsorted) as $keys | ($keys | @csv), (.[] | row($keys))"),
        Shape::Wrapped => {
            (&[], ".items | (.[0] | keys_unsorted) as $keys | ($keys | @csv), (.[] | row($keys))")
        }
        Shape::Late => (
            &["--slurp"],
            "(reduce .[] as $record ({}; . + $record) | keys_unsorted) as $keys | ($keys | @csv), (.[] | row($keys))",
        ),
    };
    let mut command = Command::new("jq");
    command.arg("-r").args(options).arg(format!("{ROW} {FLAT} {program}")).arg(input);
    command
}
