//! Leasing the picked jobs: job, delivery and attempt turn together.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outport_core::delivery::{AttemptOutcome, DeliveryState};
use outport_core::{DeliveryId, Fault, LeaseId, Millis, WorkerId, code};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::past::{self, Past};
use super::pick::Picked;
use super::types::ClaimedSend;
use crate::enqueue::read_artifact;
use crate::error::StoreError;
use crate::row::{get, id, json, maybe_id};
use crate::sql::{Tx, args, list, padded};
use crate::{fifo, history, notices};

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
    let ids = padded(picked.all().map(|delivery| delivery.uuid().into()).collect());
    let with = |mut first: Vec<Value>| {
        first.extend(ids.iter().cloned());
        first
    };
    tx.exec(
        &format!(
            "UPDATE send_job SET lease_id = $1, lease_until = $2, worker_id = $3, handed_at = NULL WHERE delivery_id IN ({})",
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

/// How far back it is looked for a newer version whose event came first.
const OUT_OF_ORDER: Duration = Duration::from_secs(3600);

/// The delivery that has put a newer version under the same name, if there is one. What was recorded later is newer: folders are
/// read in order. Events of S3 come in any order, so versions of one object (anything but `fs:`) go by the time of
/// their events; of those recorded before, only an hour is looked through, because a name may have been used ten thousand times.
fn newer(since: &str) -> String {
    let of_the_same_name = "SELECT n.id FROM delivery n JOIN file nf ON nf.id = n.file_id \
         WHERE n.subscription_id = d.subscription_id AND n.delivered AND n.remote_name = d.remote_name";
    format!(
        "coalesce(({of_the_same_name} AND n.file_id > d.file_id AND (f.version LIKE 'fs:%' \
             OR nf.key <> f.key OR nf.bucket <> f.bucket OR nf.event_at >= f.event_at) LIMIT 1), \
           CASE WHEN f.version NOT LIKE 'fs:%' THEN ({of_the_same_name} AND n.file_id < d.file_id AND n.file_id > {since} \
             AND nf.key = f.key AND nf.bucket = f.bucket AND nf.event_at > f.event_at LIMIT 1) END)"
    )
}

/// The smallest id of a file that was recorded within [`OUT_OF_ORDER`].
fn long_ago() -> Uuid {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(OUT_OF_ORDER);
    let at = u64::try_from(since.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(at, &[0; 10]).into_uuid()
}

async fn read(tx: &Tx, lease: LeaseId, ids: Vec<Value>) -> Result<Vec<ClaimedSend>, StoreError> {
    let doing = tx.doing();
    let sql = format!(
        "SELECT d.id, d.attempts, d.abandoned, d.endpoint_id, d.file_id, d.remote_name, d.snapshot, \
                coalesce(f.modified_at, f.event_at) AS modified_at, a.bucket, a.key, a.version_id, a.etag, a.size_bytes, a.sha256, \
                {newer} AS newer \
         FROM delivery d JOIN artifact a ON a.id = d.artifact_id JOIN file f ON f.id = d.file_id \
         WHERE d.id IN ({}) ORDER BY d.id",
        list(2, ids.len()),
        newer = newer("$1"),
    );
    let mut values = args![long_ago()];
    values.extend(ids);
    let rows = tx.rows(&sql, values).await?;
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
        let newer: Option<DeliveryId> = maybe_id(&row, "newer", doing)?;
        match newer.filter(|_| send.snapshot.stale == "skip") {
            Some(newer) => supersede(tx, &send, newer).await?,
            None if get::<i32>(&row, "abandoned", doing)? >= ABANDONED_LIMIT => give_up(tx, &send).await?,
            None => sends.push(send),
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
        modified_at: get(row, "modified_at", doing)?,
        artifact: read_artifact(row, doing)?,
        snapshot: json(row, "snapshot", doing)?,
        probe: past.probe,
        unfinished: past.unfinished,
    })
}

/// Settles a delivery that kills its workers: failed, or unconfirmed when one of them may have delivered it.
async fn give_up(tx: &Tx, send: &ClaimedSend) -> Result<(), StoreError> {
    let state = if send.probe.is_some() { DeliveryState::Unconfirmed } else { DeliveryState::Failed };
    let message =
        format!("workers vanished {ABANDONED_LIMIT} times in a row while they sent {}", send.delivery_id);
    settle(tx, send, state, AttemptOutcome::Failed, &Fault::new(&code::WORKER_LOST, message)).await
}

/// Settles a delivery whose place a newer version of the file has taken. Two files of one name are never in flight
/// together (`one_leased_per_name`), so that nothing newer can arrive between this look and the rename.
async fn supersede(tx: &Tx, send: &ClaimedSend, newer: DeliveryId) -> Result<(), StoreError> {
    let message = format!("{newer} has delivered a newer version under the same remote name");
    let fault = Fault::new(&code::DELIVERY_SUPERSEDED, message);
    settle(tx, send, DeliveryState::Cancelled, AttemptOutcome::Cancelled, &fault).await
}

async fn settle(
    tx: &Tx,
    send: &ClaimedSend,
    state: DeliveryState,
    outcome: AttemptOutcome,
    fault: &Fault,
) -> Result<(), StoreError> {
    let id = send.delivery_id.uuid();
    tx.exec("DELETE FROM send_job WHERE delivery_id = $1", args![id]).await?;
    tx.exec(
        "UPDATE attempt SET ended_at = {now}, outcome = $3, charged = $4, class = $5, code = $6, message = $7 \
         WHERE delivery_id = $1 AND n = $2",
        args![
            id,
            i64::from(send.attempt),
            outcome.as_str(),
            false,
            fault.class().as_str(),
            fault.code.name,
            fault.message.clone()
        ],
    )
    .await?;
    tx.exec(
        "UPDATE delivery SET state = $2, settled_at = {now}, fault_code = $3, fault = $4 WHERE id = $1",
        args![id, state.as_str(), fault.code.name, fault.report()],
    )
    .await?;
    let detail = serde_json::json!({ "code": fault.code.name, "message": fault.message });
    let entry = history::Entry {
        actor: "engine",
        subject_kind: "delivery",
        subject_id: id,
        event: state.as_str(),
        detail,
    };
    match state {
        DeliveryState::Failed | DeliveryState::Unconfirmed => notices::announce(tx, &[entry]).await?,
        _ => history::add(tx, entry).await?,
    }
    fifo::advance_after(tx, send.delivery_id).await
}
