//! Lane rows: the hot scheduling state of an endpoint.

use std::collections::{BTreeMap, BTreeSet};

use outport_core::lane::Lane;
use outport_core::{EndpointId, Millis};
use sea_orm::QueryResult;

use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id, word};
use crate::sql::{Tx, args, list, padded, tuples};

/// The columns of [`read`].
pub(crate) const COLUMNS: &str = "lane.health, lane.cap, lane.ramp, lane.strikes, lane.recent, lane.recent_n, \
     lane.login_strikes, lane.login_ok_version, lane.refused_version, lane.blocked_until, lane.blocked_reason, \
     lane.seen_identity, lane.open_ms, lane.opened_at, lane.failing_since, \
     lane.recovered_at, lane.suspended_at, lane.paused_at, lane.closed_since, lane.closed_ms";

/// Workers that the lane has room for now: [`Lane::workers`] in SQL, for questions about all lanes. A test holds the one to the
/// other.
pub(crate) const WORKERS: &str = "CASE WHEN lane.login_ok_version IS NULL OR lane.strikes > 0 OR lane.login_strikes > 0 \
       OR lane.health <> 'closed' THEN 1 \
     ELSE {least}(lane.max_connections, {greatest}({least}(lane.ramp, lane.cap), 1)) END";

/// A row with [`COLUMNS`] as a [`Lane`].
pub(crate) fn read(row: &QueryResult, doing: &'static str) -> Result<Lane, StoreError> {
    let blocked_reason: Option<String> = get(row, "blocked_reason", doing)?;
    Ok(Lane {
        health: word(row, "health", doing)?,
        cap: get(row, "cap", doing)?,
        ramp: get(row, "ramp", doing)?,
        strikes: get(row, "strikes", doing)?,
        recent: get(row, "recent", doing)?,
        recent_n: get(row, "recent_n", doing)?,
        login_strikes: get(row, "login_strikes", doing)?,
        login_ok_version: get(row, "login_ok_version", doing)?,
        refused_version: get(row, "refused_version", doing)?,
        blocked_until: get(row, "blocked_until", doing)?,
        blocked_reason: blocked_reason.map(|w| w.parse()).transpose().map_err(StoreError::word(doing))?,
        seen_identity: get(row, "seen_identity", doing)?,
        open_ms: get(row, "open_ms", doing)?,
        opened_at: get(row, "opened_at", doing)?,
        failing_since: get(row, "failing_since", doing)?,
        recovered_at: get(row, "recovered_at", doing)?,
        suspended_at: get(row, "suspended_at", doing)?,
        paused: get::<Option<Millis>>(row, "paused_at", doing)?.is_some(),
        closed_since: get(row, "closed_since", doing)?,
        closed_ms: get(row, "closed_ms", doing)?,
    })
}

/// Takes the lane's lock and reads it.
pub(crate) async fn lock(tx: &Tx, endpoint: EndpointId) -> Result<Lane, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM lane WHERE endpoint_id = $1 {{lock}}");
    match tx.row(&sql, args![endpoint.uuid()]).await? {
        Some(row) => read(&row, tx.doing()),
        None => Err(StoreError::Unreadable {
            doing: tx.doing(),
            problem: format!("endpoint {endpoint} has no lane"),
        }),
    }
}

/// Reads the lanes of `endpoints`, in the order of their ids; `lock` is `{lock}` or nothing.
pub(crate) async fn read_all(
    tx: &Tx,
    endpoints: &BTreeSet<EndpointId>,
    lock: &str,
) -> Result<BTreeMap<EndpointId, Lane>, StoreError> {
    if endpoints.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = padded(endpoints.iter().map(|endpoint| endpoint.uuid().into()).collect());
    let sql = format!(
        "SELECT lane.endpoint_id, {COLUMNS} FROM lane WHERE endpoint_id IN ({}) ORDER BY endpoint_id {lock}",
        list(1, ids.len())
    );
    let doing = tx.doing();
    let rows = tx.rows(&sql, ids).await?;
    rows.iter().map(|row| Ok((id(row, "endpoint_id", doing)?, read(row, doing)?))).collect()
}

/// Writes the health columns of a locked lane.
pub(crate) async fn save(tx: &Tx, endpoint: EndpointId, lane: &Lane) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE lane SET health = $2, cap = $3, ramp = $4, strikes = $5, recent = $6, recent_n = $7, \
         login_strikes = $8, login_ok_version = $9, refused_version = $10, blocked_until = $11, \
         blocked_reason = $12, seen_identity = $13, open_ms = $14, opened_at = $15, failing_since = $16, \
         suspended_at = $17, closed_since = $18, closed_ms = $19, recovered_at = $20 \
         WHERE endpoint_id = $1",
        args![
            endpoint.uuid(),
            lane.health.as_str(),
            lane.cap,
            lane.ramp,
            lane.strikes,
            lane.recent,
            lane.recent_n,
            lane.login_strikes,
            lane.login_ok_version.clone(),
            lane.refused_version.clone(),
            lane.blocked_until,
            lane.blocked_reason.map(|r| r.as_str()),
            lane.seen_identity.clone(),
            lane.open_ms,
            lane.opened_at,
            lane.failing_since,
            lane.suspended_at,
            lane.closed_since,
            lane.closed_ms,
            lane.recovered_at
        ],
    )
    .await
    .map(|_| ())
}

/// Wakes a lane for a job that is due at `due`. Always said after the job was written, even when the lane looks due
/// already: a claimer may be about to move it into the future (docs/STATES.md, "Claim").
pub(crate) async fn pull(tx: &Tx, endpoint: EndpointId, due: Millis) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE lane SET next_due_at = {least}(next_due_at, $2) WHERE endpoint_id = $1",
        args![endpoint.uuid(), due],
    )
    .await
    .map(|_| ())
}

/// Lanes to be woken, each for the earliest of its jobs.
#[derive(Debug, Default)]
pub(crate) struct Wake(BTreeMap<EndpointId, Millis>);

impl Wake {
    /// A job of this lane is due then.
    pub(crate) fn at(&mut self, endpoint: EndpointId, due: Millis) {
        let earliest = self.0.entry(endpoint).or_insert(due);
        *earliest = due.min(*earliest);
    }

    /// [`pull`] for all of them. Several are locked in the order of their ids: an UPDATE takes its rows in any order, and two
    /// dispatchers would meet in a deadlock.
    pub(crate) async fn pull(&self, tx: &Tx) -> Result<(), StoreError> {
        let rows: Vec<_> = match self.0.first_key_value() {
            None => return Ok(()),
            Some((endpoint, due)) if self.0.len() == 1 => return pull(tx, *endpoint, *due).await,
            Some(_) => self.0.iter().map(|(endpoint, due)| args![endpoint.uuid(), *due]).collect(),
        };
        let rows = padded(rows);
        let sql = format!(
            "UPDATE lane SET next_due_at = {{least}}(lane.next_due_at, locked.due) FROM ( \
                 SELECT l.endpoint_id, new.column2 AS due FROM (VALUES {}) AS new \
                 JOIN lane l ON l.endpoint_id = new.column1 ORDER BY l.endpoint_id {{lock}} \
             ) AS locked WHERE lane.endpoint_id = locked.endpoint_id",
            tuples(1, 2, rows.len())
        );
        tx.exec(&sql, rows.into_iter().flatten().collect()).await.map(|_| ())
    }
}

/// Repairs lanes that would wake later than their earliest free job. Returns how many were wrong: anything but zero
/// is a bug that this kept from stranding a delivery.
pub async fn rederive(store: &Store) -> Result<u64, StoreError> {
    store
        .write(
            "deriving lanes from their jobs",
            "UPDATE lane SET next_due_at = \
               (SELECT min(due_at) FROM send_job j WHERE j.endpoint_id = lane.endpoint_id AND j.lease_id IS NULL) \
             WHERE next_due_at > \
               (SELECT min(due_at) FROM send_job j WHERE j.endpoint_id = lane.endpoint_id AND j.lease_id IS NULL) \
               AND next_due_at > {now} + 1000",
            vec![],
        )
        .await
}

/// Lifts the blocks of one lane (`endpoint retry`, new settings, a new secret) and wakes it.
pub async fn lift(tx: &Tx, endpoint: EndpointId) -> Result<(), StoreError> {
    let now = tx.now().await?;
    let lane = lock(tx, endpoint).await?.lifted(now);
    save(tx, endpoint, &lane).await?;
    pull(tx, endpoint, now).await
}
