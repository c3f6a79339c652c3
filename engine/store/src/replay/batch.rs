//! One page of a replay, decided, and how it is written: many rows a statement.

use std::collections::BTreeMap;

use outport_core::delivery::DeliveryState;
use outport_core::replay::Filter;
use outport_core::replay::{Pace, ReplayConfig, ReplayMode, Skip};
use outport_core::settings::RetryPolicy;
use outport_core::state::FileState;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, Millis, ReplayId};
use sea_orm::Value;
use uuid::Uuid;

use super::conditions::Arguments;
use super::{redeliver, reprocess};
use crate::Store;
use crate::enqueue::OutputExt;
use crate::error::StoreError;
use crate::row::get;
use crate::sql::{Tx, args};
use crate::{lanes, send_jobs};

/// Rows of one statement: SQLite takes 32,766 arguments.
const ROWS: usize = 250;

/// A replay goes behind what arrives: its deliveries get no head start.
pub(super) const PRIORITY: i16 = 4;

/// What a page is chosen by.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub id: ReplayId,
    pub mode: ReplayMode,
    pub config: ReplayConfig,
    pub filter: Filter,
    pub started_at: Millis,
    pub cursor: Option<Uuid>,
}

/// The subjects that come next, found without any lock: a search for few among millions must not keep a database's only
/// writer waiting. Each is looked at again in the transaction that creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Looked {
    pub ids: Vec<Uuid>,
    /// Fewer were found than were asked for: nothing comes after them.
    pub last: bool,
}

impl Looked {
    /// Only the first `slots` of them.
    pub fn first(mut self, slots: u32) -> Self {
        let slots = usize::try_from(slots).unwrap_or(usize::MAX);
        self.last &= self.ids.len() <= slots;
        self.ids.truncate(slots);
        self
    }
}

/// The next `limit` subjects of a replay.
pub(super) async fn look(store: &Store, order: &Order, limit: u32) -> Result<Looked, StoreError> {
    let doing = "looking for what a replay takes";
    let (sql, arguments) = match order.mode {
        ReplayMode::Redeliver => redeliver::candidates(order, Which::Next(limit)),
        ReplayMode::Reprocess => reprocess::candidates(order, Which::Next(limit)),
    };
    let rows = store.read(doing, &sql, arguments.0).await?;
    let ids = rows.iter().map(|row| get(row, "id", doing)).collect::<Result<Vec<Uuid>, _>>()?;
    let last = u32::try_from(ids.len()).is_ok_and(|found| found < limit);
    Ok(Looked { ids, last })
}

/// What a statement that chooses is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// So many after the cursor.
    Next(u32),
    /// Those of these that are still to be taken.
    Of(&'a [Uuid]),
}

impl Which<'_> {
    /// The end of the statement, for the id in `column`.
    pub fn tail(self, column: &str, cursor: Option<Uuid>, arguments: &mut Arguments) -> String {
        match self {
            Self::Next(limit) => {
                let cursor = arguments.add(cursor.unwrap_or(Uuid::nil()));
                let limit = arguments.add(i64::from(limit));
                format!("{column} > {cursor} ORDER BY {column} LIMIT {limit}")
            }
            Self::Of(ids) => {
                format!("{column} IN ({}) ORDER BY {column}", arguments.all(ids.iter().copied()))
            }
        }
    }
}

/// What becomes of each of them.
pub(super) async fn decide(
    tx: &Tx,
    order: &Order,
    ids: &[Uuid],
    output_ext: OutputExt,
) -> Result<Vec<Item>, StoreError> {
    match order.mode {
        _ if ids.is_empty() => Ok(Vec::new()),
        ReplayMode::Redeliver => redeliver::decide(tx, order, ids).await,
        ReplayMode::Reprocess => reprocess::decide(tx, order, ids, output_ext).await,
    }
}

/// A delivery to be created.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub id: Uuid,
    pub file: Uuid,
    pub subscription: Uuid,
    pub subscriber: Uuid,
    pub endpoint: Uuid,
    pub transform: Option<Uuid>,
    /// `None`: it waits for its transform.
    pub artifact: Option<Uuid>,
    pub part: i32,
    pub source: Option<Uuid>,
    pub retry: RetryPolicy,
    pub remote_name: String,
    pub snapshot: serde_json::Value,
    pub possible_duplicate: bool,
}

/// A transform to be created: the next generation of its file and spec.
#[derive(Debug, Clone)]
pub(super) struct NewTransform {
    pub id: Uuid,
    pub file: Uuid,
    pub spec: Uuid,
    pub generation: i32,
}

/// One subject: a delivery (redeliver) or a file (reprocess).
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub subject: Uuid,
    /// For the plan: who, where, as what.
    pub shown: Vec<Shown>,
    pub outcome: Outcome,
}

#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Create { drafts: Vec<Draft>, transforms: Vec<NewTransform>, note: Option<Note> },
    Skip(Skip),
}

/// What a file's row and its history get when it is reprocessed.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub file: Uuid,
    /// The file group that takes it now, where that is another one.
    pub group: Option<Uuid>,
    pub detail: serde_json::Value,
}

/// How a subject counts in a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shown {
    pub subscriber: String,
    pub endpoint: String,
    pub state: &'static str,
    pub reason: Option<&'static str>,
}

/// How many of a page became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub created: u32,
    pub skipped: u32,
}

/// Writes the page. Enqueue's lock order: send jobs first, lanes last and by id.
pub(super) async fn write(
    tx: &Tx,
    replay: ReplayId,
    actor: &str,
    items: &[Item],
    pace: Pace,
) -> Result<Written, StoreError> {
    let now = tx.now().await?;
    let mut written = Written::default();
    let (mut rows, mut transforms, mut deliveries, mut jobs) = (vec![], vec![], vec![], vec![]);
    let mut history = vec![];
    let mut wake: BTreeMap<Uuid, Millis> = BTreeMap::new();
    let closed = closed(tx, items, now).await?;
    for item in items {
        let (delivery, skipped) = match &item.outcome {
            Outcome::Skip(skip) => {
                written.skipped += 1;
                (None, Some(skip.to_string()))
            }
            Outcome::Create { drafts, transforms: new, note } => {
                if let Some(note) = note {
                    route(tx, note).await?;
                    history.push(reprocessed(note, actor, now));
                }
                let due = pace.due(written.created);
                written.created += 1;
                transforms.extend(
                    new.iter().map(|t| args![t.id, t.file, t.spec, t.generation, "pending", due, now]),
                );
                for draft in drafts {
                    deliveries.push(delivery_row(replay, draft, &closed, due, now));
                    if draft.artifact.is_some() {
                        jobs.push((DeliveryId::from_uuid(draft.id), due));
                        let lane = wake.entry(draft.endpoint).or_insert(due);
                        *lane = due.min(*lane);
                    }
                }
                (drafts.first().map(|draft| draft.id), None)
            }
        };
        rows.push(args![replay.uuid(), item.subject, delivery, skipped]);
    }
    insert(tx, "replay_item (replay_id, subject_id, delivery_id, skipped)", rows).await?;
    insert(tx, "transform (id, file_id, spec_id, generation, state, due_at, created_at)", transforms).await?;
    insert(tx, DELIVERY, deliveries).await?;
    send_jobs::add_all(tx, &jobs).await?;
    insert(tx, HISTORY, history).await?;
    for (endpoint, due) in wake {
        lanes::pull(tx, EndpointId::from_uuid(endpoint), due).await?;
    }
    Ok(written)
}

/// How long the lane of each of the page's endpoints has been closed in all: deadlines do not count what comes after.
async fn closed(tx: &Tx, items: &[Item], now: Millis) -> Result<BTreeMap<EndpointId, Millis>, StoreError> {
    let drafts = items.iter().flat_map(|item| match &item.outcome {
        Outcome::Create { drafts, .. } => drafts.as_slice(),
        Outcome::Skip(_) => &[],
    });
    let endpoints = drafts.map(|draft| EndpointId::from_uuid(draft.endpoint)).collect();
    let lanes = lanes::read_all(tx, &endpoints, "").await?;
    Ok(lanes.into_iter().map(|(endpoint, lane)| (endpoint, lane.closed_for(now))).collect())
}

/// An unrouted file becomes routed here only.
async fn route(tx: &Tx, note: &Note) -> Result<(), StoreError> {
    let Some(group) = note.group else { return Ok(()) };
    let state = FileState::Unrouted.reprocess()?;
    tx.exec(
        "UPDATE file SET state = $2, file_group_id = $3 WHERE id = $1",
        args![note.file, state.as_str(), group],
    )
    .await
    .map(|_| ())
}

pub(super) const HISTORY: &str = "history (id, at, actor, subject_kind, subject_id, event, detail)";

fn reprocessed(note: &Note, actor: &str, now: Millis) -> Vec<Value> {
    args![Uuid::now_v7(), now, actor, "file", note.file, "reprocessed", note.detail.clone()]
}

const DELIVERY: &str = "delivery (id, file_id, subscription_id, subscriber_id, endpoint_id, transform_id, \
     artifact_id, part, origin, replay_id, source_id, state, priority, max_attempts, deadline_at, remote_name, \
     snapshot, possible_duplicate, created_at, lane_closed_ms)";

fn delivery_row(
    replay: ReplayId,
    draft: &Draft,
    closed: &BTreeMap<EndpointId, Millis>,
    due: Millis,
    now: Millis,
) -> Vec<Value> {
    let state = if draft.artifact.is_some() { DeliveryState::Queued } else { DeliveryState::Waiting };
    args![
        draft.id,
        draft.file,
        draft.subscription,
        draft.subscriber,
        draft.endpoint,
        draft.transform,
        draft.artifact,
        draft.part,
        "replay",
        replay.uuid(),
        draft.source,
        state.as_str(),
        PRIORITY,
        i32::from(draft.retry.max_attempts),
        due.saturating_add(millis(draft.retry.deadline.0)),
        draft.remote_name.clone(),
        draft.snapshot.clone(),
        draft.possible_duplicate,
        now,
        closed.get(&EndpointId::from_uuid(draft.endpoint)).copied().unwrap_or_default(),
    ]
}

/// `INSERT INTO target VALUES (...), (...)`, as often as it takes.
pub(super) async fn insert(tx: &Tx, target: &str, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
    for rows in rows.chunks(ROWS) {
        let mut n = 0;
        let groups: Vec<String> = rows
            .iter()
            .map(|row| {
                let group = crate::sql::list(n + 1, row.len());
                n += row.len();
                format!("({group})")
            })
            .collect();
        let sql = format!("INSERT INTO {target} VALUES {}", groups.join(", "));
        tx.exec(&sql, rows.iter().flatten().cloned().collect()).await?;
    }
    Ok(())
}
