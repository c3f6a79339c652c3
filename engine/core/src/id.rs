//! Typed ids: a uuid v7 that knows what it names, written as `dlv_01h455vb4pex5vsknk084sn02q`.
//!
//! The text form is the TypeID form (prefix, `_`, 26 characters of Crockford base32 in lower case): it sorts like the
//! uuid, has no dashes to break a double-click, and an id of the wrong kind is refused by its prefix.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

/// What an id names. Implemented only by the marker types of this module.
pub trait Kind: 'static {
    /// The three letters before the underscore.
    const PREFIX: &'static str;
    /// The word for messages: `delivery`, `file`.
    const NOUN: &'static str;
}

/// A uuid v7 that names one thing of kind `K`.
///
/// ```
/// use outport_core::{DeliveryId, FileId};
/// let id: DeliveryId = "dlv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
/// assert_eq!(id.to_string(), "dlv_01h455vb4pex5vsknk084sn02q");
/// assert!("dlv_01h455vb4pex5vsknk084sn02q".parse::<FileId>().is_err());
/// ```
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

impl<K> Id<K> {
    /// Wraps a uuid that is known to name a `K` (a database column of that kind).
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The bare uuid, for a database column.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0.as_u128();
        let mut text = [0u8; DIGITS];
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(value & 31) as usize];
            value >>= 5;
        }
        let digits = std::str::from_utf8(&text).map_err(|_| fmt::Error)?;
        write!(f, "{}_{digits}", K::PREFIX)
    }
}

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {noun} id: {problem}")]
pub struct IdError {
    text: String,
    noun: &'static str,
    problem: String,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error =
            |problem: String| IdError { text: text.chars().take(64).collect(), noun: K::NOUN, problem };
        let Some((prefix, digits)) = text.split_once('_') else {
            return Err(error(format!("it should look like {}_01h455vb4pex5vsknk084sn02q", K::PREFIX)));
        };
        if prefix != K::PREFIX {
            return Err(error(format!(
                "it starts with {prefix}_, a {} id starts with {}_",
                K::NOUN,
                K::PREFIX
            )));
        }
        if digits.len() != DIGITS {
            return Err(error(format!(
                "it has {} characters after the underscore, not {DIGITS}",
                digits.chars().count()
            )));
        }
        let mut value: u128 = 0;
        for (index, byte) in digits.bytes().enumerate() {
            let Some(digit) = ALPHABET.iter().position(|b| *b == byte.to_ascii_lowercase()) else {
                return Err(error(format!("character {} is not of the id alphabet", index + 1)));
            };
            // 26 x 5 = 130 bits: the first digit carries only three.
            if index == 0 && digit > 7 {
                return Err(error("it is larger than 128 bits".into()));
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Self::from_uuid(Uuid::from_u128(value)))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// By hand, because a derive would ask the same of the marker type.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K: Kind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K: Kind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! kinds {
    ($($marker:ident $alias:ident $prefix:literal $noun:literal;)*) => {
        /// The marker types of [`Id`].
        pub mod kind {
            $(
                #[doc = concat!("Marker: a ", $noun, ".")]
                #[derive(Debug)]
                pub enum $marker {}
                impl super::Kind for $marker {
                    const PREFIX: &'static str = $prefix;
                    const NOUN: &'static str = $noun;
                }
            )*
        }
        $(
            #[doc = concat!("Names one ", $noun, " (`", $prefix, "_...`).")]
            pub type $alias = Id<kind::$marker>;
        )*
    };
}

kinds! {
    File FileId "fil" "file";
    FileGroup FileGroupId "grp" "file group";
    Rule RuleId "rul" "file group rule";
    Subscriber SubscriberId "sbr" "subscriber";
    Endpoint EndpointId "end" "endpoint";
    Subscription SubscriptionId "sub" "subscription";
    Spec SpecId "spc" "transform spec";
    Transform TransformId "trf" "transform";
    Artifact ArtifactId "art" "artifact";
    Delivery DeliveryId "dlv" "delivery";
    Replay ReplayId "rpl" "replay";
    Lease LeaseId "lse" "lease";
    Worker WorkerId "wrk" "worker";
    History HistoryId "his" "history entry";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_sorts_like_the_uuid() {
        let small = FileId::from_uuid(Uuid::from_u128(1));
        let large = FileId::from_uuid(Uuid::from_u128(u128::MAX));
        for id in [small, large] {
            assert_eq!(id.to_string().parse::<FileId>().unwrap(), id);
        }
        assert!(small.to_string() < large.to_string());
        assert_eq!(large.to_string(), "fil_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn a_wrong_text_says_what_is_wrong() {
        let cases = [
            ("", "should look like dlv_"),
            ("fil_01h455vb4pex5vsknk084sn02q", "a delivery id starts with dlv_"),
            ("dlv_01h455", "6 characters"),
            ("dlv_01h455vb4pex5vsknk084sn02u", "character 26"),
            ("dlv_8zzzzzzzzzzzzzzzzzzzzzzzzz", "larger than 128 bits"),
        ];
        for (text, want) in cases {
            let error = text.parse::<DeliveryId>().unwrap_err().to_string();
            assert!(error.contains(want), "{text:?}: {error}");
        }
    }
}
