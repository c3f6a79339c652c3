//! What `endpoint check` found out, kept with the endpoint.

use outport_core::{EndpointId, Millis};
use sea_orm::Value;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::claim_sends::{ENDPOINT, EndpointRow, read_endpoint};
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::sql::args;

/// A profile as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The endpoint's revision that was checked.
    pub revision: i32,
    /// When.
    pub at: Millis,
    /// By whom.
    pub by: String,
    /// What was found; the shape is the check's.
    pub found: serde_json::Value,
}

/// Where and how to log in, for a check.
///
/// # Errors
/// Those of the database, and a definition that cannot be read.
pub async fn endpoint(store: &Store, id: EndpointId) -> Result<Option<EndpointRow>, StoreError> {
    let doing = "reading an endpoint";
    let sql = format!(
        "SELECT {ENDPOINT} FROM endpoint e JOIN subscriber s ON s.id = e.subscriber_id WHERE e.id = $1"
    );
    let rows = store.read(doing, &sql, args![id.uuid()]).await?;
    rows.first().map(|row| read_endpoint(row, doing)).transpose()
}

/// Keeps what was found, and notes in the history who looked.
///
/// # Errors
/// Those of the database.
pub async fn save(
    store: &Store,
    id: EndpointId,
    revision: i32,
    by: &str,
    found: serde_json::Value,
) -> Result<(), StoreError> {
    let tx = store.begin("storing an endpoint's profile").await?;
    let profile = Profile { revision, at: tx.now().await?, by: by.to_owned(), found };
    let value = serde_json::to_value(&profile)
        .map_err(|error| StoreError::Unreadable { doing: tx.doing(), problem: error.to_string() })?;
    tx.exec("UPDATE endpoint SET profile = $2 WHERE id = $1", args![id.uuid(), Value::from(value)]).await?;
    let detail = serde_json::json!({ "revision": revision });
    let entry =
        Entry { actor: by, subject_kind: "endpoint", subject_id: id.uuid(), event: "checked", detail };
    history::add(&tx, entry).await?;
    tx.commit().await
}
