//! Deliveries that are too large for the workers of the service: each gets a worker of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use outport_core::Millis;
use outport_core::timing::millis;
use sea_orm::Value;

use super::pick::Picked;
use crate::claim_transforms::as_bigint;
use crate::error::StoreError;
use crate::row::id;
use crate::sql::{Tx, args, list, padded};

/// What a worker leaves to a worker of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOver {
    /// Deliveries of larger files than this.
    pub above_bytes: u64,
    /// So long. What nobody took by then is due again, and stays with whoever claims it.
    pub wait: Duration,
}

impl HandOver {
    /// Takes the large ones out of `picked`. They are not due for now, so that nobody meets them again and again; the worker
    /// that was asked for takes its own before that.
    pub(super) async fn apply(self, tx: &Tx, picked: &mut Picked, now: Millis) -> Result<(), StoreError> {
        if picked.is_empty() {
            return Ok(());
        }
        let ids: Vec<Value> = padded(picked.all().map(|delivery| delivery.uuid().into()).collect());
        let mut values = args![as_bigint(self.above_bytes), now, now.saturating_add(millis(self.wait))];
        let places = list(values.len() + 1, ids.len());
        values.extend(ids);
        let sql = format!(
            "UPDATE send_job SET handed_at = $2, due_at = $3 WHERE handed_at IS NULL AND delivery_id IN ( \
               SELECT d.id FROM delivery d JOIN artifact a ON a.id = d.artifact_id \
               WHERE d.id IN ({places}) AND a.size_bytes > $1) RETURNING delivery_id"
        );
        let mut handed = BTreeSet::new();
        for row in tx.rows(&sql, values).await? {
            handed.insert(id(&row, "delivery_id", tx.doing())?);
        }
        picked.remove(&handed);
        Ok(())
    }
}
