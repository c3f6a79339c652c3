//! Ending a transform: its artifacts and its waiting deliveries move in the same fenced transaction.

use outport_core::delivery::{DeliveryEvent, DeliveryState};
use outport_core::{DeliveryId, Fault, LeaseId, Millis, Timing, TransformId, code, retry};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::fifo;
use crate::finish_send::as_i64;
use crate::history::Entry;
use crate::notices;
use crate::row::{get, id};
use crate::send_jobs::{NewJob, Ready};
use crate::sql::{Tx, args, update_rows};

/// A stored output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The artifact bucket.
    pub bucket: String,
    /// The key; holds transform, generation and lease, so that two workers never write one object.
    pub key: String,
    /// The store's etag, where it has one.
    pub etag: Option<String>,
    /// In bytes.
    pub size_bytes: u64,
    /// In hex.
    pub sha256: String,
    /// Records that were not left out, where the kind counts them.
    pub records: Option<u64>,
    /// The records that were, if there are any.
    pub rejects: Option<Rejects>,
}

/// The stored records that were bad, in the bucket of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejects {
    /// The key.
    pub key: String,
    /// The store's etag, where it has one.
    pub etag: Option<String>,
    /// In bytes.
    pub size_bytes: u64,
    /// In hex.
    pub sha256: String,
    /// How many there are.
    pub records: u64,
}

/// Why a transform did not succeed.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The input is bad: its deliveries fail with it.
    ForGood(Fault),
    /// A fault of ours: again at the given wait from now, in milliseconds.
    Later(Fault, Millis),
}

impl Failure {
    /// What to do about `fault` after `attempts` tries. A file's own fault is final; ours is tried again for as long
    /// as it takes, by the first steps of the retry table.
    pub fn judge(fault: Fault, attempts: u32, timing: &Timing, random: f64) -> Self {
        if fault.code.retry == outport_core::Retry::Later {
            let wait = retry::delay(&timing.retry, attempts.saturating_sub(1).min(3), random);
            Self::Later(fault, wait)
        } else {
            Self::ForGood(fault)
        }
    }
}

/// Records the output and makes the waiting deliveries due. `false`: the lease was lost, the output is garbage.
pub async fn succeed(
    store: &Store,
    transform: TransformId,
    lease: LeaseId,
    output: &Output,
) -> Result<bool, StoreError> {
    let tx = store.begin("recording the output of a transform").await?;
    if !settle(&tx, transform, lease, "succeeded", None).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    let artifact = Uuid::now_v7();
    let insert = "INSERT INTO artifact (id, file_id, transform_id, role, part, bucket, key, etag, size_bytes, sha256, \
         records, created_at) SELECT $2, file_id, id, $3, 0, $4, $5, $6, $7, $8, $9, {now} FROM transform WHERE id = $1";
    tx.exec(
        insert,
        args![
            transform.uuid(),
            artifact,
            "output",
            output.bucket.clone(),
            output.key.clone(),
            output.etag.clone(),
            as_i64(output.size_bytes),
            output.sha256.clone(),
            output.records.map(as_i64)
        ],
    )
    .await?;
    if let Some(rejects) = &output.rejects {
        tx.exec(
            insert,
            args![
                transform.uuid(),
                Uuid::now_v7(),
                "rejects",
                output.bucket.clone(),
                rejects.key.clone(),
                rejects.etag.clone(),
                as_i64(rejects.size_bytes),
                rejects.sha256.clone(),
                Some(as_i64(rejects.records))
            ],
        )
        .await?;
    }
    let freed = Freed::of(&waiting(&tx, transform).await?, tx.doing())?;
    let rows = freed.states.iter().map(|(id, state)| args![id.uuid(), state.as_str(), artifact]).collect();
    // Of those that waited, only a pause of their replay holds one.
    let set = "state = new.column2, artifact_id = new.column3, parked = (new.column2 = 'held')";
    update_rows(&tx, "delivery", set, "delivery.id = new.column1", rows).await?;
    freed.ready.write(&tx).await?;
    tx.commit().await?;
    Ok(true)
}

/// How the deliveries that waited for an output go on.
#[derive(Default)]
struct Freed {
    states: Vec<(DeliveryId, DeliveryState)>,
    ready: Ready,
}

impl Freed {
    fn of(rows: &[QueryResult], doing: &'static str) -> Result<Self, StoreError> {
        let mut freed = Self::default();
        for row in rows {
            let delivery: DeliveryId = id(row, "id", doing)?;
            let state = DeliveryState::Waiting.step(DeliveryEvent::TransformSucceeded)?;
            // Its replay is paused: what could be sent from now on is held.
            if get(row, "parked", doing)? {
                freed.states.push((delivery, state.step(DeliveryEvent::Hold)?));
                continue;
            }
            freed.states.push((delivery, state));
            if get::<String>(row, "ordering", doing)? == "fifo" {
                freed.ready.add_in_order(id(row, "subscription_id", doing)?);
                continue;
            }
            let endpoint = id(row, "endpoint_id", doing)?;
            let due = crate::enqueue::first_due(get(row, "now", doing)?, get(row, "priority", doing)?);
            let remote_name = get(row, "remote_name", doing)?;
            freed.ready.add(NewJob { delivery, endpoint, remote_name, due });
        }
        Ok(freed)
    }
}

/// Records a failure. `false`: the lease was lost, nothing was recorded.
pub async fn fail(
    store: &Store,
    transform: TransformId,
    lease: LeaseId,
    failure: &Failure,
) -> Result<bool, StoreError> {
    let tx = store.begin("recording the failure of a transform").await?;
    let recorded = fail_in(&tx, transform, lease, failure).await?;
    if recorded {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(recorded)
}

pub(crate) async fn fail_in(
    tx: &Tx,
    transform: TransformId,
    lease: LeaseId,
    failure: &Failure,
) -> Result<bool, StoreError> {
    let fault = match failure {
        Failure::Later(fault, wait) => {
            let changed = tx
                .exec(
                    "UPDATE transform SET state = 'pending', lease_id = NULL, lease_until = NULL, worker_id = NULL, \
                     abandoned = 0, due_at = {now} + $3, fault_code = $4, fault = $5 \
                     WHERE id = $1 AND lease_id = $2 AND state = 'running'",
                    args![transform.uuid(), lease.uuid(), *wait, fault.code.name, fault.report()],
                )
                .await?;
            return Ok(changed == 1);
        }
        Failure::ForGood(fault) => fault,
    };
    if !settle(tx, transform, lease, "failed", Some(fault)).await? {
        return Ok(false);
    }
    let message = format!("the transform failed: {}", fault.message);
    let theirs = Fault::new(&code::TRANSFORM_FAILED, message).with_hint(fault.hint());
    let mut failed = Vec::new();
    for row in waiting(tx, transform).await? {
        let delivery: DeliveryId = id(&row, "id", tx.doing())?;
        let next = DeliveryState::Waiting.step(DeliveryEvent::TransformFailed)?;
        tx.exec(
            "UPDATE delivery SET state = $2, settled_at = {now}, fault_code = $3, fault = $4 WHERE id = $1",
            args![delivery.uuid(), next.as_str(), theirs.code.name, theirs.report()],
        )
        .await?;
        let detail = serde_json::json!({ "code": theirs.code.name, "message": theirs.message });
        let subject_id = delivery.uuid();
        failed.push(Entry {
            actor: "engine",
            subject_kind: "delivery",
            subject_id,
            event: next.as_str(),
            detail,
        });
        if get::<String>(&row, "ordering", tx.doing())? == "fifo" {
            fifo::advance(tx, id(&row, "subscription_id", tx.doing())?).await?;
        }
    }
    notices::announce(tx, &failed).await?;
    Ok(true)
}

async fn settle(
    tx: &Tx,
    transform: TransformId,
    lease: LeaseId,
    state: &'static str,
    fault: Option<&Fault>,
) -> Result<bool, StoreError> {
    let changed = tx
        .exec(
            "UPDATE transform SET state = $3, lease_id = NULL, lease_until = NULL, worker_id = NULL, \
             settled_at = {now}, fault_code = $4, fault = $5 WHERE id = $1 AND lease_id = $2 AND state = 'running'",
            args![
                transform.uuid(),
                lease.uuid(),
                state,
                fault.map(|f| f.code.name),
                fault.map(Fault::report)
            ],
        )
        .await?;
    Ok(changed == 1)
}

async fn waiting(tx: &Tx, transform: TransformId) -> Result<Vec<QueryResult>, StoreError> {
    tx.rows(
        "SELECT d.id, d.endpoint_id, d.subscription_id, d.priority, d.remote_name, s.ordering, {now} AS now, \
           EXISTS (SELECT 1 FROM replay r WHERE r.id = d.replay_id AND r.state = 'paused') AS parked \
         FROM delivery d \
         JOIN subscription s ON s.id = d.subscription_id \
         WHERE d.transform_id = $1 AND d.state = 'waiting' ORDER BY d.id {lock_delivery}",
        args![transform.uuid()],
    )
    .await
}
