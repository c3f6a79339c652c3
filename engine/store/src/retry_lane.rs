//! An operator lifts a lane's blocks.

use outport_core::EndpointId;

use crate::Store;
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::lanes;

/// Lifts every block of the lane and wakes it, with an entry in the history.
pub async fn retry(store: &Store, endpoint: EndpointId, actor: &str) -> Result<(), StoreError> {
    let tx = store.begin("lifting the blocks of a lane").await?;
    lanes::lift(&tx, endpoint).await?;
    let entry = Entry {
        actor,
        subject_kind: "endpoint",
        subject_id: endpoint.uuid(),
        event: "retried",
        detail: serde_json::json!({}),
    };
    history::add(&tx, entry).await?;
    tx.commit().await
}
