//! Who did what, when and why.

use outport_core::Millis;
use sea_orm::{QueryResult, Value};
use serde::Serialize;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::row::get;

/// One entry of the history.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct HistoryView {
    pub at: Millis,
    pub actor: String,
    pub subject_kind: String,
    #[serde(skip)]
    pub subject: Uuid,
    pub event: String,
    pub detail: serde_json::Value,
}

impl HistoryView {
    /// Why, where an operator said so.
    pub fn reason(&self) -> Option<&str> {
        self.detail["reason"].as_str()
    }
}

const SELECT: &str = "SELECT h.at, h.actor, h.subject_kind, h.subject_id, h.event, h.detail FROM history h";

fn view(row: &QueryResult, doing: &'static str) -> Result<HistoryView, StoreError> {
    Ok(HistoryView {
        at: get(row, "at", doing)?,
        actor: get(row, "actor", doing)?,
        subject_kind: get(row, "subject_kind", doing)?,
        subject: get(row, "subject_id", doing)?,
        event: get(row, "event", doing)?,
        detail: get(row, "detail", doing)?,
    })
}

/// Entries of the subjects that `condition` names, oldest first.
pub(super) async fn of(
    store: &Store,
    doing: &'static str,
    condition: &str,
    values: Vec<Value>,
) -> Result<Vec<HistoryView>, StoreError> {
    let rows = store.read(doing, &format!("{SELECT} WHERE {condition} ORDER BY h.id"), values).await?;
    rows.iter().map(|row| view(row, doing)).collect()
}

/// A host key that an operator accepted by hand.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct AcceptedKey {
    pub endpoint: String,
    pub fingerprint: String,
    pub actor: String,
    pub at: Millis,
}

/// Every acceptance, oldest first. There are few: one look at each endpoint's own history.
pub async fn accepted_keys(store: &Store) -> Result<Vec<AcceptedKey>, StoreError> {
    let doing = "looking for accepted host keys";
    let rows = store
        .read(
            doing,
            "SELECT b.code, e.name, h.actor, h.at, h.detail FROM endpoint e JOIN subscriber b ON b.id = e.subscriber_id \
             JOIN history h ON h.subject_id = e.id WHERE h.event = 'key_accepted' ORDER BY h.id",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let (subscriber, name): (String, String) = (get(row, "code", doing)?, get(row, "name", doing)?);
            let detail: serde_json::Value = get(row, "detail", doing)?;
            Ok(AcceptedKey {
                endpoint: format!("{subscriber}/{name}"),
                fingerprint: detail["fingerprint"].as_str().unwrap_or_default().to_owned(),
                actor: get(row, "actor", doing)?,
                at: get(row, "at", doing)?,
            })
        })
        .collect()
}
