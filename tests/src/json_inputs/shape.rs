//! What the files are like.

use super::random::Random;
use super::{flat, nested, wide};

/// One kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// Records of 15 fields, one per line
    Flat,
    /// Three levels of objects, an array of strings, an array of objects; one per line
    Nested,
    /// The flat records in one array on one line
    Array,
    /// The flat records in an array inside an object
    Wrapped,
    /// Records of 500 fields, one per line
    Wide,
    /// The flat records, and a new key in the very last one
    Late,
}

/// What stands around the records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub before: &'static str,
    pub between: &'static str,
    pub after: &'static str,
}

impl Shape {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 6] = [Self::Flat, Self::Nested, Self::Array, Self::Wrapped, Self::Wide, Self::Late];

    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Nested => "nested",
            Self::Array => "array",
            Self::Wrapped => "wrapped",
            Self::Wide => "wide",
            Self::Late => "late",
        }
    }

    /// What a file of this shape is called; readers go by the ending.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Flat => "flat.ndjson",
            Self::Nested => "nested.ndjson",
            Self::Array => "array.json",
            Self::Wrapped => "wrapped.json",
            Self::Wide => "wide.ndjson",
            Self::Late => "late.ndjson",
        }
    }

    /// Whether every line is one record.
    pub const fn is_lines(self) -> bool {
        !matches!(self, Self::Array | Self::Wrapped)
    }

    pub(super) const fn frame(self) -> Frame {
        match self {
            Self::Array => Frame { before: "[", between: ",", after: "]\n" },
            Self::Wrapped => Frame {
                before: "{\"meta\":{\"version\":1,\"source\":\"ward\"},\"items\":[",
                between: ",\n  ",
                after: "],\"total\":1}\n",
            },
            _ => Frame { before: "", between: "\n", after: "\n" },
        }
    }

    /// Appends record `number` (from 0).
    pub(super) fn record(self, random: &mut Random, number: u64, out: &mut Vec<u8>) {
        match self {
            Self::Flat | Self::Array | Self::Wrapped | Self::Late => flat::record(random, number, out),
            Self::Nested => nested::record(random, number, out),
            Self::Wide => wide::record(random, number, out),
        }
    }
}
