//! Definitions in the database: read them as [`Definitions`], apply a plan to them in one transaction.

mod load;
mod write;

use outport_core::definitions::{Change, Definitions, diff};

use crate::Store;
use crate::error::StoreError;

/// What is defined now: active rules, endpoints and subscriptions; all file groups, subscribers and transforms.
pub async fn current(store: &Store) -> Result<Definitions, StoreError> {
    let tx = store.begin("reading the definitions").await?;
    let definitions = load::load(&tx).await?;
    tx.rollback().await?;
    Ok(definitions)
}

/// Makes the database hold `desired`. The plan is made again inside the transaction, so that what is returned is
/// what was done.
///
/// A deadlock with running work is tried again; the plan is small and the work is short.
pub async fn apply(store: &Store, desired: &Definitions, actor: &str) -> Result<Vec<Change>, StoreError> {
    for _ in 0..TRIES {
        match apply_once(store, desired, actor).await {
            Err(error) if error.is_transient() => continue,
            done => return done,
        }
    }
    apply_once(store, desired, actor).await
}

const TRIES: usize = 5;

async fn apply_once(store: &Store, desired: &Definitions, actor: &str) -> Result<Vec<Change>, StoreError> {
    let tx = store.begin("applying definitions").await?;
    // Two operators at once: the second one waits here and then plans against what the first one left.
    tx.exec(
        "INSERT INTO duty (name) VALUES ('apply') ON CONFLICT (name) DO UPDATE SET epoch = duty.epoch + 1",
        vec![],
    )
    .await?;
    let plan = diff(&load::load(&tx).await?, desired);
    if !plan.is_empty() {
        // Lanes before everything else, and in one order, as everywhere.
        tx.rows("SELECT endpoint_id FROM lane ORDER BY endpoint_id {lock}", vec![]).await?;
    }
    for change in &plan {
        write::change(&tx, desired, change, actor).await?;
    }
    if plan.is_empty() {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(plan)
}
