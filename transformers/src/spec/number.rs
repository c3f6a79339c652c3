//! Numbers as JSON writes them (RFC 8259 section 6), taken apart without a float.

/// A number: its digits as they stand and the power of ten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    pub negative: bool,
    /// The digits before the point, at least one.
    pub whole: &'a [u8],
    /// The digits behind the point, perhaps none.
    pub fraction: &'a [u8],
    /// The power of ten; some only when one was written.
    pub exponent: Option<i64>,
}

impl<'a> Number<'a> {
    /// Takes a number apart; none when it is not the grammar's, or has an exponent of more than 15 digits,
    /// which no number that anybody counted with has.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, rest) = split_digits(rest);
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => match split_digits(rest) {
                ([], _) => return None,
                found => found,
            },
            rest => (&[][..], rest),
        };
        let exponent = match rest {
            [] => None,
            [b'e' | b'E', rest @ ..] => Some(power(rest)?),
            _ => return None,
        };
        Some(Self { negative, whole, fraction, exponent })
    }

    /// How many digits there are.
    pub fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// A digit by its place, from the first one written.
    pub fn digit(&self, index: usize) -> u8 {
        match index.checked_sub(self.whole.len()) {
            None => self.whole[index],
            Some(behind) => self.fraction.get(behind).copied().unwrap_or(b'0'),
        }
    }

    /// How many digits stand before the point once the exponent is applied; negative: so many zeros behind
    /// it.
    pub fn point(&self) -> i64 {
        // The lengths of texts in memory, and an exponent of 15 digits: far from the ends of i64.
        i64::try_from(self.whole.len()).unwrap_or(i64::MAX / 2) + self.exponent.unwrap_or(0)
    }

    /// Whether every digit is zero.
    pub fn is_zero(&self) -> bool {
        self.first().is_none()
    }

    /// The place of the first digit that is not zero; none for zero.
    fn first(&self) -> Option<usize> {
        (0..self.len()).find(|index| self.digit(*index) != b'0')
    }

    /// Whether two are the same value.
    pub fn equals(&self, other: &Number<'_>) -> bool {
        let (Some(first), Some(others)) = (self.first(), other.first()) else {
            return self.first() == other.first();
        };
        let size =
            |number: &Number<'_>, first: usize| number.point() - i64::try_from(first).unwrap_or(i64::MAX / 2);
        let most = (self.len() - first).max(other.len() - others);
        self.negative == other.negative
            && size(self, first) == size(other, others)
            && (0..most).all(|index| self.digit(first + index) == other.digit(others + index))
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn power(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let (digits, rest) = split_digits(digits);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = &digits[zeros..];
    (digits.len() <= 15)
        .then(|| sign * digits.iter().fold(0, |power, digit| power * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grammar_is_that_of_json() {
        for text in
            ["0", "-0", "10", "0.0", "1.10", "1e5", "1E+05", "-1.5e-3", "0e0", "1e000000000000000000001"]
        {
            assert!(Number::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "1.",
            ".5",
            "1e",
            "1e+",
            " 1",
            "1 ",
            "1.5.2",
            "0x1",
            "1_000",
            "1,5",
            "NaN",
            "--1",
            "1e1.5",
            "1e1000000000000000",
            "١",
        ] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn values_compare_not_spellings() {
        for (a, b, same) in [
            ("0", "-0.00e7", true),
            ("1", "1.000", true),
            ("100", "1e2", true),
            ("0.001", "1E-3", true),
            ("1.5", "15e-1", true),
            ("1", "-1", false),
            ("1", "10", false),
            ("1", "1.0000000000000000000000000001", false),
            ("0", "1e-400", false),
            ("9007199254740993", "9007199254740992", false),
        ] {
            let (left, right) = (Number::parse(a).unwrap(), Number::parse(b).unwrap());
            assert_eq!(left.equals(&right), same, "{a} {b}");
            assert_eq!(right.equals(&left), same, "{b} {a}");
        }
    }

    proptest! {
        /// mantissa * 10^exponent over a common denominator of 10^10, in i128.
        #[test]
        fn equality_is_that_of_i128(
            a in -99_999_i128..99_999, b in -99_999_i128..99_999, e in -10_i64..10, f in -10_i64..10,
        ) {
            let power = |exponent: i64| 10_i128.pow(u32::try_from(exponent + 10).unwrap());
            let value = |mantissa: i128, exponent: i64| mantissa * power(exponent);
            let (left, right) = (format!("{a}e{e}"), format!("{b}e{f}"));
            let same = Number::parse(&left).unwrap().equals(&Number::parse(&right).unwrap());
            prop_assert_eq!(same, value(a, e) == value(b, f));
            let shifted = format!("{a}0.00E{}", e - 1);
            prop_assert!(Number::parse(&left).unwrap().equals(&Number::parse(&shifted).unwrap()));
        }
    }
}
