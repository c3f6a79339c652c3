//! The mapping spec: what comes in, what goes out, and which value makes which column. docs/MAPPING.md is its
//! reference for whoever writes one.
//!
//! [`Spec::read`] is the only way to make a [`Spec`], and what it makes is checked: who carries a spec out
//! matches on enums and has no wrong state to think of.

mod cell;
mod column;
mod encoding;
mod explain;
mod filter;
mod input;
mod keys;
mod number;
mod output;
mod pointer;
mod policy;
mod read;
mod schema;
mod words;
mod zone;

pub use cell::{Decimal, Form, Found, Mismatch, Moment, MomentIn, MomentOut, Shape, Type, Why};
pub use column::{Absent, Cell, Column, Columns, JsonText, Others, Source};
pub use encoding::TextEncoding;
pub use filter::{Filter, Scalar, Test};
pub use input::{CsvInput, Explode, Input, JsonInput};
pub use output::{Arrays, CsvOutput, JsonOutput};
pub use pointer::Path;
pub use policy::{ErrorPolicy, MaxBad};
pub use words::{
    Builtin, Compression, CsvInjection, Decompression, DuplicateKeys, ExplodeEmpty, JsonLayout, Kind, Layout,
    LineEnding, Quote, Unmappable,
};

/// A mapping spec as understood: every default filled in, every rule checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    conversion: Conversion,
    input: Input,
    compression: Compression,
    columns: Columns,
    filters: Vec<Filter>,
    errors: ErrorPolicy,
}

/// What is read and what is written, with the settings that only the one or the other has.
#[derive(Debug, Clone, PartialEq)]
pub enum Conversion {
    /// `json-to-csv`.
    JsonToCsv {
        /// How records are found.
        input: JsonInput,
        /// How rows are written.
        output: CsvOutput,
    },
    /// `csv-to-json`.
    CsvToJson {
        /// How rows are found.
        input: CsvInput,
        /// How records are written.
        output: JsonOutput,
    },
    /// `json-to-json`.
    JsonToJson {
        /// How records are found.
        input: JsonInput,
        /// How records are written.
        output: JsonOutput,
    },
}

impl Spec {
    /// The kind of transform that it is for.
    pub fn kind(&self) -> Kind {
        match self.conversion {
            Conversion::JsonToCsv { .. } => Kind::JsonToCsv,
            Conversion::CsvToJson { .. } => Kind::CsvToJson,
            Conversion::JsonToJson { .. } => Kind::JsonToJson,
        }
    }

    /// What is read and what is written.
    pub fn conversion(&self) -> &Conversion {
        &self.conversion
    }

    /// What holds for an input of either format.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// How the output is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The columns (in JSON: members) of the output.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// What a record must pass to be written; all of them.
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// What happens to the file when a record is bad.
    pub fn errors(&self) -> ErrorPolicy {
        self.errors
    }
}
