//! The fenced stage write: the last word with the database before the rename.

use outport_core::delivery::Stage;
use outport_core::{DeliveryId, LeaseId};
use sea_orm::Value;

use crate::Store;
use crate::claim_sends::RenameIntent;
use crate::error::StoreError;
use crate::sql::args;

/// Records that the attempt of this lease is about to rename, and what it saw. `false` = the lease is not ours any more
/// (or the delivery was cancelled): nothing may be renamed.
pub async fn enter_renaming(
    store: &Store,
    delivery: DeliveryId,
    lease: LeaseId,
    intent: &RenameIntent,
) -> Result<bool, StoreError> {
    let tx = store.begin("recording the rename of an attempt").await?;
    let held = tx
        .row(
            "SELECT delivery_id FROM send_job WHERE delivery_id = $1 AND lease_id = $2 AND lease_until > {now} {lock}",
            args![delivery.uuid(), lease.uuid()],
        )
        .await?;
    if held.is_none() {
        tx.rollback().await?;
        return Ok(false);
    }
    let detail = serde_json::to_value(intent)
        .map_err(|error| StoreError::Unreadable { doing: tx.doing(), problem: error.to_string() })?;
    let changed = tx
        .exec(
            "UPDATE attempt SET stage = $3, remote_temp = $4, detail = $5 \
             WHERE delivery_id = $1 AND lease_id = $2 AND outcome IS NULL",
            args![
                delivery.uuid(),
                lease.uuid(),
                Stage::Renaming.as_str(),
                intent.temp_path.clone(),
                Value::from(detail)
            ],
        )
        .await?;
    if intent.possible_duplicate {
        // Kept from this moment on, whatever becomes of the attempt.
        tx.exec("UPDATE delivery SET possible_duplicate = true WHERE id = $1", args![delivery.uuid()])
            .await?;
    }
    tx.commit().await?;
    Ok(changed == 1)
}
