//! What is old goes: stored content after `retention.artifacts`, rows after `retention.ledger`.

use std::time::Duration;

use outport_store::duty::Duty;
use outport_store::{StoreError, retention};

use crate::engine::Engine;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// One batch of each kind: a backlog goes in as many rounds as it takes, and nobody waits for it. Whether there was anything,
/// and so may be more.
pub async fn retain(engine: &Engine, duty: Duty) -> Result<bool, StoreError> {
    let (store, keep) = (&engine.store, engine.retention);
    let is_ours = match engine.storage.is_of(store).await {
        Ok(is_ours) => is_ours,
        Err(fault) => {
            tracing::warn!(code = fault.code.name, "nothing expires: {}", engine.told(&fault));
            false
        }
    };
    let mut gone = 0;
    if is_ours {
        let originals = engine.storage.keeps_originals();
        let expired = retention::expire_artifacts(store, duty, keep.artifacts, originals).await?;
        for artifact in expired.unwrap_or_default() {
            gone += 1;
            // What stays is garbage from now on, and collected as such.
            if let Err(fault) = engine.artifacts().delete(&artifact.bucket, &artifact.key).await {
                tracing::warn!(code = fault.code.name, "an expired artifact stays: {}", engine.told(&fault));
            }
        }
    }
    let files = retention::prune_files(store, duty, keep.ledger).await?.unwrap_or_default();
    let entries = retention::prune_history(store, duty, keep.ledger).await?.unwrap_or_default();
    if files + entries > 0 {
        tracing::info!(files, entries, "removed old files and history from the ledger");
    }
    // A day: long enough to look at a worker that was lost in the night.
    retention::prune_workers(store, DAY).await?;
    // Batch itself forgets a job after a week.
    retention::prune_runs(store, 7 * DAY).await?;
    Ok(files + entries + gone > 0)
}
