//! What the demo shows in the end, and whether it was as it should be.

use std::path::Path;
use std::time::Duration;

use outport_core::{Fault, code};
use outport_store::list::deliveries::DeliveryView;

use super::Expectation;
use crate::output::{self, or_dash};

/// Prints the table and every problem; `true` when each good file arrived byte for byte and each broken one failed.
pub fn print(
    deliveries: &[DeliveryView],
    expected: &[Expectation],
    received: &Path,
    took: Duration,
) -> Result<bool, Fault> {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let mut good = true;
    for wanted in expected {
        let Some(delivery) = deliveries.iter().find(|d| d.key == wanted.key.as_str()) else {
            good = false;
            problems.push(format!("{}: no delivery was recorded in time", wanted.key));
            continue;
        };
        rows.push(row(delivery));
        if let Some(fault) = &delivery.fault {
            problems.push(format!("{}: {fault}", delivery.key));
        }
        if let Err(problem) = check(delivery, wanted, received) {
            good = false;
            problems.push(format!("{}: NOT AS IT SHOULD BE: {problem}", delivery.key));
        }
    }
    let header = [
        "file",
        "group",
        "subscriber",
        "transform",
        "state",
        "remote name",
        "bytes",
        "sha256",
        "attempts",
        "time",
    ];
    output::table(&header, rows)?;
    if !problems.is_empty() {
        output::note("");
        for problem in problems {
            output::note(&output::safe_report(&problem));
        }
    }
    output::note("");
    let arrived = expected.iter().filter(|e| e.arrives.is_some()).count();
    let broken = expected.len() - arrived;
    let verdict =
        if good { "every good file arrived byte for byte" } else { "not everything went as it should" };
    output::note(&format!("{verdict}: {arrived} good, {broken} broken, {:.1} s", took.as_secs_f64()));
    Ok(good)
}

fn row(d: &DeliveryView) -> Vec<String> {
    let took = d.settled_at.map(|at| format!("{} ms", at - d.created_at));
    vec![
        d.key.clone(),
        or_dash(d.file_group.clone()),
        d.subscriber.clone(),
        or_dash(d.transform.clone()),
        d.state.clone(),
        d.remote_name.clone(),
        or_dash(d.size_bytes),
        d.sha256.as_deref().map_or_else(|| "-".into(), |hash| hash.chars().take(12).collect()),
        d.attempts.to_string(),
        or_dash(took),
    ]
}

fn check(delivery: &DeliveryView, wanted: &Expectation, received: &Path) -> Result<(), Fault> {
    let wrong = |problem: String| Err(Fault::new(&code::ENGINE_PANIC, problem));
    let path = received.join(&delivery.remote_name);
    match &wanted.arrives {
        None if delivery.state != "failed" => wrong(format!("a broken file is {}", delivery.state)),
        None if path.exists() => wrong("something of a broken file was delivered".into()),
        None => Ok(()),
        Some(_) if delivery.state != "delivered" => wrong(format!("it is {}", delivery.state)),
        Some(content) => match std::fs::read(&path) {
            Ok(arrived) if arrived == *content => Ok(()),
            Ok(arrived) => {
                wrong(format!("{} bytes arrived, other than the {} sent", arrived.len(), content.len()))
            }
            Err(error) => wrong(format!("it is not at the partner's: {error}")),
        },
    }
}
