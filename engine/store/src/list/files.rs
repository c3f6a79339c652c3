//! Files: what arrived and what became of it.

use outport_core::state::FileState;
use outport_core::{FileId, Millis};
use sea_orm::QueryResult;
use serde::Serialize;

use super::{Conditions, Page};
use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id};
use crate::sql::{args, padded, tuples};

/// One file.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct FileView {
    pub id: FileId,
    pub bucket: String,
    pub key: String,
    pub version: String,
    pub size_bytes: Option<i64>,
    pub arrived_at: Millis,
    pub file_group: Option<String>,
    pub state: String,
    pub problem: Option<String>,
}

/// One sighting of a file.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct EventView {
    pub source: String,
    pub at: Millis,
}

/// A file with its sightings.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct FileDetail {
    #[serde(flatten)]
    pub file: FileView,
    pub events: Vec<EventView>,
    pub deliveries: Vec<super::deliveries::DeliveryView>,
}

/// Which files.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Filter {
    pub state: Option<FileState>,
    pub bucket: Option<String>,
    pub key: Option<String>,
    pub file_group: Option<String>,
}

const SELECT: &str = "SELECT f.id, f.bucket, f.key, f.version, f.size_bytes, f.arrived_at, g.name AS file_group, \
    f.state, f.problem FROM file f LEFT JOIN file_group g ON g.id = f.file_group_id";

fn view(row: &QueryResult, doing: &'static str) -> Result<FileView, StoreError> {
    Ok(FileView {
        id: id(row, "id", doing)?,
        bucket: get(row, "bucket", doing)?,
        key: get(row, "key", doing)?,
        version: get(row, "version", doing)?,
        size_bytes: get(row, "size_bytes", doing)?,
        arrived_at: get(row, "arrived_at", doing)?,
        file_group: get(row, "file_group", doing)?,
        state: get(row, "state", doing)?,
        problem: get(row, "problem", doing)?,
    })
}

/// Newest first.
pub async fn list(store: &Store, filter: &Filter, page: Page) -> Result<Vec<FileView>, StoreError> {
    let doing = "listing files";
    let (tail, values) = Conditions::default()
        .equal("f.state", filter.state.map(|s| s.as_str()))
        .equal("f.bucket", filter.bucket.clone())
        .equal("f.key", filter.key.clone())
        .equal("g.name", filter.file_group.clone())
        .finish("f.id DESC", page);
    let rows = store.read(doing, &format!("{SELECT} {tail}"), values).await?;
    rows.iter().map(|row| view(row, doing)).collect()
}

/// One file with everything about it; `None`: there is none.
pub async fn show(store: &Store, file: FileId) -> Result<Option<FileDetail>, StoreError> {
    let Some((seen, events)) = seen(store, file).await? else { return Ok(None) };
    let filter = super::deliveries::Filter { file: Some(file), ..Default::default() };
    let deliveries = super::deliveries::list(store, &filter, Page { limit: 10_000 }).await?;
    Ok(Some(FileDetail { file: seen, events, deliveries }))
}

/// One file and its sightings, oldest first.
pub(super) async fn seen(
    store: &Store,
    file: FileId,
) -> Result<Option<(FileView, Vec<EventView>)>, StoreError> {
    let doing = "reading a file";
    let rows = store.read(doing, &format!("{SELECT} WHERE f.id = $1"), args![file.uuid()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let events = store
        .read(doing, "SELECT source, at FROM file_event WHERE file_id = $1 ORDER BY id", args![file.uuid()])
        .await?;
    let events = events
        .iter()
        .map(|row| Ok(EventView { source: get(row, "source", doing)?, at: get(row, "at", doing)? }))
        .collect::<Result<_, StoreError>>()?;
    Ok(Some((view(row, doing)?, events)))
}

/// A folder entry as it was seen: bucket, key and stat signature.
pub type Entry<'a> = (&'a str, &'a str, &'a str);

/// Which of these folder entries are files that the ledger has just as they are. A sweep asks this before it reads
/// content: one statement, however many are asked for.
pub async fn known_entries(store: &Store, entries: &[Entry<'_>]) -> Result<Vec<bool>, StoreError> {
    known(store, "etag", entries).await
}

/// Which of these object versions (bucket, key, version) are files of the ledger. One statement, by the index
/// `file_identity`.
pub async fn known_versions(store: &Store, versions: &[Entry<'_>]) -> Result<Vec<bool>, StoreError> {
    known(store, "version", versions).await
}

async fn known(store: &Store, column: &str, entries: &[Entry<'_>]) -> Result<Vec<bool>, StoreError> {
    let doing = "looking for known files";
    let mut known = vec![false; entries.len()];
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let row = |(n, (bucket, key, third)): (usize, &Entry<'_>)| args![number(n), *bucket, *key, *third];
    let rows = padded(entries.iter().enumerate().map(row).collect());
    if rows.is_empty() {
        return Ok(known);
    }
    let sql = format!(
        "SELECT new.column1 AS n FROM (VALUES {}) AS new WHERE EXISTS (SELECT 1 FROM file \
         WHERE file.bucket = new.column2 AND file.key = new.column3 AND file.{column} = new.column4)",
        tuples(1, 4, rows.len())
    );
    for row in store.read(doing, &sql, rows.into_iter().flatten().collect()).await? {
        let n: i32 = get(&row, "n", doing)?;
        if let Some(known) = usize::try_from(n).ok().and_then(|n| known.get_mut(n)) {
            *known = true;
        }
    }
    Ok(known)
}
