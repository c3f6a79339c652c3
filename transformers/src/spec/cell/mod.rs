//! One value into one cell: what each type takes and what it writes.

mod decimal;
mod json;
mod mismatch;
mod moment;
mod rfc3339;
mod scalar;
mod shape;

pub use decimal::Decimal;
pub use mismatch::{Mismatch, Why};
pub(super) use moment::with_digits;
pub use moment::{Moment, MomentIn, MomentOut};
pub use shape::Shape;

use std::fmt;

use super::JsonText;

/// A value as a scanner finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// `null`, or what means null in CSV.
    Null,
    /// Text, decoded.
    Text(&'a str),
    /// A number, `true` or `false` as written, or an array or object as compact JSON.
    Bare(&'a str),
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing: the value was null, and what stands for that is not the type's business.
    Null,
    /// Text: CSV may have to quote it, JSON has to.
    Text,
    /// JSON that stands by itself: a number, a boolean, an array, an object; a JSON string only of the type
    /// `json`.
    Bare,
}

/// What a column is to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Not said: everything as it is.
    Any,
    /// Text; numbers and booleans become text as written.
    String,
    /// A number without point and exponent, of any length.
    Integer,
    /// A number of any length, written out without exponent.
    Decimal(Decimal),
    /// `true` or `false`.
    Boolean,
    /// A calendar day.
    Date(Moment),
    /// A point in time.
    DateTime(Moment),
    /// JSON.
    Json(JsonText),
}

impl Type {
    /// Appends the value's cell to `out`, unquoted, and says what it is.
    ///
    /// Text counts as the number, boolean or time that it spells, since CSV has nothing but text and many
    /// JSON exports write everything as text. Nothing is guessed: no blanks around, no thousands separators,
    /// no plus sign, no leading zeros.
    ///
    /// ```
    /// use outport_transform::spec::{Decimal, Form, Found, Type};
    /// let (amount, mut cell) = (Type::Decimal(Decimal { scale: Some(2), round: false }), Vec::new());
    /// assert_eq!(amount.write(Found::Bare("15e-1"), &mut cell), Ok(Form::Bare));
    /// assert_eq!(cell, b"1.50");
    /// let mismatch = amount.write(Found::Text("N/A"), &mut cell).unwrap_err();
    /// assert_eq!(mismatch.found.to_string(), "text of 3 characters (letters, punctuation)");
    /// ```
    ///
    /// # Errors
    /// The value is not of the type; `out` is then as it was.
    pub fn write(&self, found: Found<'_>, out: &mut Vec<u8>) -> Result<Form, Mismatch> {
        let before = out.len();
        let written = match self {
            _ if found == Found::Null => Ok(Form::Null),
            Self::Any => Ok(scalar::any(found, out)),
            Self::String => scalar::string(found, out),
            Self::Integer => scalar::integer(found, out),
            Self::Decimal(decimal) => decimal.write(found, out),
            Self::Boolean => scalar::boolean(found, out),
            Self::Date(moment) => moment.write_date(found, out),
            Self::DateTime(moment) => moment.write_time(found, out),
            Self::Json(text) => json::write(*text, found, out),
        };
        written.map_err(|why| {
            out.truncate(before);
            Mismatch { expected: self.to_string(), found: Shape::of(found), why }
        })
    }
}

/// The type as a person names it: `decimal(2)`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "value",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Decimal(Decimal { scale: Some(scale), .. }) => return write!(f, "decimal({scale})"),
            Self::Decimal(_) => "decimal",
            Self::Boolean => "boolean",
            Self::Date(_) => "date",
            Self::DateTime(_) => "datetime",
            Self::Json(_) => "json",
        })
    }
}
