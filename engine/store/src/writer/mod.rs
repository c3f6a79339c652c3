//! Group commit: all writes of one process after its claims go through one task, as many as wait in one transaction.
//!
//! A commit waits for the disk (SQLite with synchronous=FULL, PostgreSQL alike), and one wait serves 64 deliveries as well
//! as one. Nobody waits for company: whatever has gathered while the last transaction was under way is the next one. A
//! sender awaits its own commit before it renames.

mod batch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use outport_core::{LeaseId, Timing, WorkerId};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::finish_send::{Finished, Report};
use crate::heartbeat::Held;
use crate::stage::Entering;
use batch::Batch;

/// Writes of one transaction at most: enough to share the wait for the disk, few enough that its locks are short.
const BATCH: usize = 64;

/// A write that waits for its commit. Whoever asked may have gone since: then it is dropped before the next try.
enum Write {
    Enter(Entering, oneshot::Sender<Result<bool, StoreError>>),
    Finish(Arc<Report>, f64, oneshot::Sender<Result<Finished, StoreError>>),
    Beat(BTreeSet<(Uuid, LeaseId)>, oneshot::Sender<Result<Held, StoreError>>),
}

impl Write {
    fn is_wanted(&self) -> bool {
        match self {
            Self::Enter(_, answer) => !answer.is_closed(),
            Self::Finish(_, _, answer) => !answer.is_closed(),
            Self::Beat(_, answer) => !answer.is_closed(),
        }
    }

    fn fail(self, error: StoreError) {
        // Nobody is there to be told when sending fails.
        match self {
            Self::Enter(_, answer) => drop(answer.send(Err(error))),
            Self::Finish(_, _, answer) => drop(answer.send(Err(error))),
            Self::Beat(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// The writer of one process. Cheap to clone; the task ends when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<Write>,
}

/// How long to wait after the n-th failure in a row, when the database does not answer.
pub type Backoff = fn(u32) -> Duration;

impl Writer {
    /// Starts the writer of `worker`.
    pub fn start(store: Store, worker: WorkerId, timing: Timing, backoff: Backoff) -> Self {
        // A sender that finds the queue full waits for its place: the queue holds no more than what is in flight.
        let (queue, writes) = mpsc::channel(4 * BATCH);
        tokio::spawn(run(store, worker, timing, backoff, writes));
        Self { queue }
    }

    /// [`enter_renaming`](crate::stage::enter_renaming), in company. Waits while the database is away: give up by
    /// dropping the future.
    pub async fn enter_renaming(&self, entering: Entering) -> Result<bool, StoreError> {
        let (answer, committed) = oneshot::channel();
        self.ask(Write::Enter(entering, answer), committed).await
    }

    /// [`finish`](crate::finish_send::finish), in company. Waits while the database is away: give up by dropping the
    /// future.
    pub async fn finish(&self, report: Arc<Report>, random: f64) -> Result<Finished, StoreError> {
        let (answer, committed) = oneshot::channel();
        self.ask(Write::Finish(report, random, answer), committed).await
    }

    /// [`beat`](crate::heartbeat::beat), in company.
    pub async fn beat(&self, open: BTreeSet<(Uuid, LeaseId)>) -> Result<Held, StoreError> {
        let (answer, committed) = oneshot::channel();
        self.ask(Write::Beat(open, answer), committed).await
    }

    async fn ask<T>(
        &self,
        write: Write,
        committed: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unreadable {
            doing: "writing to the database",
            problem: "the writer of this process has ended".into(),
        };
        self.queue.send(write).await.map_err(|_| gone())?;
        committed.await.map_err(|_| gone())?
    }
}

async fn run(
    store: Store,
    worker: WorkerId,
    timing: Timing,
    backoff: Backoff,
    mut writes: mpsc::Receiver<Write>,
) {
    let mut failures = 0;
    let mut waiting: Vec<Write> = Vec::with_capacity(BATCH);
    loop {
        if waiting.is_empty() && writes.recv_many(&mut waiting, BATCH).await == 0 {
            return;
        }
        waiting.retain(Write::is_wanted);
        if waiting.is_empty() {
            continue;
        }
        match Batch::of(&waiting).commit(&store, worker, &timing).await {
            Ok(done) => {
                failures = 0;
                done.answer(waiting.drain(..));
            }
            // The same again, whole: at once after a deadlock or for a busy file, later when the database is away.
            Err(error) if error.is_transient() || error.is_outage() => {
                failures += 1;
                tracing::warn!(writes = waiting.len(), failures, "{error}");
                let soon = Duration::from_millis(u64::from(failures.min(50)));
                tokio::time::sleep(if error.is_outage() { backoff(failures) } else { soon }).await;
            }
            Err(error) => {
                if waiting.len() > 1 {
                    tracing::warn!(writes = waiting.len(), "{error}; each is tried by itself");
                }
                one_by_one(&store, worker, &timing, &mut waiting).await;
            }
        }
    }
}

/// One of them is not possible: each in a transaction of its own, so that it fails alone.
async fn one_by_one(store: &Store, worker: WorkerId, timing: &Timing, waiting: &mut Vec<Write>) {
    for write in waiting.drain(..) {
        match Batch::of(std::slice::from_ref(&write)).commit(store, worker, timing).await {
            Ok(done) => done.answer(std::iter::once(write)),
            Err(error) => write.fail(error),
        }
    }
}
