//! What a number should be, and what it is.

use std::fmt;

use serde_json::{Value, json};

use super::line::{self, Line, Ratio, Threads};

/// Which side is good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// That or more.
    AtLeast(f64),
    /// That or less.
    AtMost(f64),
}

/// A goal and its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    what: String,
    bound: Bound,
    /// Or why there is none.
    value: Result<Ratio, String>,
}

impl Goal {
    /// Any number.
    pub fn new(what: String, bound: Bound, value: Result<f64, String>) -> Self {
        Self { what, bound, value: value.map(Ratio::Exactly) }
    }

    /// `tool` is to take at least `least` times as long as ours with as many threads: a goal for each of its lines.
    pub fn slower_than_ours(lines: &[Line], tool: &str, least: f64) -> Vec<Self> {
        let goal = |other: &Line| Self {
            what: format!("{tool} ({}): times as long as ours", other.threads.words()),
            bound: Bound::AtLeast(least),
            value: times(other, line::ours(lines, other.threads)),
        };
        lines.iter().filter(|line| line.tool == tool).map(goal).collect()
    }

    /// Ours with `threads` is to take at most `most` times as long as `tool`, which has lines with one number of threads only
    /// or with the same ones.
    pub fn ours_against(lines: &[Line], tool: &str, threads: Threads, most: f64) -> Self {
        let mut others = lines.iter().filter(|line| line.tool == tool);
        let alike = others.clone().find(|line| line.threads == threads);
        let value = match (line::ours(lines, threads), alike.or_else(|| others.next())) {
            (Some(ours), Some(other)) => times(ours, Some(other)),
            (None, _) => Err(format!("ours with {} was not run", threads.words())),
            (_, None) => Err(format!("{tool} was not run")),
        };
        Self {
            what: format!("ours ({}): times as long as {tool}", threads.words()),
            bound: Bound::AtMost(most),
            value,
        }
    }

    /// No line of ours is to have more than `most_mb` resident.
    pub fn memory(lines: &[Line], most_mb: f64) -> Self {
        let ours = lines.iter().filter(|line| line.whose == super::Whose::Ours && !line.runs.is_empty());
        let failed = ours.clone().find_map(|line| line.end().filter(|end| !end.is_good()));
        let value = match (failed, ours.map(Line::peak_mb).reduce(f64::max)) {
            (Some(end), _) => Err(format!("ours ended with {end}")),
            (None, None) => Err("ours was not run".into()),
            (None, Some(peak)) => Ok(peak),
        };
        Self::new("our peak of memory in MB".into(), Bound::AtMost(most_mb), value)
    }

    /// `None`: not measured.
    pub fn is_met(&self) -> Option<bool> {
        match (self.bound, self.value.as_ref().ok()?) {
            (Bound::AtLeast(least), Ratio::Exactly(value)) => Some(*value >= least),
            (Bound::AtMost(most), Ratio::Exactly(value)) => Some(*value <= most),
            // Of one that was stopped, only this side is known.
            (Bound::AtLeast(least), Ratio::MoreThan(value)) => (*value >= least).then_some(true),
            (Bound::AtMost(most), Ratio::MoreThan(value)) => (*value > most).then_some(false),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "NOT MEASURED",
        }
    }

    /// For the file: `goal`, `bound`, `value` or `reason`, `verdict`.
    pub fn to_json(&self) -> Value {
        let mut goal =
            json!({ "goal": self.what, "bound": self.bound.to_string(), "verdict": self.verdict() });
        match &self.value {
            Ok(Ratio::Exactly(value)) => goal["value"] = json!(value),
            Ok(Ratio::MoreThan(value)) => goal["more_than"] = json!(value),
            Err(reason) => goal["reason"] = json!(reason),
        }
        goal
    }
}

fn times(one: &Line, other: Option<&Line>) -> Result<Ratio, String> {
    let other = other.ok_or("ours was not run with as many threads")?;
    one.times_as_long_as(other).ok_or_else(|| {
        let bad = [one, other].into_iter().find_map(|line| match line.end() {
            None => Some(format!("{} was not run", line.tool)),
            Some(end) => (!end.is_good()).then(|| format!("{} ended with {end}", line.tool)),
        });
        bad.unwrap_or_else(|| "no round that both ran in".into())
    })
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, goal {}", self.verdict(), self.what, self.bound)?;
        match &self.value {
            Ok(value) => write!(f, ", is {value}"),
            Err(reason) => write!(f, " ({reason})"),
        }
    }
}
