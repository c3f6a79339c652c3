//! `[[filter]]`: which records are written.

use regex::Regex;

use super::number::Number;
use super::{Found, Path};

/// What a record must pass to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The value that is looked at; relative only when there is an `explode`, and then each row is looked at.
    pub from: Path,
    /// What it must be.
    pub test: Test,
}

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Test {
    /// Equal.
    Eq(Scalar),
    /// Not equal; a missing value and null are not equal to anything.
    Ne(Scalar),
    /// Equal to one of them.
    In(Vec<Scalar>),
    /// There and not null (true), or missing or null (false).
    Exists(bool),
    /// Text, or a number or boolean as written, in which the pattern is found (not: which it covers).
    Matches(Regex),
}

/// A value that stands in a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    Text(String),
    /// A number, as written.
    Number(String),
    /// A boolean.
    Boolean(bool),
}

impl Scalar {
    /// It as a value of a record.
    pub fn as_found(&self) -> Found<'_> {
        match self {
            Self::Text(text) => Found::Text(text),
            Self::Number(number) => Found::Bare(number),
            Self::Boolean(true) => Found::Bare("true"),
            Self::Boolean(false) => Found::Bare("false"),
        }
    }

    /// Whether a value is the same: text by its characters, numbers by their value (`1.0` is `1`).
    fn is(&self, found: Found<'_>) -> bool {
        match (self, found) {
            (Self::Text(wanted), Found::Text(text)) => wanted == text,
            (Self::Number(wanted), Found::Bare(bare)) => {
                let both = || Number::parse(wanted).zip(Number::parse(bare));
                wanted == bare || both().is_some_and(|(wanted, found)| wanted.equals(&found))
            }
            (Self::Boolean(wanted), Found::Bare(bare)) => bare == if *wanted { "true" } else { "false" },
            _ => false,
        }
    }
}

impl Filter {
    /// Whether a record passes, given the value at [`from`](Self::from); none when it is missing.
    ///
    /// Text is never equal to a number or boolean: `"1"` is not `1`.
    pub fn passes(&self, found: Option<Found<'_>>) -> bool {
        let found = found.filter(|found| *found != Found::Null);
        match &self.test {
            Test::Eq(wanted) => found.is_some_and(|found| wanted.is(found)),
            Test::Ne(unwanted) => !found.is_some_and(|found| unwanted.is(found)),
            Test::In(wanted) => found.is_some_and(|found| wanted.iter().any(|one| one.is(found))),
            Test::Exists(wanted) => found.is_some() == *wanted,
            Test::Matches(pattern) => match found {
                Some(Found::Text(text)) => pattern.is_match(text),
                Some(Found::Bare(bare)) if !bare.starts_with(['[', '{']) => pattern.is_match(bare),
                _ => false,
            },
        }
    }
}

/// Two patterns are the same when they are written the same; a `Regex` itself does not compare.
impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Eq(a), Self::Eq(b)) | (Self::Ne(a), Self::Ne(b)) => a == b,
            (Self::In(a), Self::In(b)) => a == b,
            (Self::Exists(a), Self::Exists(b)) => a == b,
            (Self::Matches(a), Self::Matches(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes() {
        let text = |text: &str| Scalar::Text(text.to_owned());
        let one = || Scalar::Number("1".to_owned());
        let cases = [
            (Test::Eq(text("a")), Some(Found::Text("a")), true),
            (Test::Eq(text("a")), Some(Found::Text("A")), false),
            (Test::Eq(text("1")), Some(Found::Bare("1")), false),
            (Test::Eq(one()), Some(Found::Text("1")), false),
            (Test::Eq(one()), Some(Found::Bare("1.00")), true),
            (Test::Eq(one()), Some(Found::Bare("10e-1")), true),
            (Test::Eq(one()), Some(Found::Bare("1.0000000000000000000000001")), false),
            (Test::Eq(one()), Some(Found::Bare("[1]")), false),
            (Test::Eq(Scalar::Boolean(true)), Some(Found::Bare("true")), true),
            (Test::Eq(Scalar::Boolean(true)), Some(Found::Text("true")), false),
            (Test::Eq(Scalar::Boolean(false)), Some(Found::Null), false),
            (Test::Eq(text("")), None, false),
            (Test::Ne(text("a")), None, true),
            (Test::Ne(text("a")), Some(Found::Null), true),
            (Test::Ne(text("a")), Some(Found::Text("a")), false),
            (Test::In(vec![text("a"), one()]), Some(Found::Bare("1")), true),
            (Test::In(vec![text("a"), one()]), Some(Found::Text("b")), false),
            (Test::Exists(true), Some(Found::Text("")), true),
            (Test::Exists(true), Some(Found::Null), false),
            (Test::Exists(true), None, false),
            (Test::Exists(false), None, true),
            (Test::Exists(false), Some(Found::Bare("0")), false),
            (Test::Matches(Regex::new("^A").unwrap()), Some(Found::Text("A1")), true),
            (Test::Matches(Regex::new("^A").unwrap()), Some(Found::Text("1A")), false),
            (Test::Matches(Regex::new("^1").unwrap()), Some(Found::Bare("10")), true),
            (Test::Matches(Regex::new("1").unwrap()), Some(Found::Bare("[1]")), false),
            (Test::Matches(Regex::new("").unwrap()), None, false),
        ];
        for (test, found, passes) in cases {
            let filter = Filter { from: Path::parse("/a").unwrap(), test };
            assert_eq!(filter.passes(found), passes, "{filter:?} {found:?}");
        }
    }
}
