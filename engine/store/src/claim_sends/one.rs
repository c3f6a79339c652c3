//! Claiming one certain delivery: for a worker that was started for it.

use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, LeaseId, Timing, WorkerId};

use super::pick::Picked;
use super::types::{Claim, Limits};
use super::{due_lanes, pick, seats, shares, take};
use crate::Store;
use crate::error::StoreError;
use crate::history::new_id;
use crate::row::id;
use crate::sql::{Tx, args};

const ONE: Limits = Limits { lanes: 1, deliveries: 1, per_lane: 1 };

/// Claims `delivery` if it is due or [handed over](super::HandOver), and its lane is open and has room. The claim is empty
/// otherwise: perhaps somebody else has it.
///
/// # Errors
/// Those of the database; nothing is claimed then.
pub async fn claim_one(
    store: &Store,
    worker: WorkerId,
    delivery: DeliveryId,
    timing: &Timing,
) -> Result<Claim, StoreError> {
    let tx = store.begin("claiming a delivery").await?;
    let Some(endpoint) = endpoint_of(&tx, delivery).await? else {
        tx.rollback().await?;
        return Ok(Claim::default());
    };
    let Some(lane) = due_lanes::lock_one(&tx, endpoint).await? else {
        // It may have been blocked for a damaged definition.
        tx.commit().await?;
        return Ok(Claim::default());
    };
    let now = lane.now;
    let due = [lane];
    let loads = due_lanes::loads(&tx, &due, worker, now).await?;
    let shares = shares(&due, &loads, ONE);
    let has_room = shares.iter().any(|share| share.wanted > 0);
    if !has_room || !is_free(&tx, delivery).await? {
        tx.rollback().await?;
        return Ok(Claim::default());
    }
    let picked = Picked::one(endpoint, delivery);
    let until = now + millis(timing.lease);
    let lease: LeaseId = new_id();
    let seats = seats::take(&tx, worker, &shares, &picked, until).await?;
    let sends = take::take(&tx, worker, lease, &picked, until).await?;
    let full = pick::move_lanes(&tx, &shares, &picked, now, timing).await?;
    tx.commit().await?;
    let endpoints = due.into_iter().map(|lane| (lane.endpoint.endpoint_id, lane.endpoint)).collect();
    Ok(Claim { sends, endpoints, seats, full })
}

async fn endpoint_of(tx: &Tx, delivery: DeliveryId) -> Result<Option<EndpointId>, StoreError> {
    let row = tx
        .row(
            "SELECT endpoint_id FROM send_job WHERE delivery_id = $1 AND lease_id IS NULL",
            args![delivery.uuid()],
        )
        .await?;
    row.map(|row| id(&row, "endpoint_id", tx.doing())).transpose()
}

/// Whether it may be taken, and none of its name is being sent; locked if so. Asked under the lane's lock.
async fn is_free(tx: &Tx, delivery: DeliveryId) -> Result<bool, StoreError> {
    let row = tx
        .row(
            "SELECT delivery_id FROM send_job WHERE delivery_id = $1 AND lease_id IS NULL \
               AND (due_at <= {now} OR handed_at IS NOT NULL) \
               AND NOT EXISTS (SELECT 1 FROM send_job sent WHERE sent.endpoint_id = send_job.endpoint_id \
                 AND sent.remote_name = send_job.remote_name AND sent.lease_id IS NOT NULL) {skip_locked}",
            args![delivery.uuid()],
        )
        .await?;
    Ok(row.is_some())
}
