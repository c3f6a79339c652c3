//! One delivery: where it stands, what holds it up, its attempts, and what operators did.

use outport_store::list::deliveries::{AttemptView, DeliveryDetail, DeliveryView};
use outport_store::list::history::HistoryView;
use outport_store::list::why::Story;

use super::tell::fault;
use crate::cli::lane;
use crate::output::{or_dash, time};

/// Of more attempts than this the first one and the last ones are told.
const ATTEMPTS: usize = 6;

pub fn told(story: &Story, detail: &DeliveryDetail) -> Vec<String> {
    let d = &detail.delivery;
    let mut lines =
        vec![format!("{} to {} as {}, {}: {}", d.subscription, d.endpoint, d.remote_name, d.id, stands(d))];
    let mut below = Vec::new();
    if let Some(replay) = d.replay {
        let of = d.source.map_or_else(String::new, |source| format!(", sends {source} again"));
        below.push(format!("by the replay {replay}{of}"));
    }
    attempts(&detail.attempt, &mut below);
    let mine = |entry: &&HistoryView| entry.subject == d.id.uuid();
    below.extend(story.history.iter().filter(mine).filter_map(act));
    if d.state != "delivered" {
        below.extend(d.fault.as_deref().into_iter().flat_map(fault));
    }
    if matches!(d.state.as_str(), "queued" | "retrying")
        && let Some(endpoint) = story.endpoints.iter().find(|e| e.name == d.endpoint)
    {
        let obstacles = lane::obstacles(endpoint);
        if obstacles.is_empty() {
            below.push(format!("its lane is open, with {} waiting or under way", endpoint.waiting));
        }
        below.extend(obstacles.into_iter().map(|obstacle| format!("its lane takes nothing now: {obstacle}")));
    }
    if let (Some(at), Some(by)) = (d.resolved_at, &d.resolved_by) {
        below.push(format!("resolved by {by} at {}", time(at)));
    }
    if d.possible_duplicate {
        below.push("possible duplicate: it was sent again after an answer was lost".to_owned());
    }
    lines.extend(below.into_iter().map(|line| format!("  {line}")));
    lines
}

fn stands(d: &DeliveryView) -> String {
    match (d.state.as_str(), d.settled_at, d.due_at) {
        ("waiting", ..) => "waits for its transform".to_owned(),
        ("held", ..) => format!("held (`outport delivery release {} --reason ...`)", d.id),
        (state @ ("queued" | "retrying"), _, Some(due)) => format!("{state}, next try {}", time(due)),
        (state, Some(at), _) => format!("{state} {}", time(at)),
        (state, ..) => state.to_owned(),
    }
}

fn attempts(all: &[AttemptView], lines: &mut Vec<String>) {
    let left_out = if all.len() > ATTEMPTS { 1..all.len() - (ATTEMPTS - 1) } else { 0..0 };
    for (index, attempt) in all.iter().enumerate() {
        if index == left_out.start && !left_out.is_empty() {
            lines.push(format!("... {} more attempts", left_out.len()));
        }
        if !left_out.contains(&index) {
            lines.push(tried(attempt));
        }
    }
}

fn tried(a: &AttemptView) -> String {
    let start = format!("attempt {} {}", a.n, time(a.started_at));
    let Some(outcome) = a.outcome.as_deref() else { return format!("{start}: under way, {}", a.stage) };
    if outcome == "delivered" {
        return format!(
            "{start}: delivered {}, {} bytes, sha256 {}, host key {}, confirmed by {}",
            or_dash(a.remote_final.clone()),
            or_dash(a.remote_size),
            or_dash(a.sha256.clone()),
            or_dash(a.peer_identity.clone()),
            or_dash(a.confirmed_by.clone())
        );
    }
    let why = match (&a.message, &a.code) {
        (Some(message), Some(code)) => format!(": {message} [{code}]"),
        _ => String::new(),
    };
    format!("{start}: {outcome} while {}{why}", a.stage)
}

/// An entry that the rest does not tell: acts of operators, and what came after a cancel.
fn act(entry: &HistoryView) -> Option<String> {
    let at = time(entry.at);
    match entry.event.as_str() {
        "delivered_after_cancel" => {
            let name = entry.detail["remote_final"].as_str().unwrap_or("-");
            Some(format!(
                "{at} delivered_after_cancel: the cancel came too late, the file is at the partner as {name}"
            ))
        }
        "unknown_after_cancel" => Some(format!(
            "{at} unknown_after_cancel: the cancel came during the rename, the file may be at the partner"
        )),
        _ if entry.actor.starts_with("operator:") => {
            let why = entry.reason().map_or_else(String::new, |why| format!(": {why}"));
            Some(format!("{at} {} by {}{why}", entry.event, entry.actor))
        }
        _ => None,
    }
}
