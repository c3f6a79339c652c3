//! Every duration the engine waits for, in one place, so that tests run the same rules on a faster clock.

use std::time::Duration;

/// An instant: milliseconds since 1970-01-01T00:00:00Z, on the database's clock. Integers because SQLite compares
/// text timestamps with mixed offsets wrongly.
pub type Millis = i64;

/// The engine's durations. [`Timing::default`] holds the real values of docs/STATES.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How long a claim is valid without a heartbeat.
    pub lease: Duration,
    /// How often a worker renews its leases and seats.
    pub heartbeat: Duration,
    /// After this long without a renewed lease a worker starts no further remote write (monotonic clock).
    pub self_fence: Duration,
    /// How often an idle process asks the database what is due.
    pub poll: Duration,
    /// A lane whose room is used up is looked at again after this.
    pub lane_full: Duration,
    /// How often lanes are derived again from their jobs.
    pub rederive: Duration,
    /// How often it is looked for what is old enough to go.
    pub retain: Duration,
    /// A file in a watched folder counts as arrived when it has not changed for this long.
    pub quiet: Duration,
    /// How often the folders are swept for what the watcher missed.
    pub sweep: Duration,
    /// Waits between tries, by number of the failed try; the last one repeats.
    pub retry: Vec<Duration>,
    /// Waits after a worker vanished with the delivery in its hands.
    pub abandoned: Vec<Duration>,
    /// First wait of a lane whose endpoint failed five times in a row; doubles up to `breaker_max`.
    pub breaker: Duration,
    /// Longest wait of an open breaker.
    pub breaker_max: Duration,
    /// First wait after two refused logins; doubles up to `credential_max`.
    pub credential: Duration,
    /// Longest wait after refused logins.
    pub credential_max: Duration,
    /// A lane that failed for this long is suspended.
    pub suspend: Duration,
    /// A lane must stay open for this long before its recovery is told; one that fails again within it is not told again.
    pub settle: Duration,
    /// What people are told is gathered for this long, so that a burst is one message.
    pub gather: Duration,
    /// A webhook must answer within this.
    pub post: Duration,
    /// A message that no webhook took for this long is given up.
    pub post_for: Duration,
    /// How often the artifact store is searched for objects that belong to no file.
    pub garbage: Duration,
    /// Such an object goes when it is older than this: it may belong to a transaction that is still under way.
    pub garbage_age: Duration,
    /// How long a message of the intake queue is hidden from others; renewed every third of it while it is worked on.
    pub visibility: Duration,
    /// After this long messages that could not be recorded are let go; they come again.
    pub hold: Duration,
    /// A comparison of a bucket with the ledger leaves out what is younger: its event may still be on the way.
    pub grace: Duration,
    /// How often the figures for alarms are written.
    pub figures: Duration,
    /// How often it is decided how many workers of Batch there should be.
    pub scale_workers: Duration,
    /// A request for a worker without an answer is looked for by its name after this long.
    pub submit_doubt: Duration,
    /// A worker of Batch that found nothing to do for this long ends.
    pub worker_idle: Duration,
    /// A drain gives running work this long before its leases are released.
    pub drain: Duration,
    /// The same of a worker of Batch, which is killed 30 s after it was told to end (the default of Fargate, and of Docker's agent
    /// on EC2): a third of that is left for giving back what it holds.
    pub worker_drain: Duration,
}

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

fn seconds<const N: usize>(table: [u64; N]) -> Vec<Duration> {
    table.into_iter().map(Duration::from_secs).collect()
}

impl Default for Timing {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            lease: s(MINUTE),
            heartbeat: s(10 * SECOND),
            self_fence: s(45 * SECOND),
            poll: s(SECOND),
            lane_full: Duration::from_millis(250),
            rederive: s(30 * SECOND),
            retain: s(10 * MINUTE),
            quiet: s(2 * SECOND),
            sweep: s(MINUTE),
            retry: seconds([30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR]),
            abandoned: seconds([5, 30, 2 * MINUTE, 10 * MINUTE]),
            breaker: s(30 * SECOND),
            breaker_max: s(15 * MINUTE),
            credential: s(30 * MINUTE),
            credential_max: s(24 * HOUR),
            suspend: s(120 * HOUR),
            settle: s(10 * MINUTE),
            gather: s(10 * SECOND),
            post: s(10 * SECOND),
            post_for: s(24 * HOUR),
            garbage: s(6 * HOUR),
            garbage_age: s(24 * HOUR),
            visibility: s(MINUTE),
            hold: s(10 * MINUTE),
            grace: s(5 * MINUTE),
            figures: s(MINUTE),
            scale_workers: s(10 * SECOND),
            submit_doubt: s(MINUTE),
            worker_idle: s(30 * SECOND),
            drain: s(30 * SECOND),
            worker_drain: s(20 * SECOND),
        }
    }
}

impl Timing {
    /// The same rules with every duration multiplied by `factor`; tests use 1/30. Nothing goes below a millisecond.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let one = |d: Duration| d.mul_f64(factor).max(Duration::from_millis(1));
        let all = |table: &[Duration]| table.iter().map(|d| one(*d)).collect();
        Self {
            lease: one(self.lease),
            heartbeat: one(self.heartbeat),
            self_fence: one(self.self_fence),
            poll: one(self.poll),
            lane_full: one(self.lane_full),
            rederive: one(self.rederive),
            retain: one(self.retain),
            quiet: one(self.quiet),
            sweep: one(self.sweep),
            retry: all(&self.retry),
            abandoned: all(&self.abandoned),
            breaker: one(self.breaker),
            breaker_max: one(self.breaker_max),
            credential: one(self.credential),
            credential_max: one(self.credential_max),
            suspend: one(self.suspend),
            settle: one(self.settle),
            gather: one(self.gather),
            post: one(self.post),
            post_for: one(self.post_for),
            garbage: one(self.garbage),
            garbage_age: one(self.garbage_age),
            visibility: one(self.visibility),
            hold: one(self.hold),
            grace: one(self.grace),
            figures: one(self.figures),
            scale_workers: one(self.scale_workers),
            submit_doubt: one(self.submit_doubt),
            worker_idle: one(self.worker_idle),
            drain: one(self.drain),
            worker_drain: one(self.worker_drain),
        }
    }
}

/// A duration as whole milliseconds, for arithmetic with [`Millis`].
pub fn millis(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
