//! Replays and their plans for people.

use outport_core::Fault;
use outport_core::replay::{Filter, ReplayMode};
use outport_store::replay::plan::Plan;
use outport_store::replay::view::{Count, ReplayDetail, ReplayView};

use super::option;
use crate::output::{self, or_dash, time};

/// The plan, and the command that starts it.
pub fn plan(plan: &Plan) -> Result<(), Fault> {
    let reprocess = plan.mode == ReplayMode::Reprocess.as_str();
    let what = if reprocess { "files" } else { "deliveries" };
    output::pairs(&[
        ("filter", described(plan.mode, &plan.filter)),
        ("as of", time(plan.as_of)),
        ("selected", format!("{} {what}", plan.selected)),
        ("would be sent", format!("{} {what}", plan.sendable)),
        ("would be skipped", format!("{} {what}", plan.selected - plan.sendable)),
    ])?;
    if !plan.lines.is_empty() {
        output::line("")?;
        let rows = plan.lines.iter().map(|line| {
            vec![
                line.subscriber.clone(),
                line.endpoint.clone(),
                line.state.clone(),
                line.count.to_string(),
                line.reason.map_or_else(|| "sent again".into(), |reason| format!("skipped: {reason}")),
                line.hint.unwrap_or("-").to_owned(),
            ]
        });
        output::table(&["subscriber", "endpoint", "state", "deliveries", "what", "hint"], rows.collect())?;
    }
    let apart: Vec<_> = plan.examples.iter().map(|e| ("skipped", e)).collect();
    let apart = apart.into_iter().chain(plan.left_out.iter().map(|e| ("not selected", e)));
    let rows: Vec<_> = apart.map(|(word, e)| vec![word.to_owned(), e.id.clone(), e.reason.clone()]).collect();
    if !rows.is_empty() {
        output::line("")?;
        output::table(&["", "for example", "reason"], rows)?;
    }
    if plan.sendable > 0 {
        output::note(&format!("\nNothing was changed. To start it:\n  {}", output::safe(&command(plan))));
    } else {
        output::note("\nThere is nothing to start.");
    }
    Ok(())
}

/// The command that does what was looked at: with absolute times, so that it is the same tomorrow.
fn command(plan: &Plan) -> String {
    let mut words = vec!["outport replay start".to_owned(), mode_option(plan.mode).to_owned()];
    words.extend(plan.filter.options().into_iter().map(|(name, value)| format!("{name} {}", quoted(&value))));
    if plan.config != "current" {
        words.push("--as-sent".into());
    }
    words.push("--reason WHY --idempotency-key KEY".into());
    words.join(" ")
}

fn mode_option(mode: &str) -> &'static str {
    mode.parse().map_or("", option)
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The filter as options, times as absolute UTC.
fn described(mode: &str, filter: &Filter) -> String {
    let options = filter.options().into_iter().map(|(name, value)| format!(" {name} {}", quoted(&value)));
    format!("{}{}", mode_option(mode), options.collect::<String>())
}

fn counted(counts: &[Count]) -> String {
    let words: Vec<_> = counts.iter().map(|count| format!("{} {}", count.count, count.what)).collect();
    if words.is_empty() { "-".into() } else { words.join(", ") }
}

fn stands(replay: &ReplayView) -> String {
    match replay.chore.as_deref() {
        Some("park") => format!("{} (holding what is not sent yet)", replay.state),
        Some("release") => format!("{} (putting back what was held)", replay.state),
        Some("cancel") => format!("{} (cancelling what is not sent yet)", replay.state),
        _ => replay.state.clone(),
    }
}

/// How a replay stands, and its history.
pub fn status(detail: &ReplayDetail) -> Result<(), Fault> {
    let replay = &detail.replay;
    output::pairs(&[
        ("id", replay.id.to_string()),
        ("state", stands(replay)),
        ("filter", described(&replay.mode, &replay.filter)),
        ("config", replay.config.clone()),
        ("per minute", or_dash(replay.per_minute)),
        ("idempotency key", replay.idempotency_key.clone()),
        ("by", replay.requested_by.clone()),
        ("reason", replay.reason.clone()),
        ("started", time(replay.started_at)),
        ("ended", replay.ended_at.map_or_else(|| "-".into(), time)),
        ("selected", replay.matched.to_string()),
        ("created", replay.created.to_string()),
        ("skipped", format!("{} ({})", replay.skipped, counted(&detail.reasons))),
        ("deliveries", counted(&detail.deliveries)),
    ])?;
    let rows = detail.history.iter().map(|turn| {
        vec![time(turn.at), turn.event.clone(), turn.actor.clone(), or_dash(turn.reason.as_ref())]
    });
    output::table(&["at", "what", "by", "reason"], rows.collect())
}

/// One line each.
pub fn list(replays: &[ReplayView]) -> Result<(), Fault> {
    let rows = replays.iter().map(|replay| {
        vec![
            replay.id.to_string(),
            time(replay.started_at),
            replay.state.clone(),
            format!("{}/{}/{}", replay.matched, replay.created, replay.skipped),
            described(&replay.mode, &replay.filter),
            replay.requested_by.clone(),
            replay.reason.clone(),
        ]
    });
    output::table(
        &["id", "started", "state", "selected/created/skipped", "filter", "by", "reason"],
        rows.collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_words_back() {
        for (word, want) in [
            ("acme/sftp", "acme/sftp"),
            ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"),
            ("*.csv", "'*.csv'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a;rm -rf", "'a;rm -rf'"),
        ] {
            assert_eq!(quoted(word), want);
        }
    }
}
