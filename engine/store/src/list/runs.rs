//! Runs of workers that Batch starts.

use outport_core::Millis;
use sea_orm::QueryResult;
use serde::Serialize;
use uuid::Uuid;

use super::Page;
use crate::Store;
use crate::error::StoreError;
use crate::row::get;
use crate::sql::args;

/// One run as people see it.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct RunView {
    pub name: String,
    pub kind: String,
    pub mode: String,
    pub workers: u32,
    /// Of the transform or delivery of a single run.
    pub only: Option<Uuid>,
    pub state: String,
    pub job: Option<String>,
    pub intent_at: Millis,
    pub ended_at: Option<Millis>,
    pub fault_code: Option<String>,
    pub fault: Option<String>,
}

/// Newest first.
pub async fn list(store: &Store, page: Page) -> Result<Vec<RunView>, StoreError> {
    let doing = "listing runs of workers";
    let rows = store
        .read(
            doing,
            "SELECT name, kind, mode, array_size, only_id, state, batch_job_id, intent_at, ended_at, fault_code, fault \
             FROM batch_run ORDER BY id DESC LIMIT $1",
            args![i64::from(page.limit)],
        )
        .await?;
    let view = |row: &QueryResult| {
        let size: Option<i32> = get(row, "array_size", doing)?;
        Ok(RunView {
            name: get(row, "name", doing)?,
            kind: get(row, "kind", doing)?,
            mode: get(row, "mode", doing)?,
            workers: size.and_then(|size| u32::try_from(size).ok()).unwrap_or(1),
            only: get(row, "only_id", doing)?,
            state: get(row, "state", doing)?,
            job: get(row, "batch_job_id", doing)?,
            intent_at: get(row, "intent_at", doing)?,
            ended_at: get(row, "ended_at", doing)?,
            fault_code: get(row, "fault_code", doing)?,
            fault: get(row, "fault", doing)?,
        })
    };
    rows.iter().map(view).collect()
}
