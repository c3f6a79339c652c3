//! Whether the server has what was sent, before anybody relies on it.

use outport_core::upload::Verify;
use outport_core::{Fault, code};

use super::{End, Run};
use crate::remote::{FileAttributes, RemoteFile, RemoteStat};
use crate::sha256::{Hasher, Sha256Sum};

impl Run<'_> {
    /// What the plan wants of a file whose bytes are all there, before it is closed.
    pub(super) async fn before_close(&self, path: &str, file: &mut dyn RemoteFile) -> Result<(), Fault> {
        let plan = &self.upload.plan;
        if plan.one_handle() && plan.verify() == Verify::Stat {
            let shown = file.stat().await?;
            self.compare_sizes(path, Some(shown))?;
        }
        let keeps = self.upload.mtime_s.filter(|_| plan.keeps_mtime());
        let attributes = FileAttributes {
            mode: plan.mode().map(|mode| mode.bits()),
            // SFTP 3 has 32 bits, without a sign (section 5).
            mtime_s: keeps.map(|seconds| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)),
        };
        if attributes != FileAttributes::default() {
            file.set(attributes).await.map_err(|fault| {
                let hint =
                    "the server does not let this user set them: leave upload.mode and upload.mtime out";
                if fault.code == &code::REMOTE_UNSUPPORTED || fault.code == &code::REMOTE_PERMISSION_DENIED {
                    fault.with_hint(hint)
                } else {
                    fault
                }
            })?;
        }
        if plan.fsync() {
            file.sync().await?;
        }
        Ok(())
    }

    /// Compares what the server has with what was sent, as the plan says.
    pub(super) async fn verify(&mut self, path: &str, sent: &Sha256Sum) -> Result<(), End> {
        let plan = &self.upload.plan;
        match plan.verify() {
            Verify::None => Ok(()),
            Verify::Stat if plan.one_handle() => Ok(()),
            Verify::Stat | Verify::List => {
                let shown = self.look_at_temp(path).await?;
                Ok(self.compare_sizes(path, shown)?)
            }
            Verify::ReadBack => {
                let mut reader = self.remote.read(path).await?;
                let mut hasher = Hasher::default();
                while let Some(piece) = reader.next().await? {
                    self.fence.check()?;
                    hasher.update(&piece);
                    if hasher.size_bytes() > self.size_bytes {
                        break;
                    }
                }
                Ok(self.compare_sums(path, sent, &hasher.finish(), "the bytes read again have")?)
            }
            Verify::Checksum => {
                let shown = self.remote.checksum(path).await?;
                Ok(self.compare_sums(path, sent, &shown, "the server computes")?)
            }
        }
    }

    fn compare_sizes(&self, path: &str, shown: Option<RemoteStat>) -> Result<(), Fault> {
        let sent = self.size_bytes;
        let problem = match shown {
            Some(RemoteStat { size_bytes: Some(size), .. }) if size == sent => return Ok(()),
            Some(RemoteStat { size_bytes: Some(size), .. }) => format!("the server shows {size}"),
            Some(_) => "the server does not tell the size".to_owned(),
            None => "the server shows no file of that name any more".to_owned(),
        };
        let message =
            format!("could not verify {path:?}: {sent} bytes were written and confirmed, {problem}");
        Err(Fault::new(&code::REMOTE_SIZE_DIFFERS, message))
    }

    fn compare_sums(&self, path: &str, sent: &Sha256Sum, shown: &Sha256Sum, who: &str) -> Result<(), Fault> {
        if sent == shown {
            return Ok(());
        }
        let message = format!("could not verify {path:?}: {who} the sha256 {shown}, sent was {sent}");
        Err(Fault::new(&code::REMOTE_CONTENT_DIFFERS, message))
    }
}
