//! What a value looks like, without what it says.

use std::fmt;

use super::super::number::Number;
use super::Found;

/// What a value looks like: enough to see what went wrong, not enough to know the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Null.
    Null,
    /// Text.
    Text {
        /// How many characters.
        chars: usize,
        /// Whether letters are in it.
        letters: bool,
        /// Whether digits are in it.
        digits: bool,
        /// Whether blanks are in it.
        blanks: bool,
        /// Whether anything else is in it.
        punctuation: bool,
    },
    /// A number.
    Number {
        /// How many digits stand before the point.
        whole: usize,
        /// How many stand behind it.
        fraction: usize,
        /// Whether it is written with an exponent.
        exponent: bool,
    },
    /// A boolean.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Shape {
    /// The shape of a value.
    pub fn of(found: Found<'_>) -> Self {
        match found {
            Found::Null => Self::Null,
            Found::Text(text) => {
                let any = |is: fn(char) -> bool| text.chars().any(is);
                Self::Text {
                    chars: text.chars().count(),
                    letters: any(char::is_alphabetic),
                    digits: any(char::is_numeric),
                    blanks: any(char::is_whitespace),
                    punctuation: any(|c| !c.is_alphanumeric() && !c.is_whitespace()),
                }
            }
            Found::Bare(bare) => match bare.as_bytes().first() {
                Some(b'[') => Self::Array,
                Some(b'{') => Self::Object,
                Some(b't' | b'f') => Self::Boolean,
                _ => match Number::parse(bare) {
                    Some(number) => Self::Number {
                        whole: number.whole.len(),
                        fraction: number.fraction.len(),
                        exponent: number.exponent.is_some(),
                    },
                    // Only a number whose exponent is longer than 15 digits.
                    None => Self::Number { whole: 0, fraction: 0, exponent: true },
                },
            },
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Null => f.write_str("null"),
            Self::Text { chars: 0, .. } => f.write_str("empty text"),
            Self::Text { chars, letters, digits, blanks, punctuation } => {
                let classes = [
                    (letters, "letters"),
                    (digits, "digits"),
                    (blanks, "blanks"),
                    (punctuation, "punctuation"),
                ];
                let classes: Vec<_> =
                    classes.iter().filter(|(there, _)| *there).map(|(_, name)| *name).collect();
                let plural = if chars == 1 { "" } else { "s" };
                write!(f, "text of {chars} character{plural} ({})", classes.join(", "))
            }
            Self::Number { whole: 0, .. } => f.write_str("a number with a very long exponent"),
            Self::Number { whole, fraction, exponent } => {
                let plural = if whole == 1 { "" } else { "s" };
                write!(f, "a number with {whole} digit{plural} before and {fraction} behind the point")?;
                if exponent { f.write_str(", and an exponent") } else { Ok(()) }
            }
            Self::Boolean => f.write_str("a boolean"),
            Self::Array => f.write_str("an array"),
            Self::Object => f.write_str("an object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_say_nothing_of_the_content() {
        for (found, shape) in [
            (Found::Text("N/A"), "text of 3 characters (letters, punctuation)"),
            (Found::Text("Ann Öz 7"), "text of 8 characters (letters, digits, blanks)"),
            (Found::Text("é"), "text of 1 character (letters)"),
            (Found::Text(""), "empty text"),
            (Found::Bare("12.345"), "a number with 2 digits before and 3 behind the point"),
            (Found::Bare("-1e5"), "a number with 1 digit before and 0 behind the point, and an exponent"),
            (Found::Bare("1e1234567890123456"), "a number with a very long exponent"),
            (Found::Bare("true"), "a boolean"),
            (Found::Bare("[1]"), "an array"),
            (Found::Bare("{}"), "an object"),
            (Found::Null, "null"),
        ] {
            assert_eq!(Shape::of(found).to_string(), shape);
        }
    }
}
