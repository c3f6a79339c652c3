//! How an arrival became known.

use std::fmt;
use std::str::FromStr;

/// By which way Outport heard of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventSource {
    /// An S3 notification straight to the queue (or through SNS with raw delivery, which looks the same).
    S3,
    /// An event wrapped by SNS.
    Sns,
    /// An EventBridge event.
    EventBridge,
    /// A Transfer Family event.
    Transfer,
    /// The watcher of a bucket folder.
    Watch,
    /// A listing that found what no event told.
    Sweep,
    /// `outport put`.
    Put,
    /// An operator's command.
    Operator,
}

impl EventSource {
    /// Every source.
    pub const ALL: [Self; 8] = [
        Self::S3,
        Self::Sns,
        Self::EventBridge,
        Self::Transfer,
        Self::Watch,
        Self::Sweep,
        Self::Put,
        Self::Operator,
    ];

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Sns => "sns",
            Self::EventBridge => "eventbridge",
            Self::Transfer => "transfer",
            Self::Watch => "watch",
            Self::Sweep => "sweep",
            Self::Put => "put",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an event source")]
pub struct UnknownSource(String);

impl FromStr for EventSource {
    type Err = UnknownSource;
    fn from_str(word: &str) -> Result<Self, UnknownSource> {
        Self::ALL.into_iter().find(|source| source.as_str() == word).ok_or_else(|| UnknownSource(word.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_are_those_of_the_schema() {
        let words: Vec<_> = EventSource::ALL.iter().map(|s| s.as_str()).collect();
        assert_eq!(words, ["s3", "sns", "eventbridge", "transfer", "watch", "sweep", "put", "operator"]);
        for source in EventSource::ALL {
            assert_eq!(source.as_str().parse(), Ok(source));
        }
        assert!("S3".parse::<EventSource>().is_err());
    }
}
