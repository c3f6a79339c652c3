//! When which bucket is compared: all of them in one rhythm, and one that could not be read alone and sooner.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Whose turn is when.
#[derive(Debug)]
pub struct Turns {
    every: Duration,
    /// The wait after a first failure.
    again: Duration,
    all_at: Instant,
    failed: BTreeMap<String, Failed>,
}

#[derive(Debug)]
struct Failed {
    in_a_row: u32,
    retry_at: Instant,
}

/// Whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    All,
    Only(BTreeSet<String>),
}

impl Due {
    pub fn has(&self, bucket: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(buckets) => buckets.contains(bucket),
        }
    }
}

impl Turns {
    /// All buckets have their first turn at `first`.
    pub fn new(every: Duration, again: Duration, first: Instant) -> Self {
        Self { every, again, all_at: first, failed: BTreeMap::new() }
    }

    /// When the next turn is.
    pub fn next_at(&self) -> Instant {
        self.failed.values().map(|failed| failed.retry_at).fold(self.all_at, Instant::min)
    }

    pub fn due(&self, now: Instant) -> Due {
        if self.all_at <= now {
            return Due::All;
        }
        let failed = self.failed.iter().filter(|(_, failed)| failed.retry_at <= now);
        Due::Only(failed.map(|(bucket, _)| bucket.clone()).collect())
    }

    /// How long it is until all have their turn once more, when those have had theirs whose turn it is.
    pub fn until_all(&self, now: Instant) -> Duration {
        match self.all_at.saturating_duration_since(now) {
            Duration::ZERO => self.every,
            left => left,
        }
    }

    /// All had their turn.
    pub fn all_were(&mut self, now: Instant) {
        self.all_at = now + self.every;
    }

    /// This one had its turn. Waits double up to the rhythm of all: a bucket that nobody repairs costs no more than the others.
    pub fn was(&mut self, bucket: &str, could_be_read: bool, now: Instant) {
        if could_be_read {
            self.failed.remove(bucket);
            return;
        }
        let in_a_row = self.failed.get(bucket).map_or(1, |failed| failed.in_a_row.saturating_add(1));
        let wait = self.again.saturating_mul(1 << (in_a_row - 1).min(16)).min(self.every);
        self.failed.insert(bucket.to_owned(), Failed { in_a_row, retry_at: now + wait });
    }

    /// Others are not watched any more.
    pub fn keep(&mut self, is_watched: impl Fn(&str) -> bool) {
        self.failed.retain(|bucket, _| is_watched(bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn only(bucket: &str) -> Due {
        Due::Only(BTreeSet::from([bucket.to_owned()]))
    }

    #[test]
    fn one_that_fails_is_tried_alone_and_less_and_less_often() {
        let start = Instant::now();
        let mut turns = Turns::new(6 * HOUR, 10 * MINUTE, start);
        assert_eq!((turns.due(start), turns.until_all(start)), (Due::All, 6 * HOUR));
        turns.was("good", true, start);
        turns.was("bad", false, start);
        turns.all_were(start);
        // 10, 20, 40, 80 and 160 minutes: 310 minutes after the first try. The next one is that of all.
        let mut at = Duration::ZERO;
        for minutes in [10, 20, 40, 80, 160] {
            at += minutes * MINUTE;
            assert_eq!(turns.next_at(), start + at);
            assert_eq!(turns.due(start + at), only("bad"));
            assert_eq!(
                turns.until_all(start + at),
                6 * HOUR - at,
                "held no longer than for the whole rhythm"
            );
            turns.was("bad", false, start + at);
        }
        assert_eq!(turns.next_at(), start + 6 * HOUR);
        assert_eq!(turns.due(turns.next_at()), Due::All);
    }

    #[test]
    fn one_that_can_be_read_again_waits_with_the_others() {
        let start = Instant::now();
        let mut turns = Turns::new(HOUR, MINUTE, start);
        turns.was("bad", false, start);
        turns.was("gone", false, start);
        turns.all_were(start);
        turns.was("bad", true, start + MINUTE);
        assert_eq!(turns.due(start + MINUTE), only("gone"));
        turns.keep(|bucket| bucket != "gone");
        assert_eq!(turns.next_at(), start + HOUR);
    }
}
