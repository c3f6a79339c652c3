//! One page of a replay, found and decided. How it is written stands in [`write`](super::write).

use std::sync::Arc;

use outport_core::replay::{Filter, ReplayConfig, ReplayMode, Skip};
use outport_core::settings::RetryPolicy;
use outport_core::{EndpointId, Millis, ReplayId};
use uuid::Uuid;

use super::conditions::Arguments;
use super::{redeliver, reprocess};
use crate::Store;
use crate::enqueue::OutputExt;
use crate::error::StoreError;
use crate::row::get;
use crate::sql::Tx;

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
        ReplayMode::Redeliver => redeliver::candidates(order, limit),
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

/// A delivery like its source, on other terms: all else is copied by the statement that writes it.
#[derive(Debug, Clone)]
pub(super) struct Again {
    pub id: Uuid,
    pub source: Uuid,
    pub terms: Arc<Terms>,
}

/// What many deliveries of a page have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub endpoint: EndpointId,
    pub retry: RetryPolicy,
    pub snapshot: serde_json::Value,
}

/// A delivery to be created from nothing.
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
    /// The same once more.
    Again(Again),
    /// Routed again, to these.
    Create {
        drafts: Vec<Draft>,
        transforms: Vec<NewTransform>,
        note: Option<Note>,
    },
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
