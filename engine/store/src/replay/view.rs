//! Replays for people.

use outport_core::replay::Filter;
use outport_core::{Millis, ReplayId};
use sea_orm::QueryResult;
use serde::Serialize;

use crate::Store;
use crate::error::StoreError;
use crate::list::Page;
use crate::row::{get, id, json};
use crate::sql::args;

/// One replay.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct ReplayView {
    pub id: ReplayId,
    pub mode: String,
    pub state: String,
    /// An operator's act that is still being carried out: `park`, `release`, `cancel`.
    pub chore: Option<String>,
    pub config: String,
    pub filter: Filter,
    pub per_minute: Option<i32>,
    pub requested_by: String,
    pub reason: String,
    pub idempotency_key: String,
    pub started_at: Millis,
    pub ended_at: Option<Millis>,
    /// Counted when it was started: deliveries (redeliver) or files (reprocess).
    pub matched: i32,
    pub created: i32,
    pub skipped: i32,
}

/// A replay with what became of it.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct ReplayDetail {
    #[serde(flatten)]
    pub replay: ReplayView,
    /// Its deliveries by state.
    pub deliveries: Vec<Count>,
    /// What was skipped, by reason.
    pub reasons: Vec<Count>,
    /// Acts and turns, oldest first.
    pub history: Vec<Turn>,
}

/// How many of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Count {
    pub what: String,
    pub count: i64,
}

/// One entry of its history.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Turn {
    pub at: Millis,
    pub actor: String,
    pub event: String,
    pub reason: Option<String>,
}

const SELECT: &str = "SELECT id, mode, state, chore, config, filter, per_minute, requested_by, reason, \
     idempotency_key, started_at, ended_at, matched, created, skipped FROM replay";

fn view(row: &QueryResult, doing: &'static str) -> Result<ReplayView, StoreError> {
    Ok(ReplayView {
        id: id(row, "id", doing)?,
        mode: get(row, "mode", doing)?,
        state: get(row, "state", doing)?,
        chore: get(row, "chore", doing)?,
        config: get(row, "config", doing)?,
        filter: json(row, "filter", doing)?,
        per_minute: get(row, "per_minute", doing)?,
        requested_by: get(row, "requested_by", doing)?,
        reason: get(row, "reason", doing)?,
        idempotency_key: get(row, "idempotency_key", doing)?,
        started_at: get(row, "started_at", doing)?,
        ended_at: get(row, "ended_at", doing)?,
        matched: get(row, "matched", doing)?,
        created: get(row, "created", doing)?,
        skipped: get(row, "skipped", doing)?,
    })
}

/// Newest first.
pub async fn list(store: &Store, page: Page) -> Result<Vec<ReplayView>, StoreError> {
    let doing = "listing replays";
    let sql = format!("{SELECT} ORDER BY id DESC LIMIT $1");
    let rows = store.read(doing, &sql, args![i64::from(page.limit)]).await?;
    rows.iter().map(|row| view(row, doing)).collect()
}

/// One replay, by id or idempotency key; `None`: there is none.
pub async fn show(store: &Store, name: &str) -> Result<Option<ReplayDetail>, StoreError> {
    let doing = "reading a replay";
    let (condition, values) = match name.parse::<ReplayId>() {
        Ok(id) => ("id = $1", args![id.uuid()]),
        Err(_) => ("idempotency_key = $1", args![name]),
    };
    let rows = store.read(doing, &format!("{SELECT} WHERE {condition}"), values).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let replay = view(row, doing)?;
    let id = replay.id.uuid();
    let counts = async |sql: &str| -> Result<Vec<Count>, StoreError> {
        let rows = store.read(doing, sql, args![id]).await?;
        let count =
            |row: &QueryResult| Ok(Count { what: get(row, "what", doing)?, count: get(row, "n", doing)? });
        rows.iter().map(count).collect()
    };
    let deliveries = counts(
        "SELECT state AS what, count(*) AS n FROM delivery WHERE origin = 'replay' AND replay_id = $1 \
         GROUP BY state ORDER BY state",
    )
    .await?;
    // The reasons that name a delivery are alike but for its id.
    let reasons = counts(
        "SELECT CASE WHEN skipped LIKE 'already delivered%' THEN 'already delivered' \
           WHEN skipped LIKE 'still open%' THEN 'still open' WHEN skipped LIKE 'resolved%' THEN 'resolved' \
           ELSE skipped END AS what, count(*) AS n FROM replay_item WHERE replay_id = $1 AND skipped IS NOT NULL \
         GROUP BY 1 ORDER BY 1",
    )
    .await?;
    let sql = "SELECT at, actor, event, detail FROM history WHERE subject_id = $1 ORDER BY id";
    let history = store.read(doing, sql, args![id]).await?;
    let turn = |row: &QueryResult| {
        let detail: serde_json::Value = get(row, "detail", doing)?;
        let reason = detail["reason"].as_str().map(str::to_owned);
        Ok(Turn {
            at: get(row, "at", doing)?,
            actor: get(row, "actor", doing)?,
            event: get(row, "event", doing)?,
            reason,
        })
    };
    let history = history.iter().map(turn).collect::<Result<_, StoreError>>()?;
    Ok(Some(ReplayDetail { replay, deliveries, reasons, history }))
}
