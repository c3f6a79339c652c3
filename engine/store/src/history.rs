//! The ledger of acts and turns: who, when, what, why. Written in the transaction that did it.

use outport_core::id::Id;
use sea_orm::Value;
use uuid::Uuid;

use crate::error::StoreError;
use crate::sql::{Tx, args, list};

/// A new id; uuid v7, so that ids sort by time of creation.
pub(crate) fn new_id<K>() -> Id<K> {
    Id::from_uuid(Uuid::now_v7())
}

/// One entry.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// `operator:NAME`, `engine`, `apply`.
    pub actor: &'a str,
    /// The noun: `delivery`, `lane`, `endpoint`.
    pub subject_kind: &'static str,
    /// Which one.
    pub subject_id: Uuid,
    /// What happened: `failed`, `lane_blocked`, `held`.
    pub event: &'static str,
    /// Everything else.
    pub detail: serde_json::Value,
}

/// Appends one entry.
pub async fn add(tx: &Tx, entry: Entry<'_>) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO history (id, at, actor, subject_kind, subject_id, event, detail) \
         VALUES ($1, {now}, $2, $3, $4, $5, $6)",
        args![
            Uuid::now_v7(),
            entry.actor,
            entry.subject_kind,
            entry.subject_id,
            entry.event,
            Value::from(entry.detail)
        ],
    )
    .await
    .map(|_| ())
}

/// Appends entries, at most 500; their ids.
pub(crate) async fn add_all(tx: &Tx, entries: &[Entry<'_>]) -> Result<Vec<Uuid>, StoreError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let mut ids = Vec::with_capacity(entries.len());
    let mut values = Vec::new();
    for entry in entries {
        let id = Uuid::now_v7();
        ids.push(id);
        values.extend(args![
            id,
            entry.actor,
            entry.subject_kind,
            entry.subject_id,
            entry.event,
            Value::from(entry.detail.clone())
        ]);
    }
    let row = |n: usize| {
        let first = 6 * n + 1;
        format!("(${first}, {{now}}, {})", list(first + 1, 5))
    };
    let rows: Vec<String> = (0..entries.len()).map(row).collect();
    let sql = format!(
        "INSERT INTO history (id, at, actor, subject_kind, subject_id, event, detail) VALUES {}",
        rows.join(", ")
    );
    tx.exec(&sql, values).await?;
    Ok(ids)
}
