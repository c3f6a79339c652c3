//! Key patterns: which keys of a bucket belong to a file group, and what their parts are called.
//!
//! | token | stands for |
//! |---|---|
//! | `?` | one character, not a slash |
//! | `*` | any number of characters within a segment, also none |
//! | `{name}` | one or more characters within a segment, kept under that name |
//! | `**` | as a whole segment: any number of folders, also none; at the end: everything below (at least one segment) |
//! | `\` | takes the meaning from the following `?`, `*`, `{`, `}` or `\` |
//!
//! Where a key can be read in several ways, each token in turn takes the fewest characters that let the rest still fit:
//! `{partner}_{rest}.csv` reads `acme_eu_1.csv` as partner `acme` and rest `eu_1`.

mod like;
mod matching;
mod parse;

pub(crate) use parse::is_name;

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use crate::fault::Fault;
use crate::key::ObjectKey;

/// The longest pattern, in bytes; with [`MAX_KEY_BYTES`](crate::key::MAX_KEY_BYTES) it bounds the work of one match.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// Names that a capture cannot have, because the remote name template gives them a meaning of its own.
pub const RESERVED_NAMES: [&str; 8] =
    ["stem", "ext", "source_ext", "name", "key", "arrived", "sequence", "part"];

/// A parsed key pattern.
///
/// ```
/// use outport_core::{KeyPattern, ObjectKey};
/// let pattern = KeyPattern::parse("claims/{sender}/{date}/*.json")?;
/// let captures = pattern.matches(&ObjectKey::new("claims/acme/2026-01-02/batch 1.json")?).unwrap();
/// assert_eq!(captures.get("sender"), Some("acme"));
/// assert!(pattern.matches(&ObjectKey::new("claims/acme/batch.json")?).is_none());
/// # Ok::<(), outport_core::Fault>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPattern {
    text: String,
    tokens: Vec<Token>,
}

/// One step of a match. `Folders` only stands where a segment begins, and `Rest` only there and at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// This text.
    Literal(String),
    /// `?`
    AnyChar,
    /// `*`
    Star,
    /// `{name}`
    Capture(String),
    /// `**/`
    Folders,
    /// `**` at the end
    Rest,
}

impl KeyPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// `config.invalid`, with the position (the first character is 1), for anything that is not a pattern, and for a
    /// pattern that no key could ever match.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self { text: text.to_owned(), tokens: parse::tokens(text)? })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the captures, from left to right.
    pub fn capture_names(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Capture(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The captures of this key, or `None` when the key does not fit. Work and memory are bounded by the product of the
    /// two lengths, whatever the pattern.
    pub fn matches(&self, key: &ObjectKey) -> Option<Captures> {
        matching::captures(&self.tokens, key.as_str())
    }

    /// The pattern for SQL's `LIKE ... ESCAPE '\'`, which matches all that this one does and perhaps more: a database
    /// narrows by it, [`matches`](Self::matches) decides.
    pub fn like(&self) -> String {
        like::like(&self.tokens)
    }

    /// How exact the pattern is; of several patterns that fit, the greatest decides.
    pub fn specificity(&self) -> Specificity {
        let chars = |token: &Token| match token {
            Token::Literal(text) => text.chars().count(),
            // Its slash is written out, too: `a/**/b` has as many literal characters as `a/*/b`.
            Token::Folders => 1,
            Token::AnyChar | Token::Star | Token::Capture(_) | Token::Rest => 0,
        };
        Specificity {
            leading: match self.tokens.first() {
                Some(token @ Token::Literal(_)) => chars(token),
                _ => 0,
            },
            literal: self.tokens.iter().map(chars).sum(),
            deep: Reverse(self.tokens.iter().filter(|t| matches!(t, Token::Folders | Token::Rest)).count()),
        }
    }
}

/// How exact a pattern is: literal characters before the first wildcard, then literal characters in all, then fewer
/// `**`. Greater is more exact. A capture counts as a wildcard, an escaped character as one literal character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    leading: usize,
    literal: usize,
    deep: Reverse<usize>,
}

/// The named parts of a key, in the order of the pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures(Vec<(String, String)>);

impl Captures {
    /// The text under this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, text)| text)
    }

    /// Name and text, from left to right.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Whether the pattern has no captures.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, T: Into<String>> FromIterator<(N, T)> for Captures {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, text)| (name.into(), text.into())).collect())
    }
}

impl fmt::Debug for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPattern({:?})", self.text)
    }
}
impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl FromStr for KeyPattern {
    type Err = Fault;
    fn from_str(text: &str) -> Result<Self, Fault> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_exact_is_greater() {
        // From the least exact to the most exact.
        let order = [
            "**",
            "*",
            "{name_}",
            "*.json",
            "**/*.json",
            "*/batch.json",
            "c*",
            "claims/**",
            "claims/*",
            "claims/**/*.json",
            "claims/{sender}/*.json",
            "claims/acme/**",
            "claims/acme/*",
            "claims/acme/?.json",
            "claims/acme/a.json",
        ];
        let exact = |text: &str| KeyPattern::parse(text).unwrap().specificity();
        for pair in order.windows(2) {
            let same = matches!(pair, ["*", "{name_}"]);
            assert_eq!(exact(pair[0]) < exact(pair[1]), !same, "{pair:?}");
            assert_eq!(exact(pair[0]) == exact(pair[1]), same, "{pair:?}");
        }
    }

    #[test]
    fn specificity_counts_characters_not_bytes_and_not_escapes() {
        let of = |text: &str| {
            let Specificity { leading, literal, deep: Reverse(deep) } =
                KeyPattern::parse(text).unwrap().specificity();
            (leading, literal, deep)
        };
        assert_eq!(of("é/*"), (2, 2, 0));
        assert_eq!(of(r"\*\{a/?x"), (4, 5, 0));
        assert_eq!(of("a/**/b/**"), (2, 5, 2));
        assert_eq!(of("a/*/b"), (2, 4, 0));
        assert_eq!(of("**/b"), (0, 2, 1));
        assert_eq!(of("{x}-{y}.csv"), (0, 5, 0));
    }
}
