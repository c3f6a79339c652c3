//! How a page of a replay is written: a handful of statements, whatever its size.

use std::collections::BTreeMap;

use outport_core::delivery::DeliveryState;
use outport_core::replay::Pace;
use outport_core::state::FileState;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, Millis, ReplayId};
use sea_orm::Value;
use uuid::Uuid;

use super::batch::{Again, Draft, Item, Note, Outcome, Written};
use super::copies;
use crate::error::StoreError;
use crate::lanes::{self, Wake};
use crate::send_jobs;
use crate::sql::{Tx, args, parts, tuples};

/// Rows of one statement: SQLite takes 32,766 arguments.
const ROWS: usize = 256;

/// A replay goes behind what arrives: its deliveries get no head start.
pub(super) const PRIORITY: i16 = 4;

/// How long each lane has been closed in all: deadlines do not count what comes after.
pub(super) type Closed = BTreeMap<EndpointId, Millis>;

/// What a page comes to, ready to be inserted.
#[derive(Default)]
struct Rows {
    items: Vec<Vec<Value>>,
    transforms: Vec<Vec<Value>>,
    deliveries: Vec<Vec<Value>>,
    history: Vec<Vec<Value>>,
    copies: Vec<(Again, Millis)>,
    jobs: Vec<(DeliveryId, Millis)>,
    wake: Wake,
}

impl Rows {
    /// It is sent when it is due.
    fn queue(&mut self, delivery: Uuid, endpoint: EndpointId, due: Millis) {
        self.jobs.push((DeliveryId::from_uuid(delivery), due));
        self.wake.at(endpoint, due);
    }
}

/// Writes the page. Enqueue's lock order: send jobs first, lanes last and by id.
pub(super) async fn write(
    tx: &Tx,
    replay: ReplayId,
    actor: &str,
    items: &[Item],
    pace: Pace,
    now: Millis,
) -> Result<Written, StoreError> {
    let mut written = Written::default();
    let mut rows = Rows::default();
    let closed = closed(tx, items, now).await?;
    for item in items {
        let due = pace.due(written.created);
        let (delivery, skipped) = match &item.outcome {
            Outcome::Skip(skip) => {
                written.skipped += 1;
                (None, Some(skip.to_string()))
            }
            Outcome::Again(again) => {
                written.created += 1;
                rows.queue(again.id, again.terms.endpoint, due);
                rows.copies.push((again.clone(), due));
                (Some(again.id), None)
            }
            Outcome::Create { drafts, transforms: new, note } => {
                if let Some(note) = note {
                    route(tx, note).await?;
                    rows.history.push(reprocessed(note, actor, now));
                }
                written.created += 1;
                rows.transforms.extend(
                    new.iter().map(|t| args![t.id, t.file, t.spec, t.generation, "pending", due, now]),
                );
                for draft in drafts {
                    rows.deliveries.push(delivery_row(replay, draft, &closed, due, now));
                    if draft.artifact.is_some() {
                        rows.queue(draft.id, EndpointId::from_uuid(draft.endpoint), due);
                    }
                }
                (drafts.first().map(|draft| draft.id), None)
            }
        };
        rows.items.push(args![replay.uuid(), item.subject, delivery, skipped]);
    }
    insert(tx, "replay_item (replay_id, subject_id, delivery_id, skipped)", &rows.items).await?;
    insert(tx, "transform (id, file_id, spec_id, generation, state, due_at, created_at)", &rows.transforms)
        .await?;
    insert(tx, DELIVERY, &rows.deliveries).await?;
    copies::insert(tx, replay, &rows.copies, &closed, now).await?;
    send_jobs::add_all(tx, &rows.jobs).await?;
    insert(tx, HISTORY, &rows.history).await?;
    rows.wake.pull(tx).await?;
    Ok(written)
}

async fn closed(tx: &Tx, items: &[Item], now: Millis) -> Result<Closed, StoreError> {
    let endpoints = items.iter().flat_map(|item| match &item.outcome {
        Outcome::Create { drafts, .. } => {
            drafts.iter().map(|draft| EndpointId::from_uuid(draft.endpoint)).collect()
        }
        Outcome::Again(again) => vec![again.terms.endpoint],
        Outcome::Skip(_) => vec![],
    });
    let lanes = lanes::read_all(tx, &endpoints.collect(), "").await?;
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

pub(super) const DELIVERY: &str = "delivery (id, file_id, subscription_id, subscriber_id, endpoint_id, transform_id, \
     artifact_id, part, origin, replay_id, source_id, state, priority, max_attempts, deadline_at, remote_name, \
     snapshot, possible_duplicate, created_at, lane_closed_ms)";

fn delivery_row(replay: ReplayId, draft: &Draft, closed: &Closed, due: Millis, now: Millis) -> Vec<Value> {
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
pub(super) async fn insert(tx: &Tx, target: &str, rows: &[Vec<Value>]) -> Result<(), StoreError> {
    for rows in parts(rows, ROWS) {
        let width = rows.first().map_or(0, Vec::len);
        let sql = format!("INSERT INTO {target} VALUES {}", tuples(1, width, rows.len()));
        tx.exec(&sql, rows.iter().flatten().cloned().collect()).await?;
    }
    Ok(())
}
