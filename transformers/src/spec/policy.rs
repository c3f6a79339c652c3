//! `[errors]`: what bad records cost.

use std::fmt;

/// What happens to the file when a record is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// The first bad record fails the file.
    Reject,
    /// Bad records go to the rejects object.
    Quarantine {
        /// Up to here; more fail the file.
        max_bad: MaxBad,
    },
}

/// How many records may be bad; never none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxBad {
    /// So many.
    Count(u64),
    /// So many in a million (0.1 % is 1,000; at most 1,000,000), which only the end of the file can tell.
    PerMillion(u32),
}

impl MaxBad {
    /// Reads `100` or `0.1%`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some(percent) = text.strip_suffix('%') else { return digits(text).map(Self::Count) };
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
        if fraction.len() > 4 {
            return None;
        }
        let scale = 10_u64.pow(4 - u32::try_from(fraction.len()).ok()?);
        let per_million = digits(whole)?.checked_mul(10_000)?.checked_add(digits(fraction)? * scale)?;
        u32::try_from(per_million).ok().filter(|share| *share <= 1_000_000).map(Self::PerMillion)
    }

    /// Whether `bad` of `records` are still within it. Ask at the end of the file; before that, only a count
    /// that is exceeded is certain.
    pub fn allows(self, bad: u64, records: u64) -> bool {
        match self {
            Self::Count(most) => bad <= most,
            Self::PerMillion(share) => u128::from(bad) * 1_000_000 <= u128::from(records) * u128::from(share),
        }
    }

    pub(super) fn is_none(self) -> bool {
        matches!(self, Self::Count(0) | Self::PerMillion(0))
    }
}

/// `u64::from_str` would take a plus sign too.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for MaxBad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(most) => write!(f, "{most}"),
            Self::PerMillion(share) => {
                let fraction = format!("{:04}", share % 10_000);
                match fraction.trim_end_matches('0') {
                    "" => write!(f, "{}%", share / 10_000),
                    digits => write!(f, "{}.{digits}%", share / 10_000),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares() {
        let cases = [
            ("0", Some(MaxBad::Count(0))),
            ("250", Some(MaxBad::Count(250))),
            ("0.1%", Some(MaxBad::PerMillion(1_000))),
            ("100%", Some(MaxBad::PerMillion(1_000_000))),
            ("12.3456%", Some(MaxBad::PerMillion(123_456))),
            ("100.0001%", None),
            ("0.00001%", None),
            ("-1", None),
            ("+1", None),
            ("1 %", None),
            ("", None),
            ("%", None),
            (".5%", None),
            ("1.%", None),
            ("many", None),
            ("99999999999999999999%", None),
        ];
        for (text, read) in cases {
            assert_eq!(MaxBad::parse(text), read, "{text}");
            if let Some(read) = read {
                assert_eq!(read.to_string(), text);
            }
        }
    }

    #[test]
    fn a_share_is_exact() {
        let one_in_a_thousand = MaxBad::PerMillion(1_000);
        assert!(one_in_a_thousand.allows(1, 1_000));
        assert!(!one_in_a_thousand.allows(1, 999));
        assert!(one_in_a_thousand.allows(u64::MAX / 1_000, u64::MAX));
        assert!(MaxBad::Count(3).allows(3, 3) && !MaxBad::Count(3).allows(4, 1_000_000));
    }
}
