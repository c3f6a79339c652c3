//! How records stand on lines, and whether a line ends what is wrong in it.

use super::Scanner;
use crate::spec::Layout;

/// How the records of a stream stand on its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Lines {
    /// As they like.
    Free,
    /// Each on a line of its own.
    Each,
    /// As the first one does.
    AsFirst,
}

impl Lines {
    /// What a layout says about them.
    pub(in super::super) fn of(layout: Layout) -> Self {
        if layout == Layout::Ndjson { Self::Each } else { Self::Free }
    }
}

impl Scanner {
    /// The line on which the latest record ended; 0 before there is one.
    pub(in super::super) fn ended_line(&self) -> u64 {
        self.ended_line
    }

    /// How records stand on lines, as far as the input has shown it.
    pub(in super::super) fn lines(&self) -> Lines {
        let first_is_alone = (1..self.line).contains(&self.ended_line) && self.record_line == self.ended_line;
        match self.rules.lines {
            Lines::AsFirst if first_is_alone && self.open.is_empty() => Lines::Each,
            lines => lines,
        }
    }

    /// Whether it is known where the record ends in which something is wrong here: with its line.
    pub(in super::super) fn ends_with_line(&self) -> bool {
        let is_stream = !self.is_array() && self.wrapper.is_none();
        let is_on_one_line = || match self.open.is_empty() {
            true => self.ended_line == 0 || self.record_line == self.ended_line,
            false => self.record_line == self.line,
        };
        is_stream
            && (self.rules.lines == Lines::Each || self.rules.lines == Lines::AsFirst && is_on_one_line())
    }
}
