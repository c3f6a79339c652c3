//! The runner's verb: one transaction of one replay.

use outport_core::replay::{Pace, ReplayEvent, ReplayState};
use outport_core::{Millis, ReplayId};
use sea_orm::QueryResult;
use serde_json::json;
use uuid::Uuid;

use super::batch::{self, Order, Written};
use super::chores::{self, Chore};
use super::start;
use super::write::write;
use crate::Store;
use crate::enqueue::OutputExt;
use crate::error::StoreError;
use crate::row::{get, id, json as json_column, word};
use crate::sql::{Tx, args};

/// Subjects of one transaction.
pub const PAGE: u32 = 200;

/// What one transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to do now: paused, over, or as far ahead of its rate as it may be.
    Nothing,
    /// Another process is at it.
    Busy,
    /// So many subjects were decided, and the cursor moved.
    Page {
        /// Sent again.
        created: u32,
        /// Not sent again, with a reason.
        skipped: u32,
        /// Nothing comes after them: everything is created.
        last: bool,
    },
    /// So many deliveries were held, released or cancelled, as an operator wants it.
    Chore(u32),
}

/// The replays that may have something to do. One statement over a partial index of few rows.
pub async fn active(store: &Store) -> Result<Vec<ReplayId>, StoreError> {
    let doing = "looking for replays";
    let sql = "SELECT id FROM replay WHERE state = 'running' OR chore IS NOT NULL ORDER BY id";
    store.read(doing, sql, vec![]).await?.iter().map(|row| id(row, "id", doing)).collect()
}

/// A replay's row.
struct Replay {
    order: Order,
    state: ReplayState,
    chore: Option<Chore>,
    per_minute: Option<i32>,
    next_due_at: Option<Millis>,
    requested_by: String,
}

const SELECT: &str = "SELECT mode, config, filter, started_at, cursor, state, chore, per_minute, next_due_at, \
     requested_by FROM replay WHERE id = $1";

fn read(row: &QueryResult, id: ReplayId, doing: &'static str) -> Result<Replay, StoreError> {
    let chore: Option<String> = get(row, "chore", doing)?;
    Ok(Replay {
        order: Order {
            id,
            mode: word(row, "mode", doing)?,
            config: word(row, "config", doing)?,
            filter: json_column(row, "filter", doing)?,
            started_at: get(row, "started_at", doing)?,
            cursor: get(row, "cursor", doing)?,
        },
        state: word(row, "state", doing)?,
        chore: chore.map(|chore| Chore::parse(&chore, doing)).transpose()?,
        per_minute: get(row, "per_minute", doing)?,
        next_due_at: get(row, "next_due_at", doing)?,
        requested_by: get(row, "requested_by", doing)?,
    })
}

/// A transaction that has said everything but its COMMIT. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Prepared {
    /// `None`: there is nothing to commit.
    tx: Option<Tx>,
    step: Step,
}

impl Prepared {
    /// Makes it so.
    pub async fn commit(self) -> Result<Step, StoreError> {
        if let Some(tx) = self.tx {
            tx.commit().await?;
        }
        Ok(self.step)
    }

    /// Whether it creates deliveries.
    pub const fn creates(&self) -> bool {
        matches!(self.step, Step::Page { created: 1.., .. })
    }
}

/// Does the next transaction of a replay; `page` subjects at most.
pub async fn step(store: &Store, id: ReplayId, page: u32, output_ext: OutputExt) -> Result<Step, StoreError> {
    prepare(store, id, page, output_ext).await?.commit().await
}

/// The same but for its COMMIT.
pub async fn prepare(
    store: &Store,
    id: ReplayId,
    page: u32,
    output_ext: OutputExt,
) -> Result<Prepared, StoreError> {
    let without = |step| Ok(Prepared { tx: None, step });
    let doing = "creating deliveries of a replay";
    let rows = store.read(doing, SELECT, args![id.uuid()]).await?;
    let Some(glance) = rows.first().map(|row| read(row, id, doing)).transpose()? else {
        return without(Step::Nothing);
    };
    let creates = glance.state == ReplayState::Running && glance.chore.is_none() && page > 0;
    let looked = if creates { Some(batch::look(store, &glance.order, page).await?) } else { None };
    let tx = store.begin(doing).await?;
    // One page at a time, of all replays: two that choose the same delivery must see each other's work.
    if tx.row("SELECT name FROM duty WHERE name = 'replay' {skip_locked}", args![]).await?.is_none() {
        tx.rollback().await?;
        return without(Step::Busy);
    }
    let Some(row) = tx.row(&format!("{SELECT} {{lock}}"), args![id.uuid()]).await? else {
        tx.rollback().await?;
        return without(Step::Nothing);
    };
    let replay = read(&row, id, doing)?;
    let now = tx.now().await?;
    let rate = replay.per_minute.and_then(|rate| u32::try_from(rate).ok());
    let pace = Pace::new(rate, replay.next_due_at, now);
    if let Some(chore) = replay.chore {
        let done = chores::some(&tx, id, chore, pace).await?;
        let step = if done == 0 { Step::Nothing } else { Step::Chore(done) };
        return Ok(Prepared { tx: Some(tx), step });
    }
    let slots = pace.slots(now, page);
    let looked = match looked {
        Some(looked) if replay.state == ReplayState::Running && slots > 0 => looked.first(slots),
        _ => {
            tx.rollback().await?;
            return without(Step::Nothing);
        }
    };
    if replay.order.cursor != glance.order.cursor {
        // Another runner was faster: what was found is done.
        tx.rollback().await?;
        return without(Step::Busy);
    }
    let items = batch::decide(&tx, &replay.order, &looked.ids, output_ext).await?;
    let written = write(&tx, id, &replay.requested_by, &items, pace, now).await?;
    if let Some(cursor) = looked.ids.last() {
        advance(&tx, id, *cursor, written, pace).await?;
    }
    if looked.last {
        finish(&tx, id, replay.state).await?;
    }
    let step = Step::Page { created: written.created, skipped: written.skipped, last: looked.last };
    Ok(Prepared { tx: Some(tx), step })
}

/// The cursor moves in the transaction that creates: after a crash the next page begins where this one ended.
async fn advance(
    tx: &Tx,
    replay: ReplayId,
    cursor: Uuid,
    written: Written,
    pace: Pace,
) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE replay SET cursor = $2, created = created + $3, skipped = skipped + $4, next_due_at = $5 WHERE id = $1",
        args![
            replay.uuid(),
            cursor,
            i32::try_from(written.created).unwrap_or(i32::MAX),
            i32::try_from(written.skipped).unwrap_or(i32::MAX),
            pace.due(written.created)
        ],
    )
    .await
    .map(|_| ())
}

async fn finish(tx: &Tx, replay: ReplayId, state: ReplayState) -> Result<(), StoreError> {
    let next = state.step(ReplayEvent::Exhausted, true)?;
    let row = tx
        .row(
            "UPDATE replay SET state = $2, ended_at = {now} WHERE id = $1 RETURNING created, skipped",
            args![replay.uuid(), next.as_str()],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let (created, skipped): (i32, i32) =
        (get(&row, "created", tx.doing())?, get(&row, "skipped", tx.doing())?);
    let detail = json!({ "created": created, "skipped": skipped });
    start::note(tx, replay.uuid(), "engine", "done", detail).await
}
