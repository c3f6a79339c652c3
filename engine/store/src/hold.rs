//! An operator sets a delivery aside, and puts it back.

use outport_core::DeliveryId;
use outport_core::delivery::{DeliveryEvent, DeliveryState};
use outport_core::{Fault, code};

use crate::Store;
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::row::{get, id, word};
use crate::sql::{Tx, args};
use crate::{fifo, lanes, send_jobs};

/// Takes a queued or retrying delivery out of its lane.
///
/// # Errors
/// [`StoreError::Illegal`] in every other state; `usage.not_found`.
pub async fn hold(store: &Store, delivery: DeliveryId, actor: &str, reason: &str) -> Result<(), StoreError> {
    let tx = store.begin("holding a delivery").await?;
    // Lock order: the send job before the delivery. A claimer that was first holds the job; we see `sending` then.
    tx.row("SELECT delivery_id FROM send_job WHERE delivery_id = $1 {lock}", args![delivery.uuid()]).await?;
    let (state, _) = locked(&tx, delivery).await?;
    state.step(DeliveryEvent::Hold)?;
    tx.exec("DELETE FROM send_job WHERE delivery_id = $1", args![delivery.uuid()]).await?;
    set(&tx, delivery, DeliveryState::Held).await?;
    note(&tx, delivery, "held", actor, reason).await?;
    tx.commit().await
}

/// Puts a held delivery back, due now.
///
/// # Errors
/// [`StoreError::Illegal`] unless it is held; `usage.not_found`.
pub async fn release(
    store: &Store,
    delivery: DeliveryId,
    actor: &str,
    reason: &str,
) -> Result<(), StoreError> {
    let tx = store.begin("releasing a delivery").await?;
    let (state, attempts) = locked(&tx, delivery).await?;
    let next = state.step(DeliveryEvent::Release { attempted: attempts > 0 })?;
    set(&tx, delivery, next).await?;
    let doing = tx.doing();
    let row = tx
        .row(
            "SELECT d.endpoint_id, s.ordering, {now} AS now FROM delivery d \
             JOIN subscription s ON s.id = d.subscription_id WHERE d.id = $1",
            args![delivery.uuid()],
        )
        .await?;
    if let Some(row) = row {
        if get::<String>(&row, "ordering", doing)? == "fifo" {
            fifo::advance_after(&tx, delivery).await?;
        } else {
            let now = get(&row, "now", doing)?;
            send_jobs::add(&tx, delivery, now).await?;
            lanes::pull(&tx, id(&row, "endpoint_id", doing)?, now).await?;
        }
    }
    note(&tx, delivery, "released", actor, reason).await?;
    tx.commit().await
}

async fn locked(tx: &Tx, delivery: DeliveryId) -> Result<(DeliveryState, i32), StoreError> {
    match tx.row("SELECT state, attempts FROM delivery WHERE id = $1 {lock}", args![delivery.uuid()]).await? {
        Some(row) => Ok((word(&row, "state", tx.doing())?, get(&row, "attempts", tx.doing())?)),
        None => Err(Fault::new(&code::NOT_FOUND, format!("there is no delivery {delivery}")).into()),
    }
}

async fn set(tx: &Tx, delivery: DeliveryId, state: DeliveryState) -> Result<(), StoreError> {
    tx.exec("UPDATE delivery SET state = $2 WHERE id = $1", args![delivery.uuid(), state.as_str()])
        .await
        .map(|_| ())
}

async fn note(
    tx: &Tx,
    delivery: DeliveryId,
    event: &'static str,
    actor: &str,
    reason: &str,
) -> Result<(), StoreError> {
    let detail = serde_json::json!({ "reason": reason });
    history::add(tx, Entry { actor, subject_kind: "delivery", subject_id: delivery.uuid(), event, detail })
        .await
}
