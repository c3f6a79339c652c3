//! What a simulation saw, short enough to read: equal neighbours are one line, and a row of lines that comes again and
//! again is told once.

use serde::Serialize;

use crate::timing::Millis;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The endpoint is down from here on.
    Down,
    /// The endpoint is up from here on.
    Up,
    /// Attempts ended with a fault and are tried again.
    Failed {
        /// Of the fault.
        code: &'static str,
    },
    /// Deliveries failed for good.
    GaveUp {
        /// Of the fault.
        code: &'static str,
    },
    /// Deliveries arrived.
    Delivered,
    /// The breaker opened.
    Opened {
        /// How long it was meant to stay open, in ms, before jitter.
        for_ms: Millis,
    },
    /// The one file that tried whether the endpoint is back failed; open again.
    TrialFailed {
        /// Of the fault.
        code: &'static str,
        /// How long it was meant to stay open, in ms, before jitter.
        for_ms: Millis,
    },
    /// The one file that tried whether the endpoint is back was delivered; the breaker is closed.
    TrialWorked,
    /// The lane is closed for another reason than its breaker.
    Blocked {
        /// `credential`, `identity`, `settings`.
        reason: &'static str,
    },
    /// A maintenance window of the endpoint.
    Window,
    /// Files in flight allowed from now on.
    Ramp {
        /// So many.
        files: i32,
    },
    /// The engine tries no more until an operator resumes the endpoint.
    Suspended,
    /// People are told.
    Notice {
        /// The event of the history that they are told.
        about: &'static str,
    },
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When it happened, or happened first.
    pub at: Millis,
    /// When it happened last.
    pub last_at: Millis,
    /// How often, in all.
    pub count: u64,
    /// Until when the last one lasts: a block, a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// The file, when it was one alone; the first of several. They count from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<u32>,
    /// The highest number of an attempt in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// This line and the next so many of its row happened so often, counts added up. 0: it begins no row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<Row>,
}

/// Lines that came again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Row {
    /// How many lines, the first one included.
    pub lines: usize,
    /// How often.
    pub times: usize,
}

impl Line {
    pub(super) fn new(at: Millis, what: What) -> Self {
        Self { at, last_at: at, count: 1, until: None, file: None, attempt: None, what, row: None }
    }

    fn absorb(&mut self, other: Self) {
        self.last_at = other.last_at;
        self.count += other.count;
        self.until = other.until;
        self.attempt = self.attempt.max(other.attempt);
    }
}

/// Collects lines.
#[derive(Debug, Default)]
pub(super) struct Timeline(Vec<Line>);

impl Timeline {
    /// Appends a line, or counts it with the one before when it is the same.
    pub(super) fn add(&mut self, line: Line) {
        match self.0.last_mut().filter(|last| last.what == line.what) {
            Some(last) => last.absorb(line),
            None => self.0.push(line),
        }
    }

    /// The lines, rows of up to eight that repeat told once.
    pub(super) fn folded(self) -> Vec<Line> {
        const LONGEST: usize = 8;
        let lines = self.0;
        let mut folded: Vec<Line> = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let best = (2..=LONGEST)
                .map(|length| (length, repeats(&lines[at..], length)))
                .filter(|(_, times)| *times > 1)
                .max_by_key(|(length, times)| (length * times, usize::MAX - length));
            let Some((length, times)) = best else {
                folded.push(lines[at].clone());
                at += 1;
                continue;
            };
            for n in 0..length {
                let mut line = lines[at + n].clone();
                for time in 1..times {
                    line.absorb(lines[at + time * length + n].clone());
                }
                line.row = (n == 0).then_some(Row { lines: length, times });
                folded.push(line);
            }
            at += length * times;
        }
        folded
    }
}

/// How often the first `length` lines come in a row.
fn repeats(lines: &[Line], length: usize) -> usize {
    let Some(first) = lines.get(..length) else { return 0 };
    let same = |row: &&[Line]| row.iter().zip(first).all(|(a, b)| a.what == b.what);
    lines.chunks_exact(length).take_while(same).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_and_rows_are_told_once() {
        let mut timeline = Timeline::default();
        let whats = |n: i64| {
            [What::Down, What::Ramp { files: 1 }, What::Up, What::Delivered, What::Delivered].map(|w| (n, w))
        };
        timeline.add(Line::new(0, What::Suspended));
        for (at, what) in (1..4).flat_map(whats) {
            timeline.add(Line::new(at, what));
        }
        timeline.add(Line::new(9, What::Down));
        let folded = timeline.folded();
        assert_eq!(folded.len(), 1 + 4 + 1, "{folded:#?}");
        assert_eq!(folded[1].row, Some(Row { lines: 4, times: 3 }));
        assert_eq!((folded[4].what.clone(), folded[4].count), (What::Delivered, 6));
        assert_eq!((folded[2].at, folded[2].last_at), (1, 3));
        assert!(folded[2..].iter().all(|line| line.row.is_none()));
    }
}
