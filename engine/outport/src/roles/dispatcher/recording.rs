//! What becomes of one arrived file: its snapshot, then its rows.

use outport_core::event::{EventSource, ObjectEvent};
use outport_core::version::version_of;
use outport_core::{Fault, ObjectKey, code};
use outport_objects::intake::{Arrived, How, Signature, Snapshot, snapshot};
use outport_store::claim_sends::ArtifactRow;
use outport_store::enqueue::{self, Arrival, Dispatched};
use outport_store::{StoreError, list};
use uuid::Uuid;

use crate::crash_point::{self, Point};
use crate::engine::{Engine, ours};
use crate::storage::{Folders, ORIGINALS};

/// What there is to record of a file.
pub(super) enum Prepared {
    /// Its content is copied.
    Copied(Box<Arrival>),
    /// It cannot be a file; the key, as far as it can be shown, and why.
    Refused { key: String, fault: Fault },
    /// Nothing.
    Nothing(Taken),
}

/// What became of a file.
pub(super) enum Taken {
    /// The ledger knows it.
    Done,
    /// It is to be looked at again soon.
    Changed,
    /// It is not there any more.
    Gone,
}

/// Takes out what the ledger knows just as it is. One statement, however many there are: while the database is away, each
/// loop of this process may ask it once a second.
pub(super) async fn unknown(engine: &Engine, arrived: Vec<Arrived>) -> Result<Vec<Arrived>, Fault> {
    let signatures: Vec<String> = arrived.iter().map(|a| signature_text(&a.signature)).collect();
    let entries: Vec<_> = arrived
        .iter()
        .zip(&signatures)
        .map(|(arrived, signature)| {
            // What cannot be a key is not known here: whether it was refused before is seen when it is refused.
            let key = arrived.key.as_ref().map_or("", String::as_str);
            (arrived.bucket.as_str(), key, signature.as_str())
        })
        .collect();
    let known = list::files::known_entries(&engine.store, &entries).await.map_err(|e| e.fault())?;
    let mut unknown = Vec::with_capacity(arrived.len());
    for (arrived, is_known) in arrived.into_iter().zip(known) {
        if is_known { arrived.done() } else { unknown.push(arrived) }
    }
    Ok(unknown)
}

/// Copies the file.
pub(super) async fn prepare(folders: &Folders, arrived: &Arrived) -> Result<Prepared, Fault> {
    let key = match &arrived.key {
        Ok(key) => match ObjectKey::new(key.clone()) {
            Ok(key) => key,
            Err(error) => return Ok(Prepared::Refused { key: key.clone(), fault: error.into() }),
        },
        Err(bad) => return Ok(Prepared::Refused { key: bad.lossy.clone(), fault: bad.fault.clone() }),
    };
    let signature = signature_text(&arrived.signature);
    let snapshot_key = Uuid::now_v7().simple().to_string();
    let place = (arrived.bucket.as_str(), key.as_str());
    let artifact = (ORIGINALS, snapshot_key.as_str());
    let stored =
        match snapshot(&folders.buckets, place, &arrived.signature, &folders.artifacts, artifact).await {
            Ok(Snapshot::Taken(stored)) => stored,
            Ok(Snapshot::Changed) => return Ok(Prepared::Nothing(Taken::Changed)),
            Ok(Snapshot::Gone) => return Ok(Prepared::Nothing(Taken::Gone)),
            // Of this file alone, and not ours to repair: it stands in the ledger with the reason, and arrives anew when
            // its permissions change. The others do not wait for it.
            Err(fault) if fault.code == &code::INTAKE_UNREADABLE => {
                return Ok(Prepared::Refused { key: key.as_str().to_owned(), fault });
            }
            Err(fault) => return Err(ours(fault)),
        };
    let Some(version) = version_of(None, None, Some(&stored.sha256)) else {
        return Ok(Prepared::Nothing(Taken::Changed)); // A snapshot always has a hash.
    };
    crash_point::reached(Point::AfterSnapshot);
    Ok(Prepared::Copied(Box::new(Arrival {
        event: event(arrived, key),
        version,
        original: ArtifactRow {
            bucket: ORIGINALS.into(),
            key: snapshot_key,
            version_id: None,
            etag: stored.etag,
            size_bytes: stored.size_bytes,
            sha256: Some(stored.sha256),
        },
        signature: Some(signature),
        modified_at: Some(arrived.signature.changed_at()),
    })))
}

/// Enters files into the ledger, in their order, with everything they owe; what became of each. One that is not among
/// the answers was not tried.
pub(super) async fn record(
    engine: &Engine,
    copied: Vec<(Arrived, Result<Prepared, Fault>)>,
) -> Vec<(Arrived, Result<Taken, Fault>)> {
    let mut taken = Vec::with_capacity(copied.len());
    let (mut files, mut arrivals) = (Vec::new(), Vec::new());
    for (arrived, prepared) in copied {
        match prepared {
            Ok(Prepared::Copied(arrival)) => {
                files.push(arrived);
                arrivals.push(*arrival);
            }
            Ok(Prepared::Refused { key, fault }) => {
                let rejected = reject(engine, &arrived, key, &fault).await;
                taken.push((arrived, rejected));
            }
            Ok(Prepared::Nothing(nothing)) => taken.push((arrived, Ok(nothing))),
            Err(fault) => taken.push((arrived, Err(fault))),
        }
    }
    if arrivals.is_empty() {
        return taken;
    }
    let answers = enqueue::dispatch_all(&engine.store, &arrivals, outport_transform::output_ext).await;
    crash_point::reached(Point::AfterDispatch);
    for ((arrived, arrival), answer) in files.into_iter().zip(arrivals).zip(answers) {
        let recorded = recorded(engine, &arrival, answer).await;
        taken.push((arrived, recorded));
    }
    taken
}

async fn recorded(
    engine: &Engine,
    arrival: &Arrival,
    answer: Result<Dispatched, StoreError>,
) -> Result<Taken, Fault> {
    let snapshot_key = &arrival.original.key;
    let dispatched = match answer {
        Ok(dispatched) => dispatched,
        // Rolled back for certain (a deadlock, a busy file): the same again soon, with a snapshot of its own.
        Err(error) if error.is_transient() => {
            tracing::info!(code = error.fault().code.name, "{error}");
            engine.artifacts().delete(ORIGINALS, snapshot_key).await?;
            return Ok(Taken::Changed);
        }
        // If the commit did happen and only its answer was lost, the snapshot is a file's: so it stays, and the
        // maintainer collects it once it is old and nobody's.
        Err(error) => return Err(error.fault()),
    };
    report(engine, &dispatched, arrival.event.key.as_str());
    if matches!(dispatched, Dispatched::Duplicate { .. }) {
        engine.artifacts().delete(ORIGINALS, snapshot_key).await?;
    }
    Ok(Taken::Done)
}

async fn reject(engine: &Engine, arrived: &Arrived, key: String, fault: &Fault) -> Result<Taken, Fault> {
    let signature = signature_text(&arrived.signature);
    let Some(version) = version_of(None, Some(&signature), None) else { return Ok(Taken::Done) };
    let event = event(arrived, key);
    let dispatched =
        enqueue::reject(&engine.store, &event, &version, fault).await.map_err(|error| error.fault())?;
    report(engine, &dispatched, &event.key);
    Ok(Taken::Done)
}

fn event<K>(arrived: &Arrived, key: K) -> ObjectEvent<K> {
    let source = match arrived.how {
        How::Watch => EventSource::Watch,
        How::Sweep => EventSource::Sweep,
    };
    ObjectEvent {
        bucket: arrived.bucket.clone(),
        key,
        version_id: None,
        sequencer: None,
        etag: None,
        size_bytes: Some(arrived.signature.size_bytes),
        event_at: arrived.signature.changed_at(),
        source,
        message_id: None,
    }
}

/// Changes whenever the file does; stored, so that a sweep after a restart need not read what it knows.
fn signature_text(s: &Signature) -> String {
    format!("stat:{:x}-{:x}-{:x}-{:x}", s.size_bytes, s.mtime_ns, s.ctime_ns, s.inode)
}

pub(super) fn report(engine: &Engine, dispatched: &Dispatched, key: &str) {
    let key = engine.shown(key);
    match dispatched {
        Dispatched::Routed { file, deliveries, transforms } => {
            engine.metrics.files_dispatched.inc();
            tracing::info!(%file, key, deliveries, transforms, "file routed");
            engine.bells.transform.notify_one();
            engine.bells.send.notify_one();
        }
        Dispatched::Unrouted { file } => {
            engine.metrics.files_dispatched.inc();
            tracing::info!(%file, key, "file unrouted: no rule, or nobody subscribes");
        }
        Dispatched::Rejected { file, fault } => {
            engine.metrics.files_dispatched.inc();
            tracing::warn!(%file, key, code = fault.code.name, "file rejected: {}", engine.told(fault));
        }
        Dispatched::Duplicate { file } => {
            engine.metrics.files_duplicate.inc();
            tracing::info!(%file, key, "file seen again");
        }
    }
}
