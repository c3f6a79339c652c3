//! What a replay would do, counted; nothing is written.

use std::collections::BTreeMap;

use outport_core::replay::{Filter, ReplayConfig, ReplayMode, Skip, Standing};
use outport_core::{DeliveryId, FileId, Millis, ReplayId};
use serde::Serialize;
use uuid::Uuid;

use super::batch::{self, Order, Outcome, Shown};
use super::conditions::{self, Arguments, NEWER};
use super::{names, redeliver};
use crate::Store;
use crate::enqueue::OutputExt;
use crate::error::StoreError;
use crate::row::{get, word};
use crate::sql::args;

/// Subjects of one page when every single one must be looked at.
const PAGE: u32 = 1_000;
/// Skipped ones that are shown one by one.
const EXAMPLES: usize = 10;

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

/// Deliveries whose fate depends on more than their own row: there is a replay of their file and subscription, or what
/// they sent has expired. Two small indexes find them, given `now` as an argument: the clock itself, which goes on while it
/// is asked, would be asked for each artifact.
fn special(now: &str) -> String {
    format!(
        "d.id IN (SELECT p.id FROM delivery r JOIN delivery p ON p.file_id = r.file_id \
         AND p.subscription_id = r.subscription_id AND p.part = r.part WHERE r.origin = 'replay' \
         UNION SELECT p.id FROM artifact o JOIN delivery p ON p.artifact_id = o.id WHERE o.expires_at <= {now})"
    )
}

#[derive(Default)]
struct Tally {
    selected: u64,
    sendable: u64,
    lines: BTreeMap<Shown, u64>,
    examples: Vec<Example>,
}

impl Tally {
    /// One statement: of a million deliveries there are few kinds. All that match are counted in one pass, without a
    /// look at others; the few for which others matter are taken off again and counted with all that is known of them.
    /// (Asking of each whether there is a later one takes SQLite 17 s for a million, this 5 s.)
    async fn count_alike(&mut self, store: &Store, order: &Order) -> Result<(), StoreError> {
        let doing = "counting what a replay would take";
        let mut arguments = Arguments::default();
        let states = order.filter.states(order.mode);
        let settled = conditions::settled(&order.filter, &states, order.started_at, &mut arguments);
        let (newest, settled) = (conditions::newest(&settled, "d.file_id"), settled.on("d"));
        let target = redeliver::target(order.config).replace("d.", "x.");
        let now = arguments.add(order.started_at);
        let special = special(&now);
        let group = "GROUP BY d.subscription_id, d.endpoint_id, d.state, (d.artifact_id IS NULL)";
        let plain = "d.subscription_id, d.endpoint_id, d.state, CAST(NULL AS text) AS newer_state, \
             FALSE AS newer_resolved, (d.artifact_id IS NULL) AS never, FALSE AS expired";
        let sql = format!(
            "SELECT x.state, x.newer_state, x.newer_resolved, x.never, x.expired, x.n, b.code AS subscriber, \
               b.code || '/' || e.name AS endpoint, {STATIC} \
             FROM (SELECT {plain}, count(*) AS n FROM delivery d WHERE {settled} {group} \
               UNION ALL SELECT {plain}, -count(*) AS n FROM delivery d WHERE {settled} AND {special} {group} \
               UNION ALL SELECT d.subscription_id, d.endpoint_id, d.state, n.state, (n.resolved_at IS NOT NULL), \
                 (d.artifact_id IS NULL), (a.id IS NOT NULL), count(*) AS n \
               FROM delivery d LEFT JOIN artifact a ON a.id = d.artifact_id AND a.expires_at <= {now} {NEWER} \
               WHERE {settled} AND {newest} AND {special} GROUP BY 1, 2, 3, 4, 5, 6, 7) AS x \
             JOIN subscription s ON s.id = x.subscription_id JOIN subscriber b ON b.id = s.subscriber_id \
             JOIN endpoint e ON e.id = {target}",
            STATIC = redeliver::STATIC,
        );
        let mut counts: BTreeMap<Shown, i64> = BTreeMap::new();
        for row in store.read(doing, &sql, arguments.0).await? {
            let skip = Skip::of(&redeliver::facts(&row, None, doing)?);
            let state: outport_core::delivery::DeliveryState = word(&row, "state", doing)?;
            let shown = Shown {
                subscriber: get(&row, "subscriber", doing)?,
                endpoint: get(&row, "endpoint", doing)?,
                state: state.as_str(),
                reason: skip.as_ref().map(Skip::reason),
            };
            *counts.entry(shown).or_default() += get::<i64>(&row, "n", doing)?;
        }
        for (shown, count) in counts {
            let count = u64::try_from(count).unwrap_or_default();
            if count > 0 {
                self.selected += count;
                self.sendable += if shown.reason.is_none() { count } else { 0 };
                self.lines.insert(shown, count);
            }
        }
        Ok(())
    }

    /// The first deliveries with a reason of their own: which other one is in the way.
    async fn find_examples(&mut self, store: &Store, order: &Order) -> Result<(), StoreError> {
        let doing = "looking for examples of what cannot be sent";
        let mut arguments = Arguments::default();
        let states = order.filter.states(order.mode);
        let settled = conditions::settled(&order.filter, &states, order.started_at, &mut arguments);
        let (newest, settled) = (conditions::newest(&settled, "d.file_id"), settled.on("d"));
        let now = arguments.add(order.started_at);
        let limit = arguments.add(i64::try_from(EXAMPLES).unwrap_or_default());
        let sql = format!(
            "SELECT d.id FROM delivery d LEFT JOIN artifact a ON a.id = d.artifact_id AND a.expires_at <= {now} \
             {NEWER} WHERE {settled} AND {newest} AND (n.id IS NOT NULL OR a.id IS NOT NULL OR d.artifact_id IS NULL) \
             LIMIT {limit}"
        );
        let rows = store.read(doing, &sql, arguments.0).await?;
        let ids = rows.iter().map(|row| get(row, "id", doing)).collect::<Result<Vec<Uuid>, _>>()?;
        if !ids.is_empty() {
            let tx = store.begin(doing).await?;
            let items = redeliver::items(&tx, order.config, &ids).await?;
            tx.rollback().await?;
            items.iter().for_each(|item| self.example(order.mode, item.subject, &item.outcome));
        }
        Ok(())
    }

    /// Page by page through the very code that creates, and nothing of it is kept.
    async fn count_each(
        &mut self,
        store: &Store,
        mut order: Order,
        output_ext: OutputExt,
    ) -> Result<(), StoreError> {
        loop {
            let looked = batch::look(store, &order, PAGE).await?;
            let tx = store.begin("counting what a replay would take").await?;
            let items = batch::decide(&tx, &order, &looked.ids, output_ext).await?;
            tx.rollback().await?;
            for item in items {
                self.selected += 1;
                self.sendable += u64::from(!matches!(item.outcome, Outcome::Skip(_)));
                self.example(order.mode, item.subject, &item.outcome);
                for shown in item.shown {
                    *self.lines.entry(shown).or_default() += 1;
                }
            }
            if looked.last {
                return Ok(());
            }
            order.cursor = looked.ids.last().copied();
        }
    }

    fn example(&mut self, mode: ReplayMode, subject: Uuid, outcome: &Outcome) {
        if let Outcome::Skip(skip) = outcome
            && self.examples.len() < EXAMPLES
        {
            self.examples.push(Example { id: shown_id(mode, subject), reason: skip.to_string() });
        }
    }
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
