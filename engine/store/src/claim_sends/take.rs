//! Leasing the picked jobs: job, delivery and attempt turn together.

use std::collections::BTreeMap;

use outport_core::delivery::DeliveryState;
use outport_core::{DeliveryId, Fault, LeaseId, Millis, WorkerId, code};
use sea_orm::{QueryResult, Value};

use super::past::{self, Past};
use super::pick::Picked;
use super::types::ClaimedSend;
use crate::enqueue::read_artifact;
use crate::error::StoreError;
use crate::history;
use crate::row::{get, id, json};
use crate::sql::{Tx, args, list, padded};

/// A worker that vanishes this often in a row with the same delivery is not the network's fault.
const ABANDONED_LIMIT: i32 = 5;

/// Leases the picked jobs until `until`.
pub(super) async fn take(
    tx: &Tx,
    worker: WorkerId,
    lease: LeaseId,
    picked: &Picked,
    until: Millis,
) -> Result<Vec<ClaimedSend>, StoreError> {
    let ids = padded(picked.values().flatten().map(|delivery| delivery.uuid().into()).collect());
    let with = |mut first: Vec<Value>| {
        first.extend(ids.iter().cloned());
        first
    };
    tx.exec(
        &format!(
            "UPDATE send_job SET lease_id = $1, lease_until = $2, worker_id = $3 WHERE delivery_id IN ({})",
            list(4, ids.len())
        ),
        with(args![lease.uuid(), until, worker.uuid()]),
    )
    .await?;
    tx.exec(
        &format!(
            "UPDATE delivery SET state = 'sending', attempts = attempts + 1 \
             WHERE state IN ('queued', 'retrying') AND id IN ({})",
            list(1, ids.len())
        ),
        with(vec![]),
    )
    .await?;
    // The attempt is written when the lease is taken, so that a crash leaves evidence.
    tx.exec(
        &format!(
            "INSERT INTO attempt (delivery_id, n, lease_id, worker_id, started_at, stage) \
             SELECT id, attempts, $1, $2, {{now}}, 'connecting' FROM delivery WHERE id IN ({})",
            list(3, ids.len())
        ),
        with(args![lease.uuid(), worker.uuid()]),
    )
    .await?;
    read(tx, lease, ids).await
}

async fn read(tx: &Tx, lease: LeaseId, ids: Vec<Value>) -> Result<Vec<ClaimedSend>, StoreError> {
    let doing = tx.doing();
    let sql = format!(
        "SELECT d.id, d.attempts, d.abandoned, d.endpoint_id, d.file_id, d.remote_name, d.snapshot, \
                a.bucket, a.key, a.version_id, a.etag, a.size_bytes, a.sha256 \
         FROM delivery d JOIN artifact a ON a.id = d.artifact_id WHERE d.id IN ({}) ORDER BY d.id",
        list(1, ids.len())
    );
    let rows = tx.rows(&sql, ids).await?;
    let mut again = Vec::new();
    for row in &rows {
        if get::<i32>(row, "attempts", doing)? > 1 {
            again.push(get::<uuid::Uuid>(row, "id", doing)?.into());
        }
    }
    let mut past: BTreeMap<DeliveryId, Past> = past::read(tx, again).await?;
    let mut sends = Vec::with_capacity(rows.len());
    for row in rows {
        let send = claimed(&row, lease, &mut past, doing)?;
        if get::<i32>(&row, "abandoned", doing)? >= ABANDONED_LIMIT {
            give_up_lost(tx, &send).await?;
        } else {
            sends.push(send);
        }
    }
    Ok(sends)
}

fn claimed(
    row: &QueryResult,
    lease: LeaseId,
    past: &mut BTreeMap<DeliveryId, Past>,
    doing: &'static str,
) -> Result<ClaimedSend, StoreError> {
    let delivery_id: DeliveryId = id(row, "id", doing)?;
    let past = past.remove(&delivery_id).unwrap_or_default();
    Ok(ClaimedSend {
        delivery_id,
        attempt: u32::try_from(get::<i32>(row, "attempts", doing)?).unwrap_or(1),
        lease,
        endpoint_id: id(row, "endpoint_id", doing)?,
        file_id: id(row, "file_id", doing)?,
        remote_name: get(row, "remote_name", doing)?,
        artifact: read_artifact(row, doing)?,
        snapshot: json(row, "snapshot", doing)?,
        probe: past.probe,
        unfinished: past.unfinished,
    })
}

/// Settles a delivery that kills its workers: failed, or unconfirmed when one of them may have delivered it.
async fn give_up_lost(tx: &Tx, send: &ClaimedSend) -> Result<(), StoreError> {
    let state = if send.probe.is_some() { DeliveryState::Unconfirmed } else { DeliveryState::Failed };
    let fault = Fault::new(
        &code::WORKER_LOST,
        format!("workers vanished {ABANDONED_LIMIT} times in a row while they sent {}", send.delivery_id),
    );
    let id = send.delivery_id.uuid();
    tx.exec("DELETE FROM send_job WHERE delivery_id = $1", args![id]).await?;
    tx.exec(
        "UPDATE attempt SET ended_at = {now}, outcome = 'failed', charged = $3, class = 'engine', code = $4, \
         message = $5 WHERE delivery_id = $1 AND n = $2",
        args![id, i64::from(send.attempt), false, fault.code.name, fault.message.clone()],
    )
    .await?;
    tx.exec(
        "UPDATE delivery SET state = $2, settled_at = {now}, fault_code = $3, fault = $4 WHERE id = $1",
        args![id, state.as_str(), fault.code.name, fault.report()],
    )
    .await?;
    history::add(
        tx,
        history::Entry {
            actor: "engine",
            subject_kind: "delivery",
            subject_id: id,
            event: state.as_str(),
            detail: serde_json::json!({ "code": fault.code.name, "message": fault.message }),
        },
    )
    .await
}
