//! A value that is not of its column's type.

use std::fmt;

use super::Shape;

/// A value is not of its column's type.
///
/// It holds the shape of the value and never the value: what goes to a log or a Fault must not carry content
/// (a cell may be a diagnosis), and "text of 3 characters (letters and punctuation)" is mostly enough to see
/// that somebody writes `N/A`. Whoever may see the record itself finds it by its number, or in the rejects
/// object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The type, as a person names it: `decimal(2)`.
    pub expected: String,
    /// What the value looked like.
    pub found: Shape,
    /// Why the one is not the other.
    pub why: Why,
}

/// Why a value is not of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is something else altogether.
    Other,
    /// It has digits behind the point that the scale would drop, and no `round` allows that.
    Scale,
    /// Written without exponent it would have more than [`Decimal::MOST_ZEROS`](super::Decimal::MOST_ZEROS)
    /// further zeros.
    Exponent,
    /// It is written in none of the formats of `in`.
    Format,
    /// It is a time that does not exist, or that lies outside the years -9999 to 9999.
    NoSuchTime,
    /// It is a leap second, which `out` could only write as another second.
    LeapSecond,
    /// It is a day without a time.
    NoTime,
    /// It is a local time, and no `tz` says where.
    NoZone,
    /// The clocks of `tz` skip this local time.
    Skipped,
    /// The clocks of `tz` show this local time twice.
    Repeated,
    /// It is a time that `out` cannot write.
    Unwritable,
    /// The text is not JSON.
    NotJson,
    /// It is, but a record with it would be refused.
    DoubtfulJson,
}

impl Why {
    /// The setting of the column that helps, if there is one.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Scale => Some("set a larger `scale` for the column, or round = \"half_even\""),
            Self::Format => Some("add the format to `in` of the column, or correct the record at its source"),
            Self::NoZone => Some("set `tz` of the column to the zone whose clocks the times are of"),
            _ => None,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)?;
        f.write_str(match self.why {
            Why::Other => "",
            Why::Scale => ": it would have to be rounded, and `round` is not set",
            Why::Exponent => ": without its exponent it would be longer than 10,000 digits",
            Why::Format => ": none of the formats of `in` fits",
            Why::NoSuchTime => ": there is no such time",
            Why::LeapSecond => ": it is a leap second",
            Why::NoTime => ": it is a day without a time",
            Why::NoZone => ": it is a local time, and `tz` does not say where",
            Why::Skipped => ": the clocks of `tz` skip this local time",
            Why::Repeated => ": the clocks of `tz` show this local time twice",
            Why::Unwritable => ": `out` cannot write this time",
            Why::NotJson => ": the text is not JSON",
            Why::DoubtfulJson => {
                ": in the JSON text a key stands twice in one object, half of a surrogate pair stands alone, or more than 126 arrays and \
                 objects are inside each other"
            }
        })
    }
}

impl std::error::Error for Mismatch {}
