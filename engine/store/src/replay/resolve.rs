//! What a delivered replay settles for good.

use outport_core::DeliveryId;

use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::row::get;
use crate::sql::{Tx, args};

/// The replayed delivery has arrived: every earlier settled delivery of the same file to the same subscription is
/// resolved by it. Said in the transaction that ends its attempt.
pub(crate) async fn sources(tx: &Tx, delivery: DeliveryId) -> Result<(), StoreError> {
    let resolved = tx
        .rows(
            "UPDATE delivery SET resolved_at = {now}, resolved_by = $2 \
             WHERE settled_at IS NOT NULL AND resolved_at IS NULL AND id < $1 AND id IN \
               (SELECT d.id FROM delivery d JOIN delivery r ON r.id = $1 AND r.file_id = d.file_id \
                  AND r.subscription_id = d.subscription_id AND r.part = d.part) RETURNING id",
            args![delivery.uuid(), delivery.to_string()],
        )
        .await?;
    for row in resolved {
        let detail = serde_json::json!({ "by": delivery });
        let entry = Entry {
            actor: "engine",
            subject_kind: "delivery",
            subject_id: get(&row, "id", tx.doing())?,
            event: "resolved",
            detail,
        };
        history::add(tx, entry).await?;
    }
    Ok(())
}
