//! The writes after the claim, in one place: whatever way the sender takes for them is changed here and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use outport_core::{DeliveryId, LeaseId, Timing, WorkerId};
use outport_store::claim_sends::RenameIntent;
use outport_store::finish_send::{Finished, Report};
use outport_store::stage::Entering;
use outport_store::writer::Writer;
use outport_store::{Store, StoreError};
use uuid::Uuid;

/// The way of the sender's writes: group commit.
#[derive(Debug, Clone)]
pub struct Writes(Writer);

impl Writes {
    /// To `store`.
    pub fn new(store: &Store, timing: &Timing) -> Self {
        let worker = WorkerId::from_uuid(Uuid::now_v7());
        Self(Writer::start(store.clone(), worker, timing.clone(), |_| Duration::from_secs(1)))
    }

    /// The fenced write before the rename.
    pub async fn enter_renaming(
        &self,
        delivery_id: DeliveryId,
        lease: LeaseId,
        intent: RenameIntent,
    ) -> Result<bool, StoreError> {
        self.0.enter_renaming(Entering { delivery_id, lease, intent }).await
    }

    /// The end of an attempt.
    pub async fn finish(&self, report: Report) -> Result<Finished, StoreError> {
        self.0.finish(Arc::new(report), rand::random()).await
    }
}
