//! Heartbeats: a worker renews all its leases and seats at once, and learns which ones it lost.

use std::collections::BTreeSet;

use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, LeaseId, Timing, TransformId, WorkerId};
use sea_orm::Value;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::row::id;
use crate::sql::{Tx, args, list};

/// The leases that are still this worker's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Deliveries, with their lease.
    pub sends: BTreeSet<(DeliveryId, LeaseId)>,
    /// Transforms, with their lease.
    pub transforms: BTreeSet<(TransformId, LeaseId)>,
}

/// Renews the leases that `worker` is working on: `open` has the id and lease of each delivery and transform. What is not
/// in the answer is lost: stop working on it. What the worker holds by the database but does not name (a claim whose
/// answer was lost, work that ended by a bug) is left to run out, so that somebody frees it.
pub async fn beat(
    store: &Store,
    worker: WorkerId,
    open: &BTreeSet<(Uuid, LeaseId)>,
    timing: &Timing,
) -> Result<Held, StoreError> {
    let tx = store.begin("renewing leases").await?;
    let held = renew(&tx, worker, open, timing).await?;
    tx.commit().await?;
    Ok(held)
}

pub(crate) async fn renew(
    tx: &Tx,
    worker: WorkerId,
    open: &BTreeSet<(Uuid, LeaseId)>,
    timing: &Timing,
) -> Result<Held, StoreError> {
    let doing = tx.doing();
    let until = tx.now().await? + millis(timing.lease);
    let ids: Vec<Value> = open.iter().map(|(id, _)| Value::from(*id)).collect();
    let leases: Vec<Value> = open
        .iter()
        .map(|(_, lease)| lease.uuid())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(Value::from)
        .collect();
    let condition = format!("worker_id = $1 AND lease_id IN ({}) AND", list(3, leases.len().max(1)));
    let mut values = args![worker.uuid(), until];
    values.extend(leases);
    values.extend(ids.iter().cloned());
    let ids = list(values.len() + 1 - ids.len(), ids.len());
    // An expired lease may be renewed as long as nobody freed it: the row still names it.
    let (sends, transforms) = if open.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        let sql = format!(
            "UPDATE send_job SET lease_until = $2 WHERE {condition} delivery_id IN ({ids}) \
             RETURNING delivery_id, lease_id"
        );
        let sends = tx.rows(&sql, values.clone()).await?;
        let sql = format!(
            "UPDATE transform SET lease_until = $2 WHERE {condition} id IN ({ids}) RETURNING id, lease_id"
        );
        (sends, tx.rows(&sql, values).await?)
    };
    // Not one that ran out: another worker may have taken it, and the endpoint would get more connections than it allows.
    // The next claim takes it again if it is still free.
    let sql = "UPDATE seat SET until = $2 WHERE worker_id = $1 AND until > {now}";
    tx.exec(sql, args![worker.uuid(), until]).await?;
    tx.exec("UPDATE worker SET seen_at = {now} WHERE id = $1", args![worker.uuid()]).await?;
    let mut held = Held::default();
    for row in &sends {
        held.sends.insert((id(row, "delivery_id", doing)?, id(row, "lease_id", doing)?));
    }
    for row in &transforms {
        held.transforms.insert((id(row, "id", doing)?, id(row, "lease_id", doing)?));
    }
    Ok(held)
}

/// Says that `worker` lives, without renewing anything: it holds no lease.
pub async fn touch(store: &Store, worker: WorkerId) -> Result<(), StoreError> {
    store
        .write(
            "renewing this worker",
            "UPDATE worker SET seen_at = {now} WHERE id = $1",
            args![worker.uuid()],
        )
        .await
        .map(|_| ())
}

/// Gives back this worker's seats at an endpoint, when its last pooled connection there closed.
pub async fn leave_seats(store: &Store, worker: WorkerId, endpoint: EndpointId) -> Result<(), StoreError> {
    store
        .write(
            "giving back connections",
            "DELETE FROM seat WHERE endpoint_id = $1 AND worker_id = $2",
            args![endpoint.uuid(), worker.uuid()],
        )
        .await
        .map(|_| ())
}
