//! Takes arrivals in: from folders that are watched, or from a queue with the events of S3.

mod folders;
mod queue;
mod recording;

use std::sync::Arc;

use outport_core::Fault;

use crate::engine::Engine;
use crate::storage::Storage;
pub use queue::QueueIntake;

/// Runs until the engine stops.
pub async fn run(engine: Arc<Engine>) -> Result<(), Fault> {
    match (&engine.storage, &engine.intake) {
        (Storage::Folders(folders), _) => folders::run(engine.clone(), folders).await,
        (Storage::S3(_), Some(_)) => queue::run(engine.clone()).await,
        (Storage::S3(_), None) => {
            tracing::warn!(
                "there is no intake.queue: files arrive only when buckets are compared with the ledger"
            );
            engine.stopped().await;
            Ok(())
        }
    }
}
