//! All that waits for a person. What the engine moves by itself (an open breaker, a retry) is not in here.
//!
//! Alike things are one problem with a count, and counts end at [`CAP`], so that the answer takes as long with a million
//! failed deliveries as with ten thousand.

use std::collections::BTreeMap;

use outport_core::batch::WorkKind;
use outport_core::lane::NEVER;
use outport_core::state::FileState;
use outport_core::{DeliveryId, EndpointId, FileId, Millis, ReplayId};
use sea_orm::QueryResult;
use serde::Serialize;

use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id};
use crate::sql::args;

/// Nothing is counted further than this.
pub const CAP: i64 = 10_000;

/// Rejected files are shown for this long: nobody can settle them.
pub const REJECTED_FOR_MS: Millis = 7 * 24 * 3_600_000;

/// What waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Waits {
    /// Failed deliveries of one endpoint with one fault that nobody has resolved.
    Failed { endpoint: String, code: Option<String>, example: DeliveryId },
    /// The same, of those that may have arrived.
    Unconfirmed { endpoint: String, code: Option<String>, example: DeliveryId },
    /// Deliveries that an operator set aside.
    Held { endpoint: String, example: DeliveryId },
    /// A lane that an operator paused; the count is of what waits in it, as for all lanes.
    Paused { endpoint: String, by: String, reason: String },
    /// A lane that failed for so long that the engine stopped trying.
    Suspended { endpoint: String, failing_since: Option<Millis> },
    /// A lane whose server is not who it was.
    Identity { endpoint: String, seen: Option<String> },
    /// A lane whose login was refused.
    Credential { endpoint: String, until: Option<Millis> },
    /// A lane whose settings cannot work.
    Settings { endpoint: String },
    /// Work for an endpoint that the definitions have turned off.
    Disabled { endpoint: String },
    /// Objects of one bucket that could not become files, by fault.
    Rejected { bucket: String, code: Option<String>, example: FileId },
    /// A replay that an operator paused.
    Replay { replay: ReplayId },
    /// Workers of Batch that fail one after the other; the count is how many since one ended well.
    Workers { worker: WorkKind, code: Option<String>, reason: String },
}

/// One line of `outport problems`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What waits.
    #[serde(flatten)]
    pub waits: Waits,
    /// How much of it.
    pub count: i64,
    /// There may be more than `count`.
    pub at_least: bool,
    /// Since when the first of it waits.
    pub since: Millis,
}

/// Everything, oldest first.
pub async fn list(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let mut problems = lanes(store).await?;
    problems.extend(unresolved(store).await?);
    problems.extend(held(store).await?);
    problems.extend(rejected(store).await?);
    problems.extend(replays(store).await?);
    problems.extend(workers(store).await?);
    problems.sort_by_key(|problem| problem.since);
    Ok(problems)
}

/// Endpoints of which a delivery fulfils `condition`, by one look into its partial index for each.
async fn endpoints_with(
    store: &Store,
    doing: &'static str,
    condition: &str,
) -> Result<Vec<(EndpointId, String)>, StoreError> {
    let sql = format!(
        "SELECT e.id, b.code, e.name FROM endpoint e JOIN subscriber b ON b.id = e.subscriber_id \
         WHERE EXISTS (SELECT 1 FROM delivery d WHERE d.endpoint_id = e.id AND {condition}) ORDER BY e.id"
    );
    let rows = store.read(doing, &sql, vec![]).await?;
    rows.iter().map(|row| Ok((id(row, "id", doing)?, name(row, doing)?))).collect()
}

fn name(row: &QueryResult, doing: &'static str) -> Result<String, StoreError> {
    let (subscriber, name): (String, String) = (get(row, "code", doing)?, get(row, "name", doing)?);
    Ok(format!("{subscriber}/{name}"))
}

/// As the index `delivery_unresolved` says it.
const UNRESOLVED: &str = "d.unresolved";

async fn unresolved(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let doing = "looking for failed deliveries";
    let sql = format!(
        "SELECT state, fault_code, example, count(*) AS n, min(settled_at) AS since FROM \
         (SELECT state, fault_code, settled_at, \
                 first_value(id) OVER (PARTITION BY state, fault_code ORDER BY id) AS example FROM \
          (SELECT d.state, d.fault_code, d.settled_at, d.id FROM delivery d \
           WHERE d.endpoint_id = $1 AND {UNRESOLVED} ORDER BY d.id LIMIT $2) AS few) AS grouped \
         GROUP BY state, fault_code, example"
    );
    let mut problems = Vec::new();
    for (endpoint_id, endpoint) in endpoints_with(store, doing, UNRESOLVED).await? {
        let rows = store.read(doing, &sql, args![endpoint_id.uuid(), CAP + 1]).await?;
        let counts = rows.iter().map(|row| get(row, "n", doing)).collect::<Result<Vec<i64>, _>>()?;
        let at_least = counts.iter().sum::<i64>() > CAP;
        for (row, count) in rows.iter().zip(counts) {
            let endpoint = endpoint.clone();
            let (code, example) = (get(row, "fault_code", doing)?, id(row, "example", doing)?);
            let waits = match get::<String>(row, "state", doing)?.as_str() {
                "unconfirmed" => Waits::Unconfirmed { endpoint, code, example },
                _ => Waits::Failed { endpoint, code, example },
            };
            let since = get(row, "since", doing)?;
            problems.push(Problem { waits, count: count.min(CAP), at_least, since });
        }
    }
    Ok(problems)
}

/// What a paused replay holds is not said here: the replay is.
const HELD: &str = "d.held AND NOT d.parked";

async fn held(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let doing = "looking for held deliveries";
    let sql = format!(
        "SELECT example, count(*) AS n, min(since) AS since FROM \
         (SELECT since, first_value(id) OVER (ORDER BY id) AS example FROM \
          (SELECT d.id, coalesce((SELECT max(h.at) FROM history h WHERE h.subject_id = d.id AND h.event = 'held'), \
                                 d.created_at) AS since \
           FROM delivery d WHERE d.endpoint_id = $1 AND {HELD} ORDER BY d.id LIMIT $2) AS few) AS numbered \
         GROUP BY example"
    );
    let mut problems = Vec::new();
    for (endpoint_id, endpoint) in endpoints_with(store, doing, HELD).await? {
        for row in store.read(doing, &sql, args![endpoint_id.uuid(), CAP + 1]).await? {
            let count: i64 = get(&row, "n", doing)?;
            let example = id(&row, "example", doing)?;
            let waits = Waits::Held { endpoint: endpoint.clone(), example };
            let since = get(&row, "since", doing)?;
            problems.push(Problem { waits, count: count.min(CAP), at_least: count > CAP, since });
        }
    }
    Ok(problems)
}

/// A lane may wait for several acts: each is a line.
async fn lanes(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let doing = "looking for lanes that wait";
    let rows = store
        .read(
            doing,
            "SELECT b.code, e.name, e.enabled, l.paused_by, l.pause_reason, l.paused_at, l.suspended_at, \
                    l.blocked_reason, l.blocked_until, l.seen_identity, l.failing_since, {now} AS now, \
                    (SELECT count(*) FROM (SELECT 1 FROM send_job j WHERE j.endpoint_id = e.id LIMIT $1) AS few) AS n, \
                    (SELECT max(h.at) FROM history h WHERE h.subject_id = e.id AND h.event = 'lane_blocked') AS blocked_at, \
                    (SELECT max(h.at) FROM history h WHERE h.subject_id = e.id AND h.event IN ('created', 'changed')) \
                      AS changed_at \
             FROM lane l JOIN endpoint e ON e.id = l.endpoint_id JOIN subscriber b ON b.id = e.subscriber_id \
             WHERE l.paused_by IS NOT NULL OR l.suspended_at IS NOT NULL OR NOT e.enabled \
                OR l.blocked_reason IN ('identity', 'settings', 'credential') ORDER BY e.id",
            args![CAP + 1],
        )
        .await?;
    let mut problems = Vec::new();
    for row in &rows {
        let endpoint = name(row, doing)?;
        let waiting: i64 = get(row, "n", doing)?;
        let now: Millis = get(row, "now", doing)?;
        let at = |column| get::<Option<Millis>>(row, column, doing);
        let mut add = |waits, since: Option<Millis>| {
            let since = since.unwrap_or(now);
            problems.push(Problem { waits, count: waiting.min(CAP), at_least: waiting > CAP, since });
        };
        if let Some(by) = get::<Option<String>>(row, "paused_by", doing)? {
            let reason: Option<String> = get(row, "pause_reason", doing)?;
            let reason = reason.unwrap_or_default();
            add(Waits::Paused { endpoint: endpoint.clone(), by, reason }, at("paused_at")?);
        }
        if let Some(since) = at("suspended_at")? {
            let failing_since = at("failing_since")?;
            add(Waits::Suspended { endpoint: endpoint.clone(), failing_since }, Some(since));
        }
        let blocked_at = at("blocked_at")?.or(at("failing_since")?);
        match get::<Option<String>>(row, "blocked_reason", doing)?.as_deref() {
            Some("identity") => {
                let seen = get(row, "seen_identity", doing)?;
                add(Waits::Identity { endpoint: endpoint.clone(), seen }, blocked_at);
            }
            Some("credential") => {
                let until = Some(get(row, "blocked_until", doing)?).filter(|until| *until < NEVER);
                add(Waits::Credential { endpoint: endpoint.clone(), until }, blocked_at);
            }
            Some("settings") => add(Waits::Settings { endpoint: endpoint.clone() }, blocked_at),
            _ => {}
        }
        if !get::<bool>(row, "enabled", doing)? && waiting > 0 {
            add(Waits::Disabled { endpoint }, at("changed_at")?);
        }
    }
    Ok(problems)
}

async fn rejected(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let doing = "looking for rejected files";
    let sql = format!(
        "SELECT id, bucket, problem, arrived_at FROM file \
         WHERE state='{}' AND arrived_at > {{now}} - $1 ORDER BY arrived_at LIMIT $2",
        FileState::Rejected.as_str()
    );
    let rows = store.read(doing, &sql, args![REJECTED_FOR_MS, CAP + 1]).await?;
    let at_least = rows.len() as i64 > CAP;
    let mut groups: BTreeMap<(String, Option<String>), Problem> = BTreeMap::new();
    for row in &rows {
        let bucket: String = get(row, "bucket", doing)?;
        let problem: Option<String> = get(row, "problem", doing)?;
        let code = problem.as_deref().and_then(code_of).map(str::to_owned);
        let (example, since) = (id(row, "id", doing)?, get(row, "arrived_at", doing)?);
        groups.entry((bucket.clone(), code.clone())).and_modify(|group| group.count += 1).or_insert_with(
            || Problem { waits: Waits::Rejected { bucket, code, example }, count: 1, at_least, since },
        );
    }
    Ok(groups.into_values().collect())
}

/// The code in a fault's report: `... [route.bad_key]`, at the end of its first line.
fn code_of(report: &str) -> Option<&str> {
    report.lines().next()?.strip_suffix(']')?.rsplit_once('[').map(|(_, code)| code)
}

async fn replays(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let doing = "looking for paused replays";
    let rows = store
        .read(
            doing,
            "SELECT r.id, r.started_at, \
                (SELECT max(h.at) FROM history h WHERE h.subject_id = r.id AND h.event = 'paused') AS paused_at \
             FROM replay r WHERE r.state = 'paused'",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let since: Option<Millis> = get(row, "paused_at", doing)?;
            let since = since.map_or_else(|| get(row, "started_at", doing), Ok)?;
            Ok(Problem {
                waits: Waits::Replay { replay: id(row, "id", doing)? },
                count: 1,
                at_least: false,
                since,
            })
        })
        .collect()
}

async fn workers(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let doing = "looking for failing workers";
    let mut problems = Vec::new();
    for worker in WorkKind::ALL {
        let rows = store
            .read(
                doing,
                "SELECT fault_code, fault, ended_at FROM batch_run r \
                 WHERE r.kind = $1 AND r.state IN ('failed', 'lost') AND r.let_go_at IS NULL AND r.ended_at > \
                   (SELECT coalesce(max(s.ended_at), 0) FROM batch_run s WHERE s.kind = $1 AND s.state = 'succeeded') \
                 ORDER BY r.ended_at DESC LIMIT $2",
                args![worker.as_str(), CAP + 1],
            )
            .await?;
        let (Some(last), Some(first)) = (rows.first(), rows.last()) else { continue };
        let count = i64::try_from(rows.len()).unwrap_or(CAP);
        let reason: Option<String> = get(last, "fault", doing)?;
        let reason = reason.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        let waits = Waits::Workers { worker: *worker, code: get(last, "fault_code", doing)?, reason };
        let since = get(first, "ended_at", doing)?;
        problems.push(Problem { waits, count: count.min(CAP), at_least: count > CAP, since });
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::code_of;

    #[test]
    fn the_code_of_a_report() {
        let fault = outport_core::Fault::new(&outport_core::code::ROUTE_BAD_KEY, "could not [take] a\u{1b}b");
        assert_eq!(code_of(&fault.report()), Some("route.bad_key"));
        assert_eq!(code_of("no code"), None);
        assert_eq!(code_of(""), None);
    }
}
