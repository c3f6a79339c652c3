//! Freeing the work of vanished workers. **Rescue only frees**: what becomes of the work is the next claimer's to
//! decide (a rescue that decided once overwrote a finished job in another engine).

use outport_core::delivery::AttemptOutcome;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, LeaseId, Timing, TransformId, WorkerId};
use sea_orm::QueryResult;

use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id};
use crate::sql::{Tx, args};
use crate::{history, lanes};

/// Which leases to free.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// Those that ran out.
    Expired,
    /// All of them: the caller holds the data folder's lock, so every holder is dead.
    All,
    /// Those of one worker that is shutting down: not counted as abandoned.
    OfWorker(WorkerId),
}

/// What was freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Deliveries.
    pub sends: u64,
    /// Transforms.
    pub transforms: u64,
}

/// Frees leases, at most 200 of each kind a call, and the seats of the dead.
///
/// One transaction for each lane, the lane first: the end of an attempt takes the same two locks in that order, and two
/// rescuers meet at the lane and not crosswise (measured before: 14 deadlocks in 45 concurrent calls).
pub async fn rescue(store: &Store, which: Which, timing: &Timing) -> Result<Freed, StoreError> {
    let mut freed = Freed::default();
    for endpoint in lanes_with_leases(store, which).await? {
        let tx = store.begin(DOING).await?;
        lanes::lock(&tx, endpoint).await?;
        for row in
            leased(&tx, "send_job", "delivery_id, endpoint_id, lease_id", which, Some(endpoint)).await?
        {
            free_send(&tx, &row, which, timing).await?;
            freed.sends += 1;
        }
        tx.commit().await?;
    }
    let tx = store.begin(DOING).await?;
    for row in leased(&tx, "transform", "id, lease_id, abandoned", which, None).await? {
        free_transform(&tx, &row, which, timing).await?;
        freed.transforms += 1;
    }
    let seats = match which {
        Which::Expired => tx.exec("DELETE FROM seat WHERE until <= {now}", args![]).await?,
        Which::All => tx.exec("DELETE FROM seat", args![]).await?,
        Which::OfWorker(worker) => {
            tx.exec("DELETE FROM seat WHERE worker_id = $1", args![worker.uuid()]).await?
        }
    };
    if freed.transforms + seats == 0 {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(freed)
}

const DOING: &str = "freeing the work of a vanished worker";

/// The condition, its `$1`, and whether it has one.
fn condition(which: Which) -> (&'static str, Vec<sea_orm::Value>) {
    match which {
        Which::Expired => ("lease_until <= {now}", args![]),
        Which::All => ("true", args![]),
        Which::OfWorker(worker) => ("worker_id = $1", args![worker.uuid()]),
    }
}

async fn lanes_with_leases(store: &Store, which: Which) -> Result<Vec<EndpointId>, StoreError> {
    let (condition, values) = condition(which);
    let sql = format!(
        "SELECT DISTINCT endpoint_id FROM send_job WHERE lease_id IS NOT NULL AND {condition} ORDER BY endpoint_id"
    );
    store.read(DOING, &sql, values).await?.iter().map(|row| id(row, "endpoint_id", DOING)).collect()
}

async fn leased(
    tx: &Tx,
    table: &str,
    columns: &str,
    which: Which,
    of: Option<EndpointId>,
) -> Result<Vec<QueryResult>, StoreError> {
    let (condition, mut values) = condition(which);
    let of = match of {
        None => String::new(),
        Some(endpoint) => {
            values.push(endpoint.uuid().into());
            format!("AND endpoint_id = ${}", values.len())
        }
    };
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE lease_id IS NOT NULL AND {condition} {of} \
         ORDER BY lease_until LIMIT 200 {{skip_locked}}"
    );
    tx.rows(&sql, values).await
}

fn counts(which: Which) -> bool {
    !matches!(which, Which::OfWorker(_))
}

async fn free_send(tx: &Tx, row: &QueryResult, which: Which, timing: &Timing) -> Result<(), StoreError> {
    let doing = tx.doing();
    let delivery: DeliveryId = id(row, "delivery_id", doing)?;
    let endpoint: EndpointId = id(row, "endpoint_id", doing)?;
    let lease: LeaseId = id(row, "lease_id", doing)?;
    let abandoned = tx
        .row("SELECT abandoned FROM delivery WHERE id = $1", args![delivery.uuid()])
        .await?
        .map(|r| get::<i32>(&r, "abandoned", doing))
        .transpose()?
        .unwrap_or_default();
    let outcome = if counts(which) { AttemptOutcome::Abandoned } else { AttemptOutcome::Released };
    let due = tx.now().await? + if counts(which) { wait(timing, abandoned) } else { 0 };
    let freed = tx
        .exec(
            "UPDATE send_job SET lease_id = NULL, lease_until = NULL, worker_id = NULL, due_at = $3 \
             WHERE delivery_id = $1 AND lease_id = $2",
            args![delivery.uuid(), lease.uuid(), due],
        )
        .await?;
    if freed == 0 {
        return Ok(()); // Finished in this very moment.
    }
    tx.exec(
        "UPDATE attempt SET ended_at = {now}, outcome = $3, charged = $4 \
         WHERE delivery_id = $1 AND lease_id = $2 AND outcome IS NULL",
        args![delivery.uuid(), lease.uuid(), outcome.as_str(), false],
    )
    .await?;
    tx.exec(
        "UPDATE delivery SET state = 'retrying', abandoned = abandoned + $2 WHERE id = $1 AND state = 'sending'",
        args![delivery.uuid(), i64::from(counts(which))],
    )
    .await?;
    history::add(
        tx,
        history::Entry {
            actor: "engine",
            subject_kind: "delivery",
            subject_id: delivery.uuid(),
            event: outcome.as_str(),
            detail: serde_json::json!({ "lease": lease }),
        },
    )
    .await?;
    lanes::pull(tx, endpoint, due).await
}

async fn free_transform(tx: &Tx, row: &QueryResult, which: Which, timing: &Timing) -> Result<(), StoreError> {
    let doing = tx.doing();
    let transform: TransformId = id(row, "id", doing)?;
    let lease: LeaseId = id(row, "lease_id", doing)?;
    let abandoned: i32 = get(row, "abandoned", doing)?;
    let wait = if counts(which) { wait(timing, abandoned) } else { 0 };
    tx.exec(
        "UPDATE transform SET state = 'pending', lease_id = NULL, lease_until = NULL, worker_id = NULL, \
         due_at = {now} + $3, abandoned = abandoned + $4 WHERE id = $1 AND lease_id = $2 AND state = 'running'",
        args![transform.uuid(), lease.uuid(), wait, i64::from(counts(which))],
    )
    .await
    .map(|_| ())
}

fn wait(timing: &Timing, abandoned: i32) -> i64 {
    let index = usize::try_from(abandoned).unwrap_or(0).min(timing.abandoned.len().saturating_sub(1));
    timing.abandoned.get(index).map_or(0, |d| millis(*d))
}
