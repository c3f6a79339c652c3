//! Asks the database once a second what is due, and rings the bells. Everything else waits for a bell, so an idle
//! engine costs this one statement.

use std::sync::Arc;
use std::time::Duration;

use outport_store::next_work::{NextWork, next_work};
use outport_store::rescue::{Which, rescue};

use super::after_failure;
use crate::engine::Engine;

/// Bells within this time are one. A quarter of the 20 ms in which an idle engine is to pick work up.
const COALESCE: Duration = Duration::from_millis(5);

pub async fn run(engine: Arc<Engine>) {
    let mut failures = 0;
    while !engine.is_stopping() {
        let wait = match next_work(&engine.store).await {
            Ok(next) => {
                failures = 0;
                ring(&engine, &next).await;
                until_due(&next, engine.timing.poll)
            }
            Err(error) => {
                let fault = error.fault();
                tracing::warn!(code = fault.code.name, "{fault}");
                failures += 1;
                // No bell cuts this short: each delivery that ends rings one, and when the database goes away they end
                // together (10 questions in the first 200 ms of an outage, where one was meant).
                engine.pause(after_failure(failures)).await;
                continue;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // A batch that ends rings many times: one question answers them all.
            () = engine.bells.ask.notified() => tokio::time::sleep(COALESCE).await,
            () = engine.stopped() => {}
        }
    }
}

async fn ring(engine: &Engine, next: &NextWork) {
    if next.send_is_due() {
        engine.bells.send.notify_one();
    }
    if next.transform_is_due() {
        engine.bells.transform.notify_one();
    }
    if next.notice_is_due() {
        engine.bells.notice.notify_one();
    }
    if next.lease_is_over() {
        match rescue(&engine.store, Which::Expired, &engine.timing).await {
            Ok(freed) => {
                engine.metrics.rescued.inc_by(freed.sends + freed.transforms);
                if freed.sends + freed.transforms > 0 {
                    tracing::warn!(
                        sends = freed.sends,
                        transforms = freed.transforms,
                        "freed the work of a lost worker"
                    );
                }
            }
            Err(error) => tracing::warn!(code = error.fault().code.name, "{error}"),
        }
    }
}

/// Until the earliest thing that is not due yet, at most a poll away. What is due already was rung for: whoever takes it
/// asks again.
fn until_due(next: &NextWork, poll: Duration) -> Duration {
    let soonest = [next.send, next.transform, next.lease, next.notice]
        .into_iter()
        .flatten()
        .filter(|at| *at > next.now)
        .min();
    match soonest.and_then(|at| u64::try_from(at - next.now).ok()) {
        Some(ms) => poll.min(Duration::from_millis(ms.max(5))),
        None => poll,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_next_thing_but_never_longer_than_a_poll() {
        let poll = Duration::from_secs(1);
        let next = |send, transform, lease| NextWork { now: 1_000, send, transform, lease, notice: None };
        assert_eq!(until_due(&next(None, None, None), poll), poll);
        assert_eq!(until_due(&next(Some(1_250), None, Some(9_000)), poll), Duration::from_millis(250));
        assert_eq!(until_due(&next(Some(900), Some(5_000), None), poll), poll);
        assert_eq!(until_due(&next(Some(1_001), None, None), poll), Duration::from_millis(5));
    }
}
