//! Claiming deliveries to send: lanes first, then jobs, in one short transaction of separate statements.
//!
//! Never one statement with a CTE: its snapshot is older than the lane lock, so a job that commits in between is
//! stranded behind a lane that was just moved into the future. Lanes first, because a limit inside the claim query
//! collapses when one partner is down (measured: 1,898 -> 82 jobs/s with 500,000 stuck; this way 3,061 -> 3,316).

use std::collections::BTreeMap;

use outport_core::delivery::{AttemptOutcome, DeliveryState, OnUnconfirmed, Stage};
use outport_core::lane::{BlockReason, NEVER};
use outport_core::settings::EndpointSettings;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, FileId, LeaseId, Millis, Timing, WorkerId, code};
use sea_orm::{QueryResult, Value};

use crate::enqueue::Snapshot;
use crate::error::StoreError;
use crate::history::new_id;
use crate::row::{get, id, json, word};
use crate::sql::{Tx, args, list};
use crate::{Store, history, lanes};

/// A worker that vanishes this often in a row with the same delivery is not the network's fault.
const ABANDONED_LIMIT: i32 = 5;

/// Files that one connection carries at once; a lane with more of them asks for a further seat.
const FILES_PER_CONNECTION: i64 = 32;

/// What may be claimed at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Lanes looked at.
    pub lanes: u32,
    /// Deliveries taken, over all lanes.
    pub deliveries: u32,
    /// Deliveries of one lane in this worker's hands at most, so that a slow partner leaves room for the others.
    pub per_lane: u32,
}

/// Claimed work and where it goes.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// The deliveries, with their fencing token.
    pub sends: Vec<ClaimedSend>,
    /// Their endpoints.
    pub endpoints: BTreeMap<EndpointId, EndpointRow>,
    /// Connections that this worker may hold, by endpoint.
    pub seats: BTreeMap<EndpointId, u32>,
}

/// One delivery in this worker's hands. Only a claim makes one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClaimedSend {
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The fencing token: every later write names it.
    pub lease: LeaseId,
    /// Where it goes.
    pub endpoint_id: EndpointId,
    /// The file it came from, for logs.
    pub file_id: FileId,
    /// The final name.
    pub remote_name: String,
    /// What to send.
    pub artifact: ArtifactRow,
    /// What the subscription said when the file arrived.
    pub snapshot: Snapshot,
    /// An earlier attempt that may have delivered: look before sending.
    pub probe: Option<RenameIntent>,
    /// Earlier attempts that may have left their temp file behind, newest first.
    pub unfinished: Vec<u32>,
}

/// What an attempt wrote down before it renamed. The attempt that comes after a lost one judges by it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RenameIntent {
    /// The whole and verified temp file.
    pub temp_path: String,
    /// What stat showed under the final name before the rename.
    pub final_before: Option<FinalSeen>,
    /// An earlier attempt may have delivered the same file already.
    #[serde(default)]
    pub possible_duplicate: bool,
}

/// What a server showed under the final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FinalSeen {
    /// In bytes, where the server tells.
    pub size_bytes: Option<u64>,
    /// Modification time in seconds since 1970, where the server tells.
    pub mtime_s: Option<i64>,
}

/// A stored artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRow {
    /// The artifact bucket.
    pub bucket: String,
    /// The key in it.
    pub key: String,
    /// The exact version, where the store has versions.
    pub version_id: Option<String>,
    /// The etag, where the store has one.
    pub etag: Option<String>,
    /// In bytes.
    pub size_bytes: u64,
    /// Of the content, in hex.
    pub sha256: Option<String>,
}

/// Where and how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// Grows with each change of its definition.
    pub revision: i32,
    /// `acme/sftp`.
    pub label: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub username: String,
    /// `env:NAME` or `file:PATH`, one or several.
    pub credential_ref: String,
    /// SHA-256 fingerprints of accepted host keys.
    pub identity_pins: Vec<String>,
    /// Limits and timeouts.
    pub settings: EndpointSettings,
}

struct DueLane {
    endpoint: EndpointRow,
    room: i64,
    max_connections: i64,
}

/// Claims due deliveries for `worker`.
///
/// # Errors
/// Those of the database; nothing is claimed then.
pub async fn claim(
    store: &Store,
    worker: WorkerId,
    limits: Limits,
    timing: &Timing,
) -> Result<Claim, StoreError> {
    let tx = store.begin("claiming deliveries").await?;
    let due = lock_due_lanes(&tx, limits.lanes).await?;
    if due.is_empty() {
        // A lane may have been blocked for a damaged definition.
        tx.commit().await?;
        return Ok(Claim::default());
    }
    let lease: LeaseId = new_id();
    let now = tx.now().await?;
    let mut claim = Claim::default();
    let mut picked = Vec::new();
    let mut left = i64::from(limits.deliveries);
    for lane in due {
        let endpoint_id = lane.endpoint.endpoint_id;
        if left == 0 {
            // Their turn comes as they are: a lane that got nothing must not be moved behind the one that got all.
            break;
        }
        let (all, mine) = leased(&tx, endpoint_id, worker).await?;
        let seats = free_seats(&tx, endpoint_id, worker, lane.max_connections, now).await?;
        let share = i64::from(limits.per_lane) - mine;
        let places = i64::from(seats) * FILES_PER_CONNECTION - mine;
        let wanted = (lane.room - all).min(left).min(share).min(places).max(0);
        let leased = mine;
        let mine = if wanted > 0 { pick(&tx, endpoint_id, now, wanted).await? } else { Vec::new() };
        let next = if mine.len() as i64 == wanted {
            // Full, or nothing was allowed: look again soon.
            now + millis(timing.lane_full)
        } else {
            earliest_free(&tx, endpoint_id, &mine).await?.unwrap_or(NEVER)
        };
        if !mine.is_empty() {
            let files = leased + mine.len() as i64;
            let needed = (files + FILES_PER_CONNECTION - 1) / FILES_PER_CONNECTION;
            let needed = needed.clamp(1, i64::from(seats));
            let taken = take_seats(&tx, endpoint_id, worker, needed, now + millis(timing.lease)).await?;
            claim.seats.insert(endpoint_id, taken.min(seats));
            claim.endpoints.insert(endpoint_id, lane.endpoint);
            left -= mine.len() as i64;
            picked.extend(mine);
        }
        tx.exec("UPDATE lane SET next_due_at = $2 WHERE endpoint_id = $1", args![endpoint_id.uuid(), next])
            .await?;
    }
    if !picked.is_empty() {
        claim.sends = take(&tx, worker, lease, &picked, now + millis(timing.lease)).await?;
    }
    tx.commit().await?;
    Ok(claim)
}

async fn lock_due_lanes(tx: &Tx, limit: u32) -> Result<Vec<DueLane>, StoreError> {
    let sql = format!(
        "SELECT {}, lane.max_connections, e.id AS endpoint_id, e.revision, s.code AS subscriber, e.name, e.host, e.port, \
                e.username, e.credential_ref, e.identity_pins, e.settings \
         FROM lane JOIN endpoint e ON e.id = lane.endpoint_id JOIN subscriber s ON s.id = e.subscriber_id \
         WHERE lane.next_due_at <= {{now}} AND lane.blocked_until <= {{now}} \
           AND lane.paused_by IS NULL AND lane.suspended_at IS NULL AND e.enabled \
         ORDER BY lane.next_due_at LIMIT $1 {{skip_locked_lane}}",
        lanes::COLUMNS
    );
    let doing = tx.doing();
    let mut due = Vec::new();
    for row in tx.rows(&sql, args![i64::from(limit)]).await? {
        match due_lane(&row, doing) {
            Ok(lane) => due.push(lane),
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

fn due_lane(row: &QueryResult, doing: &'static str) -> Result<DueLane, StoreError> {
    let port: i32 = get(row, "port", doing)?;
    let subscriber: String = get(row, "subscriber", doing)?;
    let name: String = get(row, "name", doing)?;
    let endpoint = EndpointRow {
        endpoint_id: id(row, "endpoint_id", doing)?,
        revision: get(row, "revision", doing)?,
        label: format!("{subscriber}/{name}"),
        host: get(row, "host", doing)?,
        port: u16::try_from(port).unwrap_or_default(),
        username: get(row, "username", doing)?,
        credential_ref: get(row, "credential_ref", doing)?,
        identity_pins: json(row, "identity_pins", doing)?,
        settings: json(row, "settings", doing)?,
    };
    let lane = lanes::read(row, doing)?;
    // One connection is enough for the one file of a lane on probation.
    let max_connections = if lane.is_on_probation() { 1 } else { get::<i32>(row, "max_connections", doing)? };
    Ok(DueLane { endpoint, room: lane.room().into(), max_connections: max_connections.into() })
}

/// Leased jobs of a lane: of all workers, and of this one.
async fn leased(tx: &Tx, endpoint: EndpointId, worker: WorkerId) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT count(*) AS n, count(CASE WHEN worker_id = $2 THEN 1 END) AS mine FROM send_job \
               WHERE endpoint_id = $1 AND lease_id IS NOT NULL";
    match tx.row(sql, args![endpoint.uuid(), worker.uuid()]).await? {
        Some(row) => Ok((get(&row, "n", tx.doing())?, get(&row, "mine", tx.doing())?)),
        None => Ok((0, 0)),
    }
}

/// Connections that this worker may hold: what other workers left of `max_connections`.
async fn free_seats(
    tx: &Tx,
    endpoint: EndpointId,
    worker: WorkerId,
    max_connections: i64,
    now: Millis,
) -> Result<u32, StoreError> {
    let sql = "SELECT CAST(coalesce(sum(connections), 0) AS bigint) AS n FROM seat \
               WHERE endpoint_id = $1 AND worker_id <> $2 AND until > $3";
    let others: i64 = match tx.row(sql, args![endpoint.uuid(), worker.uuid(), now]).await? {
        Some(row) => get(&row, "n", tx.doing())?,
        None => 0,
    };
    Ok(u32::try_from((max_connections - others).max(0)).unwrap_or(0))
}

/// Takes or keeps seats; how many this worker has now.
async fn take_seats(
    tx: &Tx,
    endpoint: EndpointId,
    worker: WorkerId,
    connections: i64,
    until: Millis,
) -> Result<u32, StoreError> {
    let row = tx
        .row(
            "INSERT INTO seat (endpoint_id, worker_id, connections, until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (endpoint_id, worker_id) DO UPDATE SET \
               connections = {greatest}(seat.connections, excluded.connections), until = excluded.until \
             RETURNING connections",
            args![endpoint.uuid(), worker.uuid(), connections, until],
        )
        .await?;
    let taken: i32 = row.map(|row| get(&row, "connections", tx.doing())).transpose()?.unwrap_or(1);
    Ok(u32::try_from(taken).unwrap_or(1))
}

/// Index `send_job_ready`: reads only this lane's due rows, in order.
async fn pick(tx: &Tx, endpoint: EndpointId, now: Millis, limit: i64) -> Result<Vec<DeliveryId>, StoreError> {
    let sql = "SELECT delivery_id FROM send_job WHERE endpoint_id = $1 AND lease_id IS NULL AND due_at <= $2 \
               ORDER BY due_at, delivery_id LIMIT $3 {skip_locked}";
    let rows = tx.rows(sql, args![endpoint.uuid(), now, limit]).await?;
    rows.iter().map(|row| id(row, "delivery_id", tx.doing())).collect()
}

/// The least due time of the lane's free jobs that were not just picked.
async fn earliest_free(
    tx: &Tx,
    endpoint: EndpointId,
    picked: &[DeliveryId],
) -> Result<Option<Millis>, StoreError> {
    let exclude = if picked.is_empty() {
        String::new()
    } else {
        format!("AND delivery_id NOT IN ({})", list(2, picked.len()))
    };
    let sql = format!(
        "SELECT min(due_at) AS due FROM send_job WHERE endpoint_id = $1 AND lease_id IS NULL {exclude}"
    );
    let mut values = args![endpoint.uuid()];
    values.extend(picked.iter().map(|d| Value::from(d.uuid())));
    match tx.row(&sql, values).await? {
        Some(row) => get(&row, "due", tx.doing()),
        None => Ok(None),
    }
}

async fn take(
    tx: &Tx,
    worker: WorkerId,
    lease: LeaseId,
    picked: &[DeliveryId],
    until: Millis,
) -> Result<Vec<ClaimedSend>, StoreError> {
    let ids: Vec<Value> = picked.iter().map(|d| Value::from(d.uuid())).collect();
    let with = |mut first: Vec<Value>| {
        first.extend(ids.iter().cloned());
        first
    };
    tx.exec(
        &format!(
            "UPDATE send_job SET lease_id = $1, lease_until = $2, worker_id = $3 WHERE delivery_id IN ({})",
            list(4, ids.len())
        ),
        with(args![lease.uuid(), until, worker.uuid()]),
    )
    .await?;
    tx.exec(
        &format!(
            "UPDATE delivery SET state = 'sending', attempts = attempts + 1 \
             WHERE state IN ('queued', 'retrying') AND id IN ({})",
            list(1, ids.len())
        ),
        with(vec![]),
    )
    .await?;
    // The attempt is written when the lease is taken, so that a crash leaves evidence.
    tx.exec(
        &format!(
            "INSERT INTO attempt (delivery_id, n, lease_id, worker_id, started_at, stage) \
             SELECT id, attempts, $1, $2, {{now}}, 'connecting' FROM delivery WHERE id IN ({})",
            list(3, ids.len())
        ),
        with(args![lease.uuid(), worker.uuid()]),
    )
    .await?;
    let past = past(tx, &ids).await?;
    read_claimed(tx, lease, &ids, past).await
}

async fn read_claimed(
    tx: &Tx,
    lease: LeaseId,
    ids: &[Value],
    mut past: BTreeMap<DeliveryId, Past>,
) -> Result<Vec<ClaimedSend>, StoreError> {
    let doing = tx.doing();
    let sql = format!(
        "SELECT d.id, d.attempts, d.abandoned, d.endpoint_id, d.file_id, d.remote_name, d.snapshot, \
                a.bucket, a.key, a.version_id, a.etag, a.size_bytes, a.sha256 \
         FROM delivery d JOIN artifact a ON a.id = d.artifact_id WHERE d.id IN ({}) ORDER BY d.id",
        list(1, ids.len())
    );
    let mut sends = Vec::with_capacity(ids.len());
    for row in tx.rows(&sql, ids.to_vec()).await? {
        let delivery_id: DeliveryId = id(&row, "id", doing)?;
        let attempt = u32::try_from(get::<i32>(&row, "attempts", doing)?).unwrap_or(1);
        let past = past.remove(&delivery_id).unwrap_or_default();
        if get::<i32>(&row, "abandoned", doing)? >= ABANDONED_LIMIT {
            give_up_lost(tx, delivery_id, attempt, past.probe.is_some()).await?;
            continue;
        }
        sends.push(ClaimedSend {
            delivery_id,
            attempt,
            lease,
            endpoint_id: id(&row, "endpoint_id", doing)?,
            file_id: id(&row, "file_id", doing)?,
            remote_name: get(&row, "remote_name", doing)?,
            artifact: ArtifactRow {
                bucket: get(&row, "bucket", doing)?,
                key: get(&row, "key", doing)?,
                version_id: get(&row, "version_id", doing)?,
                etag: get(&row, "etag", doing)?,
                size_bytes: u64::try_from(get::<i64>(&row, "size_bytes", doing)?).unwrap_or_default(),
                sha256: get(&row, "sha256", doing)?,
            },
            snapshot: json(&row, "snapshot", doing)?,
            probe: past.probe,
            unfinished: past.unfinished,
        });
    }
    Ok(sends)
}

/// What earlier attempts of a delivery left open.
#[derive(Default)]
struct Past {
    probe: Option<RenameIntent>,
    unfinished: Vec<u32>,
}

/// Earlier attempts, newest first, that may have left their temp file: the end of some nobody saw, and the newest of
/// those that reached the rename is probed; others ended with a fault while they wrote, and a connection that is gone
/// lets nobody clear up.
async fn past(tx: &Tx, ids: &[Value]) -> Result<BTreeMap<DeliveryId, Past>, StoreError> {
    let doing = tx.doing();
    let sql = format!(
        "SELECT delivery_id, n, stage, outcome, detail FROM attempt WHERE delivery_id IN ({}) \
         AND (outcome IN ('{}', '{}', '{}') OR (outcome = '{}' AND stage NOT IN ('{}', '{}'))) ORDER BY n DESC",
        list(1, ids.len()),
        AttemptOutcome::Unknown.as_str(),
        AttemptOutcome::Abandoned.as_str(),
        AttemptOutcome::Released.as_str(),
        AttemptOutcome::Retry.as_str(),
        Stage::Connecting.as_str(),
        Stage::Authenticating.as_str(),
    );
    let mut all: BTreeMap<DeliveryId, Past> = BTreeMap::new();
    for row in tx.rows(&sql, ids.to_vec()).await? {
        let past = all.entry(id(&row, "delivery_id", doing)?).or_default();
        past.unfinished.push(u32::try_from(get::<i32>(&row, "n", doing)?).unwrap_or_default());
        let stage: Stage = word(&row, "stage", doing)?;
        let outcome: AttemptOutcome = word(&row, "outcome", doing)?;
        // A fault is the server's word that it did not rename.
        if outcome != AttemptOutcome::Retry && stage.may_have_arrived() && past.probe.is_none() {
            past.probe = Some(json(&row, "detail", doing)?);
        }
    }
    Ok(all)
}

/// Settles a delivery that kills its workers: failed, or unconfirmed when one of them may have delivered it.
async fn give_up_lost(
    tx: &Tx,
    delivery: DeliveryId,
    attempt: u32,
    may_have_arrived: bool,
) -> Result<(), StoreError> {
    let state = if may_have_arrived { DeliveryState::Unconfirmed } else { DeliveryState::Failed };
    let fault = outport_core::Fault::new(
        &code::WORKER_LOST,
        format!("workers vanished {ABANDONED_LIMIT} times in a row while they sent {delivery}"),
    );
    let id = delivery.uuid();
    tx.exec("DELETE FROM send_job WHERE delivery_id = $1", args![id]).await?;
    tx.exec(
        "UPDATE attempt SET ended_at = {now}, outcome = 'failed', charged = $3, class = 'engine', code = $4, \
         message = $5 WHERE delivery_id = $1 AND n = $2",
        args![id, i64::from(attempt), false, fault.code.name, fault.message.clone()],
    )
    .await?;
    tx.exec(
        "UPDATE delivery SET state = $2, settled_at = {now}, fault_code = $3, fault = $4 WHERE id = $1",
        args![id, state.as_str(), fault.code.name, fault.report()],
    )
    .await?;
    history::add(
        tx,
        history::Entry {
            actor: "engine",
            subject_kind: "delivery",
            subject_id: id,
            event: state.as_str(),
            detail: serde_json::json!({ "code": fault.code.name, "message": fault.message }),
        },
    )
    .await
}

/// What the subscription says when a probe cannot tell.
pub fn on_unconfirmed(snapshot: &Snapshot) -> OnUnconfirmed {
    snapshot.on_unconfirmed.parse().unwrap_or(OnUnconfirmed::Resend)
}
