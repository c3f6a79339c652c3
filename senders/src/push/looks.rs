//! Looks at the server's names, in the way that the plan allows.

use outport_core::Fault;
use outport_core::upload::Verify;

use super::{Earlier, Run};
use crate::probe::{Finding, judge};
use crate::remote::RemoteStat;

impl Run<'_> {
    /// What stands under a name. A drop box is not asked: it shows nothing.
    pub(super) async fn look(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        match self.upload.plan.verify() {
            _ if self.upload.plan.write_only() => Ok(None),
            Verify::List => self.remote.find(path).await,
            _ => self.remote.stat(path).await,
        }
    }

    /// Whether a rename happened whose answer never came.
    pub(super) async fn look_at_rename(&self, earlier: &Earlier) -> Result<Finding, Fault> {
        if self.upload.plan.write_only() {
            return Ok(Finding::CannotTell);
        }
        let temp = self.look(&earlier.temp_path).await?;
        let last = self.look(&earlier.final_path).await?;
        Ok(judge(self.size_bytes, temp, last, earlier.before))
    }
}
