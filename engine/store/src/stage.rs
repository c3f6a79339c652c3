//! The fenced stage write: the last word with the database before the rename.

use std::collections::BTreeSet;

use outport_core::delivery::Stage;
use outport_core::{DeliveryId, LeaseId};
use sea_orm::Value;

use crate::Store;
use crate::claim_sends::RenameIntent;
use crate::error::StoreError;
use crate::row::id;
use crate::sql::{Tx, args, list, padded, update_rows};

/// One attempt that is about to rename.
#[derive(Debug, Clone)]
pub struct Entering {
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// The fencing token of the claim.
    pub lease: LeaseId,
    /// What the next attempt will judge by, should this one vanish.
    pub intent: RenameIntent,
}

/// Records that the attempt of this lease is about to rename, and what it saw. `false` = the lease is not ours any more
/// (or the delivery was cancelled): nothing may be renamed.
///
/// Saying it twice is as good as once, so it may be said again after an answer that was lost.
pub async fn enter_renaming(store: &Store, entering: Entering) -> Result<bool, StoreError> {
    let tx = store.begin("recording the rename of an attempt").await?;
    let entered = record(&tx, &[&entering]).await?;
    tx.commit().await?;
    Ok(entered == [true])
}

/// The same for as many as come together.
pub(crate) async fn record(tx: &Tx, entering: &[&Entering]) -> Result<Vec<bool>, StoreError> {
    let held = held(tx, entering).await?;
    let is_held = |e: &&&Entering| held.contains(&(e.delivery_id, e.lease));
    let mut rows = Vec::new();
    for e in entering.iter().filter(is_held) {
        let detail = serde_json::to_value(&e.intent)
            .map_err(|error| StoreError::Unreadable { doing: tx.doing(), problem: error.to_string() })?;
        let temp_path = e.intent.temp_path.clone();
        rows.push(args![e.delivery_id.uuid(), e.lease.uuid(), temp_path, Value::from(detail)]);
    }
    let set =
        format!("stage = '{}', remote_temp = new.column3, detail = new.column4", Stage::Renaming.as_str());
    let condition =
        "attempt.delivery_id = new.column1 AND attempt.lease_id = new.column2 AND outcome IS NULL";
    update_rows(tx, "attempt", &set, condition, rows).await?;
    // Kept from this moment on, whatever becomes of the attempt.
    let duplicates = entering.iter().filter(is_held).filter(|e| e.intent.possible_duplicate);
    let duplicates = padded(duplicates.map(|e| e.delivery_id.uuid().into()).collect());
    if !duplicates.is_empty() {
        let ids = list(1, duplicates.len());
        tx.exec(&format!("UPDATE delivery SET possible_duplicate = true WHERE id IN ({ids})"), duplicates)
            .await?;
    }
    Ok(entering.iter().map(|e| is_held(&e)).collect())
}

/// Which leases still stand, their jobs locked until the commit: nobody frees or cancels them in between.
async fn held(tx: &Tx, entering: &[&Entering]) -> Result<BTreeSet<(DeliveryId, LeaseId)>, StoreError> {
    let ids = padded(entering.iter().map(|e| e.delivery_id.uuid().into()).collect());
    let sql = format!(
        "SELECT delivery_id, lease_id FROM send_job WHERE lease_until > {{now}} AND delivery_id IN ({}) \
         ORDER BY delivery_id {{lock}}",
        list(1, ids.len())
    );
    let doing = tx.doing();
    let rows = tx.rows(&sql, ids).await?;
    rows.iter().map(|row| Ok((id(row, "delivery_id", doing)?, id(row, "lease_id", doing)?))).collect()
}
