//! The lanes of a claim: those that are due, locked, and what is in flight on them.

use std::collections::BTreeMap;

use outport_core::lane::{BlockReason, Lane, NEVER};
use outport_core::timing::millis;
use outport_core::{EndpointId, Millis, Timing, WorkerId, window};
use sea_orm::{QueryResult, Value};

use super::types::EndpointRow;
use crate::error::StoreError;
use crate::lanes;
use crate::row::{get, id, json};
use crate::sql::{Tx, args, list, padded};

/// A locked lane.
pub(super) struct DueLane {
    pub(super) endpoint: EndpointRow,
    /// Files in flight allowed, over all workers.
    pub(super) room: i64,
    pub(super) max_connections: i64,
    /// The database's clock when it was locked.
    pub(super) now: Millis,
}

/// What is in flight on a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Leased jobs, of all workers.
    pub(super) leased: i64,
    /// Those of this worker.
    pub(super) mine: i64,
    /// Connections of the other workers, idle ones included.
    pub(super) seats_of_others: i64,
}

/// Locks lanes that are due, the longest due first. Those `again` that sleep only for being full count as due.
pub(super) async fn lock(
    tx: &Tx,
    limit: u32,
    again: &[EndpointId],
    timing: &Timing,
) -> Result<Vec<DueLane>, StoreError> {
    let mut values = args![i64::from(limit), millis(timing.lane_full)];
    let again = match again {
        [] => args![uuid::Uuid::nil()],
        again => padded(again.iter().map(|endpoint| endpoint.uuid().into()).collect()),
    };
    let due = format!(
        "(lane.next_due_at <= {{now}} OR (lane.next_due_at <= {{now}} + $2 AND lane.endpoint_id IN ({})))",
        list(3, again.len())
    );
    values.extend(again);
    locked(tx, &due, values).await
}

/// Locks this lane if files may go there now, due or not.
pub(super) async fn lock_one(tx: &Tx, endpoint: EndpointId) -> Result<Option<DueLane>, StoreError> {
    let mut lanes = locked(tx, "lane.endpoint_id = $2", args![1_i64, endpoint.uuid()]).await?;
    Ok(lanes.pop())
}

/// Up to `$1` open lanes for which `condition` holds.
async fn locked(tx: &Tx, condition: &str, values: Vec<Value>) -> Result<Vec<DueLane>, StoreError> {
    let sql = format!(
        "SELECT {}, lane.max_connections, {{now}} AS now, {ENDPOINT} \
         FROM lane JOIN endpoint e ON e.id = lane.endpoint_id JOIN subscriber s ON s.id = e.subscriber_id \
         WHERE {condition} AND lane.blocked_until <= {{now}} \
           AND lane.paused_by IS NULL AND lane.suspended_at IS NULL AND e.enabled \
         ORDER BY lane.next_due_at LIMIT $1 {{skip_locked_lane}}",
        lanes::COLUMNS
    );
    let doing = tx.doing();
    let mut due = Vec::new();
    for row in tx.rows(&sql, values).await? {
        match due_lane(&row, doing) {
            Ok((lane, health)) => due.extend(outside_of_windows(tx, lane, &health).await?),
            // One damaged definition closes its own lane, not everybody's.
            Err(error) => {
                tracing::error!(%error, "an endpoint cannot be read: its lane is blocked");
                let endpoint: EndpointId = id(&row, "endpoint_id", doing)?;
                let mut lane = lanes::lock(tx, endpoint).await?;
                lane.blocked_until = NEVER;
                lane.blocked_reason = Some(BlockReason::Settings);
                lanes::save(tx, endpoint, &lane).await?;
            }
        }
    }
    Ok(due)
}

/// The lane, unless its endpoint is in a maintenance window; it sleeps to the window's end then.
async fn outside_of_windows(tx: &Tx, due: DueLane, health: &Lane) -> Result<Option<DueLane>, StoreError> {
    let until = window::closed_until(&due.endpoint.settings.maintenance, due.now);
    let next = match until {
        Some(until) => health.in_window(due.now, until),
        None => health.after_window(due.now),
    };
    if next != *health {
        lanes::save(tx, due.endpoint.endpoint_id, &next).await?;
    }
    Ok(if until.is_some() { None } else { Some(due) })
}

/// The columns of [`read_endpoint`], of `endpoint e` and `subscriber s`.
pub(crate) const ENDPOINT: &str = "e.id AS endpoint_id, e.revision, s.code AS subscriber, e.name, e.host, e.port, \
     e.username, e.credential_ref, e.identity_pins, e.host_cas, e.settings, e.upload";

/// An endpoint of a row that has `endpoint_id`, `subscriber` (its code) and the endpoint's own columns.
pub(crate) fn read_endpoint(row: &QueryResult, doing: &'static str) -> Result<EndpointRow, StoreError> {
    let port: i32 = get(row, "port", doing)?;
    let subscriber: String = get(row, "subscriber", doing)?;
    let name: String = get(row, "name", doing)?;
    Ok(EndpointRow {
        endpoint_id: id(row, "endpoint_id", doing)?,
        revision: get(row, "revision", doing)?,
        label: format!("{subscriber}/{name}"),
        host: get(row, "host", doing)?,
        port: u16::try_from(port).unwrap_or_default(),
        username: get(row, "username", doing)?,
        credential_ref: get(row, "credential_ref", doing)?,
        identity_pins: json(row, "identity_pins", doing)?,
        host_cas: json(row, "host_cas", doing)?,
        settings: json(row, "settings", doing)?,
        upload: json(row, "upload", doing)?,
    })
}

fn due_lane(row: &QueryResult, doing: &'static str) -> Result<(DueLane, Lane), StoreError> {
    let endpoint = read_endpoint(row, doing)?;
    let lane = lanes::read(row, doing)?;
    let max_connections = lane.connections(get(row, "max_connections", doing)?);
    let due = DueLane {
        endpoint,
        room: lane.room().into(),
        max_connections: max_connections.into(),
        now: get(row, "now", doing)?,
    };
    Ok((due, lane))
}

/// What is in flight on each of `due`, in their order. Asked after the lanes are locked, in statements of their own: only
/// so they see what the claim before this one took.
pub(super) async fn loads(
    tx: &Tx,
    due: &[DueLane],
    worker: WorkerId,
    now: Millis,
) -> Result<Vec<Load>, StoreError> {
    let doing = tx.doing();
    let lanes = padded(due.iter().map(|lane| lane.endpoint.endpoint_id.uuid().into()).collect());
    let mut loads: BTreeMap<EndpointId, Load> = BTreeMap::new();
    let sql = format!(
        "SELECT endpoint_id, count(*) AS n, count(CASE WHEN worker_id = $1 THEN 1 END) AS mine FROM send_job \
         WHERE lease_id IS NOT NULL AND endpoint_id IN ({}) GROUP BY endpoint_id",
        list(2, lanes.len())
    );
    let mut values = args![worker.uuid()];
    values.extend(lanes.iter().cloned());
    for row in tx.rows(&sql, values).await? {
        let load = loads.entry(id(&row, "endpoint_id", doing)?).or_default();
        (load.leased, load.mine) = (get(&row, "n", doing)?, get(&row, "mine", doing)?);
    }
    let sql = format!(
        "SELECT endpoint_id, CAST(sum(connections) AS bigint) AS n FROM seat \
         WHERE worker_id <> $1 AND until > $2 AND endpoint_id IN ({}) GROUP BY endpoint_id",
        list(3, lanes.len())
    );
    let mut values = args![worker.uuid(), now];
    values.extend(lanes);
    for row in tx.rows(&sql, values).await? {
        loads.entry(id(&row, "endpoint_id", doing)?).or_default().seats_of_others = get(&row, "n", doing)?;
    }
    Ok(due.iter().map(|lane| loads.get(&lane.endpoint.endpoint_id).copied().unwrap_or_default()).collect())
}
