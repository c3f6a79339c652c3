//! Kinds of work that are the service's own again: nobody asks Batch about their workers any more.

use outport_core::batch::WorkKind;
use outport_core::{Fault, code};
use outport_store::batch_runs;
use outport_store::duty::{self, Duty};

use crate::engine::Engine;
use crate::roles::after_failure;

/// For a service that starts no workers at all: once whoever started them is gone, as in an update of several services one
/// after the other.
pub async fn when_nobody_starts_them(engine: &Engine) {
    let term = 3 * engine.timing.scale_workers;
    let mut failures = 0;
    while !engine.is_stopping() {
        let wait = match take_over(engine).await {
            Ok(true) => return,
            Ok(false) => term,
            Err(fault) => {
                tracing::warn!(code = fault.code.name, "{fault}");
                failures += 1;
                after_failure(failures)
            }
        };
        engine.pause(wait).await;
    }
}

/// Whether it is done.
async fn take_over(engine: &Engine) -> Result<bool, Fault> {
    let term = 3 * engine.timing.scale_workers;
    let held = duty::hold(&engine.store, "batch", engine.worker, term).await.map_err(|e| e.fault())?;
    let Some(duty) = held else { return Ok(false) };
    of_service(engine, duty).await
}

/// Ends the runs of each kind of work that is left to no worker of Batch. Whether the duty was still held.
pub async fn of_service(engine: &Engine, duty: Duty) -> Result<bool, Fault> {
    for kind in WorkKind::ALL {
        if engine.executors.of_batch().any(|(of_batch, _)| of_batch == *kind) {
            continue;
        }
        let message = format!("executor.{kind} is local: Batch is not asked about this worker any more");
        let fault = Fault::new(&code::BATCH_LET_GO, message);
        match batch_runs::let_go(&engine.store, duty, *kind, &fault).await.map_err(|e| e.fault())? {
            None => return Ok(false),
            Some(0) => {}
            Some(open) => {
                tracing::info!(
                    kind = kind.as_str(),
                    open,
                    "workers of Batch were let go: the service does this itself"
                );
            }
        }
    }
    Ok(true)
}
