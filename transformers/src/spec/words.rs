//! The words a key can have: one enum each, with its spelling, so that neither the reader nor the schema
//! knows them twice.

/// An enum whose variants are words of the spec.
pub(super) trait Word: Copy + 'static {
    /// Every word, in the order in which the documentation lists them.
    const WORDS: &'static [&'static str];
    /// The variant that is spelt so.
    fn of(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$why:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$why])* $variant,)*
        }
        impl $name {
            /// The word of the spec.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
        impl Word for $name {
            const WORDS: &'static [&'static str] = &[$($word),*];
            fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

words! {
    /// The transforms that have a mapping spec.
    Kind {
        /// JSON records to CSV.
        JsonToCsv = "json-to-csv",
        /// CSV rows to JSON records.
        CsvToJson = "csv-to-json",
        /// JSON records to JSON records: selected, filtered, renamed.
        JsonToJson = "json-to-json",
    }
    /// How the records of a JSON input stand in it.
    Layout {
        /// By the first byte and what follows it.
        Auto = "auto",
        /// One record a line.
        Ndjson = "ndjson",
        /// One top-level array of records.
        Array = "array",
        /// One object: the record, or what wraps the array that `records` names.
        Object = "object",
        /// One record after the other, with or without blanks between.
        Concat = "concat",
    }
    /// How the input is compressed.
    Decompression {
        /// By its magic bytes (RFC 1952 gzip, RFC 8878 zstd); plain without them.
        Auto = "auto",
        /// Not at all.
        None = "none",
        /// gzip.
        Gzip = "gzip",
        /// Zstandard.
        Zstd = "zstd",
    }
    /// How the output is compressed.
    Compression {
        /// Not at all.
        None = "none",
        /// gzip.
        Gzip = "gzip",
        /// Zstandard.
        Zstd = "zstd",
    }
    /// What happens to a record without elements to explode.
    ExplodeEmpty {
        /// One row, with nothing in the columns of the element.
        Keep = "keep",
        /// No row.
        Drop = "drop",
    }
    /// What happens when an object holds a key twice.
    DuplicateKeys {
        /// The record is bad.
        Error = "error",
        /// The last value counts, as in most JSON libraries.
        Last = "last",
        /// The first value counts.
        First = "first",
    }
    /// Which cells are quoted.
    Quote {
        /// Those that RFC 4180 requires, and empty text.
        Minimal = "minimal",
        /// Every one.
        All = "all",
        /// All but numbers and booleans.
        NonNumeric = "non_numeric",
    }
    /// How a row ends.
    LineEnding {
        /// LF.
        Lf = "lf",
        /// CR LF, as RFC 4180 says.
        Crlf = "crlf",
    }
    /// The guard against cells that a spreadsheet would run as a formula.
    CsvInjection {
        /// Cells stay as they are.
        Off = "off",
        /// An apostrophe in front of text (never a number) that starts with `=`, `+`, `-`, `@`, TAB or CR.
        Prefix = "prefix",
    }
    /// What happens to a character that the output's encoding does not have.
    Unmappable {
        /// The record is bad.
        Error = "error",
        /// A question mark in its place.
        Question = "?",
    }
    /// How JSON records are written.
    JsonLayout {
        /// One a line.
        Ndjson = "ndjson",
        /// One array of them.
        Array = "array",
    }
    /// What Outport itself knows about a record.
    Builtin {
        /// Its number in the input, from 1.
        RecordNumber = "record_number",
        /// The object key of the input.
        SourceKey = "source_key",
        /// The offset of its first byte in the decompressed input, from 0.
        ByteOffset = "byte_offset",
        /// When the transform started, RFC 3339 in UTC.
        RunTime = "run_time",
    }
    /// The words of `unknown_keys`; what they become is [`Columns`](super::Columns).
    UnknownWord {
        Add = "add",
        Ignore = "ignore",
        Error = "error",
    }
    /// The words of `arrays`; what they become is [`Arrays`](super::Arrays).
    ArraysWord {
        Json = "json",
        Join = "join",
        Index = "index",
        Error = "error",
    }
    /// The words of `policy`; what they become is [`ErrorPolicy`](super::ErrorPolicy).
    PolicyWord {
        Reject = "reject",
        Quarantine = "quarantine",
    }
    /// The words of `type`; what they become is [`Type`](super::Type).
    TypeWord {
        String = "string",
        Integer = "integer",
        Decimal = "decimal",
        Boolean = "boolean",
        Date = "date",
        DateTime = "datetime",
        Json = "json",
    }
    /// The words of `round`.
    RoundWord {
        HalfEven = "half_even",
    }
}
