//! After an operator's act: what the replay has not sent yet is held, released or cancelled, some in each transaction.

use outport_core::replay::Pace;
use outport_core::{DeliveryId, Fault, ReplayId, code};
use sea_orm::Value;
use uuid::Uuid;

use super::conditions::Arguments;
use super::write::{HISTORY, insert};
use crate::error::StoreError;
use crate::lanes::Wake;
use crate::row::get;
use crate::sql::{Tx, args};
use crate::{fifo, send_jobs};

/// Deliveries of one transaction.
const SOME: i64 = 500;

/// What is left of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chore {
    Park,
    Release,
    Cancel,
}

impl Chore {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Park => "park",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }

    pub fn parse(word: &str, doing: &'static str) -> Result<Self, StoreError> {
        [Self::Park, Self::Release, Self::Cancel].into_iter().find(|chore| chore.as_str() == word).ok_or_else(
            || StoreError::Unreadable { doing, problem: format!("{word:?} is not a chore of a replay") },
        )
    }
}

/// Does some of it under the replay's lock; how many deliveries. The chore ends when none is left that it concerns. One
/// that is being sent is left alone: it ends as it ends, and if it is to be tried again, the chore is still there.
pub(super) async fn some(tx: &Tx, replay: ReplayId, chore: Chore, pace: Pace) -> Result<u32, StoreError> {
    let (changed, concerns) = match chore {
        Chore::Park => (park(tx, replay).await?, "state IN ('waiting', 'queued', 'retrying', 'sending')"),
        Chore::Release => (release(tx, replay, pace).await?, "state = 'held' AND parked"),
        Chore::Cancel => {
            (cancel(tx, replay).await?, "state IN ('waiting', 'queued', 'retrying', 'sending', 'held')")
        }
    };
    let sql = format!(
        "UPDATE replay SET chore = NULL WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM delivery \
         WHERE origin = 'replay' AND settled_at IS NULL AND replay_id = $1 AND {concerns})"
    );
    tx.exec(&sql, args![replay.uuid()]).await?;
    Ok(u32::try_from(changed).unwrap_or(u32::MAX))
}

/// Queued and retrying deliveries whose job nobody holds; both rows locked, or left for the next time.
async fn unsent(tx: &Tx, replay: ReplayId) -> Result<Vec<Uuid>, StoreError> {
    let rows = tx
        .rows(
            "SELECT j.delivery_id AS id FROM delivery d JOIN send_job j ON j.delivery_id = d.id \
             WHERE d.origin = 'replay' AND d.settled_at IS NULL AND d.replay_id = $1 AND d.held = false \
               AND d.state IN ('queued', 'retrying') AND j.lease_id IS NULL \
             ORDER BY d.id LIMIT $2 {skip_locked}",
            args![replay.uuid(), SOME],
        )
        .await?;
    let mut ids: Vec<Uuid> = rows.iter().map(|row| get(row, "id", tx.doing())).collect::<Result<_, _>>()?;
    // In a subscription that is in order, most have no job yet.
    let rows = tx
        .rows(
            "SELECT d.id FROM delivery d WHERE d.origin = 'replay' AND d.settled_at IS NULL AND d.replay_id = $1 AND d.held = false \
               AND d.state IN ('queued', 'retrying') \
               AND NOT EXISTS (SELECT 1 FROM send_job j WHERE j.delivery_id = d.id) \
             ORDER BY d.id LIMIT $2 {skip_locked}",
            args![replay.uuid(), SOME],
        )
        .await?;
    for row in &rows {
        ids.push(get(row, "id", tx.doing())?);
    }
    Ok(ids)
}

async fn park(tx: &Tx, replay: ReplayId) -> Result<usize, StoreError> {
    let ids = unsent(tx, replay).await?;
    remove_jobs(tx, &ids).await?;
    change(tx, &ids, "SET state = 'held', parked = TRUE WHERE id IN", vec![]).await?;
    note(tx, replay, &ids, "held").await?;
    Ok(ids.len())
}

async fn release(tx: &Tx, replay: ReplayId, pace: Pace) -> Result<usize, StoreError> {
    let doing = tx.doing();
    let rows = tx
        .rows(
            "SELECT id, endpoint_id FROM delivery WHERE origin = 'replay' AND settled_at IS NULL AND replay_id = $1 \
             AND held = true AND parked ORDER BY id LIMIT $2 {skip_locked}",
            args![replay.uuid(), SOME],
        )
        .await?;
    let (mut ids, mut jobs) = (Vec::new(), Vec::new());
    let mut wake = Wake::default();
    for (row, n) in rows.iter().zip(0..) {
        let id = get(row, "id", doing)?;
        // Released ones keep to the rate, too.
        let due = pace.due(n);
        ids.push(id);
        jobs.push((DeliveryId::from_uuid(id), due));
        wake.at(crate::row::id(row, "endpoint_id", doing)?, due);
    }
    let back =
        "SET state = CASE WHEN attempts > 0 THEN 'retrying' ELSE 'queued' END, parked = FALSE WHERE id IN";
    change(tx, &ids, back, vec![]).await?;
    send_jobs::add_all(tx, &jobs).await?;
    note(tx, replay, &ids, "released").await?;
    if !ids.is_empty() {
        let next = pace.due(u32::try_from(ids.len()).unwrap_or(u32::MAX));
        tx.exec("UPDATE replay SET next_due_at = $2 WHERE id = $1", args![replay.uuid(), next]).await?;
    }
    wake.pull(tx).await?;
    Ok(ids.len())
}

async fn cancel(tx: &Tx, replay: ReplayId) -> Result<usize, StoreError> {
    let mut ids = unsent(tx, replay).await?;
    remove_jobs(tx, &ids).await?;
    let rows = tx
        .rows(
            "SELECT id FROM delivery WHERE origin = 'replay' AND settled_at IS NULL AND replay_id = $1 \
             AND state IN ('waiting', 'held') ORDER BY id LIMIT $2 {skip_locked}",
            args![replay.uuid(), SOME],
        )
        .await?;
    for row in &rows {
        ids.push(get(row, "id", tx.doing())?);
    }
    let fault = Fault::new(&code::DELIVERY_CANCELLED, format!("the replay {replay} was cancelled"));
    let set = "SET state = 'cancelled', parked = FALSE, settled_at = {now}, fault_code = $1, fault = $2 WHERE id IN";
    change(tx, &ids, set, args![fault.code.name, fault.report()]).await?;
    cancel_transforms(tx, &ids).await?;
    note(tx, replay, &ids, "cancelled").await?;
    fifo::advance_all(tx, &ids).await?;
    Ok(ids.len())
}

/// Transforms that nobody waits for any more. One that runs ends as it ends.
async fn cancel_transforms(tx: &Tx, deliveries: &[Uuid]) -> Result<(), StoreError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let mut arguments = Arguments::default();
    let list = arguments.all(deliveries.iter().copied());
    let sql = format!(
        "UPDATE transform SET state = 'cancelled', settled_at = {{now}} WHERE state = 'pending' AND id IN \
           (SELECT transform_id FROM delivery WHERE id IN ({list}) AND artifact_id IS NULL) \
         AND NOT EXISTS (SELECT 1 FROM delivery w WHERE w.transform_id = transform.id AND w.state = 'waiting')"
    );
    tx.exec(&sql, arguments.0).await.map(|_| ())
}

async fn remove_jobs(tx: &Tx, ids: &[Uuid]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut arguments = Arguments::default();
    let list = arguments.all(ids.iter().copied());
    tx.exec(&format!("DELETE FROM send_job WHERE delivery_id IN ({list})"), arguments.0).await.map(|_| ())
}

/// `UPDATE delivery {set} (ids)`.
async fn change(tx: &Tx, ids: &[Uuid], set: &str, values: Vec<Value>) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut arguments = Arguments(values);
    let list = arguments.all(ids.iter().copied());
    tx.exec(&format!("UPDATE delivery {set} ({list})"), arguments.0).await.map(|_| ())
}

/// Each delivery's own history; who and why stand in that of the replay.
async fn note(tx: &Tx, replay: ReplayId, ids: &[Uuid], event: &str) -> Result<(), StoreError> {
    let now = tx.now().await?;
    let detail = serde_json::json!({ "replay": replay });
    let rows = ids
        .iter()
        .map(|id| args![Uuid::now_v7(), now, "engine", "delivery", *id, event, detail.clone()])
        .collect::<Vec<_>>();
    insert(tx, HISTORY, &rows).await
}
