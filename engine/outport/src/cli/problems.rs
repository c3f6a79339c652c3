//! `outport problems`: all that waits for a person, oldest first, each with the command that moves it.

use clap::Args;
use outport_core::Fault;
use outport_store::list::problems::{self, Problem, Waits};
use serde::Serialize;

use super::database::existing_store;
use super::{Shape, lane};
use crate::config::Config;
use crate::output::{self, Format, time};

#[derive(Debug, Args)]
pub struct ProblemsArgs {
    #[command(flatten)]
    shape: Shape,
}

/// A problem as `--json` has it.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    problem: Problem,
    what: String,
    command: String,
}

pub async fn run(config: &Config, args: ProblemsArgs) -> Result<(), Fault> {
    let store = existing_store(config).await?;
    let problems = problems::list(&store).await.map_err(|e| e.fault())?;
    let lines: Vec<Line> = problems
        .into_iter()
        .map(|problem| Line { what: what(&problem), command: command(&problem), problem })
        .collect();
    match args.shape.format() {
        Format::Json => output::json(&lines),
        Format::Table if lines.is_empty() => {
            output::note("nothing waits for you");
            Ok(())
        }
        Format::Table => output::table(
            &["since", "what waits", "what moves it"],
            lines.into_iter().map(|line| vec![time(line.problem.since), line.what, line.command]).collect(),
        ),
    }
}

/// `10,000+ deliveries`: with thousands marked, the noun in the right number, and whether there may be more.
fn counted(problem: &Problem, one: &str, many: &str) -> String {
    let digits = problem.count.to_string();
    let mut number = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            number.push(',');
        }
        number.push(digit);
    }
    let more = if problem.at_least { "+" } else { "" };
    format!("{number}{more} {}", if problem.count == 1 && !problem.at_least { one } else { many })
}

fn what(problem: &Problem) -> String {
    let deliveries = || counted(problem, "delivery", "deliveries");
    let waiting = || format!("{} waiting", counted(problem, "delivery", "deliveries"));
    let why = |code: &Option<String>| code.as_deref().unwrap_or("no fault recorded").to_owned();
    match &problem.waits {
        Waits::Failed { endpoint, code, .. } => {
            format!("{endpoint}: {} failed ({})", deliveries(), why(code))
        }
        Waits::Unconfirmed { endpoint, code, .. } => {
            format!("{endpoint}: {} unconfirmed ({})", deliveries(), why(code))
        }
        Waits::Held { endpoint, .. } => format!("{endpoint}: {} held", deliveries()),
        Waits::Paused { endpoint, by, reason } => {
            format!("{endpoint}: paused by {by}: {reason}; {}", waiting())
        }
        Waits::Suspended { endpoint, failing_since } => {
            let since = failing_since.map_or_else(String::new, |at| format!(", failing since {}", time(at)));
            format!("{endpoint}: suspended{since}; {}", waiting())
        }
        Waits::Identity { endpoint, seen } => {
            let seen = seen.as_deref().unwrap_or("none that is pinned");
            format!("{endpoint}: blocked, the server's host key is {seen}; {}", waiting())
        }
        Waits::Credential { endpoint, until } => {
            let until = until.map_or_else(String::new, |at| format!(" until {}", time(at)));
            format!("{endpoint}: logins stopped{until}, they were refused; {}", waiting())
        }
        Waits::Settings { endpoint } => {
            format!("{endpoint}: blocked, its settings cannot work; {}", waiting())
        }
        Waits::Disabled { endpoint } => {
            format!("{endpoint}: turned off by the definitions; {}", waiting())
        }
        Waits::Rejected { bucket, code, .. } => {
            format!("s3://{bucket}: {} rejected ({})", counted(problem, "file", "files"), why(code))
        }
        Waits::Replay { replay } => format!("{replay}: paused"),
        Waits::Workers { worker, reason, .. } => {
            format!("{worker}: {} of Batch failed: {reason}", counted(problem, "worker", "workers in a row"))
        }
    }
}

fn command(problem: &Problem) -> String {
    let single = problem.count == 1 && !problem.at_least;
    match &problem.waits {
        Waits::Failed { example, .. } if single => format!("outport delivery show {example}"),
        Waits::Failed { endpoint, code, .. } => replay(endpoint, "failed", code.as_deref()),
        Waits::Unconfirmed { example, .. } if single => {
            format!("outport delivery resolve {example} --reason ...")
        }
        Waits::Unconfirmed { endpoint, .. } => {
            format!("outport delivery list --state unconfirmed --endpoint {endpoint}")
        }
        Waits::Held { example, .. } if single => format!("outport delivery release {example} --reason ..."),
        Waits::Held { endpoint, .. } => format!("outport delivery list --state held --endpoint {endpoint}"),
        Waits::Paused { endpoint, .. } | Waits::Suspended { endpoint, .. } => lane::resume(endpoint),
        Waits::Identity { endpoint, seen } => lane::accept_key(endpoint, seen.as_deref()),
        Waits::Credential { endpoint, .. } | Waits::Settings { endpoint } => lane::retry(endpoint),
        Waits::Disabled { .. } => "outport apply partners.toml".to_owned(),
        Waits::Rejected { example, .. } if single => format!("outport file show {example}"),
        Waits::Rejected { bucket, .. } => format!("outport file list --state rejected --bucket {bucket}"),
        Waits::Replay { replay } => format!("outport replay resume {replay}"),
        Waits::Workers { .. } => "outport worker list".to_owned(),
    }
}

/// What failed before it could be sent has to be routed and transformed again; the rest is sent as it was.
fn replay(endpoint: &str, state: &str, code: Option<&str>) -> String {
    let anew = code.is_some_and(|code| {
        ["transform.", "route.", "artifact.", "json."].iter().any(|start| code.starts_with(start))
    });
    let verb = if anew { "--reprocess" } else { "--redeliver" };
    let fault = code.map_or_else(String::new, |code| format!(" --fault {code}"));
    format!("outport replay plan {verb} --endpoint {endpoint} --state {state}{fault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(count: i64, at_least: bool, code: &str) -> Problem {
        let example = "dlv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let waits = Waits::Failed { endpoint: "acme/sftp".into(), code: Some(code.into()), example };
        Problem { waits, count, at_least, since: 0 }
    }

    #[test]
    fn a_group_is_one_line_with_its_count_and_what_moves_it() {
        for (count, at_least, code, says, moves) in [
            (
                4_000,
                false,
                "remote.permission_denied",
                "acme/sftp: 4,000 deliveries failed (remote.permission_denied)",
                "outport replay plan --redeliver --endpoint acme/sftp --state failed --fault remote.permission_denied",
            ),
            (
                10_000,
                true,
                "transform.failed",
                "acme/sftp: 10,000+ deliveries failed (transform.failed)",
                "outport replay plan --reprocess --endpoint acme/sftp --state failed --fault transform.failed",
            ),
            (
                1,
                false,
                "worker.lost",
                "acme/sftp: 1 delivery failed (worker.lost)",
                "outport delivery show dlv_01h455vb4pex5vsknk084sn02q",
            ),
            (
                1_234_567,
                false,
                "x.y",
                "acme/sftp: 1,234,567 deliveries failed (x.y)",
                "outport replay plan --redeliver --endpoint acme/sftp --state failed --fault x.y",
            ),
        ] {
            let problem = failed(count, at_least, code);
            assert_eq!((what(&problem).as_str(), command(&problem).as_str()), (says, moves));
        }
    }
}
