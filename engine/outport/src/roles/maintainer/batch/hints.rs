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
        if let Err(fault) = &taken {
            tracing::warn!(code = fault.code.name, hint = fault.hint(), "{fault}");
        }
        let wait;
        (failures, wait) = after(taken.ok(), failures);
        engine.pause(wait).await;
    }
}

/// After so many messages were received (`None`: that failed), and so many failures in a row before: failures in a row now, and
/// how long to wait.
fn after(received: Option<usize>, failures: u32) -> (u32, Duration) {
    match received {
        None => (failures + 1, after_failure(failures + 1)),
        Some(0) => (0, AT_LEAST),
        Some(_) => (0, Duration::ZERO),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_is_no_failure() {
        let (failures, longer) = after(None, 3);
        assert!(failures == 4 && longer >= Duration::from_secs(12), "{failures} {longer:?}");
        assert_eq!(after(Some(0), 4), (0, AT_LEAST));
        assert_eq!(after(Some(10), 4), (0, Duration::ZERO));
    }
}
