//! What there is to do for workers of Batch.

use std::time::Duration;

use outport_core::batch::{Demand, WorkKind};
use outport_core::route::Priority;
use outport_core::timing::millis;
use sea_orm::Value;
use uuid::Uuid;

use crate::Store;
use crate::claim_transforms::as_bigint;
use crate::enqueue::head_start_of_d;
use crate::error::StoreError;
use crate::row::get;
use crate::sql::args;

/// Which work is for workers of Batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Files up to this size are the service's own...
    pub local_up_to: Option<u64>,
    /// ...unless they have been due for longer than this.
    pub help_after: Duration,
    /// Files above this size have a worker each.
    pub single_above: u64,
}

/// What draining workers find to do, and how many of them there are. Indexes `transform_due`, `send_job_ready`,
/// `batch_run_open`.
///
/// Deliveries count where another worker could send them: their lane is open, and other workers do not have all its
/// connections. A container for each thousand files that wait for a partner with two connections would find nothing to do.
/// More than `enough` is not counted.
pub async fn demand(
    store: &Store,
    kind: WorkKind,
    backlog: Backlog,
    enough: u64,
) -> Result<Demand, StoreError> {
    let doing = "counting the work for workers";
    let work = match kind {
        WorkKind::Transform => {
            "SELECT 1 FROM transform t JOIN artifact a ON a.file_id = t.file_id AND a.transform_id IS NULL \
             WHERE t.settled_at IS NULL AND t.state = 'pending' AND t.due_at <= {now} AND a.size_bytes <= $4 \
               AND (a.size_bytes > $2 OR t.due_at <= {now} - $3) LIMIT $5"
                .to_owned()
        }
        WorkKind::Send => format!(
            "SELECT 1 FROM lane JOIN endpoint e ON e.id = lane.endpoint_id \
               JOIN send_job j ON j.endpoint_id = lane.endpoint_id \
             WHERE j.lease_id IS NULL AND j.due_at <= {{now}} AND $4 >= 0 \
               AND ($2 < 0 OR j.due_at + {longest} <= {{now}} - $3 OR EXISTS (SELECT 1 FROM delivery d \
                 WHERE d.id = j.delivery_id AND j.due_at + {head_start} <= {{now}} - $3)) \
               AND lane.health = 'closed' AND lane.blocked_until <= {{now}} \
               AND lane.paused_by IS NULL AND lane.suspended_at IS NULL AND e.enabled \
               AND lane.max_connections > (SELECT coalesce(sum(s.connections), 0) FROM seat s \
                 WHERE s.endpoint_id = lane.endpoint_id AND s.until > {{now}}) LIMIT $5",
            // What has waited for longer than any head start needs no look at its delivery: 100,000 of a million are counted
            // in 0.18 s, and in 0.8 s with a look at each.
            longest = millis(Priority::FIRST.head_start()),
            head_start = head_start_of_d()
        ),
    };
    let sql = format!(
        "SELECT (SELECT count(*) FROM ({work}) AS due) AS due, \
           (SELECT CAST(coalesce(sum(coalesce(array_size, 1)), 0) AS bigint) FROM batch_run \
             WHERE kind = $1 AND ended_at IS NULL AND mode <> 'single') AS workers"
    );
    let mut values = args![kind.as_str()];
    values.extend(backlog.values());
    values.extend(args![as_bigint(enough)]);
    let rows = store.read(doing, &sql, values).await?;
    let Some(row) = rows.first() else {
        return Err(StoreError::Unreadable { doing, problem: "no row".into() });
    };
    Ok(Demand {
        due: u64::try_from(get::<i64>(row, "due", doing)?).unwrap_or(0),
        workers: u32::try_from(get::<i64>(row, "workers", doing)?).unwrap_or(u32::MAX),
    })
}

impl Backlog {
    fn values(self) -> Vec<Value> {
        args![self.local_up_to.map_or(-1, as_bigint), millis(self.help_after), as_bigint(self.single_above)]
    }
}

/// Up to `limit` large pieces of work that wait for a worker of their own and have none. One whose worker ended without it
/// gets the next one after `again`.
pub async fn singles(
    store: &Store,
    kind: WorkKind,
    backlog: Backlog,
    again: Duration,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    let doing = "looking for work that needs a worker of its own";
    let work = match kind {
        WorkKind::Transform => {
            "SELECT t.id AS id, t.due_at AS since FROM transform t \
               JOIN artifact a ON a.file_id = t.file_id AND a.transform_id IS NULL \
             WHERE t.settled_at IS NULL AND t.state = 'pending' AND t.due_at <= {now} AND a.size_bytes > $1"
        }
        WorkKind::Send => {
            "SELECT j.delivery_id AS id, j.handed_at AS since FROM send_job j \
               JOIN lane ON lane.endpoint_id = j.endpoint_id JOIN endpoint e ON e.id = j.endpoint_id \
             WHERE $1 >= 0 AND j.handed_at IS NOT NULL AND j.lease_id IS NULL AND lane.blocked_until <= {now} \
               AND lane.paused_by IS NULL AND lane.suspended_at IS NULL AND e.enabled"
        }
    };
    let sql = format!(
        "SELECT work.id FROM ({work}) AS work \
         WHERE NOT EXISTS (SELECT 1 FROM batch_run r WHERE r.only_id = work.id \
           AND (r.ended_at IS NULL OR r.ended_at > {{now}} - $2)) \
         ORDER BY work.since LIMIT $3"
    );
    let values = args![as_bigint(backlog.single_above), millis(again), i64::from(limit)];
    let rows = store.read(doing, &sql, values).await?;
    rows.iter().map(|row| get(row, "id", doing)).collect()
}

/// How many workers for one piece of work each there are.
pub async fn open_singles(store: &Store, kind: WorkKind) -> Result<u32, StoreError> {
    let doing = "counting workers of one piece of work";
    let rows = store
        .read(
            doing,
            "SELECT count(*) AS n FROM batch_run WHERE kind = $1 AND ended_at IS NULL AND mode = 'single'",
            args![kind.as_str()],
        )
        .await?;
    let n: i64 = rows.first().map(|row| get(row, "n", doing)).transpose()?.unwrap_or_default();
    Ok(u32::try_from(n).unwrap_or(u32::MAX))
}
