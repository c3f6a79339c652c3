//! Intake from a queue: the events of buckets in S3.
//!
//! A message is deleted when everything in it is recorded, and not before: whoever dies in between leaves it to come again, and
//! the ledger knows what it has. What no parser knows is left alone: it comes again until the queue moves it to the dead
//! letters.

mod batch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use outport_aws::{Queue, SdkConfig};
use outport_core::{Fault, code};
use tokio::task::JoinSet;

use self::batch::Batch;
use crate::config::Config;
use crate::engine::Engine;
use crate::roles::after_failure;

/// How many ask the queue at a time. One that has ten messages takes some 40 ms for them; four keep the database busy.
const POLLERS: usize = 4;

/// How long an empty queue is waited for: SQS allows no more, and each question costs money.
const WAIT: Duration = Duration::from_secs(20);

/// An empty answer that came sooner than this was no wait at all: some queues that resemble SQS do not know it.
const AT_ONCE: Duration = Duration::from_millis(500);

/// The queue and the rule by which its events count.
pub struct QueueIntake {
    queue: Queue,
    settle: Duration,
}

impl QueueIntake {
    /// The configured one; `None`: there is no queue.
    pub fn of(config: &Config, aws: &SdkConfig) -> Option<Self> {
        Some(Self { queue: Queue::new(aws, config.queue()?), settle: config.settle() })
    }
}

/// Runs until the engine stops.
pub(super) async fn run(engine: Arc<Engine>) -> Result<(), Fault> {
    let mut pollers = JoinSet::new();
    for _ in 0..POLLERS {
        pollers.spawn(poll(engine.clone()));
    }
    while let Some(ended) = pollers.join_next().await {
        // Only by a bug: a poller ends when the engine stops.
        ended.map_err(|panic| {
            Fault::new(&code::ENGINE_PANIC, format!("the intake of a queue ended by a bug: {panic}"))
        })?;
    }
    Ok(())
}

async fn poll(engine: Arc<Engine>) {
    let (Some(intake), Some(s3)) = (&engine.intake, engine.storage.s3()) else { return };
    let mut failures = 0;
    while !engine.is_stopping() {
        let asked_at = Instant::now();
        let received = tokio::select! {
            received = intake.queue.receive(WAIT, engine.timing.visibility) => received,
            // What was on its way to us comes again when its time is over.
            () = engine.stopped() => break,
        };
        match received {
            Ok(messages) if messages.is_empty() => {
                failures = 0;
                if asked_at.elapsed() < AT_ONCE {
                    engine.pause(engine.timing.poll).await;
                }
            }
            Ok(messages) => {
                failures = 0;
                Batch::new(&engine, intake, messages).work(s3).await;
            }
            Err(fault) => {
                tracing::warn!(code = fault.code.name, hint = fault.hint(), "{fault}");
                failures += 1;
                engine.pause(after_failure(failures)).await;
            }
        }
    }
}
