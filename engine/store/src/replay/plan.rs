//! What a replay would do, counted; nothing is written.

use outport_core::replay::{Filter, ReplayConfig, ReplayMode, Skip, Standing};
use outport_core::{DeliveryId, FileId, Millis, ReplayId};
use serde::Serialize;
use uuid::Uuid;

use super::batch::{Order, Shown};
use super::conditions::{self, Arguments};
use super::names;
use super::tally::Tally;
use crate::Store;
use crate::enqueue::OutputExt;
use crate::error::StoreError;
use crate::row::{get, word};
use crate::sql::args;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Redeliver or reprocess.
    pub mode: ReplayMode,
    /// Where to.
    pub config: ReplayConfig,
    /// Which ones.
    pub filter: Filter,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// `redeliver` or `reprocess`.
    pub mode: &'static str,
    /// `current` or `as_sent`.
    pub config: &'static str,
    /// As it was asked, with absolute times.
    pub filter: Filter,
    /// What settles later is not taken. Epoch milliseconds on the database's clock.
    pub as_of: Millis,
    /// Deliveries (redeliver) or files (reprocess) that the filter takes.
    pub selected: u64,
    /// How many of them would be sent again.
    pub sendable: u64,
    /// Deliveries by subscriber, endpoint, state and the reason why they cannot be sent, if any.
    pub lines: Vec<Line>,
    /// The first of those that cannot, one by one.
    pub examples: Vec<Example>,
    /// Ids that were named and are not selected, and why.
    pub left_out: Vec<Example>,
}

/// Deliveries that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Code of the subscriber; `-` where no subscription takes the file.
    pub subscriber: String,
    /// `SUBSCRIBER/NAME` of the endpoint that it would go to.
    pub endpoint: String,
    /// How they stand.
    pub state: String,
    /// Why they cannot be sent.
    pub reason: Option<&'static str>,
    /// What to do about it.
    pub hint: Option<&'static str>,
    /// How many.
    pub count: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// `dlv_...` or `fil_...`.
    pub id: String,
    /// Why it is not sent.
    pub reason: String,
}

/// The database's clock, in epoch milliseconds: what `2h` on a command line counts from.
pub async fn clock(store: &Store) -> Result<Millis, StoreError> {
    let doing = "asking the database's clock";
    let rows = store.read(doing, "SELECT {now} AS now", args![]).await?;
    match rows.first() {
        Some(row) => get(row, "now", doing),
        None => Err(StoreError::Unreadable { doing, problem: "no clock".into() }),
    }
}

/// Counts what [`start`](super::start::start) would take if it were said now.
///
/// # Errors
/// `usage.not_found` when the filter names something that is not there.
pub async fn plan(store: &Store, question: &Question, output_ext: OutputExt) -> Result<Plan, StoreError> {
    names::check(store, question.mode, &question.filter).await?;
    let as_of = clock(store).await?;
    let order = Order {
        // No replay yet: nothing is written with it.
        id: ReplayId::from_uuid(Uuid::nil()),
        mode: question.mode,
        config: question.config,
        filter: question.filter.clone(),
        started_at: as_of,
        cursor: None,
    };
    let mut tally = Tally::default();
    if question.mode == ReplayMode::Redeliver && question.filter.name.is_none() {
        tally.count_alike(store, &order).await?;
        if tally.sendable < tally.selected {
            tally.find_examples(store, &order).await?;
        }
    } else {
        tally.count_each(store, order, output_ext).await?;
    }
    let left_out = left_out(store, question, as_of).await?;
    let line = |(shown, count): (Shown, u64)| Line {
        subscriber: shown.subscriber,
        endpoint: shown.endpoint,
        state: shown.state.to_owned(),
        reason: shown.reason,
        hint: shown.reason.map(Skip::hint),
        count,
    };
    Ok(Plan {
        mode: question.mode.as_str(),
        config: question.config.as_str(),
        filter: question.filter.clone(),
        as_of,
        selected: tally.selected,
        sendable: tally.sendable,
        lines: tally.lines.into_iter().map(line).collect(),
        examples: tally.examples,
        left_out,
    })
}

/// The id of a subject, as people write it.
pub(super) fn shown_id(mode: ReplayMode, subject: Uuid) -> String {
    match mode {
        ReplayMode::Redeliver => DeliveryId::from_uuid(subject).to_string(),
        ReplayMode::Reprocess => FileId::from_uuid(subject).to_string(),
    }
}

/// Whoever names a delivery is told why it is not among the selected.
async fn left_out(store: &Store, question: &Question, as_of: Millis) -> Result<Vec<Example>, StoreError> {
    let ids = names::uuids(question.mode, &question.filter);
    if ids.is_empty() || question.mode != ReplayMode::Redeliver {
        return Ok(Vec::new());
    }
    let doing = "looking at the deliveries that were named";
    let mut arguments = Arguments::default();
    let states = question.filter.states(question.mode);
    let settled = conditions::settled(&question.filter, &states, as_of, &mut arguments);
    let (newest, settled) = (conditions::newest(&settled, "d.file_id"), settled.on("d"));
    let list = arguments.all(ids);
    // `coalesce`: of a delivery that is not settled, the condition is unknown and not false.
    let sql = format!(
        "SELECT d.id, d.state, d.resolved_by, d.settled_at, j.due_at FROM delivery d \
         LEFT JOIN send_job j ON j.delivery_id = d.id AND j.lease_id IS NULL \
         WHERE d.id IN ({list}) AND NOT coalesce(({settled} AND {newest}), FALSE) ORDER BY d.id"
    );
    let rows = store.read(doing, &sql, arguments.0).await?;
    rows.iter()
        .map(|row| {
            let id: DeliveryId = crate::row::id(row, "id", doing)?;
            let state: outport_core::delivery::DeliveryState = word(row, "state", doing)?;
            let resolved_by: Option<String> = get(row, "resolved_by", doing)?;
            let due: Option<Millis> = get(row, "due_at", doing)?;
            let taken = |wanted: &Standing| wanted.delivery_state() == Some(state);
            let reason = match resolved_by {
                _ if !state.is_terminal() => Skip::StillOpen(id, due).to_string(),
                Some(by) => format!("resolved by {by}"),
                None if !states.iter().any(taken) => format!("it is {state}: add --state {state}"),
                None => {
                    "the other filters leave it out, or a later delivery of the same file is meant".into()
                }
            };
            Ok(Example { id: id.to_string(), reason })
        })
        .collect()
}
