//! Acts on one delivery: set aside, put back, stop, hurry, tick off.
//!
//! Lock order as everywhere: lane, send job, attempt, delivery. Whoever changes a delivery that has a send job takes the
//! job first (claim, stage, end of an attempt, rescue), so a lease and an act have one winner.

use outport_core::delivery::{AttemptOutcome, DeliveryEvent, DeliveryState, Stage};
use outport_core::{DeliveryId, EndpointId, Fault, LeaseId, Millis, code};
use serde_json::json;

use super::{By, act, not_found, note, refused};
use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id, maybe_id, word};
use crate::sql::{Tx, args};
use crate::{fifo, lanes, send_jobs};

/// Takes a queued or retrying delivery out of its lane.
///
/// # Errors
/// `usage.wrong_state` in every other state; `usage.not_found`.
pub async fn hold(store: &Store, delivery: DeliveryId, by: By<'_>) -> Result<(), StoreError> {
    act(store, "holding a delivery", async |tx| {
        // Held, the head of a group keeps its place; a replay that had the turn leaves it to the head, whose lane is woken.
        lanes::lock(tx, endpoint_of(tx, delivery).await?).await?;
        let Some(present) = lock(tx, delivery).await? else { return Ok(None) };
        let next = step(delivery, present.state, "hold", DeliveryEvent::Hold)?;
        drop_job(tx, delivery).await?;
        set_state(tx, delivery, next).await?;
        fifo::advance_after(tx, delivery).await?;
        note(tx, by, subject(delivery), "held", json!({})).await.map(Some)
    })
    .await
}

/// Puts a held delivery back, due now.
///
/// # Errors
/// `usage.wrong_state` unless it is held; `usage.not_found`.
pub async fn release(store: &Store, delivery: DeliveryId, by: By<'_>) -> Result<(), StoreError> {
    act(store, "releasing a delivery", async |tx| {
        let endpoint = endpoint_of(tx, delivery).await?;
        lanes::lock(tx, endpoint).await?;
        let Some(present) = lock(tx, delivery).await? else { return Ok(None) };
        let event = DeliveryEvent::Release { attempted: present.attempts > 0 };
        let next = step(delivery, present.state, "release", event)?;
        set_state(tx, delivery, next).await?;
        let now = tx.now().await?;
        if present.fifo {
            fifo::advance_after(tx, delivery).await?;
        } else {
            send_jobs::add(tx, delivery, now).await?;
            lanes::pull(tx, endpoint, now).await?;
        }
        note(tx, by, subject(delivery), "released", json!({})).await.map(Some)
    })
    .await
}

/// Makes a queued or retrying delivery due now. Its lane's blocks stay: those are the endpoint's (`endpoint retry`).
///
/// # Errors
/// `usage.wrong_state` in every other state; `usage.not_found`.
pub async fn retry(store: &Store, delivery: DeliveryId, by: By<'_>) -> Result<(), StoreError> {
    act(store, "making a delivery due", async |tx| {
        let endpoint = endpoint_of(tx, delivery).await?;
        lanes::lock(tx, endpoint).await?;
        let Some(present) = lock(tx, delivery).await? else { return Ok(None) };
        step(delivery, present.state, "retry", DeliveryEvent::Hasten)?;
        if present.fifo && !present.queued {
            let message = format!(
                "could not retry {delivery}: its subscription is in order, and others come before it"
            );
            return Err(refused(
                message,
                "`outport why` tells which; it goes when they are through or cancelled",
            ));
        }
        let now = tx.now().await?;
        // What is due already keeps its place in the order.
        tx.exec(
            "UPDATE send_job SET due_at = {least}(due_at, $2) WHERE delivery_id = $1 AND lease_id IS NULL",
            args![delivery.uuid(), now],
        )
        .await?;
        lanes::pull(tx, endpoint, now).await?;
        note(tx, by, subject(delivery), "hastened", json!({})).await.map(Some)
    })
    .await
}

/// What a cancelled delivery was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled {
    /// Its state until now.
    pub was: DeliveryState,
    /// Of a delivery that was being sent: the last stage that was written down. From [`Stage::Renaming`] on the file
    /// may be at the partner, or get there in this moment.
    pub stage: Option<Stage>,
}

/// Stops an open delivery. One that is being sent loses its lease with its send job, so its worker stops at the next
/// fence; should the rename be over by then, that worker leaves `delivered_after_cancel` in the history
/// ([`after_cancel`](crate::after_cancel)). Its transform goes on: others may want the output.
///
/// # Errors
/// `usage.wrong_state` when it is settled; `usage.not_found`.
pub async fn cancel(store: &Store, delivery: DeliveryId, by: By<'_>) -> Result<Cancelled, StoreError> {
    act(store, "cancelling a delivery", async |tx| {
        // The next one of its group may get its turn, and wakes the lane.
        lanes::lock(tx, endpoint_of(tx, delivery).await?).await?;
        let Some(present) = lock(tx, delivery).await? else { return Ok(None) };
        let next = step(delivery, present.state, "cancel", DeliveryEvent::Cancel)?;
        let message = format!("{} cancelled the delivery: {}", by.actor, by.reason);
        let fault = Fault::new(&code::DELIVERY_CANCELLED, message);
        let stage = match present.lease {
            Some(lease) => end_attempt(tx, delivery, lease, &fault).await?,
            None => None,
        };
        drop_job(tx, delivery).await?;
        tx.exec(
            "UPDATE delivery SET state = $2, parked = FALSE, settled_at = {now}, fault_code = $3, fault = $4 WHERE id = $1",
            args![delivery.uuid(), next.as_str(), fault.code.name, fault.report()],
        )
        .await?;
        let detail = json!({ "was": present.state.as_str(), "stage": stage.map(Stage::as_str) });
        note(tx, by, subject(delivery), "cancelled", detail).await?;
        fifo::advance_after(tx, delivery).await?;
        Ok(Some(Cancelled { was: present.state, stage }))
    })
    .await
}

/// Notes that a failed or unconfirmed delivery is dealt with: the only thing that changes after settling.
///
/// # Errors
/// `usage.wrong_state` in every other state, or when it is resolved already; `usage.not_found`.
pub async fn resolve(store: &Store, delivery: DeliveryId, by: By<'_>) -> Result<(), StoreError> {
    act(store, "resolving a delivery", async |tx| {
        lanes::lock(tx, endpoint_of(tx, delivery).await?).await?;
        let row = tx
            .row(
                "SELECT state, resolved_at, resolved_by FROM delivery WHERE id = $1 {lock}",
                args![delivery.uuid()],
            )
            .await?
            .ok_or_else(|| not_found("delivery", delivery))?;
        let state: DeliveryState = word(&row, "state", tx.doing())?;
        if !state.wants_resolving() {
            return Err(wrong_state(delivery, state, "resolve"));
        }
        if get::<Option<Millis>>(&row, "resolved_at", tx.doing())?.is_some() {
            let whom: Option<String> = get(&row, "resolved_by", tx.doing())?;
            let whom = whom.unwrap_or_else(|| "somebody".into());
            let message = format!("could not resolve {delivery}: {whom} did so already");
            return Err(refused(message, "nothing to do"));
        }
        tx.exec(
            "UPDATE delivery SET resolved_at = {now}, resolved_by = $2 WHERE id = $1",
            args![delivery.uuid(), by.actor],
        )
        .await?;
        fifo::advance_after(tx, delivery).await?;
        note(tx, by, subject(delivery), "resolved", json!({ "state": state.as_str() })).await.map(Some)
    })
    .await
}

fn subject(delivery: DeliveryId) -> (&'static str, uuid::Uuid) {
    ("delivery", delivery.uuid())
}

struct Present {
    state: DeliveryState,
    attempts: i32,
    /// Of whoever is sending it.
    lease: Option<LeaseId>,
    /// It has a send job.
    queued: bool,
    /// Its subscription is in order: most of its open deliveries wait without a send job.
    fifo: bool,
}

/// Locks the send job, then the delivery. `None`: a job came or went between the two looks.
async fn lock(tx: &Tx, delivery: DeliveryId) -> Result<Option<Present>, StoreError> {
    let doing = tx.doing();
    let of = || args![delivery.uuid()];
    let job = tx.row("SELECT lease_id FROM send_job WHERE delivery_id = $1 {lock}", of()).await?;
    let row = tx
        .row(
            "SELECT d.state, d.attempts, s.ordering FROM delivery d JOIN subscription s ON s.id = d.subscription_id \
             WHERE d.id = $1 {lock_delivery}",
            of(),
        )
        .await?
        .ok_or_else(|| not_found("delivery", delivery))?;
    let state: DeliveryState = word(&row, "state", doing)?;
    let (queued, fifo) = (job.is_some(), get::<String>(&row, "ordering", doing)? == "fifo");
    let as_it_should = state.has_send_job() == queued || (fifo && !queued);
    if !as_it_should {
        return Ok(None);
    }
    let lease = job.map(|job| maybe_id(&job, "lease_id", doing)).transpose()?.flatten();
    Ok(Some(Present { state, attempts: get(&row, "attempts", doing)?, lease, queued, fifo }))
}

/// Without a lock: the endpoint of a delivery never changes.
async fn endpoint_of(tx: &Tx, delivery: DeliveryId) -> Result<EndpointId, StoreError> {
    let row = tx.row("SELECT endpoint_id FROM delivery WHERE id = $1", args![delivery.uuid()]).await?;
    let row = row.ok_or_else(|| not_found("delivery", delivery))?;
    id(&row, "endpoint_id", tx.doing())
}

async fn drop_job(tx: &Tx, delivery: DeliveryId) -> Result<(), StoreError> {
    tx.exec("DELETE FROM send_job WHERE delivery_id = $1", args![delivery.uuid()]).await.map(|_| ())
}

async fn set_state(tx: &Tx, delivery: DeliveryId, state: DeliveryState) -> Result<(), StoreError> {
    // Whoever acts on it by hand takes it out of its replay's pause.
    tx.exec(
        "UPDATE delivery SET state = $2, parked = FALSE WHERE id = $1",
        args![delivery.uuid(), state.as_str()],
    )
    .await
    .map(|_| ())
}

/// Ends the open attempt of `lease`; how far it had come by the ledger.
async fn end_attempt(
    tx: &Tx,
    delivery: DeliveryId,
    lease: LeaseId,
    fault: &Fault,
) -> Result<Option<Stage>, StoreError> {
    let row = tx
        .row(
            "UPDATE attempt SET ended_at = {now}, outcome = $3, charged = $4, class = $5, code = $6, message = $7 \
             WHERE delivery_id = $1 AND lease_id = $2 AND outcome IS NULL RETURNING stage",
            args![
                delivery.uuid(),
                lease.uuid(),
                AttemptOutcome::Cancelled.as_str(),
                false,
                fault.class().as_str(),
                fault.code.name,
                fault.message.clone()
            ],
        )
        .await?;
    row.map(|row| word(&row, "stage", tx.doing())).transpose()
}

fn step(
    delivery: DeliveryId,
    state: DeliveryState,
    verb: &str,
    event: DeliveryEvent,
) -> Result<DeliveryState, StoreError> {
    state.step(event).map_err(|_| wrong_state(delivery, state, verb))
}

/// Says what it is, and what would help instead.
fn wrong_state(delivery: DeliveryId, state: DeliveryState, verb: &str) -> StoreError {
    let hint = match state {
        DeliveryState::Waiting => "its transform has not ended yet; it can only be cancelled".to_owned(),
        DeliveryState::Sending => format!(
            "it is being sent: `outport delivery show {delivery}` tells how it ends; it can only be cancelled"
        ),
        DeliveryState::Held => format!("put it back with `outport delivery release {delivery} --reason ...`"),
        DeliveryState::Queued | DeliveryState::Retrying => "it is open: hold, retry or cancel it".to_owned(),
        DeliveryState::Unconfirmed | DeliveryState::Failed if verb != "resolve" => format!(
            "it is settled and stays so: send it again with `outport replay`, or say \
             `outport delivery resolve {delivery} --reason ...` when that is not needed"
        ),
        _ if verb == "resolve" => "only failed and unconfirmed deliveries wait to be resolved".to_owned(),
        _ => "it is settled and stays so: `outport replay` sends it again".to_owned(),
    };
    refused(format!("could not {verb} {delivery}: it is {state}"), hint)
}
