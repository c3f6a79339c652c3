//! Folder intake: an arrived file becomes a snapshot, then a row in the ledger with everything it owes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use outport_core::event::{EventSource, ObjectEvent};
use outport_core::timing::millis;
use outport_core::version::version_of;
use outport_core::{Class, Fault, Millis, ObjectKey, code};
use outport_objects::Objects;
use outport_objects::intake::{Arrived, How, Intake, Settings, Signature, Snapshot, snapshot};
use outport_store::claim_sends::ArtifactRow;
use outport_store::enqueue::{self, Arrival, Dispatched};
use outport_store::{list, routes};
use uuid::Uuid;

use super::after_failure;
use crate::crash_point::{self, Point};
use crate::engine::{Engine, ORIGINALS, ours};

/// Since when the rules of each bucket hold; asked by every sweep, refreshed by the dispatcher.
type Since = Arc<Mutex<BTreeMap<String, Millis>>>;

pub async fn run(engine: Arc<Engine>) -> Result<(), Fault> {
    let since = Since::default();
    let started_at = Timestamp::now().as_millisecond();
    refresh(&engine, &since).await?;
    let settings = Settings {
        quiet: engine.timing.quiet,
        sweep: engine.timing.sweep,
        since: {
            let since = since.clone();
            Arc::new(move |bucket| {
                let rules = since.lock().unwrap_or_else(PoisonError::into_inner);
                // A bucket without rules: what arrives from now on is recorded as unrouted, what lies there is left alone.
                rules.get(bucket).copied().unwrap_or(started_at)
            })
        },
    };
    let mut intake = Intake::start(&engine.buckets, settings);
    let mut sweeps = intake.sweeps();
    let mut failures = 0;
    loop {
        let arrived = tokio::select! {
            arrived = intake.next() => arrived,
            Ok(()) = sweeps.changed() => {
                // Rules may have been applied by another process since.
                if let Err(fault) = refresh(&engine, &since).await {
                    tracing::warn!(code = fault.code.name, "{fault}");
                }
                continue;
            }
            () = engine.stopped() => break,
        };
        let Some(arrived) = arrived else {
            return Err(Fault::new(&code::ENGINE_PANIC, "the intake of folders ended by a bug"));
        };
        match take_in(&engine, &arrived).await {
            Ok(Taken::Done) => {
                failures = 0;
                arrived.done();
            }
            Ok(Taken::Changed) => arrived.look_again(),
            Ok(Taken::Gone) => arrived.done(),
            Err(fault) => {
                // Not acknowledged: the next sweep reports it again.
                let bucket = arrived.bucket.as_str();
                tracing::warn!(
                    code = fault.code.name,
                    bucket,
                    hint = fault.hint(),
                    "{}",
                    engine.told(&fault)
                );
                // Trouble of one file is no reason to let the others wait; trouble of ours would meet them, too.
                if fault.class() == Class::Engine {
                    failures += 1;
                    engine.pause(after_failure(failures)).await;
                }
            }
        }
    }
    intake.stop().await;
    Ok(())
}

async fn refresh(engine: &Engine, since: &Since) -> Result<(), Fault> {
    let rules = routes::watched_since(&engine.store, millis(engine.horizon)).await.map_err(|e| e.fault())?;
    *since.lock().unwrap_or_else(PoisonError::into_inner) = rules.into_iter().collect();
    Ok(())
}

enum Taken {
    Done,
    Changed,
    Gone,
}

async fn take_in(engine: &Engine, arrived: &Arrived) -> Result<Taken, Fault> {
    let source = match arrived.how {
        How::Watch => EventSource::Watch,
        How::Sweep => EventSource::Sweep,
    };
    let key = match &arrived.key {
        Ok(key) => match ObjectKey::new(key.clone()) {
            Ok(key) => key,
            Err(error) => return reject(engine, arrived, key.clone(), &Fault::from(error), source).await,
        },
        Err(bad) => return reject(engine, arrived, bad.lossy.clone(), &bad.fault, source).await,
    };
    let signature = signature_text(&arrived.signature);
    let known = list::files::known_signature(&engine.store, &arrived.bucket, key.as_str(), &signature).await;
    if known.map_err(|e| e.fault())?.is_some() {
        return Ok(Taken::Done);
    }
    let snapshot_key = Uuid::now_v7().simple().to_string();
    let place = (arrived.bucket.as_str(), key.as_str());
    let artifact = (ORIGINALS, snapshot_key.as_str());
    let stored = match snapshot(&engine.buckets, place, &arrived.signature, &engine.artifacts, artifact).await
    {
        Ok(Snapshot::Taken(stored)) => stored,
        Ok(Snapshot::Changed) => return Ok(Taken::Changed),
        Ok(Snapshot::Gone) => return Ok(Taken::Gone),
        // Of this file alone, and not ours to repair: it stands in the ledger with the reason, and arrives anew when
        // its permissions change. The others do not wait for it.
        Err(fault) if fault.code == &code::INTAKE_UNREADABLE => {
            return reject(engine, arrived, key.as_str().to_owned(), &fault, source).await;
        }
        Err(fault) => return Err(ours(fault)),
    };
    let Some(version) = version_of(None, None, Some(&stored.sha256)) else {
        return Ok(Taken::Changed); // A snapshot always has a hash.
    };
    let arrival = Arrival {
        event: event(arrived, key.clone(), source),
        version,
        original: ArtifactRow {
            bucket: ORIGINALS.into(),
            key: snapshot_key.clone(),
            version_id: None,
            etag: stored.etag,
            size_bytes: stored.size_bytes,
            sha256: Some(stored.sha256),
        },
        signature: Some(signature),
        modified_at: Some(arrived.signature.changed_at()),
    };
    crash_point::reached(Point::AfterSnapshot);
    let dispatched = match enqueue::dispatch(&engine.store, &arrival, super::transformer::output_ext).await {
        Ok(dispatched) => dispatched,
        // Rolled back for certain (a deadlock, a busy file): the same again soon, with a snapshot of its own.
        Err(error) if error.is_transient() => {
            tracing::info!(code = error.fault().code.name, "{error}");
            engine.artifacts.delete(ORIGINALS, &snapshot_key).await?;
            return Ok(Taken::Changed);
        }
        // If the commit did happen and only its answer was lost, the snapshot is a file's: so it stays, and the
        // maintainer collects it once it is old and nobody's.
        Err(error) => return Err(error.fault()),
    };
    crash_point::reached(Point::AfterDispatch);
    report(engine, &dispatched, key.as_str());
    if matches!(dispatched, Dispatched::Duplicate { .. }) {
        engine.artifacts.delete(ORIGINALS, &snapshot_key).await?;
    }
    Ok(Taken::Done)
}

async fn reject(
    engine: &Engine,
    arrived: &Arrived,
    key: String,
    fault: &Fault,
    source: EventSource,
) -> Result<Taken, Fault> {
    let signature = signature_text(&arrived.signature);
    let Some(version) = version_of(None, Some(&signature), None) else { return Ok(Taken::Done) };
    let event = event(arrived, key, source);
    let dispatched =
        enqueue::reject(&engine.store, &event, &version, fault).await.map_err(|error| error.fault())?;
    report(engine, &dispatched, &event.key);
    Ok(Taken::Done)
}

fn event<K>(arrived: &Arrived, key: K, source: EventSource) -> ObjectEvent<K> {
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

fn report(engine: &Engine, dispatched: &Dispatched, key: &str) {
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
