//! When has a file arrived? The decision, without a clock, a file system or a watcher.
//!
//! `now` is milliseconds of a monotonic clock: a wall clock that is set forward must not cut a quiet time short.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outport_core::{Millis, timing::millis};

use super::memo::Memo;
use super::waiting::{Waiting, WaitingRoom};
use super::{How, Signature};

/// What was noticed about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was renamed into place: whole, by the custom of every careful uploader.
    RenamedIn,
    /// Somebody who had it open for writing closed it.
    Closed,
    /// Somebody wrote to it and has not closed it.
    Written,
    /// It was found standing there.
    Found(How),
    /// It was removed or renamed away.
    Left,
}

/// What a look at a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has arrived: report it.
    Arrived(How),
    /// Not yet; it is looked at again, by itself or when something more is noticed.
    Waits,
    /// It was reported already, just as it is.
    Known,
    /// Nothing is there.
    Gone,
}

/// The durations and bounds of the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Unchanged for this long = arrived (a closed or found file).
    pub quiet: Duration,
    /// A file that we saw being written, and not closed, counts as found only after this long without a write: an
    /// upload that stalls for longer than `quiet` is still not whole.
    pub stalled: Duration,
    /// Beyond this many waiting files those that keep changing are left to the next sweep.
    pub crowd: usize,
}

impl Rules {
    /// The rules for a quiet time (2 s in production): stalled = 300 times as long (10 min), at most 10,000 waiting.
    pub fn new(quiet: Duration) -> Self {
        Self { quiet, stalled: quiet.saturating_mul(300), crowd: 10_000 }
    }
}

/// Every file that is on its way in.
#[derive(Debug)]
pub struct Arrivals {
    rules: Rules,
    waiting: WaitingRoom,
    writing: HashMap<PathBuf, Millis>,
    reported: HashMap<PathBuf, Signature>,
    memo: Memo,
}

impl Arrivals {
    /// Nothing has been seen yet.
    pub fn new(rules: Rules) -> Self {
        let (writing, reported) = (HashMap::new(), HashMap::new());
        Self { rules, waiting: WaitingRoom::default(), writing, reported, memo: Memo::default() }
    }

    /// A path was noticed, and this is what a look at it showed (`None`: no file).
    pub fn look(&mut self, path: &Path, signature: Option<Signature>, seen: Seen, now: Millis) -> Verdict {
        let Some(signature) = signature.filter(|_| seen != Seen::Left) else {
            self.waiting.remove(path);
            self.writing.remove(path);
            return Verdict::Gone;
        };
        match seen {
            Seen::Written if self.writing.len() < self.rules.crowd || self.writing.contains_key(path) => {
                self.writing.insert(path.to_owned(), now);
            }
            Seen::Closed | Seen::RenamedIn => {
                self.writing.remove(path);
            }
            _ => {}
        }
        if self.reported.get(path) == Some(&signature) || self.memo.knows(path, &signature) {
            self.waiting.remove(path);
            return Verdict::Known;
        }
        match seen {
            Seen::RenamedIn => self.report(path, signature, How::Watch),
            Seen::Closed => self.wait(path, signature, How::Watch, now),
            Seen::Found(how) if !self.is_being_written(path, now) => self.wait(path, signature, how, now),
            Seen::Found(_) | Seen::Written | Seen::Left => {
                self.waiting.remove(path);
                Verdict::Waits
            }
        }
    }

    /// At most `limit` files whose quiet time is over, the oldest first: look at them now and say with
    /// [`again`](Self::again) what it showed.
    pub fn due(&self, now: Millis, limit: usize) -> Vec<PathBuf> {
        self.waiting.since(now.saturating_sub(millis(self.rules.quiet)), limit)
    }

    /// When the next file is due, if any waits.
    pub fn next_due(&self) -> Option<Millis> {
        self.waiting.oldest().map(|since| since.saturating_add(millis(self.rules.quiet)))
    }

    /// The second look at a waiting file.
    pub fn again(&mut self, path: &Path, signature: Option<Signature>, now: Millis) -> Verdict {
        let Some(waiting) = self.waiting.get(path) else { return Verdict::Gone };
        let crowded = self.is_crowded();
        match signature {
            None => {
                self.waiting.remove(path);
                Verdict::Gone
            }
            Some(signature) if signature == waiting.signature => {
                match now.saturating_sub(waiting.since) >= millis(self.rules.quiet) {
                    true => self.report(path, signature, waiting.how),
                    false => Verdict::Waits,
                }
            }
            // Files that never come to rest must not keep the others out.
            Some(_) if crowded => {
                self.waiting.remove(path);
                Verdict::Waits
            }
            Some(signature) => {
                self.waiting.insert(path, Waiting { signature, since: now, how: waiting.how });
                Verdict::Waits
            }
        }
    }

    /// So many wait that nothing more should be found for now.
    pub fn is_crowded(&self) -> bool {
        self.waiting.len() >= self.rules.crowd
    }

    /// The consumer has taken in what was reported: it is not reported again unless it changes.
    pub fn done(&mut self, path: &Path, signature: &Signature) {
        self.release(path, signature);
        self.memo.insert(path, signature);
    }

    /// The consumer gave up on what was reported: the next sweep reports it again.
    pub fn release(&mut self, path: &Path, signature: &Signature) {
        if self.reported.get(path) == Some(signature) {
            self.reported.remove(path);
        }
    }

    /// Events were lost: nobody knows any more who still writes.
    pub fn events_lost(&mut self) {
        self.writing.clear();
    }

    /// A sweep begins; its finds follow.
    pub fn sweep_started(&mut self) {
        self.memo.sweep_started();
    }

    /// A sweep ended. `saw_all`: nothing was unreadable, so that what it did not find is not there.
    pub fn sweep_ended(&mut self, saw_all: bool, now: Millis) {
        if saw_all {
            self.memo.sweep_saw_all();
        }
        let stalled = millis(self.rules.stalled);
        self.writing.retain(|_, written_at| now.saturating_sub(*written_at) < stalled);
    }

    fn is_being_written(&self, path: &Path, now: Millis) -> bool {
        self.writing.get(path).is_some_and(|at| now.saturating_sub(*at) < millis(self.rules.stalled))
    }

    fn report(&mut self, path: &Path, signature: Signature, how: How) -> Verdict {
        self.waiting.remove(path);
        self.reported.insert(path.to_owned(), signature);
        Verdict::Arrived(how)
    }

    /// The quiet time runs from the first look that showed this signature.
    fn wait(&mut self, path: &Path, signature: Signature, how: How, now: Millis) -> Verdict {
        if self.waiting.get(path).is_none_or(|waiting| waiting.signature != signature) {
            self.waiting.insert(path, Waiting { signature, since: now, how });
        }
        Verdict::Waits
    }
}

#[cfg(test)]
#[path = "arrivals_tests.rs"]
mod tests;
