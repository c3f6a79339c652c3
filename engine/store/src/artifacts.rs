//! Which stored objects are somebody's.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::row::get;
use crate::sql::{args, list};

/// Of these keys of an artifact bucket, the ones that an artifact row names that has not expired. Index `artifact_by_place`.
pub async fn known(store: &Store, bucket: &str, keys: &[String]) -> Result<BTreeSet<String>, StoreError> {
    if keys.is_empty() {
        return Ok(BTreeSet::new());
    }
    let doing = "looking for the owners of stored objects";
    let mut values = args![bucket];
    values.extend(keys.iter().map(|key| sea_orm::Value::from(key.as_str())));
    let sql = format!(
        "SELECT key FROM artifact WHERE bucket = $1 AND expires_at IS NULL AND key IN ({})",
        list(2, keys.len())
    );
    store.read(doing, &sql, values).await?.iter().map(|row| get(row, "key", doing)).collect()
}

/// The id of this ledger, made on first use. It tells one database from another, also from an empty one in its place.
pub async fn ledger_id(store: &Store) -> Result<Uuid, StoreError> {
    let doing = "reading the ledger's id";
    store
        .write(
            doing,
            "INSERT INTO duty (name, holder) VALUES ('ledger', $1) ON CONFLICT (name) DO NOTHING",
            args![Uuid::now_v7()],
        )
        .await?;
    let rows = store.read(doing, "SELECT holder FROM duty WHERE name = 'ledger'", vec![]).await?;
    match rows.first() {
        Some(row) => get(row, "holder", doing),
        None => Err(StoreError::Unreadable { doing, problem: "it is not there".into() }),
    }
}
