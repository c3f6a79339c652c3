//! Events: what a message of the intake queue says about objects.
//!
//! | body | outcome |
//! |---|---|
//! | S3 notification, event version 2.x, `ObjectCreated:*` | one record for each entry |
//! | the same inside SNS (`Message` is a JSON text) | the same, source `sns` |
//! | EventBridge `Object Created` | one record; its key is raw, not encoded |
//! | EventBridge `SFTP Server File Upload Completed` of Transfer Family (FTPS, FTP) | one record without a version, source `transfer` |
//! | `s3:TestEvent`, removals, other event names, another major version | [`Record::Ignored`], named |
//! | an arrival whose key cannot be a file | [`Record::Rejected`] |
//! | anything else | a fault `event.unknown_body`: the message stays for the dead-letter queue, nothing is lost |

mod decode;
mod envelope;
mod source;
mod transfer;

use std::fmt;

pub use envelope::{MAX_BODY_BYTES, parse};
pub use source::{EventSource, UnknownSource};

use crate::fault::Fault;
use crate::key::ObjectKey;
use crate::timing::Millis;
use crate::version::{FileVersion, version_of};

/// The arrival of one object, as far as the event tells. `K` is [`ObjectKey`], or the text that could not be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent<K = ObjectKey> {
    /// The bucket's name.
    pub bucket: String,
    /// The decoded key.
    pub key: K,
    /// The version id; absent on buckets without versions, and where the sender leaves it out.
    pub version_id: Option<String>,
    /// S3's sequencer: stored, never compared.
    pub sequencer: Option<String>,
    /// The etag without quotes.
    pub etag: Option<String>,
    /// The object's size in bytes.
    pub size_bytes: Option<u64>,
    /// When it happened by the sender's clock; the time of receipt when the event does not say.
    pub event_at: Millis,
    /// By which way the event came.
    pub source: EventSource,
    /// The id that SNS or EventBridge gave the message.
    pub message_id: Option<String>,
}

impl<K> ObjectEvent<K> {
    /// The version that the event names; `None` when the object must be looked at first.
    pub fn version(&self) -> Option<FileVersion> {
        version_of(self.version_id.as_deref(), self.etag.as_deref(), None)
    }
}

/// What one entry of a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An object arrived.
    Arrived(ObjectEvent),
    /// A valid entry that is no arrival.
    Ignored {
        /// What it is instead.
        reason: Ignored,
    },
    /// An object arrived whose key cannot be a file.
    Rejected {
        /// The facts. The key is the decoded one, or the raw one where decoding failed; made fit for a database column:
        /// control characters escaped, cut at 1,024 bytes.
        event: ObjectEvent<String>,
        /// What is wrong with the key (`route.bad_key`).
        fault: Fault,
    },
}

/// Why a valid entry is no arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// S3 sends it once when a notification is set up.
    TestEvent,
    /// An object or a version was removed; holds the event's name.
    Removed(String),
    /// Any other event of an object; holds its name.
    OtherEvent(String),
    /// The envelope has a major version that this program does not know; holds the version. A sweep finds the object.
    UnknownVersion(String),
}

impl Ignored {
    /// A word for counters.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TestEvent => "test_event",
            Self::Removed(_) => "removed",
            Self::OtherEvent(_) => "other_event",
            Self::UnknownVersion(_) => "unknown_version",
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TestEvent => f.write_str("the test event of a new notification"),
            Self::Removed(name) => write!(f, "{name:?} removes an object"),
            Self::OtherEvent(name) => write!(f, "{name:?} is no arrival of an object"),
            Self::UnknownVersion(version) => write!(f, "its event version {version:?} is not known"),
        }
    }
}

#[cfg(test)]
mod tests;
