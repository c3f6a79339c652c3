//! Batch's state changes, as EventBridge puts them on a queue. They only ring: what is true is asked of Batch itself.

use std::time::Duration;

use outport_aws::{Message, Queue};
use outport_core::Fault;
use outport_core::batch::{NAME_PREFIX, job_of_event};

use crate::engine::Engine;
use crate::roles::after_failure;

const WAIT: Duration = Duration::from_secs(20);

/// Long enough to delete what was received.
const HIDDEN: Duration = Duration::from_secs(30);

/// After an empty answer. Some queues that resemble SQS know no long poll, and would be asked without a pause.
const AT_LEAST: Duration = Duration::from_millis(500);

/// Takes them until the engine stops.
pub async fn run(engine: &Engine, queue: Option<&Queue>) {
    let Some(queue) = queue else { return };
    let mut failures = 0;
    while !engine.is_stopping() {
        let taken = tokio::select! {
            taken = take(engine, queue) => taken,
            () = engine.stopped() => return,
        };
        match taken {
            Ok(0) => engine.pause(AT_LEAST).await,
            Ok(_) => failures = 0,
            Err(fault) => {
                tracing::warn!(code = fault.code.name, hint = fault.hint(), "{fault}");
                failures += 1;
                engine.pause(after_failure(failures)).await;
            }
        }
    }
}

async fn take(engine: &Engine, queue: &Queue) -> Result<usize, Fault> {
    let messages = queue.receive(WAIT, HIDDEN).await?;
    let jobs: Vec<(&Message, String)> = messages
        .iter()
        .filter_map(|message| Some((message, job_of_event(message.body.as_bytes())?)))
        .collect();
    if jobs.iter().any(|(_, job)| job.starts_with(NAME_PREFIX)) {
        engine.bells.batch.notify_one();
    }
    // What cannot be read is left to the dead letters.
    let receipts: Vec<&str> = jobs.iter().map(|(message, _)| message.receipt.as_str()).collect();
    if !receipts.is_empty() {
        queue.delete(&receipts).await?;
    }
    Ok(messages.len())
}
