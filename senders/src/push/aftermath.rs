//! What is cleared away, and what is said when nothing tells.

use outport_core::{Class, Fault, code};

use super::{End, Run};
use crate::fence::Stop;

impl Run<'_> {
    pub(super) async fn remove_stale_temps(&self) {
        for path in &self.upload.stale_temps {
            if self.remote.alive() {
                self.remove_quietly(path).await;
            }
        }
    }

    /// Removes a temp file that nobody needs. It never decides the outcome, so a failure is only logged.
    pub(super) async fn remove_quietly(&self, path: &str) {
        if self.upload.plan.write_only() {
            return;
        }
        if let Err(fault) = self.remote.remove(path).await {
            // Logs may not name files: the ledger has the temp name.
            tracing::warn!(code = fault.code.name, "a temp file stays behind on the server");
        }
    }

    /// Ends a push before its rename: the temp file is removed if anybody still answers. Not when the lease is lost: the
    /// intent may be stored all the same, and whoever acts now may rely on the file.
    pub(super) async fn give_up(&self, temp_path: &str, end: End) -> End {
        if !matches!(end, End::Stopped(Stop::LeaseLost)) && self.remote.alive() {
            self.remove_quietly(temp_path).await;
        }
        end
    }

    /// The same before the file is whole: one that the next attempt can go on with stays.
    pub(super) async fn give_up_unfinished(&self, temp_path: &str, end: End) -> End {
        // What the server refused is not tried again soon, and an artifact that is not what it was never.
        let may_go_on =
            matches!(&end, End::Fault(fault) if matches!(fault.class(), Class::Endpoint | Class::Engine));
        if may_go_on && self.upload.plan.resumes() { end } else { self.give_up(temp_path, end).await }
    }
}

/// Nothing tells whether the file arrived.
pub(super) fn cannot_tell(final_path: &str) -> Fault {
    let message = format!(
        "could not tell whether {final_path:?} arrived: an earlier attempt got as far as renaming, its temp file is gone, \
         and nothing under the final name is certainly that file"
    );
    Fault::new(&code::DELIVERY_UNCONFIRMED, message)
}
