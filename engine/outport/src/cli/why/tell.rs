//! The facts as short lines, in the order of their causes. Pure; the lines may hold text of others, so whoever prints
//! them makes it safe.

use outport_store::list::transforms::TransformView;
use outport_store::list::why::Story;

use super::{deliveries, routing};
use crate::output::{or_dash, time};

/// Further sightings that are told one by one.
const SIGHTINGS: usize = 3;

/// The story, for one subscriber or all.
pub fn tell(story: &Story, subscriber: Option<&str>) -> Vec<String> {
    let file = &story.file;
    let size = file.size_bytes.map_or_else(String::new, |n| format!(", {n} bytes"));
    let mut lines =
        vec![format!("{} s3://{}/{}, version {}{size}", file.id, file.bucket, file.key, file.version)];
    if story.other_versions > 0 {
        lines.push(format!("{} other version(s) of this key: `outport file list`", story.other_versions));
    }
    sightings(story, &mut lines);
    lines.push(format!("{} recorded as {}", time(file.arrived_at), file.state));
    lines.extend(routing::told(story));
    if let Some(problem) = file.problem.as_deref() {
        lines.extend(fault(problem).map(|line| format!("  {line}")));
    }
    for transform in &story.transforms {
        lines.push(transformed(transform));
        lines.extend(transform.fault.as_deref().into_iter().flat_map(fault).map(|line| format!("  {line}")));
    }
    for delivery in &story.deliveries {
        lines.extend(deliveries::told(story, delivery));
    }
    for s in &story.subscriptions {
        if !story.deliveries.iter().any(|d| d.delivery.subscription == s.code) {
            let why = routing::passed_by(s, file.arrived_at);
            lines.push(format!("{}: no delivery; the subscription {why}", s.code));
        }
    }
    if file.file_group.is_some() && story.subscriptions.is_empty() {
        lines.push("nobody has ever subscribed to this file group".to_owned());
    }
    if let Some(code) = subscriber
        && story.deliveries.is_empty()
    {
        lines.push(format!("{code} gets nothing of this file"));
    }
    lines
}

fn sightings(story: &Story, lines: &mut Vec<String>) {
    let mut events = story.events.iter();
    if let Some(first) = events.next() {
        lines.push(format!("{} seen by {}", time(first.at), first.source));
    }
    for again in events.clone().take(SIGHTINGS) {
        let at = time(again.at);
        lines.push(format!("{at} seen again by {}: the same version, nothing is sent again", again.source));
    }
    if let (more @ 1.., Some(last)) = (story.events.len().saturating_sub(1 + SIGHTINGS), events.next_back()) {
        lines.push(format!(
            "... and {more} more sighting(s), the last at {} by {}",
            time(last.at),
            last.source
        ));
    }
}

fn transformed(t: &TransformView) -> String {
    let name = format!("transform {} {}@{}", t.id, t.spec, t.version);
    match t.state.as_str() {
        "pending" => format!("{name}: pending, due {}, {} tries so far", time(t.due_at), t.attempts),
        "running" => format!("{name}: running"),
        "succeeded" => {
            let at = t.settled_at.map_or_else(|| "-".into(), time);
            format!("{name}: succeeded {at}, {} records, {} bytes", or_dash(t.records), or_dash(t.size_bytes))
        }
        state => format!("{name}: {state} {}", t.settled_at.map_or_else(|| "-".into(), time)),
    }
}

/// The lines of a fault's report: the message with its code, the hint.
pub fn fault(report: &str) -> impl Iterator<Item = String> {
    match report.split_once("\nhint: ") {
        Some((message, hint)) => vec![message.to_owned(), format!("hint: {hint}")].into_iter(),
        None => vec![report.to_owned()].into_iter(),
    }
}
