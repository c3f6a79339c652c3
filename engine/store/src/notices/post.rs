//! Posts: up to 500 events for one target, under one id that stays the same however often it is tried.

use outport_core::id::{DeliveryId, EndpointId};
use outport_core::timing::millis;
use outport_core::{Fault, Millis, Timing, code, retry};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::row::get;
use crate::sql::{Tx, args};

/// Events of one post.
const EVENTS: i64 = 500;

/// What one target is to be told, leased.
#[derive(Debug, Clone)]
pub struct Post {
    /// The same at each try.
    pub id: Uuid,
    /// Tries, with the present one.
    pub attempts: u32,
    /// Oldest first.
    pub events: Vec<Told>,
    /// The fencing token.
    lease_until: Millis,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Of the entry in the history.
    pub id: Uuid,
    /// When it happened.
    pub at: Millis,
    /// `lane_blocked`, `failed`.
    pub event: String,
    /// `endpoint` or `delivery`.
    pub subject_kind: String,
    /// `end_...` or `dlv_...`.
    pub subject_id: String,
    /// `SUBSCRIBER/NAME`, while the endpoint is known.
    pub endpoint: Option<String>,
    /// Of a delivery.
    pub subscription: Option<String>,
    /// `s3://BUCKET/KEY` of a delivery's file.
    pub object: Option<String>,
    /// Code, message, reason, until when.
    pub detail: serde_json::Value,
}

/// Leases what is due for `target`: a post that was tried before, or a new one of all that is due, at most 500 events.
/// `None`: nothing.
pub async fn claim(store: &Store, target: &str, timing: &Timing) -> Result<Option<Post>, StoreError> {
    let tx = store.begin("claiming messages to people").await?;
    let doing = tx.doing();
    let first = tx
        .row(
            "SELECT id, post_id, {now} AS now FROM notification WHERE ended_at IS NULL AND target = $1 \
               AND due_at <= {now} AND (lease_until IS NULL OR lease_until <= {now}) \
             ORDER BY due_at, id LIMIT 1 {skip_locked}",
            args![target],
        )
        .await?;
    let Some(first) = first else {
        tx.rollback().await?;
        return Ok(None);
    };
    // Long enough for a post that takes as long as it may, and for writing down what came of it.
    let lease_until = get::<Millis>(&first, "now", doing)? + 3 * millis(timing.post);
    let post_id: Option<Uuid> = get(&first, "post_id", doing)?;
    let id = post_id.unwrap_or_else(Uuid::now_v7);
    let leased = match post_id {
        Some(post) => lease_again(&tx, post, lease_until).await?,
        None => lease_new(&tx, target, id, lease_until).await?,
    };
    if leased == 0 {
        // Another process has it.
        tx.rollback().await?;
        return Ok(None);
    }
    let (attempts, events) = read(&tx, id).await?;
    tx.commit().await?;
    Ok(Some(Post { id, attempts, events, lease_until }))
}

async fn lease_again(tx: &Tx, post: Uuid, until: Millis) -> Result<u64, StoreError> {
    tx.exec(
        "UPDATE notification SET lease_until = $2, attempts = attempts + 1 WHERE post_id = $1 AND ended_at IS NULL \
           AND (lease_until IS NULL OR lease_until <= {now})",
        args![post, until],
    )
    .await
}

async fn lease_new(tx: &Tx, target: &str, post: Uuid, until: Millis) -> Result<u64, StoreError> {
    // Picked once, before anything is changed: as a plain subquery PostgreSQL may run it again for each row, and then there
    // is no limit.
    tx.exec(
        "WITH picked AS MATERIALIZED ( \
           SELECT id FROM notification WHERE ended_at IS NULL AND target = $3 AND due_at <= {now} AND post_id IS NULL \
           ORDER BY due_at, id LIMIT $4 {skip_locked}) \
         UPDATE notification SET lease_until = $2, attempts = 1, post_id = $1 WHERE id IN (SELECT id FROM picked)",
        args![post, until, target, EVENTS],
    )
    .await
}

async fn read(tx: &Tx, post: Uuid) -> Result<(u32, Vec<Told>), StoreError> {
    let rows = tx
        .rows(
            "SELECT n.attempts, h.id, h.at, h.event, h.subject_kind, h.subject_id, h.detail, b.code AS subscriber, \
                    e.name AS endpoint, s.code AS subscription, f.bucket, f.key \
             FROM notification n JOIN history h ON h.id = n.history_id \
             LEFT JOIN delivery d ON h.subject_kind = 'delivery' AND d.id = h.subject_id \
             LEFT JOIN endpoint e ON e.id = coalesce(d.endpoint_id, h.subject_id) \
             LEFT JOIN subscriber b ON b.id = e.subscriber_id \
             LEFT JOIN subscription s ON s.id = d.subscription_id LEFT JOIN file f ON f.id = d.file_id \
             WHERE n.post_id = $1 AND n.ended_at IS NULL ORDER BY h.at, h.id",
            args![post],
        )
        .await?;
    let doing = tx.doing();
    let attempts = rows.first().map_or(Ok(0), |row| get::<i32>(row, "attempts", doing))?;
    let events = rows.iter().map(|row| told(row, doing)).collect::<Result<_, _>>()?;
    Ok((u32::try_from(attempts).unwrap_or_default(), events))
}

fn told(row: &QueryResult, doing: &'static str) -> Result<Told, StoreError> {
    let (kind, subject): (String, Uuid) = (get(row, "subject_kind", doing)?, get(row, "subject_id", doing)?);
    let pair = |a, b, between: &str| -> Result<Option<String>, StoreError> {
        let (a, b): (Option<String>, Option<String>) = (get(row, a, doing)?, get(row, b, doing)?);
        Ok(a.zip(b).map(|(a, b)| format!("{a}{between}{b}")))
    };
    Ok(Told {
        id: get(row, "id", doing)?,
        at: get(row, "at", doing)?,
        event: get(row, "event", doing)?,
        subject_id: match kind.as_str() {
            "delivery" => DeliveryId::from_uuid(subject).to_string(),
            "endpoint" => EndpointId::from_uuid(subject).to_string(),
            _ => subject.to_string(),
        },
        subject_kind: kind,
        endpoint: pair("subscriber", "endpoint", "/")?,
        subscription: get(row, "subscription", doing)?,
        object: pair("bucket", "key", "/")?.map(|object| format!("s3://{object}")),
        detail: get(row, "detail", doing)?,
    })
}

/// The target took the post. `false`: the lease was over and somebody else has it; it will be told twice.
pub async fn sent(store: &Store, post: &Post) -> Result<bool, StoreError> {
    let ended = store
        .write(
            "recording a message to people",
            "UPDATE notification SET ended_at = {now}, outcome = 'sent', lease_until = NULL, fault = NULL \
             WHERE post_id = $1 AND lease_until = $2 AND ended_at IS NULL",
            args![post.id, post.lease_until],
        )
        .await?;
    Ok(ended > 0)
}

/// What becomes of a post that the target did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is tried again at this time.
    At(Millis),
    /// It is older than [`Timing::post_for`]: nobody is told.
    GaveUp,
    /// The lease was over: somebody else has it.
    LeaseLost,
}

/// The target did not take the post. `random` is uniform in `0.0..1.0`.
pub async fn failed(
    store: &Store,
    post: &Post,
    fault: &Fault,
    timing: &Timing,
    random: f64,
) -> Result<Again, StoreError> {
    let tx = store.begin("recording a message that nobody took").await?;
    let now = tx.now().await?;
    let since = post.events.iter().map(|event| event.at).min().unwrap_or(now);
    let gives_up = now - since >= millis(timing.post_for);
    let due = now + retry::delay(&timing.retry, post.attempts.saturating_sub(1), random);
    let sql = if gives_up {
        "UPDATE notification SET lease_until = NULL, fault = $3, ended_at = $4, outcome = 'gave_up' \
         WHERE post_id = $1 AND lease_until = $2 AND ended_at IS NULL"
    } else {
        "UPDATE notification SET lease_until = NULL, fault = $3, due_at = $4 \
         WHERE post_id = $1 AND lease_until = $2 AND ended_at IS NULL"
    };
    let at = if gives_up { now } else { due };
    if tx.exec(sql, args![post.id, post.lease_until, fault.report(), at]).await? == 0 {
        tx.rollback().await?;
        return Ok(Again::LeaseLost);
    }
    if gives_up {
        let detail = serde_json::json!({
            "code": code::NOTIFY_GAVE_UP.name, "message": fault.message, "events": post.events.len(),
        });
        let (event, subject_id) = ("gave_up", post.id);
        history::add(&tx, Entry { actor: "engine", subject_kind: "post", subject_id, event, detail }).await?;
    }
    tx.commit().await?;
    Ok(if gives_up { Again::GaveUp } else { Again::At(due) })
}
