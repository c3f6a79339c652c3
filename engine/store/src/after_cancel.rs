//! A cancel that came too late: the file was renamed, or may have been, when its delivery was cancelled.
//!
//! The worker that was sending it finds its lease gone when it reports. If an operator took it by cancelling, what
//! that worker knows is put into the history: the delivery stays cancelled, and nobody is told that nothing arrived.

use serde_json::json;

use crate::Store;
use crate::error::StoreError;
use crate::finish_send::{End, Report};
use crate::history::{self, Entry};
use crate::sql::{Tx, args};

/// Leaves `delivered_after_cancel` (with the receipt) or `unknown_after_cancel` in the history, once, if `report` is
/// of an attempt that was cancelled under its lease. Changes nothing else. Whether an entry was made.
pub async fn record(store: &Store, report: &Report) -> Result<bool, StoreError> {
    let tx = store.begin("recording the end of a cancelled attempt").await?;
    let noted = note(&tx, report).await?;
    tx.commit().await?;
    Ok(noted)
}

pub(crate) async fn note(tx: &Tx, report: &Report) -> Result<bool, StoreError> {
    let (event, mut detail) = match &report.end {
        End::Delivered(receipt) => (
            "delivered_after_cancel",
            json!({
                "remote_final": receipt.remote_final,
                "size_bytes": receipt.size_bytes,
                "sha256": receipt.sha256,
                "peer_identity": receipt.peer_identity,
                "agreed": receipt.agreed,
                "confirmed_by": receipt.confirmed_by,
            }),
        ),
        End::Unknown { fault, .. } | End::Unconfirmed { fault } => {
            ("unknown_after_cancel", json!({ "code": fault.code.name, "message": fault.message }))
        }
        End::Fault { .. } => return Ok(false),
    };
    let id = report.delivery_id.uuid();
    let cancelled = tx
        .row(
            "SELECT a.n FROM attempt a JOIN delivery d ON d.id = a.delivery_id \
             WHERE a.delivery_id = $1 AND a.lease_id = $2 AND a.outcome = 'cancelled' AND d.state = 'cancelled' \
               AND NOT EXISTS (SELECT 1 FROM history h WHERE h.subject_id = $1 AND h.event = $3)",
            args![id, report.lease.uuid(), event],
        )
        .await?;
    if cancelled.is_none() {
        return Ok(false);
    }
    detail["lease"] = json!(report.lease);
    detail["remote_temp"] = json!(report.remote_temp);
    history::add(tx, Entry { actor: "engine", subject_kind: "delivery", subject_id: id, event, detail })
        .await?;
    Ok(true)
}

/// Whether the attempt of this lease was cancelled: then nobody comes after it, and its temp file may go.
pub async fn is_cancelled(
    store: &Store,
    delivery: outport_core::DeliveryId,
    lease: outport_core::LeaseId,
) -> Result<bool, StoreError> {
    let rows = store
        .read(
            "asking why a lease is gone",
            "SELECT n FROM attempt WHERE delivery_id = $1 AND lease_id = $2 AND outcome = 'cancelled'",
            args![delivery.uuid(), lease.uuid()],
        )
        .await?;
    Ok(!rows.is_empty())
}
