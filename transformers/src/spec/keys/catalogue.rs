//! The keys.

use super::super::words::{
    ArraysWord, Builtin, Compression, CsvInjection, Decompression, DuplicateKeys, ExplodeEmpty, JsonLayout,
    Kind, Layout, LineEnding, PolicyWord, Quote, RoundWord, TypeWord, UnknownWord, Unmappable, Word,
};
use super::super::{CsvOutput, Decimal, JsonInput};
use super::{Key, Needs, Preset, Section, Shape};

const ALL: &[Kind] = &[Kind::JsonToCsv, Kind::CsvToJson, Kind::JsonToJson];
const FROM_JSON: &[Kind] = &[Kind::JsonToCsv, Kind::JsonToJson];
const TO_JSON: &[Kind] = &[Kind::CsvToJson, Kind::JsonToJson];
const TO_CSV: &[Kind] = &[Kind::JsonToCsv];
const FROM_CSV: &[Kind] = &[Kind::CsvToJson];

const fn key(
    name: &'static str,
    kinds: &'static [Kind],
    shape: Shape,
    default: Preset,
    about: &'static str,
) -> Key {
    Key { name, kinds, shape, default, needs: None, about }
}

const fn needing(key: &'static str, words: &'static [&'static str], of: Key) -> Key {
    Key { needs: Some(Needs { key, words }), ..of }
}

use Preset::{Boolean, Count, None as Nothing, Text};

pub(in super::super) static SPEC: Section = Section {
    name: "the spec",
    keys: &[
        key(
            "version",
            ALL,
            Shape::Count { least: 1, most: 1 },
            Count(1),
            "The version of the language of specs.",
        ),
        key("kind", ALL, Shape::Word(Kind::WORDS), Nothing, "The kind of transform that the spec is for."),
        key("input", ALL, Shape::Table(&INPUT), Nothing, "What is read."),
        key("output", ALL, Shape::Table(&OUTPUT), Nothing, "What is written."),
        key("errors", ALL, Shape::Table(&ERRORS), Nothing, "What bad records cost."),
        key("column", ALL, Shape::Tables(&COLUMN), Nothing, "The columns of the output, in their order."),
        key(
            "filter",
            ALL,
            Shape::Tables(&FILTER),
            Nothing,
            "What a record must pass to be written; all of them.",
        ),
    ],
};

pub(in super::super) static INPUT: Section = Section {
    name: "[input]",
    keys: &[
        key(
            "format",
            FROM_JSON,
            Shape::Word(Layout::WORDS),
            Text("auto"),
            "How the records stand in the file.",
        ),
        needing(
            "format",
            &["auto", "object"],
            key(
                "records",
                FROM_JSON,
                Shape::Pointer,
                Nothing,
                "JSON Pointer to the array of records in one object.",
            ),
        ),
        key(
            "explode",
            FROM_JSON,
            Shape::Pointer,
            Nothing,
            "JSON Pointer to the array of which each element is a row.",
        ),
        needing(
            "explode",
            &[],
            key(
                "explode_empty",
                FROM_JSON,
                Shape::Word(ExplodeEmpty::WORDS),
                Text("keep"),
                "What happens to a record without elements to explode.",
            ),
        ),
        key("delimiter", FROM_CSV, Shape::Delimiter, Text(","), "What stands between two cells."),
        key("header", FROM_CSV, Shape::Boolean, Boolean(true), "Whether the first row has the names."),
        key("null", FROM_CSV, Shape::Unquoted, Text(""), "The unquoted text that means null."),
        key("encoding", ALL, Shape::Name, Text("utf-8"), "A WHATWG label: utf-8, utf-16, windows-1252 ..."),
        key(
            "compression",
            ALL,
            Shape::Word(Decompression::WORDS),
            Text("auto"),
            "How the file is compressed.",
        ),
        key("max_record_bytes", ALL, Shape::Bytes, Text("64MiB"), "The most bytes that one record may have."),
        key(
            "max_depth",
            FROM_JSON,
            Shape::Count { least: 1, most: JsonInput::MOST_DEPTH as u64 },
            Count(128),
            "Objects and arrays open at once inside a record.",
        ),
        key(
            "duplicate_keys",
            FROM_JSON,
            Shape::Word(DuplicateKeys::WORDS),
            Text("error"),
            "What happens when an object holds a key twice.",
        ),
    ],
};

pub(in super::super) static OUTPUT: Section = Section {
    name: "[output]",
    keys: &[
        key("format", TO_JSON, Shape::Word(JsonLayout::WORDS), Text("ndjson"), "How records are written."),
        key("delimiter", TO_CSV, Shape::Delimiter, Text(","), "What stands between two cells."),
        key("quote", TO_CSV, Shape::Word(Quote::WORDS), Text("minimal"), "Which cells are quoted."),
        key("line_ending", TO_CSV, Shape::Word(LineEnding::WORDS), Text("lf"), "How a row ends."),
        key(
            "header",
            TO_CSV,
            Shape::Boolean,
            Boolean(true),
            "Whether the first row has the names of the columns.",
        ),
        key("bom", TO_CSV, Shape::Boolean, Boolean(false), "Whether a byte order mark stands in front."),
        key(
            "encoding",
            TO_CSV,
            Shape::Name,
            Text("utf-8"),
            "A WHATWG label: utf-8, utf-16, windows-1252 ...",
        ),
        needing(
            "encoding",
            &[],
            key(
                "unmappable",
                TO_CSV,
                Shape::Word(Unmappable::WORDS),
                Text("error"),
                "What happens to a character that a legacy encoding does not have.",
            ),
        ),
        key("null", TO_CSV, Shape::Unquoted, Text(""), "What stands for null."),
        key("missing", TO_CSV, Shape::Unquoted, Text(""), "What stands for a key that is not there."),
        key(
            "nested_separator",
            TO_CSV,
            Shape::Name,
            Text("."),
            "What stands between keys in the names of columns.",
        ),
        key("arrays", TO_CSV, Shape::Word(ArraysWord::WORDS), Text("json"), "What happens to arrays."),
        needing(
            "arrays",
            &["join"],
            key("array_join", TO_CSV, Shape::Text, Text(";"), "What stands between two joined elements."),
        ),
        needing(
            "arrays",
            &["index"],
            key(
                "array_index_limit",
                TO_CSV,
                Shape::Count { least: 1, most: CsvOutput::MOST_COLUMNS as u64 },
                Count(16),
                "The most columns of one array.",
            ),
        ),
        key(
            "csv_injection",
            TO_CSV,
            Shape::Word(CsvInjection::WORDS),
            Text("off"),
            "An apostrophe in front of text that a spreadsheet would run as a formula.",
        ),
        key(
            "max_columns",
            TO_CSV,
            Shape::Count { least: 1, most: CsvOutput::MOST_COLUMNS as u64 },
            Count(10_000),
            "The most columns that there may be.",
        ),
        key(
            "unknown_keys",
            ALL,
            Shape::Word(UnknownWord::WORDS),
            Nothing,
            "What happens to a key that is in no column: add without columns, else ignore.",
        ),
        key(
            "compression",
            ALL,
            Shape::Word(Compression::WORDS),
            Text("none"),
            "How the output is compressed.",
        ),
    ],
};

pub(in super::super) static ERRORS: Section = Section {
    name: "[errors]",
    keys: &[
        key(
            "policy",
            ALL,
            Shape::Word(PolicyWord::WORDS),
            Text("reject"),
            "Whether a bad record fails the file or goes to the rejects.",
        ),
        key(
            "max_bad",
            ALL,
            Shape::MaxBad,
            Text("0"),
            "How many records may be bad: a count, or a share as 0.1%.",
        ),
    ],
};

const MOMENTS: &[&str] = &[TypeWord::Date.as_str(), TypeWord::DateTime.as_str()];

pub(in super::super) static COLUMN: Section = Section {
    name: "[[column]]",
    keys: &[
        key("name", ALL, Shape::Name, Nothing, "The name of the column."),
        key(
            "from",
            ALL,
            Shape::Path,
            Nothing,
            "JSON Pointer to the value; ./x counts from the exploded element.",
        ),
        key("const", ALL, Shape::Scalar, Nothing, "The same value in every row."),
        key(
            "builtin",
            ALL,
            Shape::Word(Builtin::WORDS),
            Nothing,
            "What Outport itself knows about the record.",
        ),
        needing(
            "from",
            &[],
            key(
                "required",
                ALL,
                Shape::Boolean,
                Boolean(false),
                "Whether a record without the value is bad.",
            ),
        ),
        needing(
            "from",
            &[],
            key("default", ALL, Shape::Scalar, Nothing, "What stands for null or a missing value."),
        ),
        needing(
            "from",
            &[],
            key("type", ALL, Shape::Word(TypeWord::WORDS), Nothing, "What the value must be."),
        ),
        needing(
            "type",
            MOMENTS,
            key(
                "in",
                ALL,
                Shape::Texts,
                Text("rfc3339"),
                "rfc3339, unix, unix_ms or strptime patterns; first fit.",
            ),
        ),
        needing(
            "type",
            MOMENTS,
            key("out", ALL, Shape::Name, Text("rfc3339"), "rfc3339 or a strftime pattern."),
        ),
        needing(
            "type",
            MOMENTS,
            key("tz", ALL, Shape::Name, Nothing, "The IANA zone to read local times in and convert to."),
        ),
        needing(
            "type",
            &[TypeWord::Decimal.as_str()],
            key(
                "scale",
                ALL,
                Shape::Count { least: 0, most: Decimal::MOST_SCALE as u64 },
                Nothing,
                "The digits behind the point.",
            ),
        ),
        needing(
            "scale",
            &[],
            key(
                "round",
                ALL,
                Shape::Word(RoundWord::WORDS),
                Nothing,
                "Rounds what has more digits than the scale.",
            ),
        ),
    ],
};

pub(in super::super) static FILTER: Section = Section {
    name: "[[filter]]",
    keys: &[
        key("from", ALL, Shape::Path, Nothing, "JSON Pointer to the value that is looked at."),
        key("eq", ALL, Shape::Scalar, Nothing, "It must be equal to this."),
        key("ne", ALL, Shape::Scalar, Nothing, "It must not be equal to this."),
        key("in", ALL, Shape::Scalars, Nothing, "It must be equal to one of these."),
        key("exists", ALL, Shape::Boolean, Nothing, "Whether it must be there and not null."),
        key("matches", ALL, Shape::Text, Nothing, "A regular expression that must be found in it."),
    ],
};
