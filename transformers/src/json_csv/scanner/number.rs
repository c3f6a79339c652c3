//! The grammar of numbers (RFC 8259 section 6), a byte at a time.

use super::super::problem::Problem;

/// How far a number has come. Named for what was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    ExponentSign,
    Exponent,
}

impl Number {
    /// The state after a number's first byte, if it can be one.
    pub(super) fn begin(byte: u8) -> Option<Self> {
        match byte {
            b'-' => Some(Self::Minus),
            b'0' => Some(Self::Zero),
            b'1'..=b'9' => Some(Self::Integer),
            _ => None,
        }
    }

    /// The state after one more byte, or none when the number ended before it.
    #[inline]
    pub(super) fn next(self, byte: u8) -> Result<Option<Self>, Problem> {
        use Number::{E, Exponent, ExponentSign, Fraction, Integer, Minus, Point, Zero};
        // Most bytes of a number are digits behind digits.
        if matches!(self, Integer | Fraction | Exponent) && byte.is_ascii_digit() {
            return Ok(Some(self));
        }
        Ok(Some(match (self, byte) {
            (Minus, b'0') => Zero,
            (Minus, b'1'..=b'9') | (Integer, b'0'..=b'9') => Integer,
            (Zero, b'0'..=b'9') => return Err(Problem::LeadingZero),
            (Zero | Integer, b'.') => Point,
            (Point | Fraction, b'0'..=b'9') => Fraction,
            (Zero | Integer | Fraction, b'e' | b'E') => E,
            (E, b'+' | b'-') => ExponentSign,
            (E | ExponentSign | Exponent, b'0'..=b'9') => Exponent,
            (Zero | Integer | Fraction | Exponent, _) => return Ok(None),
            (Minus | Point | E | ExponentSign, found) => return Err(Problem::Number { found }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes of the text are one whole number.
    fn length(text: &str) -> Result<usize, Problem> {
        // A comma ends any number.
        let bytes = format!("{text},").into_bytes();
        let mut state = Number::begin(bytes[0]).ok_or(Problem::Number { found: bytes[0] })?;
        for (at, byte) in bytes.iter().enumerate().skip(1) {
            match state.next(*byte)? {
                Some(next) => state = next,
                None => return Ok(at),
            }
        }
        unreachable!("the comma ends it")
    }

    #[test]
    fn numbers_of_the_grammar() {
        let long = "9".repeat(400);
        for text in [
            "0",
            "-0",
            "7",
            "-12",
            "0.5",
            "1.10",
            "1e5",
            "1E+2",
            "0e-0",
            "-1.5E-300",
            "1e400",
            "100.0",
            long.as_str(),
        ] {
            assert_eq!(length(text), Ok(text.len()), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_number() {
        for text in ["-", "1.", "1.e5", "1e", "1e+", "01", "-01", "00", ".5", "+1", "-.5", "- 1", "-a", "1ea"]
        {
            assert!(length(text).is_err(), "{text}");
        }
        // What follows a complete number is for the scanner to judge.
        for (text, whole) in [("1.5.5", 3), ("1-2", 1), ("0x1", 1), ("1e5e5", 3), ("1a", 1)] {
            assert_eq!(length(text), Ok(whole), "{text}");
        }
    }
}
