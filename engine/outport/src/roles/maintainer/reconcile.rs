//! The sweep over buckets of S3: now and then they are compared with the ledger, and what no event told is taken in.

mod turns;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use outport_core::event::EventSource;
use outport_core::timing::millis;
use outport_core::{Fault, Millis};
use outport_store::{duty, routes};

use crate::engine::Engine;
use crate::reconcile::{Comparison, Scope, TakenIn, Tally};
use crate::storage::S3;

use turns::{Due, Turns};

/// Compares each bucket once in `engine.reconcile`, whoever of the processes does it, and sooner only one that could not be read.
pub async fn run(engine: &Engine) -> Result<(), Fault> {
    let (Some(every), Some(s3)) = (engine.reconcile, engine.storage.s3()) else {
        engine.stopped().await;
        return Ok(());
    };
    // Soon after a start, since nobody knows what was lost before; then in its rhythm.
    let all_from = |first| Turns::new(every, engine.timing.retain, first);
    let mut turns = all_from(Instant::now() + every.min(engine.timing.rederive));
    let mut due = turns.next_at();
    while !engine.is_stopping() {
        engine.pause(due.saturating_duration_since(Instant::now())).await;
        if engine.is_stopping() {
            break;
        }
        let soon = |wait: Duration| Instant::now() + wait.min(every);
        // Whoever begins holds it for the whole rhythm, and no try of a single bucket makes that longer: the others need not do
        // the same. If it dies they see that soon after.
        let now = Instant::now();
        let (term, turn) = (turns.until_all(now), turns.due(now));
        due = match duty::hold(&engine.store, "reconcile", engine.worker, term).await {
            Ok(Some(_)) => match sweep(engine, s3, &turn, &mut turns).await {
                Ok(()) => turns.next_at(),
                Err(fault) => {
                    let told = engine.told(&fault);
                    tracing::warn!(code = fault.code.name, hint = fault.hint(), "{told}");
                    soon(engine.timing.rederive)
                }
            },
            // Whoever has it looks after those that failed, too; if it is free one day, all are due.
            Ok(None) => {
                turns = all_from(Instant::now());
                soon(engine.timing.retain)
            }
            Err(error) => {
                tracing::warn!(code = error.fault().code.name, "{error}");
                soon(engine.timing.rederive)
            }
        };
    }
    Ok(())
}

/// Compares each bucket that a rule watches and whose turn it is.
async fn sweep(engine: &Engine, s3: &S3, turn: &Due, turns: &mut Turns) -> Result<(), Fault> {
    let buckets =
        routes::watched_since(&engine.store, millis(engine.horizon)).await.map_err(|e| e.fault())?;
    let until: Millis = Timestamp::now().as_millisecond() - millis(engine.timing.grace);
    turns.keep(|bucket| buckets.iter().any(|(watched, _)| watched == bucket));
    for (bucket, since) in buckets.into_iter().filter(|(bucket, _)| turn.has(bucket)) {
        let scope = Scope { bucket: &bucket, prefix: "", since, until, source: EventSource::Sweep };
        // One bucket that cannot be read keeps no other from being compared.
        let compared = sweep_bucket(engine, Comparison::new(&engine.store, &s3.store, scope)).await;
        turns.was(&bucket, compared.is_ok(), Instant::now());
        match compared {
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
    if *turn == Due::All {
        turns.all_were(Instant::now());
    }
    Ok(())
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
