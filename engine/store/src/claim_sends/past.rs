//! What earlier attempts of a claimed delivery left behind.

use std::collections::BTreeMap;

use outport_core::DeliveryId;
use outport_core::delivery::{AttemptOutcome, IntentStep, Stage};
use sea_orm::Value;

use super::types::RenameIntent;
use crate::error::StoreError;
use crate::row::{get, id, json, word};
use crate::sql::{Tx, list, padded};

/// What the next attempt has to look after.
#[derive(Default)]
pub(super) struct Past {
    /// The newest attempt that may have delivered.
    pub(super) probe: Option<RenameIntent>,
    /// Attempts whose temp file may still be there, newest first.
    pub(super) unfinished: Vec<u32>,
}

/// Earlier attempts, newest first, that may have left their temp file: the end of some nobody saw, and the newest of
/// those that reached the rename is probed; others ended with a fault while they wrote, and a connection that is gone
/// lets nobody clear up.
pub(super) async fn read(tx: &Tx, ids: Vec<Value>) -> Result<BTreeMap<DeliveryId, Past>, StoreError> {
    let mut all: BTreeMap<DeliveryId, Past> = BTreeMap::new();
    if ids.is_empty() {
        return Ok(all);
    }
    let doing = tx.doing();
    let ids = padded(ids);
    let sql = format!(
        "SELECT delivery_id, n, stage, outcome, detail FROM attempt WHERE delivery_id IN ({}) \
         AND (outcome IN ('{}', '{}', '{}') OR (outcome = '{}' AND stage NOT IN ('{}', '{}'))) ORDER BY n DESC",
        list(1, ids.len()),
        AttemptOutcome::Unknown.as_str(),
        AttemptOutcome::Abandoned.as_str(),
        AttemptOutcome::Released.as_str(),
        AttemptOutcome::Retry.as_str(),
        Stage::Connecting.as_str(),
        Stage::Authenticating.as_str(),
    );
    for row in tx.rows(&sql, ids).await? {
        let past = all.entry(id(&row, "delivery_id", doing)?).or_default();
        past.unfinished.push(u32::try_from(get::<i32>(&row, "n", doing)?).unwrap_or_default());
        let stage: Stage = word(&row, "stage", doing)?;
        let outcome: AttemptOutcome = word(&row, "outcome", doing)?;
        if !stage.may_have_arrived() || past.probe.is_some() {
            continue;
        }
        let intent: RenameIntent = json(&row, "detail", doing)?;
        // A fault is the server's word that it did not rename. What it had done before that stands.
        let stands = matches!(intent.step, IntentStep::Created | IntentStep::Placed);
        if outcome != AttemptOutcome::Retry || stands {
            past.probe = Some(intent);
        }
    }
    Ok(all)
}
