//! The sweep over buckets of S3: now and then they are compared with the ledger, and what no event told is taken in.

use std::time::Instant;

use jiff::Timestamp;
use outport_core::event::EventSource;
use outport_core::timing::millis;
use outport_core::{Fault, Millis};
use outport_store::{duty, routes};

use crate::engine::Engine;
use crate::reconcile::{Comparison, Scope, TakenIn, Tally};
use crate::storage::S3;

/// Compares each bucket once in `engine.reconcile`, whoever of the processes does it.
pub async fn run(engine: &Engine) -> Result<(), Fault> {
    let (Some(every), Some(s3)) = (engine.reconcile, engine.storage.s3()) else {
        engine.stopped().await;
        return Ok(());
    };
    // Soon after a start, since nobody knows what was lost before; then in its rhythm.
    let mut due = Instant::now() + every.min(engine.timing.rederive);
    while !engine.is_stopping() {
        engine.pause(due.saturating_duration_since(Instant::now())).await;
        if engine.is_stopping() {
            break;
        }
        // Whoever begins holds it for the whole rhythm: the others need not do the same. If it dies they see that soon after.
        let wait = match duty::hold(&engine.store, "reconcile", engine.worker, every).await {
            Ok(Some(_)) => match sweep(engine, s3).await {
                Ok(true) => every,
                Ok(false) => engine.timing.retain,
                Err(fault) => {
                    let told = engine.told(&fault);
                    tracing::warn!(code = fault.code.name, hint = fault.hint(), "{told}");
                    engine.timing.rederive
                }
            },
            Ok(None) => engine.timing.retain,
            Err(error) => {
                tracing::warn!(code = error.fault().code.name, "{error}");
                engine.timing.rederive
            }
        };
        due = Instant::now() + wait.min(every);
    }
    Ok(())
}

/// Compares every bucket that a rule watches; whether all of them could be.
async fn sweep(engine: &Engine, s3: &S3) -> Result<bool, Fault> {
    let mut are_all = true;
    let buckets =
        routes::watched_since(&engine.store, millis(engine.horizon)).await.map_err(|e| e.fault())?;
    let until: Millis = Timestamp::now().as_millisecond() - millis(engine.timing.grace);
    for (bucket, since) in buckets {
        let scope = Scope { bucket: &bucket, prefix: "", since, until, source: EventSource::Sweep };
        // One bucket that cannot be read keeps no other from being compared.
        match sweep_bucket(engine, Comparison::new(&engine.store, &s3.store, scope)).await {
            Ok(tally) if tally.missed > 0 => {
                engine.metrics.files_missed.inc_by(tally.missed);
                tracing::warn!(
                    bucket,
                    missed = tally.missed,
                    listed = tally.listed,
                    "found files that no event had told of; they are on their way now"
                );
            }
            Ok(tally) => {
                tracing::info!(bucket, listed = tally.listed, "compared with the ledger: nothing was missed");
            }
            Err(fault) => {
                are_all = false;
                tracing::warn!(
                    bucket,
                    code = fault.code.name,
                    hint = fault.hint(),
                    "{}",
                    engine.told(&fault)
                );
            }
        }
        if engine.is_stopping() {
            break;
        }
    }
    Ok(are_all)
}

/// Ends early when the engine stops: the next process begins anew.
async fn sweep_bucket(engine: &Engine, mut comparison: Comparison<'_>) -> Result<Tally, Fault> {
    let mut taken_in = TakenIn::default();
    while let Some(missed) = comparison.next().await? {
        taken_in.add(&engine.store, &missed).await?;
        engine.bells.transform.notify_one();
        engine.bells.send.notify_one();
        if engine.is_stopping() {
            break;
        }
    }
    Ok(comparison.tally)
}
