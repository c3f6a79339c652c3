//! The tables that are printed.

use std::fmt;

use outport_tests::statistics::{listed, median};

use crate::client::Client;
use crate::measure::Run;

/// All rounds of one client.
#[derive(Debug)]
pub struct Line {
    pub client: Client,
    name: String,
    pub runs: Vec<Run>,
}

impl Line {
    /// No run yet.
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name, runs: Vec::new() }
    }

    fn all(&self, value: fn(&Run) -> f64) -> Vec<f64> {
        self.runs.iter().map(value).collect()
    }

    /// The median over the rounds.
    pub fn median(&self, value: fn(&Run) -> f64) -> f64 {
        median(&self.all(value))
    }

    /// The most in any round.
    pub fn most(&self, value: fn(&Run) -> f64) -> f64 {
        self.all(value).into_iter().fold(0.0, f64::max)
    }

    /// How many times as fast as `other`: the median of the ratios within the rounds.
    fn times_as_fast_as(&self, other: &Self) -> f64 {
        let ratios: Vec<f64> =
            self.runs.iter().zip(&other.runs).map(|(mine, theirs)| theirs.wall_s / mine.wall_s).collect();
        median(&ratios)
    }
}

/// What a number should be, and what it is.
#[derive(Debug)]
pub struct Goal {
    what: String,
    /// `None`: it could not be measured.
    value: Option<f64>,
    least: Option<f64>,
    most: Option<f64>,
}

impl Goal {
    /// We are to be at least so many times as fast as `other`.
    pub fn ratio(lines: &[Line], other: Client, least: f64) -> Self {
        Self {
            what: format!("times as fast as {other}"),
            ..Self::between(lines, Client::Outport, other, least)
        }
    }

    /// `one` is to be at least so many times as fast as `other`.
    pub fn between(lines: &[Line], one: Client, other: Client, least: f64) -> Self {
        let find = |client: Client| lines.iter().find(|line| line.client == client);
        let value = find(one).zip(find(other)).map(|(one, other)| one.times_as_fast_as(other));
        Self { what: format!("{one}: times as fast as {other}"), value, least: Some(least), most: None }
    }

    /// At least that.
    pub fn at_least(what: &str, value: f64, least: f64) -> Self {
        Self { what: what.to_owned(), value: Some(value), least: Some(least), most: None }
    }

    /// At most that.
    pub fn at_most(what: &str, value: f64, most: f64) -> Self {
        Self { what: what.to_owned(), value: Some(value), least: None, most: Some(most) }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match (self.least, self.most) {
            (Some(least), _) => format!(">= {least}"),
            (_, Some(most)) => format!("<= {most}"),
            _ => String::new(),
        };
        let Some(value) = self.value else { return write!(f, "NOT MEASURED  {} {bound}", self.what) };
        let is_met = self.least.is_none_or(|least| value >= least) && self.most.is_none_or(|m| value <= m);
        write!(f, "{}  {}: {value:.2}, goal {bound}", if is_met { "met   " } else { "MISSED" }, self.what)
    }
}

/// What a speed is counted in.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    Bytes(u64),
    Files(usize),
    None,
}

impl Unit {
    fn speed(self, wall_s: f64) -> String {
        match self {
            Self::Bytes(size) => format!("{:.0} MB/s", size as f64 / 1e6 / wall_s),
            Self::Files(count) => format!("{:.0} files/s", count as f64 / wall_s),
            Self::None => String::new(),
        }
    }
}

/// One row of the bench.
#[derive(Debug)]
pub struct Table {
    title: String,
    unit: Unit,
    pub lines: Vec<Line>,
    pub goals: Vec<Goal>,
}

impl Table {
    /// Empty.
    pub fn new(title: String, unit: Unit) -> Self {
        Self { title, unit, lines: Vec::new(), goals: Vec::new() }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n", self.title)?;
        writeln!(
            f,
            "| client | median s | speed | x sftp | CPU s client+server | peak RSS MiB | every round, s |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        let reference = self.lines.iter().find(|line| line.client == Client::Sftp);
        for line in &self.lines {
            let wall = line.median(|run| run.wall_s);
            let ratio = reference.map_or_else(String::new, |r| format!("{:.2}", line.times_as_fast_as(r)));
            writeln!(
                f,
                "| {} | {wall:.2} | {} | {ratio} | {:.2}+{:.2} | {:.1} | {} |",
                line.name,
                self.unit.speed(wall),
                line.median(|run| run.client_cpu_s),
                line.median(|run| run.server_cpu_s),
                line.most(|run| run.peak_mib),
                listed(&line.all(|run| run.wall_s), 2),
            )?;
        }
        self.goals.iter().try_for_each(|goal| write!(f, "\n- {goal}"))?;
        writeln!(f)
    }
}
