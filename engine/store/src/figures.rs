//! The figures that alarms watch.

use outport_core::Millis;

use crate::Store;
use crate::enqueue::head_start_of_d;
use crate::error::StoreError;
use crate::retention::id_before;
use crate::row::get;
use crate::sql::args;

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The database's clock.
    pub now: Millis,
    /// Endpoints that nothing is sent to because of a breaker, a refused login, another host key or unusable settings, or that
    /// are suspended.
    pub lanes_open: u64,
    /// For how long the oldest piece of work that could be done at once has been waiting; to within the three minutes that
    /// priorities are worth.
    pub oldest_due_ms: Millis,
}

/// Reads them. Plan: a look-up into `send_job_ready` for each open lane, and the first row of `transform_due`.
pub async fn read(store: &Store) -> Result<Figures, StoreError> {
    let doing = "reading the figures for alarms";
    let head_start = head_start_of_d();
    let sql = format!(
        "SELECT {{now}} AS now, \
               (SELECT count(*) FROM lane JOIN endpoint e ON e.id = lane.endpoint_id WHERE e.enabled AND \
                 (lane.suspended_at IS NOT NULL OR (lane.blocked_until > {{now}} AND lane.blocked_reason <> 'window'))) AS lanes, \
               (SELECT min(first) FROM ( \
                  SELECT (SELECT j.due_at + {head_start} FROM send_job j JOIN delivery d ON d.id = j.delivery_id \
                            WHERE j.endpoint_id = lane.endpoint_id AND j.lease_id IS NULL ORDER BY j.due_at LIMIT 1) AS first \
                  FROM lane JOIN endpoint e ON e.id = lane.endpoint_id WHERE e.enabled AND lane.suspended_at IS NULL \
                    AND lane.paused_by IS NULL AND lane.blocked_until <= {{now}} \
                  UNION ALL SELECT min(due_at) FROM transform WHERE settled_at IS NULL AND state = 'pending' \
               ) AS waiting) AS oldest"
    );
    let rows = store.read(doing, &sql, vec![]).await?;
    let Some(row) = rows.first() else {
        return Err(StoreError::Unreadable { doing, problem: "no row".into() });
    };
    let now: Millis = get(row, "now", doing)?;
    let oldest: Option<Millis> = get(row, "oldest", doing)?;
    Ok(Figures {
        now,
        lanes_open: u64::try_from(get::<i64>(row, "lanes", doing)?).unwrap_or(0),
        oldest_due_ms: oldest.map_or(0, |oldest| (now - oldest).max(0)),
    })
}

/// Deliveries that became failed or unconfirmed from `since` until before `until`: of the history's entries of that time.
pub async fn failed_between(store: &Store, since: Millis, until: Millis) -> Result<u64, StoreError> {
    let doing = "counting failed deliveries";
    let rows = store
        .read(
            doing,
            "SELECT count(*) AS n FROM history WHERE id >= $1 AND id < $2 AND subject_kind = 'delivery' \
               AND event IN ('failed', 'unconfirmed')",
            args![id_before(since), id_before(until)],
        )
        .await?;
    let n: i64 = rows.first().map(|row| get(row, "n", doing)).transpose()?.unwrap_or_default();
    Ok(u64::try_from(n).unwrap_or(0))
}
