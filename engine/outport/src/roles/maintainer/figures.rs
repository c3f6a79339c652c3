//! The figures that alarms watch, as lines of the log in CloudWatch's embedded metric format. deploy/metrics.toml lists
//! them.

use outport_core::Millis;
use outport_core::timing::millis;
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
    let mut since = None;
    while !engine.is_stopping() {
        let wait = match line(engine, namespace, &mut since).await {
            Ok(Some(line)) => {
                if let Err(fault) = output::line(&line) {
                    tracing::warn!(code = fault.code.name, "{fault}");
                }
                every
            }
            Ok(None) => every,
            Err(error) => {
                tracing::warn!(code = error.fault().code.name, "{error}");
                after_failure(1).min(every)
            }
        };
        engine.pause(wait).await;
    }
}

/// Entries of the history may become visible this much after the time in their ids: transactions are short.
const LATE: Millis = 5_000;

/// `None`: another process writes it. `since`: until when failures are counted already.
async fn line(
    engine: &Engine,
    namespace: &str,
    since: &mut Option<Millis>,
) -> Result<Option<String>, StoreError> {
    let store = &engine.store;
    let term = 2 * engine.timing.figures;
    if duty::hold(store, "figures", engine.worker, term).await?.is_none() {
        *since = None;
        return Ok(None);
    }
    let read = figures::read(store).await?;
    let until = read.now - LATE;
    // Whoever takes the duty over begins with one rhythm's worth: an alarm that rings twice is better than none.
    let from = since.unwrap_or(until - millis(engine.timing.figures));
    let failed = figures::failed_between(store, from, until).await?;
    *since = Some(until);
    Ok(Some(embedded(namespace, read, failed)))
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
