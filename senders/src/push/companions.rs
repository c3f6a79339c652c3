//! What follows a file: its checksum, and last of all its trigger. Both can be written again at any time; the file itself
//! cannot, so that it stands is stored first.

use bytes::Bytes;
use outport_core::Fault;
use outport_core::upload::{Naming, Rename};

use super::folders::name_of;
use super::{End, Placed, Run};
use crate::fence::IntentStep;
use crate::outcome::Stage;
use crate::remote::{FileAttributes, Opening, RemoteError, RenameWith};

impl Run<'_> {
    pub(super) async fn companions(&mut self, placed: &Placed) -> Result<(), End> {
        let plan = &self.upload.plan;
        if !plan.has_companions() {
            return Ok(());
        }
        let mut intent = placed.intent.clone();
        intent.step = IntentStep::Placed;
        self.fence.enter_renaming(&intent).await?;
        self.stage = Stage::Confirming;
        let final_path = &intent.final_path;
        if placed.is_old && !plan.write_only() && self.look(final_path).await?.is_none() {
            // A trigger for a file that is not there any more would have the partner look for it.
            tracing::info!("the partner has taken the file: nothing more is written");
            return Ok(());
        }
        let name = name_of(final_path)?;
        if let Some(checksum) = plan.checksum() {
            // As `sha256sum --check` reads it; the name without its folder, as the partner moves files.
            let content = format!("{}  {}\n", placed.sha256, name.file_name());
            let path = checksum.of(&name)?;
            self.write_checksum(path.as_str(), content.into())
                .await
                .map_err(|end| not_all(final_path, "its checksum", end))?;
        }
        if let Some(trigger) = plan.trigger() {
            let path = trigger.of(&name)?;
            self.fence.check()?;
            // Nothing of it can be half: it is written under its name at once, also by a plan with temp names.
            self.write_small(path.as_str(), Bytes::new())
                .await
                .map_err(|fault| not_all(final_path, "its trigger", fault.into()))?;
        }
        Ok(())
    }

    async fn write_checksum(&mut self, path: &str, content: Bytes) -> Result<(), End> {
        self.fence.check()?;
        let Some(temp_path) = &self.upload.checksum_temp_path else {
            return Ok(self.write_small(path, content).await?);
        };
        if let Err(fault) = self.write_small(temp_path, content).await {
            return Err(self.give_up(temp_path, fault.into()).await);
        }
        if let Err(stop) = self.fence.check() {
            return Err(self.give_up(temp_path, stop.into()).await);
        }
        match self.replace_small(temp_path, path).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up(temp_path, error.into_fault().into()).await),
        }
    }

    /// A checksum of an older file of the same name is always replaced: it would be wrong.
    async fn replace_small(&self, from: &str, to: &str) -> Result<(), RemoteError> {
        let posix_only =
            matches!(self.upload.plan.naming(), Naming::Temp { rename: Rename::PosixRename, .. });
        let with = if posix_only { RenameWith::PosixRename } else { RenameWith::Best };
        match self.remote.rename(from, to, with).await {
            Err(RemoteError::Refused(fault))
                if fault.code == &outport_core::code::REMOTE_EXISTS && !self.upload.plan.write_only() =>
            {
                self.remote.remove(to).await.map_err(RemoteError::Refused)?;
                self.remote.rename(from, to, RenameWith::Rename).await
            }
            renamed => renamed,
        }
    }

    async fn write_small(&self, path: &str, content: Bytes) -> Result<(), Fault> {
        let mut file = self.open(path, Opening::Replace).await?;
        let written = async {
            if !content.is_empty() {
                file.write(content).await?;
            }
            if let Some(mode) = self.upload.plan.mode() {
                file.set(FileAttributes { mode: Some(mode.bits()), mtime_s: None }).await?;
            }
            if self.upload.plan.fsync() {
                file.sync().await?;
            }
            Ok::<(), Fault>(())
        };
        let written = written.await;
        match written {
            Ok(()) => file.close().await.map_err(RemoteError::into_fault),
            Err(fault) => {
                self.close_quietly(file).await;
                Err(fault)
            }
        }
    }
}

/// Says that the file itself is there.
fn not_all(final_path: &str, what: &str, end: End) -> End {
    let said = |fault: Fault| Fault {
        message: format!("{final_path:?} is delivered, {what} is not: {}", fault.message),
        ..fault
    };
    match end {
        End::Fault(fault) => End::Fault(said(fault)),
        other => other,
    }
}
