//! Claiming transforms: any worker, one finish path.

use std::time::Duration;

use outport_core::timing::millis;
use outport_core::{FileId, LeaseId, SpecId, Timing, TransformId, WorkerId, code};

use sea_orm::QueryResult;

use crate::claim_sends::ArtifactRow;
use crate::error::StoreError;
use crate::finish_transform::{self, Failure};
use crate::history::new_id;
use crate::row::{get, id};
use crate::sql::{Tx, args};
use crate::{Store, enqueue};

/// Five vanished workers in a row: the file kills them.
const ABANDONED_LIMIT: i32 = 5;

/// One transform in this worker's hands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClaimedTransform {
    /// Which transform.
    pub transform_id: TransformId,
    /// The fencing token.
    pub lease: LeaseId,
    /// Over which file.
    pub file_id: FileId,
    /// The file's bucket, for logs.
    pub file_bucket: String,
    /// The file's key, for logs.
    pub file_key: String,
    /// Grows with each reprocess.
    pub generation: i32,
    /// Which recipe.
    pub spec_id: SpecId,
    /// `json-to-csv`.
    pub kind: String,
    /// The recipe's parameters.
    pub params: serde_json::Value,
    /// Attempts so far, with this one.
    pub attempts: u32,
    /// What to read.
    pub original: ArtifactRow,
}

/// Which transforms a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    Any,
    /// Those of files up to a size; larger ones only when nobody took them for so long.
    UpTo {
        /// Of the original.
        bytes: u64,
        /// `None`: never.
        or_due_for: Option<Duration>,
    },
    /// This one.
    Only(TransformId),
}

/// Claims up to `limit` due transforms, oldest first.
pub async fn claim(
    store: &Store,
    worker: WorkerId,
    limit: u32,
    timing: &Timing,
) -> Result<Vec<ClaimedTransform>, StoreError> {
    claim_wanted(store, worker, Wanted::Any, limit, timing).await
}

/// The same, of those that are wanted.
pub async fn claim_wanted(
    store: &Store,
    worker: WorkerId,
    wanted: Wanted,
    limit: u32,
    timing: &Timing,
) -> Result<Vec<ClaimedTransform>, StoreError> {
    let tx = store.begin("claiming transforms").await?;
    let doing = tx.doing();
    let due = due(&tx, wanted, limit).await?;
    if due.is_empty() {
        tx.rollback().await?;
        return Ok(Vec::new());
    }
    let mut claimed = Vec::new();
    for row in due {
        let transform: TransformId = id(&row, "id", doing)?;
        let lease: LeaseId = new_id();
        tx.exec(
            "UPDATE transform SET state = 'running', attempts = attempts + 1, lease_id = $2, \
             lease_until = {now} + $3, worker_id = $4 WHERE id = $1",
            args![transform.uuid(), lease.uuid(), millis(timing.lease), worker.uuid()],
        )
        .await?;
        if get::<i32>(&row, "abandoned", doing)? >= ABANDONED_LIMIT {
            let message =
                format!("workers vanished {ABANDONED_LIMIT} times in a row while they ran {transform}");
            let fault = outport_core::Fault::new(&code::WORKER_LOST, message);
            finish_transform::fail_in(&tx, transform, lease, &Failure::ForGood(fault)).await?;
            continue;
        }
        claimed.push(read(&tx, transform, lease).await?);
    }
    tx.commit().await?;
    Ok(claimed)
}

/// Locked rows of due transforms.
async fn due(tx: &Tx, wanted: Wanted, limit: u32) -> Result<Vec<QueryResult>, StoreError> {
    let due = "t.settled_at IS NULL AND t.state = 'pending' AND t.due_at <= {now}";
    let limit = i64::from(limit);
    let (from, values) = match wanted {
        Wanted::Any => (format!("transform t WHERE {due}"), args![limit]),
        Wanted::Only(only) => (format!("transform t WHERE {due} AND t.id = $2"), args![limit, only.uuid()]),
        // The size is the original's; who is no Batch worker has no large ones among its due ones for long.
        Wanted::UpTo { bytes, or_due_for } => (
            format!(
                "transform t JOIN artifact a ON a.file_id = t.file_id AND a.transform_id IS NULL \
                 WHERE {due} AND (a.size_bytes <= $2 OR t.due_at <= {{now}} - $3)"
            ),
            args![limit, as_bigint(bytes), or_due_for.map_or(NEVER_DUE, millis)],
        ),
    };
    let sql =
        format!("SELECT t.id, t.abandoned FROM {from} ORDER BY t.due_at LIMIT $1 {{skip_locked_transform}}");
    tx.rows(&sql, values).await
}

/// Longer than anything was ever due.
const NEVER_DUE: i64 = 1 << 50;

pub(crate) fn as_bigint(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

async fn read(tx: &Tx, transform: TransformId, lease: LeaseId) -> Result<ClaimedTransform, StoreError> {
    let doing = tx.doing();
    let row = tx
        .row(
            "SELECT t.file_id, t.generation, t.attempts, t.spec_id, s.kind, s.params, f.bucket AS file_bucket, \
                    f.key AS file_key, a.bucket, a.key, a.version_id, a.etag, a.size_bytes, a.sha256 \
             FROM transform t JOIN transform_spec s ON s.id = t.spec_id JOIN file f ON f.id = t.file_id \
             JOIN artifact a ON a.file_id = t.file_id AND a.transform_id IS NULL WHERE t.id = $1",
            args![transform.uuid()],
        )
        .await?
        .ok_or_else(|| StoreError::Unreadable { doing, problem: format!("{transform} has no original artifact") })?;
    Ok(ClaimedTransform {
        transform_id: transform,
        lease,
        file_id: id(&row, "file_id", doing)?,
        file_bucket: get(&row, "file_bucket", doing)?,
        file_key: get(&row, "file_key", doing)?,
        generation: get(&row, "generation", doing)?,
        spec_id: id(&row, "spec_id", doing)?,
        kind: get(&row, "kind", doing)?,
        params: get(&row, "params", doing)?,
        attempts: u32::try_from(get::<i32>(&row, "attempts", doing)?).unwrap_or_default(),
        original: enqueue::read_artifact(&row, doing)?,
    })
}
