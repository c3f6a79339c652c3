//! One cell: what a column makes of the value that was found for it, whatever the input's format.

use outport_core::code;

use super::bad::Bad;
use super::writer::Value;
use crate::spec::{Absent, Builtin, Column, Form, Found, Source};
use crate::transform::About;

/// What is known of a record beside its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// From 1.
    pub(super) number: u64,
    /// Of its first byte, from 0.
    pub(super) byte: u64,
}

/// Appends the text of a column's value to `cell`. `found` is none when the value is missing, and for columns that ask for none.
pub(super) fn write(
    column: &Column,
    found: Option<Found<'_>>,
    facts: Facts,
    about: &About,
    cell: &mut Vec<u8>,
) -> Result<Value, Bad> {
    let (from, ty, absent) = match &column.source {
        Source::Const(value) => {
            cell.extend_from_slice(value.text.as_bytes());
            return Ok(Value::of(value.form));
        }
        Source::Builtin(builtin) => return Ok(write_builtin(*builtin, facts, about, cell)),
        Source::Record { from, ty, absent } => (from, ty, absent),
    };
    let found = match (found, absent) {
        (None | Some(Found::Null), Absent::Default(value)) => {
            cell.extend_from_slice(value.text.as_bytes());
            return Ok(Value::of(value.form));
        }
        (None, Absent::Blank) => return Ok(Value::Missing),
        (Some(Found::Null), Absent::Blank) => return Ok(Value::Null),
        (None | Some(Found::Null), Absent::Required) => {
            return Err(Bad::absent(&column.name, found.is_some()).at(from.to_string()));
        }
        (Some(there), _) => there,
    };
    match ty.write(found, cell) {
        Ok(form) => Ok(Value::of(form)),
        Err(mismatch) => {
            let what = format!("column {:?}: {mismatch}", column.name);
            Err(Bad::new(&code::MAPPING_MISMATCH, what).with_hint(mismatch.why.hint()).at(from.to_string()))
        }
    }
}

fn write_builtin(builtin: Builtin, facts: Facts, about: &About, cell: &mut Vec<u8>) -> Value {
    match builtin {
        Builtin::RecordNumber => cell.extend_from_slice(facts.number.to_string().as_bytes()),
        Builtin::ByteOffset => cell.extend_from_slice(facts.byte.to_string().as_bytes()),
        Builtin::SourceKey => {
            cell.extend_from_slice(about.source_key.as_bytes());
            return Value::Text;
        }
        Builtin::RunTime => {
            cell.extend_from_slice(about.run_time.as_bytes());
            return Value::Text;
        }
    }
    Value::Bare
}

impl Value {
    fn of(form: Form) -> Self {
        match form {
            Form::Null => Self::Null,
            Form::Text => Self::Text,
            Form::Bare => Self::Bare,
        }
    }
}
