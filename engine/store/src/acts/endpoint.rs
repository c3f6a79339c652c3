//! Acts on an endpoint and its lane: pause, resume, try now, accept a host key. The lane is locked first.

use outport_core::lane::{BlockReason, Lane};
use outport_core::trust::HostKey;
use outport_core::{EndpointId, Millis};
use sea_orm::{QueryResult, Value};
use serde_json::json;

use super::{By, act, not_found, note, refused};
use crate::Store;
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::lanes;
use crate::row::{get, json as json_column};
use crate::sql::{Tx, args};

/// Stops claims of an endpoint's deliveries; what is being sent goes on.
///
/// # Errors
/// `usage.wrong_state` when it is paused already; `usage.not_found`.
pub async fn pause(store: &Store, endpoint: EndpointId, by: By<'_>) -> Result<(), StoreError> {
    act(store, "pausing an endpoint", async |tx| {
        let row = lock(tx, endpoint).await?;
        if let Some(whom) = get::<Option<String>>(&row, "paused_by", tx.doing())? {
            let why: Option<String> = get(&row, "pause_reason", tx.doing())?;
            let message = format!("it is paused already, by {whom}: {}", why.unwrap_or_default());
            return Err(refused(message, "`outport endpoint resume` ends the pause"));
        }
        tx.exec(
            "UPDATE lane SET paused_by = $2, pause_reason = $3, paused_at = {now} WHERE endpoint_id = $1",
            args![endpoint.uuid(), by.actor, by.reason.as_str()],
        )
        .await?;
        let lane = lanes::read(&row, tx.doing())?.with_pause(true, tx.now().await?);
        lanes::save(tx, endpoint, &lane).await?;
        note(tx, by, subject(endpoint), "paused", json!({})).await.map(Some)
    })
    .await
}

/// What a resumed lane was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// An operator had paused it.
    pub paused: bool,
    /// It had failed for so long that the engine had given up on it.
    pub suspended: bool,
}

/// Ends a pause, and a suspension: then one file is tried now, and the time that it has been failing begins anew.
///
/// # Errors
/// `usage.wrong_state` when it is neither; `usage.not_found`.
pub async fn resume(store: &Store, endpoint: EndpointId, by: By<'_>) -> Result<Resumed, StoreError> {
    act(store, "resuming an endpoint", async |tx| {
        let row = lock(tx, endpoint).await?;
        let since = |column| get::<Option<Millis>>(&row, column, tx.doing());
        let (paused_at, suspended_at) = (since("paused_at")?, since("suspended_at")?);
        let was = Resumed { paused: paused_at.is_some(), suspended: suspended_at.is_some() };
        if !was.paused && !was.suspended {
            let hint = "`outport endpoint show` tells how it stands; `outport endpoint retry` lifts a block";
            return Err(refused("it is neither paused nor suspended".to_owned(), hint));
        }
        tx.exec(
            "UPDATE lane SET paused_by = NULL, pause_reason = NULL, paused_at = NULL WHERE endpoint_id = $1",
            args![endpoint.uuid()],
        )
        .await?;
        let now = tx.now().await?;
        let mut lane = lanes::read(&row, tx.doing())?;
        if was.suspended {
            lane = tried_anew(&lane, now);
        }
        lanes::save(tx, endpoint, &lane.with_pause(false, now)).await?;
        lanes::pull(tx, endpoint, now).await?;
        let detail = json!({ "paused_at": paused_at, "suspended_at": suspended_at });
        note(tx, by, subject(endpoint), "resumed", detail).await?;
        Ok(Some(was))
    })
    .await
}

/// A lane that was suspended: the blocks that time would lift are lifted, the others keep waiting for their own act.
fn tried_anew(lane: &Lane, now: Millis) -> Lane {
    let mut lane = match lane.blocked_reason {
        None | Some(BlockReason::Breaker | BlockReason::Credential) => lane.lifted(now),
        Some(_) => lane.clone(),
    };
    (lane.failing_since, lane.suspended_at) = (None, None);
    lane
}

/// Lifts every block of the lane and wakes it.
///
/// # Errors
/// `usage.not_found`.
pub async fn retry(store: &Store, endpoint: EndpointId, actor: &str) -> Result<(), StoreError> {
    act(store, "lifting the blocks of a lane", async |tx| {
        let row = lock(tx, endpoint).await?;
        let reason = lanes::read(&row, tx.doing())?.blocked_reason;
        lanes::lift(tx, endpoint).await?;
        let (subject_kind, subject_id) = subject(endpoint);
        let detail = json!({ "blocked_by": reason.map(BlockReason::as_str) });
        let entry = Entry { actor, subject_kind, subject_id, event: "retried", detail };
        history::add(tx, entry).await.map(Some)
    })
    .await
}

/// What accepting a key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Every host key that the endpoint accepts now.
    pub pins: Vec<HostKey>,
    /// The one that the server showed when the lane was blocked.
    pub seen: Option<String>,
}

/// Pins one more host key of an endpoint, and lifts the block that a changed key left. `fingerprint` is a canonical
/// `SHA256:...`.
///
/// # Errors
/// `usage.wrong_state` when it is pinned already and nothing is blocked; `usage.not_found`.
pub async fn accept_key(
    store: &Store,
    endpoint: EndpointId,
    fingerprint: &str,
    by: By<'_>,
) -> Result<Accepted, StoreError> {
    act(store, "accepting a host key", async |tx| {
        let row = lock(tx, endpoint).await?;
        let lane = lanes::read(&row, tx.doing())?;
        let blocked = lane.blocked_reason == Some(BlockReason::Identity);
        let mut pins = pins(tx, endpoint).await?;
        let before = pins.clone();
        let now = tx.now().await?;
        if pins.iter().any(|pin| pin.fingerprint == fingerprint && pin.validity().holds(now)) {
            if !blocked {
                let message = format!("{fingerprint} is accepted already");
                return Err(refused(message, "nothing to do; `outport endpoint show` lists the host keys"));
            }
        } else {
            // Whatever dates it had, it is accepted from now on.
            pins.retain(|pin| pin.fingerprint != fingerprint);
            pins.push(fingerprint.into());
            tx.exec(
                "UPDATE endpoint SET identity_pins = $2, revision = revision + 1 WHERE id = $1",
                args![endpoint.uuid(), Value::from(json!(pins))],
            )
            .await?;
        }
        if blocked {
            lanes::lift(tx, endpoint).await?;
        }
        let seen = lane.seen_identity;
        let detail = json!({ "fingerprint": fingerprint, "seen": seen, "pins_before": before });
        note(tx, by, subject(endpoint), "key_accepted", detail).await?;
        Ok(Some(Accepted { pins, seen }))
    })
    .await
}

fn subject(endpoint: EndpointId) -> (&'static str, uuid::Uuid) {
    ("endpoint", endpoint.uuid())
}

/// Takes the lane's lock; everything that an act looks at.
async fn lock(tx: &Tx, endpoint: EndpointId) -> Result<QueryResult, StoreError> {
    let sql = format!(
        "SELECT {}, lane.paused_by, lane.pause_reason \
         FROM lane WHERE endpoint_id = $1 {{lock}}",
        lanes::COLUMNS
    );
    tx.row(&sql, args![endpoint.uuid()]).await?.ok_or_else(|| not_found("endpoint", endpoint))
}

async fn pins(tx: &Tx, endpoint: EndpointId) -> Result<Vec<HostKey>, StoreError> {
    let sql = "SELECT identity_pins FROM endpoint WHERE id = $1 {lock}";
    let row = tx.row(sql, args![endpoint.uuid()]).await?.ok_or_else(|| not_found("endpoint", endpoint))?;
    json_column(&row, "identity_pins", tx.doing())
}
