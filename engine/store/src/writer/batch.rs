//! The writes of one transaction, by kind, and their answers.

use outport_core::{Timing, WorkerId};

use super::Write;
use crate::Store;
use crate::error::StoreError;
use crate::finish_send::{self, Ending, Finished};
use crate::heartbeat::{self, Held};
use crate::stage;

/// What is to be committed together.
pub(super) struct Batch<'a>(&'a [Write]);

/// The answers to a committed batch, in its order within each kind.
pub(super) struct Done {
    entered: std::vec::IntoIter<bool>,
    finished: std::vec::IntoIter<Finished>,
    held: std::vec::IntoIter<Held>,
}

impl<'a> Batch<'a> {
    pub(super) fn of(writes: &'a [Write]) -> Self {
        Self(writes)
    }

    /// Commits all of it or nothing. Heartbeats first: a lease that is renewed here may be ended here.
    pub(super) async fn commit(
        self,
        store: &Store,
        worker: WorkerId,
        timing: &Timing,
    ) -> Result<Done, StoreError> {
        let (mut entering, mut endings, mut beats) = (Vec::new(), Vec::new(), Vec::new());
        for write in self.0 {
            match write {
                Write::Enter(entry, _) => entering.push(entry),
                Write::Finish(report, random, _) => endings.push(Ending { report, random: *random }),
                Write::Beat(open, _) => beats.push(open),
            }
        }
        let tx = store.begin("writing down what was sent").await?;
        let mut held = Vec::with_capacity(beats.len());
        for open in beats {
            held.push(heartbeat::renew(&tx, worker, open, timing).await?);
        }
        let finished = match endings.as_slice() {
            [] => Vec::new(),
            endings => finish_send::record(&tx, endings, timing).await?,
        };
        let entered = match entering.as_slice() {
            [] => Vec::new(),
            entering => stage::record(&tx, entering).await?,
        };
        tx.commit().await?;
        Ok(Done { entered: entered.into_iter(), finished: finished.into_iter(), held: held.into_iter() })
    }
}

impl Done {
    /// Tells everybody. Whoever does not listen any more finds the answer in the ledger.
    pub(super) fn answer(mut self, writes: impl Iterator<Item = Write>) {
        for write in writes {
            match write {
                Write::Enter(_, answer) => drop(self.entered.next().map(|entered| answer.send(Ok(entered)))),
                Write::Finish(_, _, answer) => drop(self.finished.next().map(|end| answer.send(Ok(end)))),
                Write::Beat(_, answer) => drop(self.held.next().map(|held| answer.send(Ok(held)))),
            }
        }
    }
}
