//! Which server an endpoint believes: pinned host keys with their dates, and authorities for host certificates.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Millis;

/// When something counts. Both ends may be open; `until` itself is not part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Validity {
    /// The first instant.
    pub from: Option<Millis>,
    /// The first instant after it.
    pub until: Option<Millis>,
}

impl Validity {
    /// Whether it holds at `now`.
    pub fn holds(&self, now: Millis) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }

    /// `from 2026-12-01T00:00:00Z, not yet valid`; empty while it holds.
    pub fn why_not(&self, now: Millis) -> Option<String> {
        match (self.from, self.until) {
            (Some(from), _) if now < from => Some(format!("from {}, not yet valid", instant(from))),
            (_, Some(until)) if until <= now => Some(format!("until {}, no longer valid", instant(until))),
            _ => None,
        }
    }
}

fn instant(at: Millis) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.to_string())
}

/// One entry of `host_keys`: a fingerprint, or a table of it and the dates between which it counts.
///
/// ```
/// use outport_core::trust::HostKey;
/// let key: HostKey = serde_json::from_str(r#"{"fingerprint":"SHA256:x","until":"2026-12-01T00:00:00Z"}"#).unwrap();
/// assert_eq!(key.to_string(), "SHA256:x (until 2026-12-01T00:00:00Z)");
/// let always: HostKey = serde_json::from_str(r#""SHA256:x""#).unwrap();
/// assert_eq!(always.to_string(), "SHA256:x");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Entry", into = "Entry")]
pub struct HostKey {
    /// `SHA256:` and base64, as it was written; the sender parses it.
    pub fingerprint: String,
    /// The first instant at which it counts.
    pub from: Option<Timestamp>,
    /// The instant from which on it does not count any more.
    pub until: Option<Timestamp>,
}

impl HostKey {
    /// When it counts.
    pub fn validity(&self) -> Validity {
        let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        Validity { from: millis(self.from), until: millis(self.until) }
    }

    /// Whether it has no dates.
    pub fn is_undated(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }

    /// What is wrong with its dates.
    pub fn problem(&self) -> Option<String> {
        match (self.from, self.until) {
            (Some(from), Some(until)) if until <= from => {
                Some(format!("{} ends at {until}, before it begins at {from}", self.fingerprint))
            }
            _ => None,
        }
    }
}

impl From<&str> for HostKey {
    fn from(fingerprint: &str) -> Self {
        Self { fingerprint: fingerprint.to_owned(), from: None, until: None }
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint)?;
        match (self.from, self.until) {
            (None, None) => Ok(()),
            (Some(from), None) => write!(f, " (from {from})"),
            (None, Some(until)) => write!(f, " (until {until})"),
            (Some(from), Some(until)) => write!(f, " (from {from} until {until})"),
        }
    }
}

/// The two ways to write one.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a host key is a text \"SHA256:...\", or a table of fingerprint, from and until (times with their zone)"
)]
enum Entry {
    Text(String),
    Table(Dated),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dated {
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl From<Entry> for HostKey {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Text(fingerprint) => Self { fingerprint, from: None, until: None },
            Entry::Table(Dated { fingerprint, from, until }) => Self { fingerprint, from, until },
        }
    }
}

impl From<HostKey> for Entry {
    fn from(key: HostKey) -> Self {
        if key.is_undated() {
            return Self::Text(key.fingerprint);
        }
        let HostKey { fingerprint, from, until } = key;
        Self::Table(Dated { fingerprint, from, until })
    }
}

/// One entry of `host_cas`: a key that signs host certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostCa {
    /// The public key: `ssh-ed25519 AAAA...`.
    pub key: String,
    /// Names of which the certificate must bear one; the endpoint's host when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
}

impl fmt::Display for HostCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if self.principals.is_empty() { Ok(()) } else { write!(f, " for {}", self.principals.join(", ")) }
    }
}

/// What becomes of an endpoint without a host key or authority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstUse {
    /// Nothing is sent; the definitions are incomplete.
    #[default]
    Refuse,
    /// The first key that the server shows waits for an operator's `accept-key`. Accepted keys live in the database.
    Ask,
}

impl FirstUse {
    /// Whether it is what an endpoint has that says nothing about it.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_begins_with_its_start_and_ends_before_its_end() {
        let both = Validity { from: Some(10), until: Some(20) };
        let table = [(9, false), (10, true), (19, true), (20, false)];
        for (now, holds) in table {
            assert_eq!((both.holds(now), both.why_not(now).is_none()), (holds, holds), "{now}");
        }
        assert!(Validity::default().holds(i64::MIN) && Validity::default().holds(i64::MAX));
        let december = Validity { from: Some(1_764_547_200_000), until: None };
        assert_eq!(december.why_not(0).unwrap(), "from 2025-12-01T00:00:00Z, not yet valid");
        assert_eq!(
            Validity { from: None, until: Some(0) }.why_not(0).unwrap(),
            "until 1970-01-01T00:00:00Z, no longer valid"
        );
    }

    #[test]
    fn host_keys_are_texts_or_tables_and_come_back_as_they_were() {
        for json in [
            r#""SHA256:x""#,
            r#"{"fingerprint":"SHA256:x","from":"2026-12-01T00:00:00Z"}"#,
            r#"{"fingerprint":"SHA256:x","from":"2026-12-01T00:00:00Z","until":"2027-01-01T00:00:00Z"}"#,
        ] {
            let key: HostKey = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&key).unwrap(), json);
            assert_eq!(key.problem(), None);
        }
        for bad in [r#"{"from":"2026-12-01T00:00:00Z"}"#, r#"{"fingerprint":"x","from":"2026-12-01"}"#, "1"] {
            let error = serde_json::from_str::<HostKey>(bad).unwrap_err().to_string();
            assert!(error.contains("a host key is a text"), "{error}");
        }
        let backwards = r#"{"fingerprint":"x","from":"2027-01-01T00:00:00Z","until":"2026-12-01T00:00:00Z"}"#;
        assert!(serde_json::from_str::<HostKey>(backwards).unwrap().problem().is_some());
    }
}
