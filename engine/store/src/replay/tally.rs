//! Counting what a replay would take.

use std::collections::BTreeMap;

use outport_core::replay::{ReplayConfig, ReplayMode, Skip};
use uuid::Uuid;

use super::batch::{self, Order, Outcome, Shown};
use super::conditions::{self, Arguments, NEWER};
use super::plan::{Example, shown_id};
use super::redeliver;
use crate::Store;
use crate::enqueue::OutputExt;
use crate::error::StoreError;
use crate::row::{get, word};

/// Subjects of one page when every single one must be looked at.
const PAGE: u32 = 1_000;
/// Skipped ones that are shown one by one.
const EXAMPLES: usize = 10;

/// Those whose stored object was given up, as `expired`: read once, by a small index, and looked up for each delivery.
/// `now` is an argument: the clock itself, which goes on while it is asked, would be asked for each artifact.
fn expired(now: &str) -> String {
    format!(
        "WITH expired AS {{materialized}} (SELECT id FROM artifact WHERE expires_at IS NOT NULL AND expires_at <= {now})"
    )
}

/// Deliveries whose fate depends on others: there is a replay of their file and subscription.
const SPECIAL: &str = "d.id IN (SELECT p.id FROM delivery r JOIN delivery p ON p.file_id = r.file_id \
     AND p.subscription_id = r.subscription_id AND p.part = r.part WHERE r.origin = 'replay')";

/// What was counted.
#[derive(Default)]
pub(super) struct Tally {
    pub selected: u64,
    pub sendable: u64,
    pub lines: BTreeMap<Shown, u64>,
    pub examples: Vec<Example>,
}

impl Tally {
    /// One statement: of a million deliveries there are few kinds. All that match are counted in one pass, without a
    /// look at others; the few for which others matter are taken off again and counted with all that is known of them.
    /// (Asking of each whether there is a later one takes SQLite 17 s for a million.) SQLite sorts what it groups: few
    /// columns, and the one that is text first, take half as long as all of them with an id in front.
    pub async fn count_alike(&mut self, store: &Store, order: &Order) -> Result<(), StoreError> {
        let doing = "counting what a replay would take";
        let mut arguments = Arguments::default();
        let states = order.filter.states(order.mode);
        let settled = conditions::settled(&order.filter, &states, order.started_at, &mut arguments);
        let (newest, settled) = (conditions::newest(&settled, "d.file_id"), settled.on("d"));
        let now = arguments.add(order.started_at);
        let expired = expired(&now);
        // Only what was sent before needs its own endpoint.
        let endpoint = match order.config {
            ReplayConfig::Current => "s.endpoint_id",
            ReplayConfig::AsSent => "x.endpoint_id",
        };
        let kind = match order.config {
            ReplayConfig::Current => "d.state, d.subscription_id",
            ReplayConfig::AsSent => "d.state, d.subscription_id, d.endpoint_id",
        };
        let stored = "(d.artifact_id IS NULL), (a.id IS NOT NULL)";
        let plain = format!(
            "{kind}, CAST(NULL AS text) AS newer_state, FALSE AS newer_resolved, (d.artifact_id IS NULL) AS never, \
             (a.id IS NOT NULL) AS expired"
        );
        let from = "FROM delivery d LEFT JOIN expired a ON a.id = d.artifact_id";
        let sql = format!(
            "{expired} SELECT x.state, x.newer_state, x.newer_resolved, x.never, x.expired, x.n, b.code AS subscriber, \
               b.code || '/' || e.name AS endpoint, {STATIC} \
             FROM (SELECT {plain}, count(*) AS n {from} WHERE {settled} GROUP BY {kind}, {stored} \
               UNION ALL SELECT {plain}, -count(*) AS n {from} WHERE {settled} AND {SPECIAL} GROUP BY {kind}, {stored} \
               UNION ALL SELECT {kind}, n.state, (n.resolved_at IS NOT NULL), {stored}, count(*) AS n \
               {from} {NEWER} WHERE {settled} AND {newest} AND {SPECIAL} \
               GROUP BY {kind}, n.state, (n.resolved_at IS NOT NULL), {stored}) AS x \
             JOIN subscription s ON s.id = x.subscription_id JOIN subscriber b ON b.id = s.subscriber_id \
             JOIN endpoint e ON e.id = {endpoint}",
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
    pub async fn find_examples(&mut self, store: &Store, order: &Order) -> Result<(), StoreError> {
        let doing = "looking for examples of what cannot be sent";
        let mut arguments = Arguments::default();
        let states = order.filter.states(order.mode);
        let settled = conditions::settled(&order.filter, &states, order.started_at, &mut arguments);
        let (newest, settled) = (conditions::newest(&settled, "d.file_id"), settled.on("d"));
        let now = arguments.add(order.started_at);
        let limit = arguments.add(i64::try_from(EXAMPLES).unwrap_or_default());
        let sql = format!(
            "{expired} SELECT d.id FROM delivery d LEFT JOIN expired a ON a.id = d.artifact_id {NEWER} \
             WHERE {settled} AND (d.artifact_id IS NULL OR a.id IS NOT NULL OR {SPECIAL}) AND {newest} \
             AND (n.id IS NOT NULL OR a.id IS NOT NULL OR d.artifact_id IS NULL) LIMIT {limit}",
            expired = expired(&now),
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
    pub async fn count_each(
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
