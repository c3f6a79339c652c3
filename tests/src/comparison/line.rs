//! All rounds of one tool.

use std::fmt;

use super::{End, Output, Run};
use crate::statistics::median;

/// How many threads a tool had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// It was told so, or knows no more than one.
    Given(usize),
    /// As many as it likes: it cannot be told.
    Own,
}

impl Threads {
    /// In a sentence.
    pub(super) fn words(self) -> String {
        match self {
            Self::Given(1) => "1 thread".into(),
            Self::Given(count) => format!("{count} threads"),
            Self::Own => "threads as it likes".into(),
        }
    }
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(count) => write!(f, "{count}"),
            Self::Own => f.write_str("own"),
        }
    }
}

/// Whose tool it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// What the others are measured against.
    Ours,
    /// Everything else.
    Other,
}

/// How many times as long as ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ratio {
    /// The median of the ratios within the rounds.
    Exactly(f64),
    /// It was stopped: at least so many.
    MoreThan(f64),
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(times) => write!(f, "{times:.2}"),
            Self::MoreThan(times) => write!(f, "> {times:.2}"),
        }
    }
}

/// One tool with one number of threads.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What the table calls it.
    pub tool: String,
    /// Its threads.
    pub threads: Threads,
    /// Whose it is.
    pub whose: Whose,
    /// One for each round, in order. None follows one that was stopped.
    pub runs: Vec<Run>,
}

impl Line {
    /// No run yet.
    pub const fn new(tool: String, threads: Threads, whose: Whose) -> Self {
        Self { tool, threads, whose, runs: Vec::new() }
    }

    pub(super) fn all(&self, value: fn(&Run) -> f64) -> Vec<f64> {
        self.runs.iter().map(value).collect()
    }

    pub(super) fn median(&self, value: fn(&Run) -> f64) -> f64 {
        median(&self.all(value))
    }

    /// The most memory in any round, in MB.
    pub fn peak_mb(&self) -> f64 {
        self.all(|run| run.peak_mb).into_iter().fold(0.0, f64::max)
    }

    /// The first end that is not a good one, or a good one.
    pub fn end(&self) -> Option<End> {
        let bad = self.runs.iter().map(|run| run.end).find(|end| !end.is_good());
        bad.or_else(|| self.runs.first().map(|run| run.end))
    }

    /// What it wrote in the first round.
    pub fn output(&self) -> Option<Output> {
        self.runs.first().and_then(|run| run.output)
    }

    /// How many times as long as `other` it took. `None` if one of the two failed or did not run.
    pub fn times_as_long_as(&self, other: &Self) -> Option<Ratio> {
        if !other.end()?.is_good() {
            return None;
        }
        let in_rounds = self.runs.iter().zip(&other.runs).map(|(mine, theirs)| mine.wall_s / theirs.wall_s);
        let times = median(&in_rounds.collect::<Vec<_>>());
        match self.end()? {
            end if end.is_good() => Some(Ratio::Exactly(times)),
            End::TimedOut => Some(Ratio::MoreThan(times)),
            _ => None,
        }
    }
}

/// The line of ours that one with `threads` is measured against: the one with as many. One that helps itself is measured against
/// our fewest; where ours cannot be told, there is only one.
pub(super) fn ours(lines: &[Line], threads: Threads) -> Option<&Line> {
    let ours = || lines.iter().filter(|line| line.whose == Whose::Ours);
    let fewest = || {
        ours().min_by_key(|line| match line.threads {
            Threads::Own => 0,
            Threads::Given(count) => count,
        })
    };
    match threads {
        Threads::Own => fewest(),
        Threads::Given(_) => ours().find(|line| line.threads == threads || line.threads == Threads::Own),
    }
}
