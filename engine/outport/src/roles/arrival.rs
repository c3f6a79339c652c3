//! What an event of S3 comes to: an arrival to record, or the reason why there is none.

use std::time::Duration;

use outport_aws::S3Store;
use outport_core::event::{ObjectEvent, Record};
use outport_core::timing::millis;
use outport_core::version::version_of;
use outport_core::{Fault, FileVersion, Millis};
use outport_objects::{Objects, intake};
use outport_store::claim_sends::ArtifactRow;
use outport_store::enqueue::Arrival;

/// What there is to do about one record of a message.
#[derive(Debug)]
pub enum Found {
    /// Record it with everything it owes.
    Arrival(Box<Arrival>),
    /// Record that it cannot be a file, and why.
    Rejected(Box<Rejected>),
    /// Nothing; the word is for counters.
    Nothing(&'static str),
}

/// An object that cannot be a file.
#[derive(Debug)]
pub struct Rejected {
    pub event: ObjectEvent<String>,
    pub version: FileVersion,
    /// Why.
    pub fault: Fault,
}

/// A record that was looked at.
#[derive(Debug)]
pub enum Looked {
    /// It came to this.
    Found(Found),
    /// The object may still change: look again after this long.
    Later(Duration),
}

/// Looks at the object where the event does not tell enough. An event of a bucket with versions tells all there is to know,
/// and nothing is asked of S3.
///
/// # Errors
/// Those of S3: the record is to be looked at again later.
pub async fn find(store: &S3Store, record: Record, settle: Duration, now: Millis) -> Result<Looked, Fault> {
    let event = match record {
        Record::Ignored { reason } => return Ok(Looked::Found(Found::Nothing(reason.as_str()))),
        Record::Rejected { event, fault } => {
            return Ok(Looked::Found(match event.version() {
                Some(version) => Found::Rejected(Box::new(Rejected { event, version, fault })),
                None => Found::Nothing("nameless"),
            }));
        }
        Record::Arrived(event) => event,
    };
    if is_unfinished(event.key.as_str()) {
        return Ok(Looked::Found(Found::Nothing("unfinished")));
    }
    let age = now.saturating_sub(event.event_at).max(0);
    let (must_settle, settle) = (!settle.is_zero(), millis(settle));
    if must_settle && age < settle {
        return Ok(Looked::Later(Duration::from_millis(u64::try_from(settle - age).unwrap_or(0))));
    }
    arrived(store, event, must_settle).await.map(Looked::Found)
}

async fn arrived(store: &S3Store, event: ObjectEvent, must_settle: bool) -> Result<Found, Fault> {
    let is_known = event.version_id.as_deref().is_some_and(|id| id != "null") && event.size_bytes.is_some();
    if is_known && !must_settle {
        return Ok(arrival(event, None));
    }
    let Some(there) = store.head(&event.bucket, event.key.as_str()).await? else {
        // Removed by now. With versions the one that arrived may still be there; without them the deliveries say that it is gone.
        return by_etag(store, event).await;
    };
    let is_same = match (event.version_id.as_deref(), event.etag.as_deref()) {
        (Some(id), _) if id != "null" => there.version.as_deref() == Some(id),
        (_, Some(etag)) => there.etag.as_deref() == Some(etag),
        // It names no version at all: what is there now is what it speaks of.
        _ => true,
    };
    match (is_same, must_settle) {
        (false, true) => Ok(Found::Nothing("overwritten")),
        (false, false) => by_etag(store, event).await,
        (true, _) => Ok(arrival(
            ObjectEvent {
                version_id: there.version.filter(|id| id != "null"),
                etag: there.etag,
                size_bytes: Some(there.size_bytes),
                ..event
            },
            Some(there.modified_at),
        )),
    }
}

/// The object is overwritten or removed, and the event names its version by its etag alone. A bucket with versions still has
/// it; otherwise it is recorded as it was, and its deliveries end with the reason.
async fn by_etag(store: &S3Store, event: ObjectEvent) -> Result<Found, Fault> {
    let Some(etag) = event.etag.clone() else { return Ok(Found::Nothing("gone")) };
    let version = store.version_with(&event.bucket, event.key.as_str(), &etag).await?;
    let modified_at = version.as_ref().map(|version| version.modified_at);
    let event = match version {
        Some(version) => {
            ObjectEvent { version_id: version.version, size_bytes: Some(version.size_bytes), ..event }
        }
        None => event,
    };
    Ok(arrival(event, modified_at))
}

/// The arrival of an object that lies where it arrived.
pub fn arrival(event: ObjectEvent, modified_at: Option<Millis>) -> Found {
    let event = ObjectEvent { version_id: event.version_id.filter(|id| id != "null"), ..event };
    let Some(version) = version_of(event.version_id.as_deref(), event.etag.as_deref(), None) else {
        return Found::Nothing("nameless");
    };
    let original = ArtifactRow {
        bucket: event.bucket.clone(),
        key: event.key.as_str().to_owned(),
        version_id: event.version_id.clone(),
        etag: event.etag.clone(),
        size_bytes: event.size_bytes.unwrap_or(0),
        // Known when it is read for the first time.
        sha256: None,
    };
    let modified_at = modified_at.or(Some(event.event_at));
    let signature = event.etag.clone();
    Found::Arrival(Box::new(Arrival { event, version, original, signature, modified_at }))
}

/// The names that uploaders give to what is not whole yet; the same as in folders.
pub fn is_unfinished(key: &str) -> bool {
    let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
    folders.split('/').any(|folder| folder.starts_with('.')) || intake::waits(name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_unfinished_uploads_are_those_of_folders() {
        for (key, want) in [
            ("a/b.json", false),
            ("b.json", false),
            ("a/b.part", true),
            ("a/.b", true),
            (".a/b", true),
            ("a/.c/b", true),
            ("b.filepart", true),
            ("a.part/b", false),
        ] {
            assert_eq!(is_unfinished(key), want, "{key}");
        }
    }
}
