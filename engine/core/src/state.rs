//! The words of every state column, and the one error of a step that the rules do not allow.

use std::fmt;

/// A transition that docs/STATES.md does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {noun} that is {state} cannot take {event}")]
pub struct Illegal {
    noun: &'static str,
    state: &'static str,
    event: String,
}

impl Illegal {
    pub(crate) fn new(noun: &'static str, state: &'static str, event: impl fmt::Debug) -> Self {
        Self { noun, state, event: format!("{event:?}") }
    }
}

/// A word in a state column that this binary does not know (a newer schema, or a damaged row).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a {noun}")]
pub struct UnknownWord {
    noun: &'static str,
    word: String,
}

impl UnknownWord {
    pub(crate) fn new(noun: &'static str, word: &str) -> Self {
        Self { noun, word: word.chars().take(40).collect() }
    }
}

/// An enum whose variants are words of a database column: `as_str`, `FromStr`, `Display`, `ALL`.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $noun:literal { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            /// Every value, in the order of docs/STATES.md.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in the database, the CLI and `--json`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::state::UnknownWord;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::state::UnknownWord::new($noun, word)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What became of an object version that arrived.
    FileState, "file state" {
        /// A rule and at least one active subscription took it.
        Routed = "routed",
        /// No rule, or nobody subscribes. Kept, because "why did nothing happen?" is the commonest question.
        Unrouted = "unrouted",
        /// The event was valid but cannot be a file; `problem` says why.
        Rejected = "rejected",
    }
}

impl FileState {
    /// A reprocess replay routes an unrouted file; nothing else moves.
    pub fn reprocess(self) -> Result<Self, Illegal> {
        match self {
            Self::Routed | Self::Unrouted => Ok(Self::Routed),
            Self::Rejected => Err(Illegal::new("file", self.as_str(), "reprocess")),
        }
    }
}
