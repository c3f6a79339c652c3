//! Choosing for `redeliver`: the same artifact once more.

use outport_core::DeliveryId;
use outport_core::delivery::DeliveryState;
use outport_core::replay::{Facts, Newer, ReplayConfig, Skip, Stored};
use outport_core::settings::RetryPolicy;
use sea_orm::QueryResult;
use uuid::Uuid;

use super::batch::{Draft, Item, Order, Outcome, Shown, Which};
use super::conditions::{self, Arguments, NEWER};
use crate::enqueue::Snapshot;
use crate::error::StoreError;
use crate::row::{get, id, json, maybe_id, word};
use crate::sql::Tx;

/// The statement that finds the ids of a page, and its arguments. Plan: the primary key from the cursor on, or the
/// partial index of what is unresolved; of each row, one look into the index of later replays.
pub(super) fn candidates(order: &Order, which: Which<'_>) -> (String, Arguments) {
    let mut arguments = Arguments::default();
    let states = order.filter.states(order.mode);
    let settled = conditions::settled(&order.filter, &states, order.started_at, &mut arguments);
    let (columns, file) = match &order.filter.name {
        Some(glob) => {
            let like = arguments.add(glob.like());
            (
                "d.id, d.remote_name, f.key",
                format!(
                    "JOIN file f ON f.id = d.file_id AND (f.key LIKE {like} ESCAPE '\\' \
                     OR d.remote_name LIKE {like} ESCAPE '\\')"
                ),
            )
        }
        None => ("d.id", String::new()),
    };
    let file_id = if file.is_empty() { "d.file_id" } else { "f.id" };
    let newest = conditions::newest(&settled, file_id);
    let settled = settled.on("d");
    let tail = which.tail("d.id", order.cursor, &mut arguments);
    let sql = format!("SELECT {columns} FROM delivery d {file} WHERE {settled} AND {newest} AND {tail}");
    (sql, arguments)
}

/// What becomes of each of these deliveries, as far as the filter still takes them.
pub(super) async fn decide(tx: &Tx, order: &Order, looked: &[Uuid]) -> Result<Vec<Item>, StoreError> {
    let doing = tx.doing();
    let (sql, arguments) = candidates(order, Which::Of(looked));
    let mut ids = Vec::new();
    for row in tx.rows(&sql, arguments.0).await? {
        if let Some(glob) = &order.filter.name {
            let (key, remote): (String, String) =
                (get(&row, "key", doing)?, get(&row, "remote_name", doing)?);
            if !glob.matches(&key, &remote) {
                continue;
            }
        }
        ids.push(get(&row, "id", doing)?);
    }
    if ids.is_empty() { Ok(Vec::new()) } else { items(tx, order.config, &ids).await }
}

/// What is known of these deliveries, and what follows from it.
pub(super) async fn items(tx: &Tx, config: ReplayConfig, ids: &[Uuid]) -> Result<Vec<Item>, StoreError> {
    let mut arguments = Arguments::default();
    let list = arguments.all(ids.iter().copied());
    let target = target(config);
    let sql = format!(
        "SELECT d.id, d.file_id, d.subscription_id, d.subscriber_id, d.artifact_id, d.transform_id, d.part, d.state, \
           d.remote_name, d.snapshot, d.possible_duplicate, s.code, s.revision, s.retry_policy, s.on_unconfirmed, s.stale, \
           e.id AS target_id, e.revision AS target_revision, b.code AS subscriber, b.code || '/' || e.name AS endpoint, \
           j.due_at AS newer_due, n.id AS newer_id, {FACTS}, {STATIC} \
         FROM delivery d {JOINS} {NEWER} JOIN endpoint e ON e.id = {target} LEFT JOIN send_job j ON j.delivery_id = n.id \
         WHERE d.id IN ({list}) ORDER BY d.id"
    );
    tx.rows(&sql, arguments.0).await?.iter().map(|row| item(row, config, tx.doing())).collect()
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

fn item(row: &QueryResult, config: ReplayConfig, doing: &'static str) -> Result<Item, StoreError> {
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
        None => {
            let drafts = vec![draft(row, config, subject, state, doing)?];
            Outcome::Create { drafts, transforms: vec![], note: None }
        }
    };
    Ok(Item { subject, shown: vec![shown], outcome })
}

fn draft(
    row: &QueryResult,
    config: ReplayConfig,
    source: Uuid,
    state: DeliveryState,
    doing: &'static str,
) -> Result<Draft, StoreError> {
    let sent: Snapshot = json(row, "snapshot", doing)?;
    let snapshot = match config {
        ReplayConfig::AsSent => sent,
        ReplayConfig::Current => Snapshot {
            subscription: get(row, "code", doing)?,
            subscription_revision: get(row, "revision", doing)?,
            endpoint_revision: get(row, "target_revision", doing)?,
            retry: json::<RetryPolicy>(row, "retry_policy", doing)?,
            on_unconfirmed: get(row, "on_unconfirmed", doing)?,
            stale: get(row, "stale", doing)?,
        },
    };
    // What may have arrived, or has, may now stand there twice.
    let perhaps_there = matches!(state, DeliveryState::Unconfirmed | DeliveryState::Delivered);
    Ok(Draft {
        id: Uuid::now_v7(),
        file: get(row, "file_id", doing)?,
        subscription: get(row, "subscription_id", doing)?,
        subscriber: get(row, "subscriber_id", doing)?,
        endpoint: id::<outport_core::id::kind::Endpoint>(row, "target_id", doing)?.uuid(),
        transform: get(row, "transform_id", doing)?,
        artifact: get(row, "artifact_id", doing)?,
        part: get(row, "part", doing)?,
        source: Some(source),
        retry: snapshot.retry,
        remote_name: get(row, "remote_name", doing)?,
        snapshot: snapshot.to_json(doing)?,
        possible_duplicate: perhaps_there || get(row, "possible_duplicate", doing)?,
    })
}
