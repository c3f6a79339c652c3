//! The registry of worker processes: who runs, since when, seen when.

use outport_core::WorkerId;

use crate::Store;
use crate::error::StoreError;
use crate::sql::args;

/// Announces a process. `roles` is a comma-separated list.
pub async fn register(
    store: &Store,
    worker: WorkerId,
    host: &str,
    version: &str,
    roles: &str,
) -> Result<(), StoreError> {
    store
        .write(
            "registering this worker",
            "INSERT INTO worker (id, host, version, roles, started_at, seen_at) VALUES ($1, $2, $3, $4, {now}, {now}) \
             ON CONFLICT (id) DO NOTHING",
            args![worker.uuid(), host, version, roles],
        )
        .await
        .map(|_| ())
}

/// Says goodbye: the worker's row and its seats go.
pub async fn deregister(store: &Store, worker: WorkerId) -> Result<(), StoreError> {
    let tx = store.begin("deregistering this worker").await?;
    tx.exec("DELETE FROM seat WHERE worker_id = $1", args![worker.uuid()]).await?;
    tx.exec("DELETE FROM worker WHERE id = $1", args![worker.uuid()]).await?;
    tx.commit().await
}
