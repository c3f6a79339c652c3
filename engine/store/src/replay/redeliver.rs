//! Choosing for `redeliver`: the same artifact once more.

use std::collections::BTreeMap;
use std::sync::Arc;

use outport_core::DeliveryId;
use outport_core::delivery::DeliveryState;
use outport_core::replay::{Facts, Newer, ReplayConfig, Skip, Stored};
use outport_core::settings::RetryPolicy;
use sea_orm::QueryResult;
use uuid::Uuid;

use super::batch::{Again, Item, Order, Outcome, Shown, Terms, Which};
use super::conditions::{self, Arguments, NEWER};
use crate::enqueue::Snapshot;
use crate::error::StoreError;
use crate::row::{get, id, json, maybe_id, word};
use crate::sql::Tx;

/// The statement that finds the next `limit` ids, and its arguments. Plan: the primary key from the cursor on, or the
/// partial index of what is unresolved; of each row, one look into the index of later replays.
pub(super) fn candidates(order: &Order, limit: u32) -> (String, Arguments) {
    let mut arguments = Arguments::default();
    let Taken { file, condition, .. } = Taken::by(order, &mut arguments);
    let tail = Which::Next(limit).tail("d.id", order.cursor, &mut arguments);
    (format!("SELECT d.id FROM delivery d {file} WHERE {condition} AND {tail}"), arguments)
}

/// What a filter takes, as SQL.
struct Taken {
    /// Columns that a glob is matched with.
    columns: &'static str,
    /// The join that they come from.
    file: String,
    condition: String,
}

impl Taken {
    fn by(order: &Order, arguments: &mut Arguments) -> Self {
        let states = order.filter.states(order.mode);
        let settled = conditions::settled(&order.filter, &states, order.started_at, arguments);
        let (columns, file) = match &order.filter.name {
            Some(glob) => {
                let like = arguments.add(glob.like());
                let join = format!(
                    "JOIN file f ON f.id = d.file_id AND (f.key LIKE {like} ESCAPE '\\' \
                     OR d.remote_name LIKE {like} ESCAPE '\\')"
                );
                (", f.key", join)
            }
            None => ("", String::new()),
        };
        let newest = conditions::newest(&settled, if file.is_empty() { "d.file_id" } else { "f.id" });
        Self { columns, file, condition: format!("{} AND {newest}", settled.on("d")) }
    }
}

/// What becomes of each of these deliveries, as far as the filter still takes them.
pub(super) async fn decide(tx: &Tx, order: &Order, looked: &[Uuid]) -> Result<Vec<Item>, StoreError> {
    let doing = tx.doing();
    let mut arguments = Arguments::default();
    let taken = Taken::by(order, &mut arguments);
    let rows = read(tx, order.config, &taken, looked, arguments).await?;
    let mut reader = Reader { config: order.config, terms: BTreeMap::new(), doing };
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(glob) = &order.filter.name {
            let (key, remote): (String, String) = (get(row, "key", doing)?, get(row, "remote_name", doing)?);
            if !glob.matches(&key, &remote) {
                continue;
            }
        }
        items.push(reader.item(row)?);
    }
    Ok(items)
}

/// What is known of these deliveries, and what follows from it, whatever a filter says.
pub(super) async fn items(tx: &Tx, config: ReplayConfig, ids: &[Uuid]) -> Result<Vec<Item>, StoreError> {
    let all = Taken { columns: "", file: String::new(), condition: "TRUE".into() };
    let rows = read(tx, config, &all, ids, Arguments::default()).await?;
    let mut reader = Reader { config, terms: BTreeMap::new(), doing: tx.doing() };
    rows.iter().map(|row| reader.item(row)).collect()
}

/// Those of `ids` that are taken, with all that is known of them.
async fn read(
    tx: &Tx,
    config: ReplayConfig,
    taken: &Taken,
    ids: &[Uuid],
    mut arguments: Arguments,
) -> Result<Vec<QueryResult>, StoreError> {
    let Taken { columns, file, condition } = taken;
    let tail = Which::Of(ids).tail("d.id", None, &mut arguments);
    let target = target(config);
    let snapshot = match config {
        ReplayConfig::Current => "",
        ReplayConfig::AsSent => ", d.snapshot",
    };
    let sql = format!(
        "SELECT d.id, d.subscription_id, d.state, d.remote_name, s.code, s.revision, s.retry_policy, s.on_unconfirmed, \
           s.stale, e.id AS target_id, e.revision AS target_revision, b.code AS subscriber, \
           b.code || '/' || e.name AS endpoint, j.due_at AS newer_due, n.id AS newer_id, {FACTS}, {STATIC} \
           {snapshot} {columns} \
         FROM delivery d {file} {JOINS} {NEWER} JOIN endpoint e ON e.id = {target} \
         LEFT JOIN send_job j ON j.delivery_id = n.id WHERE {condition} AND {tail}"
    );
    tx.rows(&sql, arguments.0).await
}

/// The columns that [`facts`] reads; `d`, `s`, `b`, `e`, `n`, `a` are joined.
const FACTS: &str = "n.state AS newer_state, (n.resolved_at IS NOT NULL) AS newer_resolved, \
     (d.artifact_id IS NULL) AS never, (a.id IS NOT NULL) AS expired";

/// Those of them that are alike for all deliveries of a subscription.
pub(super) const STATIC: &str = "(s.retired_at IS NOT NULL) AS retired, (s.enabled AND b.enabled) AS subscribed, \
     (e.enabled AND e.retired_at IS NULL) AS reachable";

const JOINS: &str = "JOIN subscription s ON s.id = d.subscription_id JOIN subscriber b ON b.id = d.subscriber_id \
     LEFT JOIN artifact a ON a.id = d.artifact_id AND a.expires_at <= {now}";

/// The endpoint of a redelivery.
pub(super) const fn target(config: ReplayConfig) -> &'static str {
    match config {
        ReplayConfig::Current => "s.endpoint_id",
        ReplayConfig::AsSent => "d.endpoint_id",
    }
}

/// `newer_id` and `newer_due` are asked for only where they can be told.
pub(super) fn facts(
    row: &QueryResult,
    newer: Option<(DeliveryId, Option<i64>)>,
    doing: &'static str,
) -> Result<Facts, StoreError> {
    let newer_state: Option<String> = get(row, "newer_state", doing)?;
    let newer = match newer_state {
        Some(state) => {
            let state: DeliveryState = state.parse().map_err(StoreError::word(doing))?;
            let (id, next_try) = newer.unwrap_or((DeliveryId::from_uuid(Uuid::nil()), None));
            Some(Newer { id, state, resolved: get(row, "newer_resolved", doing)?, next_try })
        }
        None => None,
    };
    let stored = match (get(row, "never", doing)?, get(row, "expired", doing)?) {
        (true, _) => Stored::Never,
        (_, true) => Stored::Expired,
        _ => Stored::There,
    };
    Ok(Facts {
        newer,
        subscription_retired: get(row, "retired", doing)?,
        subscription_enabled: get(row, "subscribed", doing)?,
        endpoint_enabled: get(row, "reachable", doing)?,
        stored,
    })
}

/// Reads rows; what their subscriptions say is read once for each.
struct Reader {
    config: ReplayConfig,
    /// By subscription, or as they were sent: by endpoint and snapshot.
    terms: BTreeMap<(Uuid, String), Arc<Terms>>,
    doing: &'static str,
}

impl Reader {
    fn item(&mut self, row: &QueryResult) -> Result<Item, StoreError> {
        let doing = self.doing;
        let newer: Option<DeliveryId> = maybe_id(row, "newer_id", doing)?;
        let next_try: Option<i64> = get(row, "newer_due", doing)?;
        let skip = Skip::of(&facts(row, newer.map(|id| (id, next_try)), doing)?);
        let state: DeliveryState = word(row, "state", doing)?;
        let shown = Shown {
            subscriber: get(row, "subscriber", doing)?,
            endpoint: get(row, "endpoint", doing)?,
            state: state.as_str(),
            reason: skip.as_ref().map(Skip::reason),
        };
        let subject: Uuid = get(row, "id", doing)?;
        let outcome = match skip {
            Some(skip) => Outcome::Skip(skip),
            None => Outcome::Again(Again { id: Uuid::now_v7(), source: subject, terms: self.terms_of(row)? }),
        };
        Ok(Item { subject, shown: vec![shown], outcome })
    }

    fn terms_of(&mut self, row: &QueryResult) -> Result<Arc<Terms>, StoreError> {
        let doing = self.doing;
        let key: (Uuid, String) = match self.config {
            ReplayConfig::Current => (get(row, "subscription_id", doing)?, String::new()),
            ReplayConfig::AsSent => {
                let sent: serde_json::Value = get(row, "snapshot", doing)?;
                (get(row, "target_id", doing)?, sent.to_string())
            }
        };
        if let Some(known) = self.terms.get(&key) {
            return Ok(known.clone());
        }
        let snapshot: Snapshot = match self.config {
            ReplayConfig::AsSent => json(row, "snapshot", doing)?,
            ReplayConfig::Current => Snapshot {
                subscription: get(row, "code", doing)?,
                subscription_revision: get(row, "revision", doing)?,
                endpoint_revision: get(row, "target_revision", doing)?,
                retry: json::<RetryPolicy>(row, "retry_policy", doing)?,
                on_unconfirmed: get(row, "on_unconfirmed", doing)?,
                stale: get(row, "stale", doing)?,
            },
        };
        let endpoint = id(row, "target_id", doing)?;
        let terms = Terms { endpoint, retry: snapshot.retry, snapshot: snapshot.to_json(doing)? };
        Ok(self.terms.entry(key).or_insert_with(|| Arc::new(terms)).clone())
    }
}
