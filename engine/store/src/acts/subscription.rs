//! The switch of a subscription: while it is off, files pass it by, for good. It is the operator's, unless the
//! definitions file states it.

use outport_core::{Millis, SubscriptionId};
use serde_json::json;

use super::{By, act, not_found, note, refused};
use crate::Store;
use crate::error::StoreError;
use crate::row::get;
use crate::sql::args;

/// Turns a subscription on (`enabled`) or off. Open deliveries go on either way.
///
/// # Errors
/// `usage.wrong_state` when it is so already, or retired; `usage.not_found`.
pub async fn switch(
    store: &Store,
    subscription: SubscriptionId,
    enabled: bool,
    by: By<'_>,
) -> Result<(), StoreError> {
    act(store, "switching a subscription", async |tx| {
        let row = tx
            .row(
                "SELECT enabled, retired_at FROM subscription WHERE id = $1 {lock}",
                args![subscription.uuid()],
            )
            .await?
            .ok_or_else(|| not_found("subscription", subscription))?;
        if get::<Option<Millis>>(&row, "retired_at", tx.doing())?.is_some() {
            let hint = "put it back into the definitions and apply them";
            return Err(refused("it is retired: the definitions do not name it any more".to_owned(), hint));
        }
        let event = if enabled { "enabled" } else { "disabled" };
        if get::<bool>(&row, "enabled", tx.doing())? == enabled {
            return Err(refused(format!("it is {event} already"), "nothing to do"));
        }
        tx.exec(
            "UPDATE subscription SET enabled = $2, revision = revision + 1 WHERE id = $1",
            args![subscription.uuid(), enabled],
        )
        .await?;
        note(tx, by, ("subscription", subscription.uuid()), event, json!({})).await.map(Some)
    })
    .await
}
