//! What there is to do for workers of Batch.

use std::time::Duration;

use outport_core::batch::{Demand, WorkKind, Workers};
use outport_core::route::Priority;
use outport_core::timing::millis;
use sea_orm::Value;
use uuid::Uuid;

use crate::Store;
use crate::claim_transforms::as_bigint;
use crate::enqueue::head_start_of_d;
use crate::error::StoreError;
use crate::lanes::WORKERS;
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

/// What draining workers find to do. Indexes `transform_due`, `send_job_ready`.
///
/// Deliveries count where another worker could send them: nothing blocks their lane, and other workers do not have all its
/// connections. A container for each thousand files that wait for a partner with two connections would find nothing to do.
/// A lane on probation (its breaker's wait is over, or it is new) has room for the one worker that tries it: without one it
/// would stay as it is. More than `enough` is not counted.
pub async fn demand(
    store: &Store,
    kind: WorkKind,
    backlog: Backlog,
    enough: u64,
) -> Result<Demand, StoreError> {
    let doing = "counting the work for workers";
    let sql = match kind {
        WorkKind::Transform => {
            "SELECT count(*) AS due, CAST(NULL AS bigint) AS room FROM (\
               SELECT 1 FROM transform t JOIN artifact a ON a.file_id = t.file_id AND a.transform_id IS NULL \
               WHERE t.settled_at IS NULL AND t.state = 'pending' AND t.due_at <= {now} AND a.size_bytes <= $3 \
                 AND (a.size_bytes > $1 OR t.due_at <= {now} - $2) LIMIT $4) AS due"
                .to_owned()
        }
        WorkKind::Send => {
            // What has waited for longer than any head start needs no look at its delivery: 100,000 of a million are counted
            // in 0.18 s, and in 0.8 s with a look at each.
            let is_due = format!(
                "j.lease_id IS NULL AND j.due_at <= {{now}} AND $3 >= 0 \
                 AND ($1 < 0 OR j.due_at + {longest} <= {{now}} - $2 OR EXISTS (SELECT 1 FROM delivery d \
                   WHERE d.id = j.delivery_id AND j.due_at + {head_start} <= {{now}} - $2))",
                longest = millis(Priority::FIRST.head_start()),
                head_start = head_start_of_d()
            );
            format!(
                "WITH open AS (SELECT lane.endpoint_id, {WORKERS} - {SEATS} AS free \
                   FROM lane JOIN endpoint e ON e.id = lane.endpoint_id \
                   WHERE lane.blocked_until <= {{now}} AND lane.paused_by IS NULL AND lane.suspended_at IS NULL \
                     AND e.enabled) \
                 SELECT (SELECT count(*) FROM (SELECT 1 FROM open JOIN send_job j ON j.endpoint_id = open.endpoint_id \
                     WHERE open.free > 0 AND {is_due} LIMIT $4) AS due) AS due, \
                   (SELECT CAST(coalesce(sum(open.free), 0) AS bigint) FROM open WHERE open.free > 0 \
                     AND EXISTS (SELECT 1 FROM send_job j WHERE j.endpoint_id = open.endpoint_id AND {is_due})) AS room"
            )
        }
    };
    let mut values = backlog.values();
    values.extend(args![as_bigint(enough)]);
    let rows = store.read(doing, &sql, values).await?;
    let Some(row) = rows.first() else {
        return Err(StoreError::Unreadable { doing, problem: "no row".into() });
    };
    let room: Option<i64> = get(row, "room", doing)?;
    Ok(Demand {
        due: u64::try_from(get::<i64>(row, "due", doing)?).unwrap_or(0),
        room: room.and_then(|room| u32::try_from(room).ok()).unwrap_or(u32::MAX),
    })
}

/// Connections to the lane's endpoint that processes have.
const SEATS: &str = "(SELECT coalesce(sum(s.connections), 0) FROM seat s \
    WHERE s.endpoint_id = lane.endpoint_id AND s.until > {now})";

/// The workers of runs that are not over. A draining one takes work for `takes_for`. Index `batch_run_open`.
pub async fn workers(store: &Store, kind: WorkKind, takes_for: Duration) -> Result<Workers, StoreError> {
    let doing = "counting workers";
    let rows = store
        .read(
            doing,
            "SELECT mode, state, CASE WHEN state_at > {now} - $2 THEN 1 ELSE 0 END AS young, \
               CAST(sum(coalesce(workers_left, array_size, 1)) AS bigint) AS workers \
             FROM batch_run WHERE kind = $1 AND ended_at IS NULL GROUP BY 1, 2, 3",
            args![kind.as_str(), millis(takes_for)],
        )
        .await?;
    let mut all = Workers::default();
    for row in &rows {
        let word = |column| get::<String>(row, column, doing);
        let n = u32::try_from(get::<i64>(row, "workers", doing)?).unwrap_or(u32::MAX);
        let is_young = i64::from(get::<i32>(row, "young", doing)?) > 0;
        match (word("mode")?.as_str(), word("state")?.as_str()) {
            ("single", _) => all.finishing += n,
            (_, "running") if is_young => all.taking += n,
            (_, "running") => all.finishing += n,
            _ => all.starting += n,
        }
    }
    Ok(all)
}

impl Backlog {
    fn values(self) -> Vec<Value> {
        args![self.local_up_to.map_or(-1, as_bigint), millis(self.help_after), as_bigint(self.single_above)]
    }
}

/// Up to `limit` large pieces of work that wait for a worker of their own and have none. One whose worker ended without it
/// gets the next one after `again`. Deliveries of an endpoint only as many as it has free connections, the oldest first (one
/// of a lane on probation): a worker more would wait, find none, and end.
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
            "SELECT t.id AS id, t.due_at AS since, 1 AS place, 1 AS free FROM transform t \
               JOIN artifact a ON a.file_id = t.file_id AND a.transform_id IS NULL \
             WHERE t.settled_at IS NULL AND t.state = 'pending' AND t.due_at <= {now} AND a.size_bytes > $1"
                .to_owned()
        }
        WorkKind::Send => format!(
            "SELECT j.delivery_id AS id, j.handed_at AS since, {WORKERS} - {SEATS} AS free, \
               row_number() OVER (PARTITION BY j.endpoint_id ORDER BY j.handed_at, j.delivery_id) AS place \
             FROM send_job j JOIN lane ON lane.endpoint_id = j.endpoint_id JOIN endpoint e ON e.id = j.endpoint_id \
             WHERE $1 >= 0 AND j.handed_at IS NOT NULL AND j.lease_id IS NULL AND lane.blocked_until <= {{now}} \
               AND lane.paused_by IS NULL AND lane.suspended_at IS NULL AND e.enabled"
        ),
    };
    let sql = format!(
        "SELECT work.id FROM ({work}) AS work \
         WHERE work.place <= work.free AND NOT EXISTS (SELECT 1 FROM batch_run r WHERE r.only_id = work.id \
           AND (r.ended_at IS NULL OR r.ended_at > {{now}} - $2)) \
         ORDER BY work.since LIMIT $3"
    );
    let values = args![as_bigint(backlog.single_above), millis(again), i64::from(limit)];
    let rows = store.read(doing, &sql, values).await?;
    rows.iter().map(|row| get(row, "id", doing)).collect()
}
