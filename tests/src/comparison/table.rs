//! What is printed for one input.

use std::fmt;

use serde_json::{Value, json};

use super::line::{self, Line, Whose};
use super::{Goal, Output, Run};
use crate::statistics::listed;

/// All tools over one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What was measured.
    pub title: String,
    /// Length of the input.
    pub bytes: u64,
    /// Records in the input: rows that an output must have.
    pub records: u64,
    /// One for each tool and number of threads.
    pub lines: Vec<Line>,
    /// What the numbers should be.
    pub goals: Vec<Goal>,
}

impl Table {
    /// What is wrong with what ours wrote: it must have a row for each record, and never a ragged one. Runs that refused are
    /// none of this.
    pub fn faults(&self) -> Vec<String> {
        let ours = self.lines.iter().filter(|line| line.whose == Whose::Ours);
        let good = ours
            .flat_map(|line| line.runs.iter().filter(|run| run.end.is_good()).map(move |run| (line, run)));
        let wrong = good.filter(|(_, run)| {
            run.output.is_none_or(|output| output.rows != self.records || output.is_ragged)
        });
        wrong
            .map(|(line, run)| {
                let found = run.output.map_or_else(|| "no CSV".into(), |output| output.to_string());
                format!("{}: {} wrote {found} for {} records", self.title, line.tool, self.records)
            })
            .collect()
    }

    fn columns(&self) -> Option<u64> {
        let ours = self.lines.iter().find(|line| line.whose == Whose::Ours)?;
        ours.end()?.is_good().then(|| ours.output().map(|output| output.columns))?
    }

    fn speed_mb_s(&self, line: &Line) -> f64 {
        self.bytes as f64 / 1e6 / line.median(|run| run.wall_s)
    }

    fn row(&self, line: &Line, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(end) = line.end() else {
            return writeln!(f, "| {} | {} | - | - | - | - | - | not run | - | - |", line.tool, line.threads);
        };
        let speed = if end.is_good() { format!("{:.1}", self.speed_mb_s(line)) } else { "-".into() };
        let ours = line::ours(&self.lines, line.threads);
        let ratio = ours.and_then(|ours| line.times_as_long_as(ours));
        let output = line.output().filter(|_| end.is_good());
        writeln!(
            f,
            "| {} | {} | {:.2} | {speed} | {:.2} | {:.0} | {} | {end} | {} | {} |",
            line.tool,
            line.threads,
            line.median(|run| run.wall_s),
            line.median(|run| run.cpu_s),
            line.peak_mb(),
            ratio.map_or_else(|| "-".into(), |ratio| ratio.to_string()),
            output.map_or_else(|| "-".into(), |output| output.against(self.records, self.columns())),
            listed(&line.all(|run| run.wall_s), 2),
        )
    }

    /// For the file: everything, every run too.
    pub fn to_json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            json!({
                "tool": line.tool,
                "threads": line.threads.to_string(),
                "ours": line.whose == Whose::Ours,
                "runs": line.runs.iter().map(run_json).collect::<Vec<_>>(),
            })
        });
        json!({
            "title": self.title,
            "bytes": self.bytes,
            "records": self.records,
            "lines": lines.collect::<Vec<_>>(),
            "goals": self.goals.iter().map(Goal::to_json).collect::<Vec<_>>(),
        })
    }
}

fn run_json(run: &Run) -> Value {
    let output = |Output { rows, columns, is_ragged }: Output| json!({ "rows": rows, "columns": columns, "is_ragged": is_ragged });
    json!({
        "wall_s": run.wall_s,
        "cpu_s": run.cpu_s,
        "peak_mb": run.peak_mb,
        "end": run.end.to_string(),
        "output": run.output.map(output),
    })
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n", self.title)?;
        writeln!(
            f,
            "| tool | threads | wall s | MB/s | CPU s | RSS MB | x ours | exit | rows x columns | every round, s |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        self.lines.iter().try_for_each(|line| self.row(line, f))?;
        self.goals.iter().try_for_each(|goal| write!(f, "\n- {goal}"))?;
        writeln!(f)
    }
}
