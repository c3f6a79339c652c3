//! Which rule took a file, or which ones came near.

use outport_core::ObjectKey;
use outport_core::route::{Choice, Rule, choose};
use outport_store::list::why::{RuleView, Story, SubscriberOf};

use crate::output::time;

/// At most so many rules that came near are named.
const NEAR: usize = 3;

/// What routing decided, and by what.
pub fn told(story: &Story) -> Vec<String> {
    let file = &story.file;
    let Ok(key) = ObjectKey::new(file.key.clone()) else { return Vec::new() };
    let then: Vec<Rule> = story
        .rules
        .iter()
        .filter(|r| r.created_at <= file.arrived_at && r.retired_at.is_none_or(|at| at > file.arrived_at))
        .map(|r| r.rule.clone())
        .collect();
    match (&file.file_group, choose(&then, &file.bucket, &key)) {
        (Some(group), Choice::One { rule, .. }) if rule.file_group == *group => {
            vec![format!("the rule {} of file group {group} took it", rule.pattern)]
        }
        (Some(group), _) => vec![format!("the file group {group} took it")],
        (None, Choice::Ambiguous(a, b)) => vec![format!(
            "two rules match it equally well: {} of file group {} and {} of file group {}",
            a.pattern, a.file_group, b.pattern, b.file_group
        )],
        (None, _) if file.state == "rejected" => Vec::new(),
        (None, _) => {
            let mut lines = vec![format!("no rule of bucket {} took it", file.bucket)];
            lines.extend(near(story, &key));
            lines
        }
    }
}

/// Rules that would take it now, or in other circumstances; else those that look most like its key.
fn near(story: &Story, key: &ObjectKey) -> Vec<String> {
    let file = &story.file;
    let mut lines = Vec::new();
    let folded = ObjectKey::new(key.as_str().to_lowercase()).ok();
    for r in &story.rules {
        let what = format!("{} of file group {}", r.pattern, r.file_group);
        if r.rule.pattern.matches(key).is_none() {
            let pattern = r.pattern.to_lowercase().parse::<outport_core::KeyPattern>();
            let folds = |key: &ObjectKey| pattern.as_ref().is_ok_and(|p| p.matches(key).is_some());
            if r.bucket == file.bucket && r.retired_at.is_none() && folded.as_ref().is_some_and(folds) {
                lines.push(format!("  {what} differs only in upper and lower case"));
            }
        } else if r.bucket != file.bucket {
            if r.retired_at.is_none() {
                lines.push(format!("  {what} would take the key in bucket {}", r.bucket));
            }
        } else if let Some(at) = r.retired_at.filter(|at| *at <= file.arrived_at) {
            lines.push(format!("  {what} was retired before, at {}", time(at)));
        } else if r.created_at > file.arrived_at && r.retired_at.is_none() {
            let at = time(r.created_at);
            lines.push(format!("  {what} takes it now: it was applied later, at {at}"));
            lines.push(format!("    `outport replay plan --reprocess --id {}` routes it again", file.id));
        } else if !r.enabled {
            lines.push(format!("  {what} matches, and the file group is disabled"));
        } else if r.starts_at > story.modified_at.unwrap_or(file.arrived_at) {
            let since = time(r.starts_at);
            lines.push(format!("  {what} takes only what changed after {since} (backfill)"));
        }
    }
    if lines.is_empty() {
        lines.extend(
            alike(&story.rules, &file.bucket, key)
                .map(|r| format!("  nearest: {} of file group {}", r.pattern, r.file_group)),
        );
    }
    lines
}

/// The active rules of a bucket whose patterns look most like the key.
fn alike<'r>(rules: &'r [RuleView], bucket: &str, key: &ObjectKey) -> impl Iterator<Item = &'r RuleView> {
    let mut scored: Vec<(f64, &RuleView)> = rules
        .iter()
        .filter(|r| r.bucket == bucket && r.retired_at.is_none())
        .map(|r| (strsim::jaro_winkler(&r.pattern, key.as_str()), r))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(NEAR).map(|(_, r)| r)
}

/// For an object that the ledger has never heard of: what would become of it, and where to look. One line.
pub fn of_the_unseen(rules: &[RuleView], bucket: Option<&str>, key: &str) -> String {
    let Ok(key) = ObjectKey::new(key) else {
        return "this key can be no file: see `route.bad_key`".to_owned();
    };
    let active: Vec<Rule> =
        rules.iter().filter(|r| r.retired_at.is_none() && r.enabled).map(|r| r.rule.clone()).collect();
    let mut buckets: Vec<&str> = match bucket {
        Some(bucket) => vec![bucket],
        None => active.iter().map(|r| r.bucket.as_str()).collect(),
    };
    buckets.sort_unstable();
    buckets.dedup();
    let taken = buckets.iter().find_map(|bucket| match choose(&active, bucket, &key) {
        Choice::One { rule, .. } => Some(format!(
            "the rule {} of file group {} would take it in bucket {bucket}",
            rule.pattern, rule.file_group
        )),
        _ => None,
    });
    let routed = taken.unwrap_or_else(|| "no rule would take it".to_owned());
    format!(
        "{routed}; is it in the bucket, under exactly this key, not older than the rule, and does `outport up` run on \
         this data folder? (docs/OPERATIONS.md, \"When nothing arrives\")"
    )
}

/// Why a subscription of the file's group has no delivery of it: how its switch stood when the file arrived.
pub fn passed_by(s: &SubscriberOf, arrived_at: i64) -> String {
    let mut off: Option<String> = None;
    let mut known = false;
    for entry in s.history.iter().filter(|entry| entry.at <= arrived_at) {
        let by = || {
            let why = entry.reason().map_or_else(String::new, |why| format!(": {why}"));
            format!("by {} at {}{why}", entry.actor, time(entry.at))
        };
        let turned = |to: &str| entry.detail["fields"].to_string().contains(to);
        match entry.event.as_str() {
            "created" => (known, off) = (true, None),
            "enabled" => off = None,
            "disabled" => off = Some(format!("was disabled {}", by())),
            "retired" => off = Some(format!("was retired {}", by())),
            "changed" if turned("enabled: true -> false") => off = Some(format!("was disabled {}", by())),
            "changed" if turned("enabled: false -> true") => off = None,
            _ => {}
        }
    }
    match off {
        Some(off) => off,
        None if !known && !s.history.is_empty() => "was added after the file arrived".to_owned(),
        None if !s.enabled => "is disabled".to_owned(),
        None if !s.subscriber_enabled => format!("is off: its subscriber {} is disabled", s.subscriber),
        None => "got none: it, its subscriber or its file group was off when the file arrived".to_owned(),
    }
}
