//! The timeline of a simulation in words.

use outport_core::Fault;
use outport_core::simulate::{Line, Row, Scenario, Simulation, Summary, What};

use crate::output::{self, or_dash, time};

/// Lines that a person reads; `--json` has all of them.
const MOST: usize = 200;

pub fn tell(scenario: &Scenario<'_>, simulation: &Simulation) -> Result<(), Fault> {
    output::note("simulated: nothing is sent, nothing is changed; all times are UTC");
    let lines = &simulation.lines;
    let mut rows: Vec<Vec<String>> = lines.iter().take(MOST).map(|line| row(scenario, line)).collect();
    if lines.len() > MOST {
        rows.push(vec!["...".into(), "...".into(), format!("{} more lines: see --json", lines.len() - MOST)]);
    }
    output::table(&["time", "last", "what"], rows)?;
    output::line("")?;
    output::pairs(&summary(scenario, &simulation.summary))
}

fn row(scenario: &Scenario<'_>, line: &Line) -> Vec<String> {
    let last = if line.last_at == line.at { String::new() } else { time(line.last_at) };
    let again = line.row.map_or_else(String::new, |Row { lines, times }| {
        format!(" ({times} times in a row: this and the next {})", lines - 1)
    });
    vec![time(line.at), last, format!("{}{again}", words(scenario, line))]
}

fn words(scenario: &Scenario<'_>, line: &Line) -> String {
    let until = line.until.map_or_else(|| "an operator acts".to_owned(), time);
    // One attempt by its number and file, several by their number.
    let attempts = |done: &str| match (line.count, line.attempt, line.file) {
        (1, Some(attempt), Some(file)) => format!("attempt {attempt} of file {file} {done}"),
        (count, ..) => format!("{count} attempts {done}"),
    };
    let files = |done: &str| match (line.count, line.file) {
        (1, Some(file)) => format!("file {file} {done}"),
        (count, _) => format!("{count} files {done}"),
    };
    match &line.what {
        What::Down => format!("the endpoint goes down ({})", scenario.fault.name),
        What::Up => "the endpoint is up again".into(),
        What::Failed { code } => attempts(&format!("failed [{code}], tried again")),
        What::GaveUp { code } => files(&format!("failed for good [{code}]")),
        What::Delivered => files("delivered"),
        What::Opened { for_ms } => format!("breaker open for {} until {until}", span(*for_ms)),
        What::TrialFailed { code, for_ms } => {
            let tries = match line.count {
                1 => "one file tries and fails".to_owned(),
                n => format!("{n} times one file tries and fails"),
            };
            format!("half-open: {tries} [{code}]; open for {} until {until}", span(*for_ms))
        }
        What::TrialWorked => "half-open: one file tries and is delivered; breaker closed".into(),
        What::Blocked { reason } => format!("lane blocked ({reason}) until {until}"),
        What::Window => format!("maintenance window until {until}"),
        What::Ramp { files: 1 } => "1 file at a time".into(),
        What::Ramp { files } => format!("{files} files at a time"),
        What::Suspended => "lane suspended until an operator resumes it".into(),
        What::Notice { about } => format!("people are told: {about}"),
    }
}

fn summary(scenario: &Scenario<'_>, s: &Summary) -> Vec<(&'static str, String)> {
    let after_outage = |at: i64| match s.outage_ended_at {
        Some(up) if at >= up => format!("{} ({} after the end of the outage)", time(at), span(at - up)),
        _ => time(at),
    };
    let mut pairs = vec![
        ("files", s.files.to_string()),
        ("delivered", s.delivered.to_string()),
        ("failed", s.failed.to_string()),
        ("waiting", s.waiting.to_string()),
        ("attempts", format!("{}, at most {} of one file", s.attempts, s.most_attempts)),
        ("logins", format!("{}, {} of them while it was down", s.logins, s.logins_while_down)),
        ("messages", s.notices.to_string()),
        ("first delivery", or_dash(s.first_delivery_at.map(after_outage))),
        ("all delivered", or_dash(s.all_delivered_at.map(after_outage))),
        ("deadline", format!("{} of {} used", span(s.deadline_used_ms), span(s.deadline_ms))),
        ("policy", format!("{} charged attempts at most", scenario.policy.max_attempts)),
    ];
    if let Some(since) = s.waits_for_operator_since {
        pairs.push(("waits for you", format!("since {}", time(since))));
    }
    pairs
}

/// A duration in its two largest units.
fn span(ms: i64) -> String {
    let seconds = ms / 1_000;
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, s) if s > 0 || ms == 0 => format!("{s}s"),
        (0, 0, _) => format!("{ms}ms"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m {s}s"),
        (h, 0, _) => format!("{h}h"),
        (h, m, _) => format!("{h}h {m}m"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_short() {
        let cases = [(0, "0s"), (250, "250ms"), (30_000, "30s"), (90_000, "1m 30s"), (900_000, "15m")];
        for (ms, text) in cases.into_iter().chain([(259_200_000, "72h"), (5_400_000, "1h 30m")]) {
            assert_eq!(super::span(ms), text);
        }
    }
}
