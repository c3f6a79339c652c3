//! `[output]`: how rows and records are written.

use super::{CsvInjection, JsonLayout, LineEnding, Quote, TextEncoding};

/// A CSV output.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvOutput {
    /// What stands between two cells: one ASCII character, never `"`, CR, LF or NUL.
    pub delimiter: u8,
    /// Which cells are quoted.
    pub quote: Quote,
    /// How a row ends.
    pub line_ending: LineEnding,
    /// Whether the first row has the names of the columns.
    pub header: bool,
    /// Whether a byte order mark stands in front; only with an encoding that has one.
    pub bom: bool,
    /// The encoding of the file.
    pub encoding: TextEncoding,
    /// What stands for null, unquoted. Text that is spelt so is quoted, so the two differ.
    pub null: String,
    /// What stands for a key that is not there, unquoted.
    pub missing: String,
    /// What stands between the keys in the name of a column that was not given: `a.b`.
    pub nested_separator: String,
    /// What happens to arrays in columns without a type.
    pub arrays: Arrays,
    /// The guard against formulas.
    pub csv_injection: CsvInjection,
    /// The most columns that there may be: 1 to [`MOST_COLUMNS`](Self::MOST_COLUMNS).
    pub max_columns: usize,
}

impl CsvOutput {
    /// A million empty cells are a megabyte of commas a row; whoever needs more has keys that are data.
    pub const MOST_COLUMNS: usize = 1_000_000;
}

/// What happens to an array in a column without a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrays {
    /// One cell with the array as compact JSON.
    Json,
    /// One cell with the elements behind one another; an element that is an array or object makes the record
    /// bad.
    Join {
        /// What stands between two elements.
        separator: String,
    },
    /// A column for each index: `tags.0`, `tags.1`. Never together with given columns.
    Index {
        /// The most columns of one array, at least 1; a longer one makes the record bad.
        limit: usize,
    },
    /// The record is bad.
    Error,
}

/// A JSON output: UTF-8 without byte order mark, as RFC 8259 section 8.1 requires, members of null written,
/// missing ones left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonOutput {
    /// How records are written.
    pub layout: JsonLayout,
}
