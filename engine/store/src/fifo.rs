//! Subscriptions whose files go one after the other, in the order in which they arrived.
//!
//! Of such a group only the oldest open delivery has a send job. One that failed, or that nobody can confirm, stops the
//! group until it is resolved or delivered again: what comes after it must not overtake it.

use outport_core::delivery::DeliveryState;
use outport_core::{DeliveryId, EndpointId, Millis, SubscriptionId};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::error::StoreError;
use crate::row::{get, id, maybe_id, word};
use crate::sql::{Tx, args, list, padded};
use crate::{lanes, send_jobs};

/// Gives the delivery whose turn it is its send job, and writes down what blocks the group. To be said in every
/// transaction that adds to the group, ends one of its deliveries, or resolves one. Nothing changes when it is said once
/// more.
pub(crate) async fn advance(tx: &Tx, subscription: SubscriptionId) -> Result<(), StoreError> {
    let since = lock(tx, subscription).await?;
    let Some(head) = oldest_open(tx, subscription).await? else {
        return set_blocked(tx, subscription, blocker(tx, subscription, None, since).await?).await;
    };
    let doing = tx.doing();
    let head_id: DeliveryId = id(&head, "id", doing)?;
    let blocker = blocker(tx, subscription, Some(head_id), since).await?;
    set_blocked(tx, subscription, blocker).await?;
    let turn = match blocker {
        None => Some(head),
        Some(blocker) => substitute(tx, blocker).await?,
    };
    let Some(turn) = turn else { return Ok(()) };
    // Whoever has the turn keeps it until its end: a replay that does a failed one over does so also after somebody said
    // that the failed one is dealt with. Two of a group that are due together would fail every claim.
    let on_its_way = "SELECT delivery_id FROM send_job WHERE fifo_group = $1 LIMIT 1";
    if tx.row(on_its_way, args![subscription.uuid()]).await?.is_some() {
        return Ok(());
    }
    let state: DeliveryState = word(&turn, "state", doing)?;
    let queued: Option<DeliveryId> = maybe_id(&turn, "queued", doing)?;
    if state.has_send_job() && queued.is_none() {
        let endpoint: EndpointId = id(&turn, "endpoint_id", doing)?;
        let now = tx.now().await?;
        send_jobs::add(tx, id(&turn, "id", doing)?, now).await?;
        lanes::pull(tx, endpoint, now).await?;
    }
    Ok(())
}

/// The same, when it is not known whether the delivery belongs to such a subscription.
pub(crate) async fn advance_after(tx: &Tx, delivery: DeliveryId) -> Result<(), StoreError> {
    let row = tx
        .row(
            "SELECT s.id FROM delivery d JOIN subscription s ON s.id = d.subscription_id \
             WHERE d.id = $1 AND s.ordering = 'fifo'",
            args![delivery.uuid()],
        )
        .await?;
    match row {
        Some(row) => advance(tx, id(&row, "id", tx.doing())?).await,
        None => Ok(()),
    }
}

/// The same for many.
pub(crate) async fn advance_all(tx: &Tx, deliveries: &[Uuid]) -> Result<(), StoreError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let ids = padded(deliveries.iter().map(|id| (*id).into()).collect());
    let sql = format!(
        "SELECT DISTINCT s.id FROM delivery d JOIN subscription s ON s.id = d.subscription_id \
         WHERE d.id IN ({}) AND s.ordering = 'fifo' ORDER BY s.id",
        list(1, ids.len())
    );
    for row in tx.rows(&sql, ids).await? {
        advance(tx, id(&row, "id", tx.doing())?).await?;
    }
    Ok(())
}

/// The subscription is in order no longer: what waited for its turn is sent now.
pub(crate) async fn dissolve(tx: &Tx, subscription: SubscriptionId) -> Result<(), StoreError> {
    let doing = tx.doing();
    let rows = tx
        .rows(
            "SELECT d.id, d.endpoint_id, {now} AS now FROM delivery d LEFT JOIN send_job j ON j.delivery_id = d.id \
             WHERE d.subscription_id = $1 AND d.settled_at IS NULL AND d.state IN ('queued', 'retrying') \
               AND j.delivery_id IS NULL ORDER BY d.id",
            args![subscription.uuid()],
        )
        .await?;
    for row in &rows {
        let now: Millis = get(row, "now", doing)?;
        send_jobs::add(tx, id(row, "id", doing)?, now).await?;
        lanes::pull(tx, id(row, "endpoint_id", doing)?, now).await?;
    }
    tx.exec("DELETE FROM fifo_group WHERE subscription_id = $1", args![subscription.uuid()]).await.map(|_| ())
}

/// Locks the group; since when it is one. What failed before that blocks nobody.
async fn lock(tx: &Tx, subscription: SubscriptionId) -> Result<Millis, StoreError> {
    let row = tx
        .row(
            "INSERT INTO fifo_group (subscription_id, since) VALUES ($1, {now}) \
             ON CONFLICT (subscription_id) DO UPDATE SET since = fifo_group.since RETURNING since",
            args![subscription.uuid()],
        )
        .await?;
    row.map_or(Ok(0), |row| get(&row, "since", tx.doing()))
}

async fn oldest_open(tx: &Tx, subscription: SubscriptionId) -> Result<Option<QueryResult>, StoreError> {
    tx.row(
        "SELECT d.id, d.state, d.endpoint_id, j.delivery_id AS queued FROM delivery d \
         LEFT JOIN send_job j ON j.delivery_id = d.id \
         WHERE d.subscription_id = $1 AND d.settled_at IS NULL ORDER BY d.id LIMIT 1",
        args![subscription.uuid()],
    )
    .await
}

/// The oldest delivery before `head` that failed and that nobody has resolved.
async fn blocker(
    tx: &Tx,
    subscription: SubscriptionId,
    head: Option<DeliveryId>,
    since: Millis,
) -> Result<Option<DeliveryId>, StoreError> {
    let sql = format!(
        "SELECT id FROM delivery WHERE subscription_id = $1 AND unresolved \
         AND settled_at >= $2 {} ORDER BY id LIMIT 1",
        if head.is_some() { "AND id < $3" } else { "" }
    );
    let mut values = args![subscription.uuid(), since];
    values.extend(head.map(|head| head.uuid().into()));
    let row = tx.row(&sql, values).await?;
    row.map(|row| id(&row, "id", tx.doing())).transpose()
}

/// An open delivery that does over what `blocker` failed to do: it goes first.
async fn substitute(tx: &Tx, blocker: DeliveryId) -> Result<Option<QueryResult>, StoreError> {
    tx.row(
        "SELECT d.id, d.state, d.endpoint_id, j.delivery_id AS queued FROM delivery b \
         JOIN delivery d ON d.file_id = b.file_id AND d.subscription_id = b.subscription_id AND d.part = b.part \
         LEFT JOIN send_job j ON j.delivery_id = d.id \
         WHERE b.id = $1 AND d.settled_at IS NULL ORDER BY d.id LIMIT 1",
        args![blocker.uuid()],
    )
    .await
}

async fn set_blocked(
    tx: &Tx,
    subscription: SubscriptionId,
    blocker: Option<DeliveryId>,
) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE fifo_group SET blocked_by = $2 WHERE subscription_id = $1",
        args![subscription.uuid(), blocker.map(|delivery| delivery.uuid())],
    )
    .await
    .map(|_| ())
}
