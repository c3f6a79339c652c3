//! Rows of CSV or records of JSON, from values in their order.

use super::bad::Bad;
use crate::json_csv::dialect::Dialect;
use crate::json_csv::row::Row;
use crate::json_csv::sink::Kind;
use crate::spec::JsonLayout;

/// What a value is that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// The key is not there.
    Missing,
    Null,
    Text,
    /// JSON that stands by itself.
    Bare,
}

/// Where rows go.
#[derive(Debug)]
pub(super) enum Writer {
    Csv { row: Row, dialect: Dialect },
    Json { layout: JsonLayout, is_first: bool, has_member: bool, scratch: Vec<u8> },
}

impl Writer {
    pub(super) fn csv(columns: usize, dialect: Dialect) -> Self {
        Self::Csv { row: Row::new(columns), dialect }
    }

    pub(super) fn json(layout: JsonLayout) -> Self {
        Self::Json { layout, is_first: true, has_member: false, scratch: Vec::new() }
    }

    pub(super) fn begin(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Csv { row, .. } => row.clear(),
            Self::Json { layout, is_first, has_member, .. } => {
                if *layout == JsonLayout::Array {
                    out.extend_from_slice(if *is_first { b"[\n" } else { b",\n" });
                }
                *has_member = false;
            }
        }
    }

    /// One value of the row; `write` appends its text.
    pub(super) fn value(
        &mut self,
        column: usize,
        name: &str,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Value, Bad>,
    ) -> Result<(), Bad> {
        match self {
            Self::Csv { row, .. } => match write(row.text())? {
                Value::Missing => {}
                Value::Null => row.set(column, Kind::Null),
                Value::Text => row.set(column, Kind::Text),
                Value::Bare => row.set(column, Kind::Bare),
            },
            Self::Json { has_member, scratch, .. } => {
                scratch.clear();
                let value = write(scratch)?;
                if value == Value::Missing {
                    return Ok(());
                }
                out.push(if *has_member { b',' } else { b'{' });
                *has_member = true;
                write_string(name, out);
                out.push(b':');
                match value {
                    Value::Text => write_string(std::str::from_utf8(scratch).unwrap_or_default(), out),
                    Value::Bare => out.extend_from_slice(scratch),
                    Value::Missing | Value::Null => out.extend_from_slice(b"null"),
                }
            }
        }
        Ok(())
    }

    /// Ends a row of columns.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Csv { row, dialect } => row.write(dialect, out),
            Self::Json { has_member, .. } => {
                out.extend_from_slice(if *has_member { b"}" } else { b"{}" });
                self.end_whole(out);
            }
        }
    }

    /// Ends a record that was written whole.
    pub(super) fn end_whole(&mut self, out: &mut Vec<u8>) {
        if let Self::Json { layout, is_first, .. } = self {
            if *layout == JsonLayout::Ndjson {
                out.push(b'\n');
            }
            *is_first = false;
        }
    }

    /// Whether nothing was written yet.
    pub(super) fn is_first(&self) -> bool {
        matches!(self, Self::Json { is_first: true, .. })
    }

    /// Takes rows back: nothing was written, if nothing was before them.
    pub(super) fn undo(&mut self, was_first: bool) {
        if let Self::Json { is_first, .. } = self {
            *is_first = was_first;
        }
    }

    /// What stands behind the last row.
    pub(super) fn finish(&self, out: &mut Vec<u8>) {
        if let Self::Json { layout: JsonLayout::Array, is_first, .. } = self {
            out.extend_from_slice(if *is_first { b"[]\n" } else { b"\n]\n" });
        }
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}
