//! What a key of a spec is. Every key stands in one table ([`catalogue`]): the reader takes from it what
//! there is and what is the default, the schema is made of it, and so the two cannot differ.

mod catalogue;

pub(super) use catalogue::{COLUMN, ERRORS, FILTER, INPUT, OUTPUT, SPEC};

use serde_json::Value;

use super::Input;
use super::words::Kind;

/// One table of a spec.
pub(super) struct Section {
    /// As a person names it: `[input]`.
    pub name: &'static str,
    pub keys: &'static [Key],
}

/// One key of a table.
pub(super) struct Key {
    pub name: &'static str,
    /// The kinds in which it has a meaning.
    pub kinds: &'static [Kind],
    pub shape: Shape,
    pub default: Preset,
    /// The key without which it has no meaning.
    pub needs: Option<Needs>,
    /// One sentence for editors.
    pub about: &'static str,
}

/// What a key's value looks like.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Word(&'static [&'static str]),
    Boolean,
    Text,
    /// A name: not empty, without control characters.
    Name,
    /// A text that is written without quotes around it.
    Unquoted,
    Delimiter,
    Pointer,
    /// `/a`, or `./a` from the exploded element.
    Path,
    Count {
        least: u64,
        most: u64,
    },
    /// A count of bytes, or text with a unit.
    Bytes,
    Scalar,
    Scalars,
    /// One text or a list of them.
    Texts,
    MaxBad,
    Table(&'static Section),
    Tables(&'static Section),
}

/// What holds when a key is not given.
#[derive(Clone, Copy)]
pub(super) enum Preset {
    /// Nothing, or what other keys make of it.
    None,
    Text(&'static str),
    Boolean(bool),
    Count(u64),
}

impl Preset {
    pub fn value(self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Text(text) => Some(text.into()),
            Self::Boolean(boolean) => Some(boolean.into()),
            Self::Count(count) => Some(count.into()),
        }
    }
}

/// A key without which another has no meaning.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    pub key: &'static str,
    /// The words that it may have; any value when there are none.
    pub words: &'static [&'static str],
}

impl Section {
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub fn names_for(&self, kind: Kind) -> impl Iterator<Item = &'static str> {
        self.keys.iter().filter(move |key| key.kinds.contains(&kind)).map(|key| key.name)
    }
}

/// The tables that hold keys which somebody may have put into the wrong one.
pub(super) static SECTIONS: [&Section; 5] = [&INPUT, &OUTPUT, &ERRORS, &COLUMN, &FILTER];

/// The units of sizes, the longer spelling first.
pub(super) const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// How many bytes a text says: `64MiB`, `1GiB`, `4096`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|digits| (digits, *unit)))
        .unwrap_or((text, 1));
    let digits = digits.trim_end_matches(' ');
    let number: u64 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
    number.checked_mul(unit).filter(|bytes| (1..=Input::MOST_RECORD_BYTES).contains(bytes))
}
