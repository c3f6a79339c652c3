//! The writes after the claim, in one place: whatever way the sender takes for them is changed here and nowhere else.

use outport_core::{DeliveryId, LeaseId, Timing};
use outport_store::claim_sends::RenameIntent;
use outport_store::finish_send::{self, Finished, Report};
use outport_store::{Store, StoreError, stage};

/// The way of the sender's writes.
#[derive(Debug, Clone)]
pub struct Writes {
    store: Store,
    timing: Timing,
}

impl Writes {
    /// To `store`.
    pub fn new(store: &Store, timing: &Timing) -> Self {
        Self { store: store.clone(), timing: timing.clone() }
    }

    /// The fenced write before the rename.
    pub async fn enter_renaming(
        &self,
        delivery: DeliveryId,
        lease: LeaseId,
        intent: &RenameIntent,
    ) -> Result<bool, StoreError> {
        stage::enter_renaming(&self.store, delivery, lease, intent).await
    }

    /// The end of an attempt.
    pub async fn finish(&self, report: &Report) -> Result<Finished, StoreError> {
        finish_send::finish(&self.store, report, &self.timing, rand::random()).await
    }
}
