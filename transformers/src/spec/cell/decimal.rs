//! The type `decimal`: exact, of any length, on the digits as they stand.

use super::super::number::Number;
use super::scalar::spelling;
use super::{Form, Found, Why};

/// How a decimal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// How many digits stand behind the point, at most [`MOST_SCALE`](Self::MOST_SCALE); none: as many as
    /// there are.
    pub scale: Option<usize>,
    /// Whether digits that the scale has no room for are rounded, a half to the even digit (IEEE 754
    /// roundTiesToEven). Otherwise they are a mismatch, unless they are zeros.
    pub round: bool,
}

impl Decimal {
    /// What PostgreSQL lets a NUMERIC be declared with.
    pub const MOST_SCALE: usize = 1_000;
    /// The most zeros that an exponent may add. Without a limit the 11 bytes of `1e999999999` would be a
    /// gigabyte; IEEE 754 decimal128 ends at 10^6144.
    pub const MOST_ZEROS: i64 = 10_000;

    pub(super) fn write(self, found: Found<'_>, out: &mut Vec<u8>) -> Result<Form, Why> {
        let number = Number::parse(spelling(found)?).ok_or(Why::Other)?;
        match number.exponent {
            None if self.scale.is_none_or(|scale| number.fraction.len() <= scale) => {
                self.write_plain(number, out)
            }
            _ => self.write_moved(number, out)?,
        }
        Ok(Form::Bare)
    }

    /// Without exponent and with room for every digit, as nearly all are: three copies.
    fn write_plain(self, number: Number<'_>, out: &mut Vec<u8>) {
        if number.negative && !number.is_zero() {
            out.push(b'-');
        }
        out.extend_from_slice(number.whole);
        let scale = self.scale.unwrap_or(number.fraction.len());
        if scale > 0 {
            out.push(b'.');
            out.extend_from_slice(number.fraction);
            out.resize(out.len() + scale - number.fraction.len(), b'0');
        }
    }

    /// Digit by digit.
    fn write_moved(self, number: Number<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
        let digits = i64::try_from(number.len()).map_err(|_| Why::Exponent)?;
        let zero = number.is_zero();
        // Of zero the exponent says nothing but how many digits to write.
        let point = match number.point() {
            point if point - digits > Self::MOST_ZEROS && zero => digits,
            point if point - digits > Self::MOST_ZEROS => return Err(Why::Exponent),
            point => point,
        };
        let behind = (digits - point).max(0);
        let scale = match self.scale {
            Some(scale) => i64::try_from(scale).map_err(|_| Why::Exponent)?,
            None if behind - digits > Self::MOST_ZEROS => return Err(Why::Exponent),
            None => behind,
        };

        let start = out.len();
        let digit = |place: i64| match usize::try_from(point + place) {
            Ok(index) if index < number.len() => number.digit(index),
            _ => b'0',
        };
        out.extend((-point.max(1)..0).map(digit));
        if scale > 0 {
            out.push(b'.');
            out.extend((0..scale).map(digit));
        }

        let from = usize::try_from(point + scale).unwrap_or(0);
        let mut dropped = (from..number.len()).map(|index| number.digit(index));
        if dropped.clone().any(|digit| digit != b'0') {
            if !self.round {
                return Err(Why::Scale);
            }
            // Before the first digit written there are only zeros, which are less than a half.
            let first = if point + scale < 0 { b'0' } else { dropped.next().unwrap_or(b'0') };
            let odd = out.last().is_some_and(|last| last % 2 == 1);
            if first > b'5' || (first == b'5' && (odd || dropped.any(|digit| digit != b'0'))) {
                increment(out, start);
            }
        }

        // "0050" of 0.05e3: one digit stays.
        let zeros = out[start..].iter().take_while(|digit| **digit == b'0').count();
        let whole = out[start..].iter().position(|byte| *byte == b'.').unwrap_or(out.len() - start);
        out.drain(start..start + zeros.min(whole - 1));
        if number.negative && out[start..].iter().any(|byte| matches!(byte, b'1'..=b'9')) {
            out.insert(start, b'-');
        }
        Ok(())
    }
}

/// Adds one to the last digit.
fn increment(out: &mut Vec<u8>, start: usize) {
    for byte in out[start..].iter_mut().rev().filter(|byte| **byte != b'.') {
        if *byte != b'9' {
            *byte += 1;
            return;
        }
        *byte = b'0';
    }
    out.insert(start, b'1');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(scale: Option<usize>, round: bool, text: &str) -> Result<String, Why> {
        let mut out = b"x".to_vec();
        Decimal { scale, round }.write(Found::Bare(text), &mut out)?;
        Ok(String::from_utf8(out).unwrap()[1..].to_owned())
    }

    #[test]
    fn without_a_scale_the_digits_stay() {
        let long = format!("{}.{}", "7".repeat(400), "3".repeat(400));
        for (text, wanted) in [
            ("1.10", "1.10"),
            ("-1.10", "-1.10"),
            ("0", "0"),
            ("-0.0", "0.0"),
            ("1e3", "1000"),
            ("1.50e1", "15.0"),
            ("1.5E-3", "0.0015"),
            ("0.05e3", "50"),
            ("0.05e1", "0.5"),
            ("-12e-1", "-1.2"),
            ("0e99999", "0"),
            ("1234567890123456789012345678901234567890.5", "1234567890123456789012345678901234567890.5"),
            (&long, &long),
        ] {
            assert_eq!(written(None, false, text).as_deref(), Ok(wanted), "{text}");
        }
        assert_eq!(written(None, false, "1e400").unwrap(), format!("1{}", "0".repeat(400)));
        assert_eq!(written(None, false, "1e-400").unwrap(), format!("0.{}1", "0".repeat(399)));
    }

    #[test]
    fn a_scale_pads_and_refuses() {
        for (scale, text, wanted) in [
            (2, "1", Ok("1.00")),
            (2, "1.1", Ok("1.10")),
            (2, "1.23", Ok("1.23")),
            (2, "1.230", Ok("1.23")),
            (2, "-0", Ok("0.00")),
            (2, "1.234", Err(Why::Scale)),
            (2, "1e-3", Err(Why::Scale)),
            (2, "1e-999999999", Err(Why::Scale)),
            (2, "0e-999999999", Ok("0.00")),
            (0, "7", Ok("7")),
            (0, "7.0", Ok("7")),
            (0, "7.5", Err(Why::Scale)),
            (0, "75e-1", Err(Why::Scale)),
            (1, "75e-1", Ok("7.5")),
            (2, "1e99999", Err(Why::Exponent)),
            (2, "N/A", Err(Why::Other)),
            (2, "", Err(Why::Other)),
            (2, "true", Err(Why::Other)),
            (2, "[1]", Err(Why::Other)),
        ] {
            assert_eq!(written(Some(scale), false, text), wanted.map(str::to_owned), "{text}");
        }
        assert_eq!(written(None, false, "1e-99999"), Err(Why::Exponent));
    }

    #[test]
    fn a_half_goes_to_the_even_digit() {
        for (scale, text, wanted) in [
            (2, "1.005", "1.00"),
            (2, "1.015", "1.02"),
            (2, "1.0050000000000000000000001", "1.01"),
            (2, "-1.015", "-1.02"),
            (2, "-0.004", "0.00"),
            (2, "9.999", "10.00"),
            (2, "-99.995", "-100.00"),
            (0, "0.5", "0"),
            (0, "1.5", "2"),
            (0, "2.5", "2"),
            (0, "99.5", "100"),
            (0, "0.51", "1"),
            (2, "5e-3", "0.00"),
            (2, "15e-3", "0.02"),
            (2, "9e-4", "0.00"),
            (2, "9e-999999999", "0.00"),
        ] {
            assert_eq!(written(Some(scale), true, text).as_deref(), Ok(wanted), "{text}");
        }
    }

    /// mantissa * 10^-behind at a scale, half to even, in i128.
    fn oracle(mantissa: i128, behind: u32, scale: u32) -> i128 {
        let shifted = mantissa * 10_i128.pow(scale);
        let unit = 10_i128.pow(behind);
        let (quotient, rest) = (shifted.div_euclid(unit), shifted.rem_euclid(unit));
        match (rest * 2).cmp(&unit) {
            std::cmp::Ordering::Less => quotient,
            std::cmp::Ordering::Greater => quotient + 1,
            std::cmp::Ordering::Equal => quotient + quotient.rem_euclid(2),
        }
    }

    fn plain(value: i128, scale: u32) -> String {
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
        let sign = if value < 0 { "-" } else { "" };
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    proptest! {
        #[test]
        fn rounding_is_that_of_i128(
            mantissa in prop_oneof![-100_000_i128..100_000, -(10_i128.pow(18))..10_i128.pow(18)],
            behind in 0_u32..12, scale in 0_u32..8, moved in -6_i64..6,
        ) {
            let wanted = plain(oracle(mantissa, behind, scale), scale);
            let point = plain(mantissa, behind);
            prop_assert_eq!(written(Some(scale as usize), true, &point).unwrap(), wanted.clone());
            let shifted = format!("{mantissa}e-{behind}");
            prop_assert_eq!(written(Some(scale as usize), true, &shifted).unwrap(), wanted.clone());
            // The same value with the point moved and the exponent moved back.
            if behind as i64 + moved >= 0 {
                let places = u32::try_from(behind as i64 + moved).unwrap();
                let moved_text = format!("{}e{moved}", plain(mantissa, places));
                prop_assert_eq!(written(Some(scale as usize), true, &moved_text).unwrap(), wanted.clone());
            }
            // Without leave to round there is an answer exactly when nothing is lost.
            let exact = mantissa * 10_i128.pow(scale) % 10_i128.pow(behind) == 0;
            let strict = written(Some(scale as usize), false, &point);
            prop_assert_eq!(strict, if exact { Ok(wanted) } else { Err(Why::Scale) });
        }

        #[test]
        fn without_a_scale_the_value_stays(mantissa: i64, exponent in -30_i64..30) {
            let text = format!("{mantissa}e{exponent}");
            let plain = written(None, false, &text).unwrap();
            prop_assert!(!plain.contains('e'));
            let (written, given) = (Number::parse(&plain).unwrap(), Number::parse(&text).unwrap());
            prop_assert!(written.equals(&given), "{} {}", text, plain);
        }
    }
}
