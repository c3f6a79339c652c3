//! Looks that go out together with what they look at, and not after its answer: of a small file's six waits for the server,
//! three are left.
//!
//! A server answers requests about one name in their order (filexfer-02 section 6.1), but not every one does, and some show
//! a file only once it is closed. So a look ahead counts only where it shows what it should; else it is done again.

use outport_core::Fault;
use outport_core::upload::Verify;

use super::Run;
use crate::fence::RenameIntent;
use crate::remote::{RemoteError, RemoteFile, RemoteStat};

/// Larger files are written in several pieces, and what they cost is not the waiting.
const UP_TO_BYTES: u64 = 256 * 1024;

/// What was seen with the close.
#[derive(Default)]
pub(super) struct Ahead {
    temp: Option<RemoteStat>,
    /// Under the final name; `None`: it was not seen.
    last: Option<Option<RemoteStat>>,
}

impl Run<'_> {
    fn looks_ahead(&self) -> bool {
        let plan = &self.upload.plan;
        plan.verify() == Verify::Stat
            && !plan.one_handle()
            && !plan.write_only()
            && self.size_bytes <= UP_TO_BYTES
    }

    /// Closes the temp file.
    pub(super) async fn close(
        &mut self,
        file: Box<dyn RemoteFile>,
        temp_path: &str,
    ) -> Result<(), RemoteError> {
        if !self.looks_ahead() {
            return file.close().await;
        }
        let (closed, temp, last) =
            tokio::join!(biased; file.close(), self.look(temp_path), self.look(&self.upload.final_path));
        self.ahead = Ahead { temp: temp.ok().flatten(), last: last.ok() };
        closed
    }

    /// What stands under the temp name after the close.
    pub(super) async fn look_at_temp(&mut self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        match self.ahead.temp.take() {
            Some(seen) if seen.size_bytes == Some(self.size_bytes) => Ok(Some(seen)),
            _ => self.look(path).await,
        }
    }

    /// What stands under a final name before the rename.
    pub(super) async fn look_before(&mut self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        match self.ahead.last.take() {
            Some(seen) if path == self.upload.final_path => Ok(seen),
            _ => self.look(path).await,
        }
    }

    /// Renames; and what stood under the final name then, if that was seen.
    pub(super) async fn rename_and_look(
        &self,
        intent: &RenameIntent,
    ) -> (Result<(), RemoteError>, Option<RemoteStat>) {
        if !self.looks_ahead() {
            return (self.rename(intent).await, None);
        }
        let (renamed, seen) = tokio::join!(biased; self.rename(intent), self.look(&intent.final_path));
        (renamed, seen.ok().flatten())
    }
}
