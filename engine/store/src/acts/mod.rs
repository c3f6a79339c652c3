//! What operators do by hand, one file for the acts on a noun. Each act is one transaction, with who, when and why in
//! the history.

pub mod delivery;
pub mod endpoint;
pub mod subscription;

use outport_core::{Fault, Reason, code};
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::sql::Tx;

/// Who acts, and why.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// `operator:NAME`.
    pub actor: &'a str,
    /// In the operator's words.
    pub reason: &'a Reason,
}

/// How often an act begins anew when it meets running work crosswise. Each meeting is a matter of milliseconds.
const TRIES: usize = 5;

/// Runs `work` in a transaction of its own. `Ok(None)` (what it looked at moved on before it was locked) and a deadlock
/// begin it anew; an error leaves everything as it was.
async fn act<T>(
    store: &Store,
    doing: &'static str,
    work: impl AsyncFn(&Tx) -> Result<Option<T>, StoreError>,
) -> Result<T, StoreError> {
    for _ in 0..TRIES {
        let tx = store.begin(doing).await?;
        match work(&tx).await {
            Ok(Some(done)) => {
                tx.commit().await?;
                return Ok(done);
            }
            Ok(None) => tx.rollback().await?,
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error),
        }
    }
    let message = format!("{doing}: running work was in the way {TRIES} times in a row; nothing was changed");
    Err(Fault::new(&code::DATABASE_BUSY, message).with_hint("say it again").into())
}

/// The entry of an act: the reason, and what else is worth knowing next year.
async fn note(
    tx: &Tx,
    by: By<'_>,
    (subject_kind, subject_id): (&'static str, Uuid),
    event: &'static str,
    mut detail: serde_json::Value,
) -> Result<(), StoreError> {
    detail["reason"] = by.reason.as_str().into();
    history::add(tx, Entry { actor: by.actor, subject_kind, subject_id, event, detail }).await
}

fn not_found(noun: &str, name: impl std::fmt::Display) -> StoreError {
    Fault::new(&code::NOT_FOUND, format!("there is no {noun} {name}"))
        .with_hint(format!("`outport {noun} list` shows what there is"))
        .into()
}

/// The thing is there, and what was asked for makes no sense in its present state.
fn refused(message: String, hint: impl Into<String>) -> StoreError {
    Fault::new(&code::WRONG_STATE, message).with_hint(hint).into()
}
