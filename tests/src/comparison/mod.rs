//! Our tool and others over the same input, in interleaved rounds: what the runs come to. Nothing here runs anything.

mod end;
mod goal;
mod line;
mod output;
mod table;
#[cfg(test)]
mod tests;

pub use end::End;
pub use goal::{Bound, Goal};
pub use line::{Line, Ratio, Threads, Whose};
pub use output::{Output, count};
pub use table::Table;

/// One run of one tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Time from start to end, in seconds.
    pub wall_s: f64,
    /// Processor time, user and system, children included, in seconds.
    pub cpu_s: f64,
    /// The most memory that was resident in one process, in MB of 10^6 bytes.
    pub peak_mb: f64,
    /// How it ended.
    pub end: End,
    /// What it wrote; `None` if it wrote nothing that can be read as CSV.
    pub output: Option<Output>,
}
