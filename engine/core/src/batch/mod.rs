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

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Pieces of work that are due and nobody has; counted up to [`Sizing::enough`].
    pub due: u64,
    /// Workers that could begin with it at once: the free connections of the lanes that have it. No more than work, and `u32::MAX`
    /// where nothing but work is needed.
    pub room: u32,
}

/// Workers of runs that are not over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Workers {
    /// Asked for, and not seen at work yet.
    pub starting: u32,
    /// At work, and taking more.
    pub taking: u32,
    /// Those that finish what they took, and those of one piece of work each.
    pub finishing: u32,
}

impl Workers {
    /// All of them: what `max_workers` limits.
    pub fn all(self) -> u32 {
        self.starting.saturating_add(self.taking).saturating_add(self.finishing)
    }
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

/// How many workers more there should be: for the work that those who take any leave over, no more than could begin with it,
/// and no more than the limit allows.
///
/// ```
/// use outport_core::batch::{Demand, Sizing, Workers, workers_wanted};
/// let sizing = Sizing { per_worker: 100, max_workers: 20 };
/// let workers = Workers { starting: 2, taking: 1, finishing: 0 };
/// assert_eq!(workers_wanted(Demand { due: 950, room: 300 }, workers, sizing), 7);
/// assert_eq!(workers_wanted(Demand { due: 950, room: 4 }, workers, sizing), 2);
/// ```
pub fn workers_wanted(demand: Demand, workers: Workers, sizing: Sizing) -> u32 {
    let of_work = demand.due.div_ceil(u64::from(sizing.per_worker.max(1)));
    let of_work =
        u32::try_from(of_work).unwrap_or(u32::MAX).saturating_sub(workers.starting + workers.taking);
    // Whoever is at work has its connections; whoever starts will want one of those that are free.
    let of_room = demand.room.saturating_sub(workers.starting);
    of_work.min(of_room).min(sizing.max_workers.saturating_sub(workers.all()))
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
    /// It waits for a machine. Of an array, some of whose children are over: so many that are not.
    Waiting(Option<u32>),
    /// Its container runs. Of an array: so many that are not over.
    Running(Option<u32>),
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
    /// It stands like this now (perhaps as before), with so many children that are not over.
    Is(RunState, Option<u32>),
    /// It is over.
    Over(RunState, Option<String>),
    /// It has waited for too long: Batch is told to give it up, and it is over.
    GiveUp(String),
}

/// How long a job that was submitted may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For a machine.
    pub machine: Duration,
    /// Until Batch knows it: what was just submitted may not be found at once.
    pub known: Duration,
}

/// What follows from what Batch says of a run that stood so for `stood`. One that lost its machine waits from then on: Batch
/// tries it again by itself.
pub fn step(seen: Seen, stands: RunState, stood: Millis, waits: Waits) -> Step {
    match seen {
        Seen::Waiting(_) if stands == RunState::Submitted && stood > millis(waits.machine) => {
            Step::GiveUp(format!("no machine was found for it in {} min", waits.machine.as_secs() / 60))
        }
        Seen::Waiting(left) => Step::Is(RunState::Submitted, left),
        Seen::Running(left) => Step::Is(RunState::Running, left),
        Seen::Succeeded => Step::Over(RunState::Succeeded, None),
        Seen::Failed(reason) => Step::Over(RunState::Failed, Some(reason)),
        Seen::Unknown if stands == RunState::Submitted && stood < millis(waits.known) => {
            Step::Is(RunState::Submitted, None)
        }
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
        for (due, room, (starting, taking, finishing), want) in [
            (0, 9, (0, 0, 0), 0),
            (1, 9, (0, 0, 0), 1),
            (50, 9, (0, 0, 0), 1),
            (51, 9, (0, 0, 0), 2),
            (51, 9, (1, 0, 0), 1),
            (51, 9, (0, 1, 0), 1),
            (51, 9, (2, 3, 0), 0),
            // Who only finishes takes nothing, and counts for the limit.
            (51, 9, (0, 0, 8), 2),
            (51, 9, (0, 0, 9), 1),
            (51, 9, (0, 0, 10), 0),
            (10_000, u32::MAX, (0, 0, 0), 10),
            (10_000, u32::MAX, (4, 6, 0), 0),
            // A partner with two connections has no place for a third worker, also while two are on their way.
            (10_000, 2, (0, 0, 0), 2),
            (10_000, 2, (2, 0, 0), 0),
            (10_000, 0, (0, 2, 0), 0),
        ] {
            let workers = Workers { starting, taking, finishing };
            assert_eq!(
                workers_wanted(Demand { due, room }, workers, sizing),
                want,
                "{due} {room} {workers:?}"
            );
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
        let waits = Waits { machine: Duration::from_secs(600), known: Duration::from_secs(60) };
        let after = |seen, stands, stood| step(seen, stands, stood, waits);
        let (submitted, running) = (RunState::Submitted, RunState::Running);
        assert_eq!(after(Seen::Waiting(None), submitted, 600_000), Step::Is(submitted, None));
        assert!(matches!(after(Seen::Waiting(None), submitted, 600_001), Step::GiveUp(_)));
        assert_eq!(
            after(Seen::Waiting(None), running, 2_400_000),
            Step::Is(submitted, None),
            "its host was lost"
        );
        assert_eq!(after(Seen::Running(Some(3)), submitted, 10_000_000), Step::Is(running, Some(3)));
        assert_eq!(after(Seen::Waiting(Some(2)), running, 0), Step::Is(submitted, Some(2)), "of an array");
        assert!(matches!(after(Seen::Unknown, running, 0), Step::Over(RunState::Lost, Some(_))));
        assert_eq!(after(Seen::Unknown, submitted, 59_999), Step::Is(submitted, None), "not known yet");
        assert!(matches!(after(Seen::Unknown, submitted, 60_000), Step::Over(RunState::Lost, Some(_))));
        let failed = after(Seen::Failed("Host EC2 terminated".into()), running, 0);
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
