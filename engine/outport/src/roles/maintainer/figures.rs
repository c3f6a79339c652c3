//! The figures that alarms watch, as lines of the log in CloudWatch's embedded metric format. deploy/metrics.toml lists
//! them.

use std::time::Duration;

use outport_core::timing::millis;
use outport_core::{Fault, Millis};
use outport_store::figures::{self, Figures};
use outport_store::{StoreError, duty};
use serde_json::json;

use crate::engine::Engine;
use crate::output;
use crate::roles::after_failure;

/// A line each minute, by one process for all: two would count everything twice.
pub async fn run(engine: &Engine) {
    let Some(namespace) = &engine.metrics_namespace else { return };
    let every = engine.timing.figures;
    let mut failures = 0;
    while !engine.is_stopping() {
        let wait = match line(engine, namespace).await {
            Ok(()) => {
                failures = 0;
                every
            }
            Err(fault) => {
                tracing::warn!(code = fault.code.name, "{fault}");
                failures += 1;
                after_failure(failures).min(every)
            }
        };
        engine.pause(wait).await;
    }
}

/// Entries of the history may become visible this much after the time in their ids: transactions are short.
const LATE: Millis = 5_000;

/// Failures are counted from no further back: they stand in `outport problems`, and this alarm is about today.
const LONGEST: Millis = 24 * 3_600_000;

/// Nothing, where another process writes it.
async fn line(engine: &Engine, namespace: &str) -> Result<(), Fault> {
    let fault = |error: StoreError| error.fault();
    let store = &engine.store;
    let term = 2 * engine.timing.figures;
    let held = duty::hold(store, "figures", engine.worker, term).await.map_err(fault)?;
    let Some(duty) = held else { return Ok(()) };
    let read = figures::read(store).await.map_err(fault)?;
    let until = read.now - LATE;
    let since = counted_until(duty.done_until(), until, engine.timing.figures);
    let failed = figures::failed_between(store, since, until).await.map_err(fault)?;
    output::line(&embedded(namespace, read, failed))?;
    // After the line: whoever dies in between has it counted once more. An alarm that rings twice is better than none.
    duty.is_done_until(store, until).await.map_err(fault)
}

/// Where the last line ended, whoever wrote it: a maintainer is followed by another after two to three minutes, and what failed
/// meanwhile is in no line yet. The very first one begins with one rhythm's worth.
fn counted_until(last: Option<Millis>, until: Millis, every: Duration) -> Millis {
    last.unwrap_or(until - millis(every)).max(until - LONGEST)
}

/// One line of CloudWatch's embedded metric format, without dimensions: an alarm then needs none.
fn embedded(namespace: &str, read: Figures, failed: u64) -> String {
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    json!({
        "_aws": {
            "Timestamp": read.now,
            "CloudWatchMetrics": [{
                "Namespace": namespace,
                "Dimensions": [[]],
                "Metrics": [
                    metric("lanes_open", "Count"),
                    metric("deliveries_failed", "Count"),
                    metric("oldest_due_seconds", "Seconds"),
                ],
            }],
        },
        "lanes_open": read.lanes_open,
        "deliveries_failed": failed,
        "oldest_due_seconds": read.oldest_due_ms / 1000,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_goes_on_where_it_ended_but_not_for_ever() {
        let (now, minute) = (1_767_323_045_678, Duration::from_secs(60));
        assert_eq!(counted_until(None, now, minute), now - 60_000);
        assert_eq!(counted_until(Some(now - 180_000), now, minute), now - 180_000);
        assert_eq!(counted_until(Some(now - 2 * LONGEST), now, minute), now - LONGEST);
    }

    #[test]
    fn a_line_has_what_cloudwatch_looks_for() {
        let read = Figures { now: 1_767_323_045_678, lanes_open: 2, oldest_due_ms: 90_500 };
        let line: serde_json::Value = serde_json::from_str(&embedded("Outport/x", read, 3)).unwrap();
        assert_eq!(line["_aws"]["Timestamp"], 1_767_323_045_678_i64);
        let of = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(of["Namespace"], "Outport/x");
        assert_eq!(of["Dimensions"], json!([[]]));
        for metric in of["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
        assert_eq!(line["oldest_due_seconds"], 90);
    }
}
