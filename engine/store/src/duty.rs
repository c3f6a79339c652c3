//! Duties that one process at a time does for all: whoever holds one holds it for a term, and a number that grows with
//! each change of holder (the epoch) fences a holder that was away for longer.

use std::time::Duration;

use outport_core::timing::millis;
use outport_core::{Millis, WorkerId};

use crate::Store;
use crate::error::StoreError;
use crate::row::get;
use crate::sql::{Tx, args};

/// A duty in this process's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duty {
    name: &'static str,
    holder: WorkerId,
    epoch: i64,
    done_until: Option<Millis>,
}

/// Takes the duty, or keeps it, for `term` from now. `None`: another process has it.
pub async fn hold(
    store: &Store,
    name: &'static str,
    holder: WorkerId,
    term: Duration,
) -> Result<Option<Duty>, StoreError> {
    let tx = store.begin("taking a duty").await?;
    let row = tx
        .row(
            "INSERT INTO duty (name, holder, epoch, until) VALUES ($1, $2, 1, {now} + $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, \
               epoch = duty.epoch + CASE WHEN duty.holder = excluded.holder THEN 0 ELSE 1 END \
             WHERE duty.until <= {now} OR duty.holder = excluded.holder RETURNING epoch, done_until",
            args![name, holder.uuid(), millis(term)],
        )
        .await?;
    let duty = row
        .map(|row| {
            let (epoch, done_until) = (get(&row, "epoch", tx.doing())?, get(&row, "done_until", tx.doing())?);
            Ok::<_, StoreError>(Duty { name, holder, epoch, done_until })
        })
        .transpose()?;
    tx.commit().await?;
    Ok(duty)
}

impl Duty {
    /// Whether it is still this holder's, locked until the end of the transaction: said first in each transaction of a
    /// duty whose steps are not harmless to do twice.
    pub async fn is_held(&self, tx: &Tx) -> Result<bool, StoreError> {
        let row = tx
            .row(
                "SELECT epoch FROM duty WHERE name = $1 AND holder = $2 AND epoch = $3 {lock}",
                args![self.name, self.holder.uuid(), self.epoch],
            )
            .await?;
        Ok(row.is_some())
    }

    /// Until when it was done when it was taken or kept, by whoever held it then. `None`: nobody ever said.
    pub fn done_until(&self) -> Option<Millis> {
        self.done_until
    }

    /// Says until when it is done, for the next holder too. Whoever lost it meanwhile says nothing.
    pub async fn is_done_until(&self, store: &Store, until: Millis) -> Result<(), StoreError> {
        store
            .write(
                "noting how far a duty is done",
                "UPDATE duty SET done_until = $4 WHERE name = $1 AND holder = $2 AND epoch = $3",
                args![self.name, self.holder.uuid(), self.epoch, until],
            )
            .await
            .map(|_| ())
    }

    /// How often the duty changed hands.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }
}
