//! Creates the deliveries of running replays, and finishes what operators asked of them.

use std::sync::Arc;
use std::time::Duration;

use outport_core::ReplayId;
use outport_store::StoreError;
use outport_store::replay::run::{self, PAGE, Step};
use outport_transform::output_ext;

use crate::crash_point::{self, Point};
use crate::engine::Engine;
use crate::roles::after_failure;

/// Looks for replays every fifth poll (5 s): one statement, so that an idle engine stays far below its two a second.
/// Nobody waits for less; and a page is created up to 60 s ahead.
const POLLS: u32 = 5;

/// Between two pages: other writers of a SQLite file have their turn.
const BREATH: Duration = Duration::from_millis(1);

pub async fn run(engine: Arc<Engine>) {
    let mut failures = 0;
    while !engine.is_stopping() {
        let wait = match all(&engine).await {
            Ok(()) => {
                failures = 0;
                engine.timing.poll * POLLS
            }
            Err(error) => {
                tracing::warn!(code = error.fault().code.name, "{error}");
                failures += 1;
                after_failure(failures)
            }
        };
        engine.pause(wait).await;
    }
}

/// A page of each in turn, until none has anything to do now.
async fn all(engine: &Engine) -> Result<(), StoreError> {
    loop {
        let mut moved = false;
        for replay in run::active(&engine.store).await? {
            if engine.is_stopping() {
                return Ok(());
            }
            moved |= one(engine, replay).await?;
        }
        if !moved {
            return Ok(());
        }
        engine.pause(BREATH).await;
    }
}

async fn one(engine: &Engine, replay: ReplayId) -> Result<bool, StoreError> {
    let prepared = run::prepare(&engine.store, replay, PAGE, output_ext).await?;
    let creates = prepared.creates();
    if creates {
        crash_point::reached(Point::BeforePage);
    }
    let step = prepared.commit().await?;
    if creates {
        crash_point::reached(Point::AfterPage);
    }
    match step {
        Step::Page { created, skipped, last } => {
            tracing::debug!(%replay, created, skipped, "replayed a page");
            if last {
                tracing::info!(%replay, "all deliveries of the replay are created");
            }
        }
        Step::Chore(deliveries) => tracing::info!(%replay, deliveries, "carried out what an operator asked"),
        Step::Nothing | Step::Busy => return Ok(false),
    }
    // What was created may be due already.
    engine.bells.ask.notify_one();
    Ok(true)
}
