//! Runs of transforms.

use outport_core::transform::TransformState;
use outport_core::{FileId, Millis, TransformId};
use sea_orm::QueryResult;
use serde::Serialize;

use super::{Conditions, Page};
use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id};
use crate::sql::args;

/// One run of a spec over a file.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct TransformView {
    pub id: TransformId,
    pub file: FileId,
    pub bucket: String,
    pub key: String,
    pub spec: String,
    pub version: i32,
    pub kind: String,
    pub generation: i32,
    pub state: String,
    pub attempts: i32,
    pub created_at: Millis,
    pub due_at: Millis,
    pub settled_at: Option<Millis>,
    pub size_bytes: Option<i64>,
    pub sha256: Option<String>,
    pub records: Option<i64>,
    /// Records that were left out, and where they are.
    pub rejected: Option<i64>,
    pub rejects: Option<String>,
    pub fault_code: Option<String>,
    pub fault: Option<String>,
}

/// Which transforms.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Filter {
    pub state: Option<TransformState>,
    pub file: Option<FileId>,
}

const SELECT: &str = "SELECT t.id, t.file_id, f.bucket, f.key, s.name AS spec, s.version, s.kind, t.generation, \
    t.state, t.attempts, t.created_at, t.due_at, t.settled_at, a.size_bytes, a.sha256, a.records, r.records AS rejected, \
    r.bucket AS rejects_bucket, r.key AS rejects_key, t.fault_code, t.fault FROM transform t JOIN file f ON f.id = t.file_id JOIN transform_spec s ON s.id = t.spec_id \
    LEFT JOIN artifact a ON a.transform_id = t.id AND a.role = 'output' AND a.part = 0 \
    LEFT JOIN artifact r ON r.transform_id = t.id AND r.role = 'rejects' AND r.part = 0";

fn view(row: &QueryResult, doing: &'static str) -> Result<TransformView, StoreError> {
    let bucket: Option<String> = get(row, "rejects_bucket", doing)?;
    let key: Option<String> = get(row, "rejects_key", doing)?;
    Ok(TransformView {
        id: id(row, "id", doing)?,
        file: id(row, "file_id", doing)?,
        bucket: get(row, "bucket", doing)?,
        key: get(row, "key", doing)?,
        spec: get(row, "spec", doing)?,
        version: get(row, "version", doing)?,
        kind: get(row, "kind", doing)?,
        generation: get(row, "generation", doing)?,
        state: get(row, "state", doing)?,
        attempts: get(row, "attempts", doing)?,
        created_at: get(row, "created_at", doing)?,
        due_at: get(row, "due_at", doing)?,
        settled_at: get(row, "settled_at", doing)?,
        size_bytes: get(row, "size_bytes", doing)?,
        sha256: get(row, "sha256", doing)?,
        records: get(row, "records", doing)?,
        rejected: get(row, "rejected", doing)?,
        rejects: bucket.zip(key).map(|(bucket, key)| format!("s3://{bucket}/{key}")),
        fault_code: get(row, "fault_code", doing)?,
        fault: get(row, "fault", doing)?,
    })
}

/// Newest first.
pub async fn list(store: &Store, filter: &Filter, page: Page) -> Result<Vec<TransformView>, StoreError> {
    let doing = "listing transforms";
    let (tail, values) = Conditions::default()
        .equal("t.state", filter.state.map(|s| s.as_str()))
        .equal("t.file_id", filter.file.map(|f| f.uuid()))
        .finish("t.id DESC", page);
    let rows = store.read(doing, &format!("{SELECT} {tail}"), values).await?;
    rows.iter().map(|row| view(row, doing)).collect()
}

/// One transform; `None`: there is none.
pub async fn show(store: &Store, transform: TransformId) -> Result<Option<TransformView>, StoreError> {
    let doing = "reading a transform";
    let rows = store.read(doing, &format!("{SELECT} WHERE t.id = $1"), args![transform.uuid()]).await?;
    rows.first().map(|row| view(row, doing)).transpose()
}
