//! Workers that AWS Batch starts: how many, and what to believe of one.
//!
//! Batch is only a way to start workers. Each of them takes its work from the ledger, so a worker too many finds nothing and
//! ends: it costs cents. One too few is seen in the next round.

mod hint;

use std::time::Duration;

use crate::state::words;
use crate::timing::{Millis, millis};

pub use hint::job_of_event;

/// How the name of every job of ours begins.
pub const NAME_PREFIX: &str = "outport-";

words! {
    /// What a worker does.
    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    WorkKind, "kind of worker" {
        /// Runs transforms.
        Transform = "transform",
        /// Sends files.
        Send = "send",
    }
}

words! {
    /// Who does a kind of work.
    Executor, "executor" {
        /// The workers of the service.
        Local = "local",
        /// Workers that Batch starts.
        Batch = "batch",
        /// The service what is small, Batch what is large, and a surge together.
        Hybrid = "hybrid",
    }
}

words! {
    /// How much a run does.
    RunMode, "mode of a run" {
        /// One worker that takes whatever is due, for some minutes.
        Drain = "drain",
        /// One worker for one piece of work.
        Single = "single",
        /// Many draining workers, by one request.
        Array = "array",
    }
}

words! {
    /// How a run stands.
    RunState, "state of a run" {
        /// It is to be submitted; perhaps it was, and the answer is lost.
        Intent = "intent",
        /// Batch has it.
        Submitted = "submitted",
        /// Its container runs.
        Running = "running",
        /// Its container ended well.
        Succeeded = "succeeded",
        /// Its container did not.
        Failed = "failed",
        /// Batch does not know it, or found no machine for it.
        Lost = "lost",
    }
}

/// A job array has at least two and at most 10,000 children (Batch).
pub const ARRAY_SIZES: std::ops::RangeInclusive<u32> = 2..=10_000;

/// From so many workers at once one array is asked for instead of single jobs: Batch takes 50 requests a second from the
/// whole account.
const ARRAY_FROM: u32 = 5;

/// What there is to do, and who is on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Pieces of work that are due and nobody has; counted up to [`Sizing::enough`].
    pub due: u64,
    /// Workers of runs that are not over, those that only wait for a machine too.
    pub workers: u32,
}

/// How much a worker is worth, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// Pieces of work that one worker does in its time, about.
    pub per_worker: u32,
    /// Workers at a time.
    pub max_workers: u32,
}

impl Sizing {
    /// So much work asks for all the workers there may be: more need not be counted.
    ///
    /// ```
    /// use outport_core::batch::Sizing;
    /// assert_eq!(Sizing { per_worker: 5_000, max_workers: 20 }.enough(), 100_000);
    /// ```
    pub fn enough(self) -> u64 {
        u64::from(self.per_worker.max(1)) * u64::from(self.max_workers)
    }
}

/// How many workers more there should be.
///
/// ```
/// use outport_core::batch::{Demand, Sizing, workers_wanted};
/// let sizing = Sizing { per_worker: 100, max_workers: 20 };
/// assert_eq!(workers_wanted(Demand { due: 950, workers: 3 }, sizing), 7);
/// ```
pub fn workers_wanted(demand: Demand, sizing: Sizing) -> u32 {
    let wanted = demand.due.div_ceil(u64::from(sizing.per_worker.max(1)));
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX).min(sizing.max_workers);
    wanted.saturating_sub(demand.workers)
}

/// Runs that ended badly since one ended well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub in_a_row: u32,
    /// Since the last of them ended.
    pub since: Millis,
}

/// First wait after a run that ended badly, and the longest one: 10 s, 20 s, 40 s, ... An image that cannot be pulled would
/// otherwise cost a container every few seconds.
const AFTER_FAILURE: [Millis; 2] = [10_000, 600_000];

/// Whether more workers may be asked for after so many that failed.
pub fn may_ask(failures: Failures) -> bool {
    let [first, longest] = AFTER_FAILURE;
    match failures.in_a_row {
        0 => true,
        n => failures.since >= first.saturating_mul(1 << (n - 1).min(10)).min(longest),
    }
}

/// The requests that start `workers` workers: the size of each, 1 for a job without an array.
pub fn requests(workers: u32) -> Vec<u32> {
    if workers < ARRAY_FROM {
        return vec![1; workers as usize];
    }
    let mut left = workers;
    let mut sizes = Vec::new();
    while left > 0 {
        let size = left.min(*ARRAY_SIZES.end());
        sizes.push(size);
        left -= size;
    }
    sizes
}

/// What Batch says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It waits for a machine.
    Waiting,
    /// Its container runs.
    Running,
    /// Its container ended with exit code 0.
    Succeeded,
    /// It ended otherwise; Batch's words.
    Failed(String),
    /// There is no such job (any more: Batch forgets after some days).
    Unknown,
}

/// What to do about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It stands like this now (perhaps as before).
    Is(RunState),
    /// It is over.
    Over(RunState, Option<String>),
    /// It has waited for too long: Batch is told to give it up, and it is over.
    GiveUp(String),
}

/// What follows from what Batch says. `waited`: since the run was decided on. `patience`: how long a job may wait for a
/// machine.
pub fn step(seen: Seen, waited: Millis, patience: Duration) -> Step {
    match seen {
        Seen::Waiting if waited > millis(patience) => {
            Step::GiveUp(format!("no machine was found for it in {} min", patience.as_secs() / 60))
        }
        Seen::Waiting => Step::Is(RunState::Submitted),
        Seen::Running => Step::Is(RunState::Running),
        Seen::Succeeded => Step::Over(RunState::Succeeded, None),
        Seen::Failed(reason) => Step::Over(RunState::Failed, Some(reason)),
        Seen::Unknown => Step::Over(RunState::Lost, Some("Batch does not know it".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn workers_follow_the_work_up_to_their_limit() {
        let sizing = Sizing { per_worker: 50, max_workers: 10 };
        for (due, workers, want) in [
            (0, 0, 0),
            (1, 0, 1),
            (50, 0, 1),
            (51, 0, 2),
            (51, 1, 1),
            (51, 5, 0),
            (10_000, 0, 10),
            (10_000, 10, 0),
        ] {
            assert_eq!(workers_wanted(Demand { due, workers }, sizing), want, "{due} {workers}");
        }
    }

    #[test]
    fn a_surge_is_one_request() {
        assert_eq!(requests(0), Vec::<u32>::new());
        assert_eq!(requests(4), [1, 1, 1, 1]);
        assert_eq!(requests(5), [5]);
        assert_eq!(requests(10_000), [10_000]);
    }

    #[test]
    fn workers_that_fail_are_asked_for_less_and_less_often() {
        for (in_a_row, since, want) in [
            (0, 0, true),
            (1, 9_999, false),
            (1, 10_000, true),
            (3, 39_999, false),
            (3, 40_000, true),
            (7, 599_999, false),
            (7, 600_000, true),
            (u32::MAX, 600_000, true),
        ] {
            assert_eq!(may_ask(Failures { in_a_row, since }), want, "{in_a_row} {since}");
        }
    }

    #[test]
    fn what_batch_says_decides() {
        let patience = Duration::from_secs(600);
        assert_eq!(step(Seen::Waiting, 600_000, patience), Step::Is(RunState::Submitted));
        assert!(matches!(step(Seen::Waiting, 600_001, patience), Step::GiveUp(_)));
        assert_eq!(step(Seen::Running, 10_000_000, patience), Step::Is(RunState::Running));
        assert!(matches!(step(Seen::Unknown, 0, patience), Step::Over(RunState::Lost, Some(_))));
        let failed = step(Seen::Failed("Host EC2 terminated".into()), 0, patience);
        assert_eq!(failed, Step::Over(RunState::Failed, Some("Host EC2 terminated".into())));
    }

    proptest! {
        #[test]
        fn requests_start_what_was_wanted(workers in 0_u32..30_000) {
            let sizes = requests(workers);
            prop_assert_eq!(sizes.iter().sum::<u32>(), workers);
            prop_assert!(sizes.iter().all(|size| *size == 1 || ARRAY_SIZES.contains(size)) || workers % 10_000 == 1);
        }
    }
}
