//! The order to replay, recorded once for each idempotency key.

use outport_core::replay::{Filter, ReplayState};
use outport_core::{Fault, Millis, ReplayId, code};
use uuid::Uuid;

use super::plan::{Plan, Question};
use crate::Store;
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::row::{get, id, json};
use crate::sql::{Tx, args};

/// Who orders it, why, how fast.
#[derive(Debug, Clone)]
pub struct Request {
    /// What.
    pub question: Question,
    /// At most so many deliveries (redeliver) or files (reprocess) a minute.
    pub per_minute: Option<u32>,
    /// 1 to 255 characters.
    pub reason: String,
    /// The same key again starts nothing.
    pub idempotency_key: String,
    /// `operator:NAME`.
    pub actor: String,
}

/// What became of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It is a new replay.
    New(ReplayId),
    /// The same order was given before, under the same key.
    Known(ReplayId),
}

/// The replay that was started under this key.
///
/// # Errors
/// `replay.key_taken` when that was another one.
pub async fn known(store: &Store, request: &Request) -> Result<Option<ReplayId>, StoreError> {
    let tx = store.begin("looking for an idempotency key").await?;
    let found = find(&tx, request).await;
    tx.rollback().await?;
    found
}

/// Records the order. `plan` is what was counted for it: what settles after `plan.as_of` is not taken.
///
/// # Errors
/// `replay.key_taken`: the key belongs to another order.
pub async fn start(store: &Store, request: &Request, plan: &Plan) -> Result<Started, StoreError> {
    let tx = store.begin("starting a replay").await?;
    if let Some(known) = find(&tx, request).await? {
        tx.rollback().await?;
        return Ok(Started::Known(known));
    }
    let id: ReplayId = history::new_id();
    let question = &request.question;
    let filter = serde_json::to_value(&question.filter)
        .map_err(|error| StoreError::Unreadable { doing: tx.doing(), problem: error.to_string() })?;
    let inserted = tx
        .exec(
            "INSERT INTO replay (id, mode, requested_by, reason, idempotency_key, filter, state, per_minute, config, \
             started_at, matched) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (idempotency_key) DO NOTHING",
            args![
                id.uuid(),
                question.mode.as_str(),
                request.actor.clone(),
                request.reason.clone(),
                request.idempotency_key.clone(),
                filter.clone(),
                ReplayState::Running.as_str(),
                request.per_minute.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX)),
                question.config.as_str(),
                plan.as_of,
                i32::try_from(plan.selected).unwrap_or(i32::MAX)
            ],
        )
        .await?;
    if inserted == 0 {
        // Another one with the same key committed between our look and our insert.
        let known = find(&tx, request).await?;
        tx.rollback().await?;
        return match known {
            Some(known) => Ok(Started::Known(known)),
            None => Err(StoreError::Unreadable {
                doing: "starting a replay",
                problem: "a replay came and went".into(),
            }),
        };
    }
    let detail = serde_json::json!({
        "reason": request.reason, "mode": question.mode.as_str(), "filter": filter, "matched": plan.selected,
    });
    note(&tx, id.uuid(), &request.actor, "started", detail).await?;
    tx.commit().await?;
    Ok(Started::New(id))
}

/// A turn of the replay, for its history.
pub(super) async fn note(
    tx: &Tx,
    replay: Uuid,
    actor: &str,
    event: &'static str,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    history::add(tx, Entry { actor, subject_kind: "replay", subject_id: replay, event, detail }).await
}

async fn find(tx: &Tx, request: &Request) -> Result<Option<ReplayId>, StoreError> {
    let doing = tx.doing();
    let row = tx
        .row(
            "SELECT id, mode, config, filter, per_minute, requested_by, started_at FROM replay \
             WHERE idempotency_key = $1",
            args![request.idempotency_key.clone()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let known: ReplayId = id(&row, "id", doing)?;
    let (mode, config): (String, String) = (get(&row, "mode", doing)?, get(&row, "config", doing)?);
    let filter: Filter = json(&row, "filter", doing)?;
    let per_minute: Option<i32> = get(&row, "per_minute", doing)?;
    let question = &request.question;
    let difference = if mode != question.mode.as_str() {
        Some(format!("it is a --{mode}"))
    } else if !filter.is_same(&question.filter) {
        Some("its filter is another one".to_owned())
    } else if config != question.config.as_str() {
        Some("it differs in --as-sent".to_owned())
    } else if per_minute != request.per_minute.and_then(|rate| i32::try_from(rate).ok()) {
        Some("its --per-minute is another one".to_owned())
    } else {
        None
    };
    let Some(difference) = difference else { return Ok(Some(known)) };
    let by: String = get(&row, "requested_by", doing)?;
    let at: Millis = get(&row, "started_at", doing)?;
    let at = jiff::Timestamp::from_millisecond(at).map_or_else(|_| "?".into(), |at| at.to_string());
    let key = &request.idempotency_key;
    Err(Fault::new(
        &code::REPLAY_KEY_TAKEN,
        format!("the idempotency key {key:?} is that of {known}, started by {by} at {at}, and {difference}"),
    )
    .with_hint(format!("`outport replay status {known}` shows it; use another key for another replay"))
    .into())
}
