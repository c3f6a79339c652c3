//! The table that is printed.

use std::fmt;

use crate::cost::Cost;

/// What a number should be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// No goal: printed to compare with.
    None,
}

impl Goal {
    fn met(self, value: f64) -> &'static str {
        let good = match self {
            Self::AtLeast(goal) => value >= goal,
            Self::AtMost(goal) => value <= goal,
            Self::None => return "",
        };
        if good { "met" } else { "MISSED" }
    }
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What was measured, with its sizes.
    pub what: String,
    /// On which database.
    pub database: String,
    /// The number.
    pub measured: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be.
    pub goal: Goal,
    /// What it cost.
    pub cost: Cost,
    /// Single rounds, and what else explains the number.
    pub note: String,
}

/// All lines so far.
#[derive(Debug, Default)]
pub struct Table(Vec<Line>);

impl Table {
    /// Appends a line, and says it at once: a long run that is broken off has told what it knew.
    pub fn add(&mut self, line: Line) {
        eprintln!(
            "  {} on {}: {} ({})",
            line.what,
            line.database,
            number(line.measured, line.unit),
            line.note
        );
        self.0.push(line);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "database", "measured", "goal", "", "CPU s own+server", "peak MiB", "note"];
        let mut cells = vec![head.map(str::to_owned)];
        cells.extend(self.0.iter().map(row));
        let width = |column: usize| cells.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        for (n, row) in cells.iter().enumerate() {
            let line: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
                .collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
            if n == 0 {
                writeln!(f, "{}", "-".repeat(widths.iter().sum::<usize>() + 14))?;
            }
        }
        Ok(())
    }
}

fn row(line: &Line) -> [String; 8] {
    let goal = match line.goal {
        Goal::AtLeast(goal) => format!(">= {}", number(goal, "")),
        Goal::AtMost(goal) => format!("<= {}", number(goal, "")),
        Goal::None => String::new(),
    };
    let cost = &line.cost;
    let server = cost.server_cpu_s.map_or_else(String::new, |s| format!("+{s:.1}"));
    [
        line.what.clone(),
        line.database.clone(),
        number(line.measured, line.unit),
        goal,
        line.goal.met(line.measured).to_owned(),
        format!("{:.1}{server}", cost.own_cpu_s),
        format!("{:.0}", cost.peak_mib),
        line.note.clone(),
    ]
}

/// Two digits of a small number, none of a large one.
fn number(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 { 0 } else { 2 };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {unit}").trim_end().to_owned()
}
