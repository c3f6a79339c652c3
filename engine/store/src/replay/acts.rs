//! What an operator does to a replay: pause, resume, cancel.

use outport_core::replay::{ReplayEvent, ReplayState};
use outport_core::{Fault, ReplayId, code};
use serde_json::json;

use super::chores::Chore;
use super::start::note;
use crate::Store;
use crate::error::StoreError;
use crate::row::{get, word};
use crate::sql::args;

/// One act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Create no more; what is not sent yet is held.
    Pause,
    /// Go on; what is held of it goes back to its lanes.
    Resume,
    /// Create no more; what is not sent yet is cancelled.
    Cancel,
}

/// Records the act. From the commit on nothing is created; what is not sent yet follows in further transactions
/// ([`run::step`](super::run::step)), which the runner says until all of it is done.
///
/// # Errors
/// [`StoreError::Illegal`] where the replay's state does not allow it; `usage.not_found`.
pub async fn act(
    store: &Store,
    replay: ReplayId,
    act: Act,
    actor: &str,
    reason: &str,
) -> Result<ReplayState, StoreError> {
    let tx = store.begin("changing a replay").await?;
    let row = tx.row("SELECT state FROM replay WHERE id = $1 {lock}", args![replay.uuid()]).await?;
    let Some(row) = row else {
        return Err(Fault::new(&code::NOT_FOUND, format!("there is no replay {replay}"))
            .with_hint("`outport replay list` shows what there is")
            .into());
    };
    let state: ReplayState = word(&row, "state", tx.doing())?;
    let open = tx
        .row(
            "SELECT EXISTS (SELECT 1 FROM delivery WHERE origin = 'replay' AND replay_id = $1 AND settled_at IS NULL) \
             AS open",
            args![replay.uuid()],
        )
        .await?;
    let open = open.map(|row| get(&row, "open", tx.doing())).transpose()?.unwrap_or(false);
    let (event, chore, word) = match act {
        Act::Pause => (ReplayEvent::Pause, Chore::Park, "paused"),
        Act::Resume => (ReplayEvent::Resume, Chore::Release, "resumed"),
        Act::Cancel => (ReplayEvent::Cancel, Chore::Cancel, "cancelled"),
    };
    let next = state.step(event, open)?;
    let ended = if next == ReplayState::Cancelled { "{now}" } else { "NULL" };
    tx.exec(
        &format!("UPDATE replay SET state = $2, chore = $3, ended_at = {ended} WHERE id = $1"),
        args![replay.uuid(), next.as_str(), chore.as_str()],
    )
    .await?;
    note(&tx, replay.uuid(), actor, word, json!({ "reason": reason })).await?;
    tx.commit().await?;
    Ok(next)
}
