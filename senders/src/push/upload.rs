//! The first half of the protocol: a whole and verified temp file, or none.

use bytes::Buf;
use outport_core::{Fault, code};

use super::{End, Run};
use crate::outcome::Stage;
use crate::remote::{RemoteError, RemoteFile};
use crate::sha256::{Hasher, Sha256Sum};
use crate::source::Source;

impl Run<'_> {
    /// Writes the temp file and verifies it. On a failure it is removed again, unless the next attempt can go on with it.
    pub(super) async fn upload_temp(
        &mut self,
        temp_path: &str,
        source: &mut dyn Source,
    ) -> Result<Sha256Sum, End> {
        self.fence.check()?;
        let (mut file, kept) = self.open_temp(temp_path).await?;
        let streamed = self.stream(&mut *file, source, kept).await;
        self.bytes_sent = file.acknowledged();
        let sum = match streamed {
            Ok(sum) => sum,
            Err(end) => {
                self.close_quietly(file).await;
                return Err(self.give_up_unfinished(temp_path, end).await);
            }
        };
        if let Err(fault) = self.before_close(temp_path, &mut *file).await {
            self.close_quietly(file).await;
            return Err(self.give_up_unfinished(temp_path, fault.into()).await);
        }
        if let Err(error) = self.close(file, temp_path).await {
            // Whether the temp file was closed is of no matter: it is not used as it is.
            return Err(self.give_up_unfinished(temp_path, error.into_fault().into()).await);
        }
        self.bytes_sent = self.size_bytes - kept;
        self.stage = Stage::Verifying;
        match self.verify(temp_path, &sum).await {
            Ok(()) => Ok(sum),
            Err(end) => Err(self.give_up(temp_path, end).await),
        }
    }

    /// Sends the source, but for its first `kept` bytes, which the file has already; the hash covers them too.
    pub(super) async fn stream(
        &mut self,
        file: &mut dyn RemoteFile,
        source: &mut dyn Source,
        kept: u64,
    ) -> Result<Sha256Sum, End> {
        let mut to_skip = kept;
        let mut hasher = Hasher::default();
        while let Some(mut piece) = source.next().await? {
            self.fence.check()?;
            hasher.update(&piece);
            let skipped = usize::try_from(to_skip).unwrap_or(usize::MAX).min(piece.len());
            piece.advance(skipped);
            to_skip -= skipped as u64;
            if hasher.size_bytes() > self.size_bytes {
                return Err(self.differs(&format!("it has more than its recorded {} bytes", self.size_bytes)));
            }
            if !piece.is_empty() {
                file.write(piece).await?;
            }
        }
        self.fence.check()?;
        let size = hasher.size_bytes();
        if size != self.size_bytes {
            return Err(
                self.differs(&format!("it ended after {size} of its recorded {} bytes", self.size_bytes))
            );
        }
        let sum = hasher.finish();
        match self.upload.sha256 {
            Some(recorded) if recorded != sum => {
                Err(self.differs(&format!("its bytes have the sha256 {sum}, recorded is {recorded}")))
            }
            _ => Ok(sum),
        }
    }

    fn differs(&mut self, problem: &str) -> End {
        self.stage = Stage::Verifying;
        Fault::new(
            &code::ARTIFACT_HASH_DIFFERS,
            format!(
                "could not send the artifact for {:?}: {problem}; nothing was renamed",
                self.upload.final_path
            ),
        )
        .into()
    }

    /// Closes a file whose content no longer matters, so that the server lets go of it before it is removed.
    pub(super) async fn close_quietly(&self, file: Box<dyn RemoteFile>) {
        if !self.remote.alive() {
            return;
        }
        if let Err(RemoteError::Refused(fault) | RemoteError::Ambiguous(fault)) = file.close().await {
            tracing::debug!(fault.code = fault.code.name, "closing a file that is given up failed: {fault}");
        }
    }
}
