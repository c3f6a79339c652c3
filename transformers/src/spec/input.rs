//! `[input]`: what is read.

use encoding_rs::Encoding;

use super::{Decompression, DuplicateKeys, ExplodeEmpty, Layout, Path};

/// What holds for an input of either format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// The encoding of the text; never encoding_rs's "replacement", which decodes nothing. A byte order mark
    /// in front says more than this does.
    pub encoding: &'static Encoding,
    /// How it is compressed.
    pub compression: Decompression,
    /// The most bytes that one record may have, decompressed, as it stands in the input: 1 to
    /// [`MOST_RECORD_BYTES`](Self::MOST_RECORD_BYTES).
    pub max_record_bytes: u64,
}

impl Input {
    /// Offsets inside a record are kept in 32 bits, so no record is larger.
    pub const MOST_RECORD_BYTES: u64 = 1 << 30;
}

/// A JSON input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonInput {
    /// How records stand in it. Only [`Layout::Auto`] and [`Layout::Object`] come with `records`.
    pub layout: Layout,
    /// The array of records inside one object; none when the records are the input's own top level.
    pub records: Option<Path>,
    /// The array inside each record that makes a row of each of its elements.
    pub explode: Option<Explode>,
    /// Containers open at once inside a record, the record itself being the first: 1 to
    /// [`MOST_DEPTH`](Self::MOST_DEPTH).
    pub max_depth: usize,
    /// What happens when an object holds a key twice.
    pub duplicate_keys: DuplicateKeys,
}

impl JsonInput {
    /// Data is never nested so deeply; a higher limit would only help whoever wants to hurt the reader of the
    /// output.
    pub const MOST_DEPTH: usize = 10_000;
}

/// One array that makes a row of each of its elements; the rest of the record repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explode {
    /// The array; never relative, never the whole record.
    pub path: Path,
    /// What happens to a record in which it is missing, null or empty.
    pub empty: ExplodeEmpty,
}

/// A CSV input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvInput {
    /// What stands between two cells: one ASCII character, never `"`, CR, LF or NUL.
    pub delimiter: u8,
    /// Whether the first row has the names. Without it, the names are the numbers `1`, `2`, ...
    pub header: bool,
    /// The unquoted text that means null; a quoted cell is always text.
    pub null: String,
}
