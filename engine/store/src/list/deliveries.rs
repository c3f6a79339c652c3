//! Deliveries and their attempts.

use std::collections::BTreeMap;

use outport_core::delivery::DeliveryState;
use outport_core::ssh::Agreed;
use outport_core::{DeliveryId, FileId, Millis, ReplayId};
use sea_orm::QueryResult;
use serde::Serialize;

use super::{Conditions, Page};
use crate::Store;
use crate::error::StoreError;
use crate::row::{agreed, get, id, maybe_id};
use crate::sql::args;

/// One delivery.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct DeliveryView {
    pub id: DeliveryId,
    pub file: FileId,
    pub bucket: String,
    pub key: String,
    pub file_group: Option<String>,
    pub subscriber: String,
    pub subscription: String,
    pub endpoint: String,
    pub transform: Option<String>,
    pub state: String,
    pub remote_name: String,
    pub size_bytes: Option<i64>,
    pub sha256: Option<String>,
    pub attempts: i32,
    pub charged: i32,
    pub created_at: Millis,
    pub settled_at: Option<Millis>,
    pub due_at: Option<Millis>,
    pub possible_duplicate: bool,
    pub fault_code: Option<String>,
    pub fault: Option<String>,
    pub replay: Option<ReplayId>,
    pub source: Option<DeliveryId>,
    pub resolved_at: Option<Millis>,
    pub resolved_by: Option<String>,
}

/// One attempt.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct AttemptView {
    pub n: i32,
    pub started_at: Millis,
    pub ended_at: Option<Millis>,
    pub stage: String,
    pub outcome: Option<String>,
    pub charged: bool,
    pub code: Option<String>,
    pub message: Option<String>,
    pub bytes_sent: Option<i64>,
    pub remote_final: Option<String>,
    pub remote_size: Option<i64>,
    pub sha256: Option<String>,
    pub peer_identity: Option<String>,
    /// What was agreed on with the server; of a receipt.
    pub agreed: Option<Agreed>,
    pub confirmed_by: Option<String>,
    pub duration_ms: Option<i64>,
}

/// A delivery with its attempts.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct DeliveryDetail {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    pub attempt: Vec<AttemptView>,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Filter {
    pub state: Option<DeliveryState>,
    pub subscriber: Option<String>,
    pub endpoint: Option<String>,
    pub subscription: Option<String>,
    pub file: Option<FileId>,
}

const SELECT: &str = "SELECT d.id, d.file_id, f.bucket, f.key, g.name AS file_group, b.code AS subscriber, \
    s.code AS subscription, e.name AS endpoint, spec.kind AS transform, d.state, d.remote_name, \
    a.size_bytes, a.sha256, d.attempts, d.charged, d.created_at, d.settled_at, j.due_at, d.possible_duplicate, \
    d.fault_code, d.fault, d.replay_id, d.source_id, d.resolved_at, d.resolved_by \
    FROM delivery d JOIN file f ON f.id = d.file_id JOIN subscriber b ON b.id = d.subscriber_id \
    JOIN subscription s ON s.id = d.subscription_id JOIN endpoint e ON e.id = d.endpoint_id \
    LEFT JOIN file_group g ON g.id = f.file_group_id LEFT JOIN artifact a ON a.id = d.artifact_id \
    LEFT JOIN transform t ON t.id = d.transform_id LEFT JOIN transform_spec spec ON spec.id = t.spec_id \
    LEFT JOIN send_job j ON j.delivery_id = d.id AND j.lease_id IS NULL";

fn view(row: &QueryResult, doing: &'static str) -> Result<DeliveryView, StoreError> {
    let subscriber: String = get(row, "subscriber", doing)?;
    let endpoint: String = get(row, "endpoint", doing)?;
    Ok(DeliveryView {
        id: id(row, "id", doing)?,
        file: id(row, "file_id", doing)?,
        bucket: get(row, "bucket", doing)?,
        key: get(row, "key", doing)?,
        file_group: get(row, "file_group", doing)?,
        endpoint: format!("{subscriber}/{endpoint}"),
        subscriber,
        subscription: get(row, "subscription", doing)?,
        transform: get(row, "transform", doing)?,
        state: get(row, "state", doing)?,
        remote_name: get(row, "remote_name", doing)?,
        size_bytes: get(row, "size_bytes", doing)?,
        sha256: get(row, "sha256", doing)?,
        attempts: get(row, "attempts", doing)?,
        charged: get(row, "charged", doing)?,
        created_at: get(row, "created_at", doing)?,
        settled_at: get(row, "settled_at", doing)?,
        due_at: get(row, "due_at", doing)?,
        possible_duplicate: get(row, "possible_duplicate", doing)?,
        fault_code: get(row, "fault_code", doing)?,
        fault: get(row, "fault", doing)?,
        replay: maybe_id(row, "replay_id", doing)?,
        source: maybe_id(row, "source_id", doing)?,
        resolved_at: get(row, "resolved_at", doing)?,
        resolved_by: get(row, "resolved_by", doing)?,
    })
}

/// Newest first. `endpoint` is given as `subscriber/name`.
pub async fn list(store: &Store, filter: &Filter, page: Page) -> Result<Vec<DeliveryView>, StoreError> {
    let doing = "listing deliveries";
    let (tail, values) = Conditions::default()
        .equal("d.state", filter.state.map(|s| s.as_str()))
        .equal("b.code", filter.subscriber.clone())
        .equal("(b.code || '/' || e.name)", filter.endpoint.clone())
        .equal("s.code", filter.subscription.clone())
        .equal("d.file_id", filter.file.map(|f| f.uuid()))
        .finish("d.id DESC", page);
    let rows = store.read(doing, &format!("{SELECT} {tail}"), values).await?;
    rows.iter().map(|row| view(row, doing)).collect()
}

/// One delivery with its attempts; `None`: there is none.
pub async fn show(store: &Store, delivery: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
    let doing = "reading a delivery";
    let rows = store.read(doing, &format!("{SELECT} WHERE d.id = $1"), args![delivery.uuid()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let sql = format!("{ATTEMPTS} WHERE delivery_id = $1 ORDER BY n");
    let attempts = store.read(doing, &sql, args![delivery.uuid()]).await?;
    let attempt = attempts.iter().map(|row| attempt(row, doing)).collect::<Result<_, _>>()?;
    Ok(Some(DeliveryDetail { delivery: view(row, doing)?, attempt }))
}

const ATTEMPTS: &str = "SELECT delivery_id, n, started_at, ended_at, stage, outcome, charged, code, message, bytes_sent, \
    remote_final, remote_size, sha256, peer_identity, agreed, confirmed_by, duration_ms FROM attempt";

fn attempt(row: &QueryResult, doing: &'static str) -> Result<AttemptView, StoreError> {
    Ok(AttemptView {
        n: get(row, "n", doing)?,
        started_at: get(row, "started_at", doing)?,
        ended_at: get(row, "ended_at", doing)?,
        stage: get(row, "stage", doing)?,
        outcome: get(row, "outcome", doing)?,
        charged: get(row, "charged", doing)?,
        code: get(row, "code", doing)?,
        message: get(row, "message", doing)?,
        bytes_sent: get(row, "bytes_sent", doing)?,
        remote_final: get(row, "remote_final", doing)?,
        remote_size: get(row, "remote_size", doing)?,
        sha256: get(row, "sha256", doing)?,
        peer_identity: get(row, "peer_identity", doing)?,
        agreed: agreed(row, doing)?,
        confirmed_by: get(row, "confirmed_by", doing)?,
        duration_ms: get(row, "duration_ms", doing)?,
    })
}

/// Every delivery of a file with its attempts, oldest first.
pub async fn of_file(store: &Store, file: FileId) -> Result<Vec<DeliveryDetail>, StoreError> {
    let doing = "reading the deliveries of a file";
    let sql = format!(
        "{ATTEMPTS} WHERE delivery_id IN (SELECT id FROM delivery WHERE file_id = $1) ORDER BY delivery_id, n"
    );
    let mut attempts: BTreeMap<DeliveryId, Vec<AttemptView>> = BTreeMap::new();
    for row in store.read(doing, &sql, args![file.uuid()]).await? {
        attempts.entry(id(&row, "delivery_id", doing)?).or_default().push(attempt(&row, doing)?);
    }
    let sql = format!("{SELECT} WHERE d.file_id = $1 ORDER BY d.id");
    let rows = store.read(doing, &sql, args![file.uuid()]).await?;
    rows.iter()
        .map(|row| {
            let delivery = view(row, doing)?;
            let attempt = attempts.remove(&delivery.id).unwrap_or_default();
            Ok(DeliveryDetail { delivery, attempt })
        })
        .collect()
}

/// How many deliveries are in each state: the open ones counted, from their partial indexes.
pub async fn counts(store: &Store) -> Result<Vec<(String, i64)>, StoreError> {
    let doing = "counting deliveries";
    let rows = store.read(doing, "SELECT state, count(*) AS n FROM delivery GROUP BY state", vec![]).await?;
    rows.iter().map(|row| Ok((get(row, "state", doing)?, get(row, "n", doing)?))).collect()
}
