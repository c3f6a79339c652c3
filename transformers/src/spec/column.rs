//! `[[column]]`: which value makes which column.

use super::{Builtin, Form, Path, Type};

/// The columns of the output.
#[derive(Debug, Clone, PartialEq)]
pub enum Columns {
    /// Not given: the union of all keys, in the order in which they are first seen.
    Observed,
    /// Given, at least one, with names that differ; in the order of the output.
    Given {
        /// The columns.
        columns: Vec<Column>,
        /// What happens to a key that is in no column.
        others: Others,
    },
}

/// What happens to a key that no column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// It is left out.
    Ignore,
    /// The record is bad.
    Error,
}

/// One column of the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name: the header of the column, or the member's key.
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
}

/// Where the value of a column comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// From the record.
    Record {
        /// From where in the record; relative only when there is an `explode`.
        from: Path,
        /// What it is to be.
        ty: Type,
        /// What happens when it is missing or null.
        absent: Absent,
    },
    /// The same in every row.
    Const(Cell),
    /// From Outport itself.
    Builtin(Builtin),
}

/// What happens when a value is missing or null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// The cell says so: `missing` or `null` of `[output]`. In JSON a null stays null and a missing one is
    /// left out.
    Blank,
    /// The record is bad.
    Required,
    /// This stands in its place; it is of the column's type.
    Default(Cell),
}

/// A value that is ready to be written, as [`Type::write`] leaves one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The text, unquoted.
    pub text: String,
    /// Whether it is text or a number, boolean or other JSON; never [`Form::Null`].
    pub form: Form,
    /// As it stands in the spec: what [`Type::write`] made the text of.
    pub(super) given: super::Scalar,
}

/// What the type `json` does with text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonText {
    /// The input is JSON: a string becomes a JSON string, with its quotes.
    Quote,
    /// The input is CSV: a cell holds JSON, which is read.
    Read,
}
