//! What is old goes, in batches: stored artifacts first, the ledger's rows long after them.
//!
//! Never what an open delivery or a running replay needs. The rows of a file go together, so that no page shows half a
//! story.

use std::time::Duration;

use outport_core::timing::millis;
use outport_core::{FileId, Millis};
use sea_orm::Value;
use uuid::Uuid;

use crate::Store;
use crate::claim_sends::ArtifactRow;
use crate::duty::Duty;
use crate::enqueue::read_artifact;
use crate::error::StoreError;
use crate::row::id;
use crate::sql::{Tx, args, list, padded};

/// Files whose rows go in one transaction: some thousand rows, so that nobody waits long for its locks.
const FILES: usize = 500;

/// History entries and artifacts of one transaction.
const ROWS: i64 = 5_000;

/// Marks artifacts that are older than `age` and that nothing open needs as expired, and says where they lie: the caller
/// removes the objects. What it does not get to (a crash) is garbage, and collected as such. At most 5,000 a call; `None`:
/// the duty is another's. Originals that lie in other people's buckets do not expire: `originals` is false then.
pub async fn expire_artifacts(
    store: &Store,
    duty: Duty,
    age: Duration,
    originals: bool,
) -> Result<Option<Vec<ArtifactRow>>, StoreError> {
    let tx = store.begin("expiring artifacts").await?;
    if !duty.is_held(&tx).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    let doing = tx.doing();
    let rows = tx
        .rows(
            "UPDATE artifact SET expires_at = {now} WHERE expires_at IS NULL AND id IN ( \
               SELECT a.id FROM artifact a WHERE a.expires_at IS NULL AND a.created_at < {now} - $1 AND ($3 OR a.transform_id IS NOT NULL) \
                 AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.file_id = a.file_id AND d.settled_at IS NULL) \
                 AND NOT EXISTS (SELECT 1 FROM transform t WHERE t.file_id = a.file_id AND t.settled_at IS NULL) \
                 AND NOT EXISTS (SELECT 1 FROM replay r WHERE r.ended_at IS NULL) \
               ORDER BY a.created_at LIMIT $2) \
             RETURNING bucket, key, version_id, etag, size_bytes, sha256",
            args![millis(age), ROWS, originals],
        )
        .await?;
    let expired = rows.iter().map(|row| read_artifact(row, doing)).collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(Some(expired))
}

/// Removes the rows of files that arrived before `age` ago and whose deliveries are all settled; how many files. At most
/// 500 a call; `None`: the duty is another's.
pub async fn prune_files(store: &Store, duty: Duty, age: Duration) -> Result<Option<u64>, StoreError> {
    let tx = store.begin("removing old files from the ledger").await?;
    if !duty.is_held(&tx).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    let files = old_files(&tx, age).await?;
    let count = files.len() as u64;
    if !files.is_empty() {
        let files = padded(files);
        let ids = list(1, files.len());
        let of_deliveries = format!("SELECT id FROM delivery WHERE file_id IN ({ids})");
        // Children before parents.
        for sql in [
            format!("DELETE FROM attempt WHERE delivery_id IN ({of_deliveries})"),
            format!("DELETE FROM replay_item WHERE delivery_id IN ({of_deliveries})"),
            format!("DELETE FROM delivery WHERE file_id IN ({ids}) AND source_id IS NOT NULL"),
            format!("DELETE FROM delivery WHERE file_id IN ({ids})"),
            format!("DELETE FROM artifact WHERE file_id IN ({ids})"),
            format!("DELETE FROM transform WHERE file_id IN ({ids})"),
            format!("DELETE FROM file_event WHERE file_id IN ({ids})"),
            format!("DELETE FROM file WHERE id IN ({ids})"),
        ] {
            tx.exec(&sql, files.clone()).await?;
        }
    }
    tx.commit().await?;
    Ok(Some(count))
}

async fn old_files(tx: &Tx, age: Duration) -> Result<Vec<Value>, StoreError> {
    let before = id_before(tx.now().await? - millis(age));
    let rows = tx
        .rows(
            "SELECT f.id FROM file f WHERE f.id < $1 \
               AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.file_id = f.id AND d.settled_at IS NULL) \
               AND NOT EXISTS (SELECT 1 FROM transform t WHERE t.file_id = f.id AND t.settled_at IS NULL) \
               AND NOT EXISTS (SELECT 1 FROM replay r WHERE r.ended_at IS NULL) \
               AND NOT EXISTS (SELECT 1 FROM fifo_group g JOIN delivery d ON d.id = g.blocked_by WHERE d.file_id = f.id) \
             ORDER BY f.id LIMIT $2",
            args![before, FILES as i64],
        )
        .await?;
    let mut files = Vec::with_capacity(rows.len());
    for row in &rows {
        let file: FileId = id(row, "id", tx.doing())?;
        files.push(file.uuid().into());
    }
    Ok(files)
}

/// Removes history entries before `age` ago, with their notifications; how many. At most 5,000 a call.
pub async fn prune_history(store: &Store, duty: Duty, age: Duration) -> Result<Option<u64>, StoreError> {
    let tx = store.begin("removing old history").await?;
    if !duty.is_held(&tx).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    let before = id_before(tx.now().await? - millis(age));
    let old = "SELECT h.id FROM history h WHERE h.id < $1 AND NOT EXISTS \
               (SELECT 1 FROM notification n WHERE n.history_id = h.id AND n.ended_at IS NULL) ORDER BY h.id LIMIT $2";
    tx.exec(&format!("DELETE FROM notification WHERE history_id IN ({old})"), args![before, ROWS]).await?;
    let removed = tx.exec(&format!("DELETE FROM history WHERE id IN ({old})"), args![before, ROWS]).await?;
    tx.commit().await?;
    Ok(Some(removed))
}

/// Forgets processes that were not seen for `age` and hold nothing; how many.
pub async fn prune_workers(store: &Store, age: Duration) -> Result<u64, StoreError> {
    store
        .write(
            "removing lost workers from the registry",
            "DELETE FROM worker WHERE seen_at < {now} - $1 \
               AND NOT EXISTS (SELECT 1 FROM send_job j WHERE j.worker_id = worker.id AND j.lease_id IS NOT NULL) \
               AND NOT EXISTS (SELECT 1 FROM seat s WHERE s.worker_id = worker.id)",
            args![millis(age)],
        )
        .await
}

/// Forgets runs of Batch workers that ended before `age` ago; how many.
pub async fn prune_runs(store: &Store, age: Duration) -> Result<u64, StoreError> {
    store
        .write(
            "removing old runs of workers",
            "DELETE FROM batch_run WHERE ended_at < {now} - $1",
            args![millis(age)],
        )
        .await
}

/// The least id that something made at `at` could have: ids are uuid v7, whose first 48 bits are the time.
pub(crate) fn id_before(at: Millis) -> Uuid {
    Uuid::from_u128(u128::from(at.max(0).unsigned_abs()) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_time_is_before_all_that_were_made_then() {
        let made = Uuid::now_v7();
        let (seconds, nanos) = made.get_timestamp().unwrap().to_unix();
        let at = Millis::try_from(seconds * 1000 + u64::from(nanos) / 1_000_000).unwrap();
        assert!(id_before(at) <= made && made < id_before(at + 1));
    }
}
