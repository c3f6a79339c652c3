//! Attempts whose lease is over: one word to the ledger, or one question, in case they were cancelled.

use std::future::Future;
use std::time::{Duration, Instant};

use outport_core::{DeliveryId, LeaseId};
use outport_store::finish_send::Report;
use outport_store::{Store, StoreError, after_cancel};
use tokio::sync::Mutex;

/// After an outage nobody asks for so long. When the database goes away, the leases of all that is being sent end together:
/// of 70 statements in an outage of 8 s, 29 were these, where a loop may say one a second.
const REST: Duration = Duration::from_secs(1);

/// They wait in line, and leave while the database is away.
#[derive(Debug, Default)]
pub struct LateEnds(Mutex<Option<Instant>>);

impl LateEnds {
    /// Leaves in the history what an attempt that was cancelled has done, unless the database was away a moment ago.
    pub async fn record(&self, store: &Store, report: &Report) -> Result<(), StoreError> {
        self.in_line(after_cancel::record(store, report)).await.map(|_| ())
    }

    /// Whether the attempt of this lease was cancelled. While nobody can say, it was not.
    pub async fn is_cancelled(&self, store: &Store, delivery: DeliveryId, lease: LeaseId) -> bool {
        let asked = self.in_line(after_cancel::is_cancelled(store, delivery, lease)).await;
        matches!(asked, Ok(Some(true)))
    }

    /// `None`: the database was away a moment ago, and was not asked.
    async fn in_line<T>(
        &self,
        word: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        let mut away_at = self.0.lock().await;
        if away_at.is_some_and(|at| at.elapsed() < REST) {
            return Ok(None);
        }
        let answer = word.await;
        if answer.as_ref().is_err_and(StoreError::is_outage) {
            *away_at = Some(Instant::now());
        }
        answer.map(Some)
    }
}
