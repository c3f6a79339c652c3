//! The first half of the protocol: a whole and verified temp file, or none.

use outport_core::{Fault, code};

use super::{End, Run};
use crate::outcome::Stage;
use crate::remote::{RemoteError, RemoteFile};
use crate::sha256::{Hasher, Sha256Sum};
use crate::source::Source;

impl Run<'_> {
    /// Writes the temp file and verifies it. On any failure it is removed again.
    pub(super) async fn upload_temp(&mut self, source: &mut dyn Source) -> Result<Sha256Sum, End> {
        self.fence.check()?;
        let upload = self.upload;
        let temp_path = &upload.temp_path;
        let mut file = self.remote.create(temp_path).await?;
        let streamed = self.stream(&mut *file, source).await;
        self.bytes_sent = file.acknowledged();
        let verified = match streamed {
            Ok(sum) => match file.close().await {
                Ok(()) => {
                    self.bytes_sent = self.size_bytes;
                    self.stage = Stage::Verifying;
                    self.verify(temp_path).await.map(|()| sum)
                }
                // Whether the temp file was closed is of no matter: it is not used.
                Err(error) => Err(error.into_fault().into()),
            },
            Err(end) => {
                self.close_quietly(file).await;
                Err(end)
            }
        };
        match verified {
            Ok(sum) => Ok(sum),
            Err(end) => Err(self.give_up(temp_path, end).await),
        }
    }

    async fn stream(&mut self, file: &mut dyn RemoteFile, source: &mut dyn Source) -> Result<Sha256Sum, End> {
        let mut hasher = Hasher::default();
        while let Some(piece) = source.next().await? {
            self.fence.check()?;
            hasher.update(&piece);
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

    /// Compares what the server shows with what was sent.
    async fn verify(&mut self, temp_path: &str) -> Result<(), End> {
        let sent = self.size_bytes;
        let problem = match self.remote.stat(temp_path).await? {
            Some(stat) => match stat.size_bytes {
                Some(size) if size == sent => return Ok(()),
                Some(size) => format!("the server shows {size}"),
                None => "the server does not tell the size".to_owned(),
            },
            None => "the server shows no file of that name any more".to_owned(),
        };
        let message =
            format!("could not verify {temp_path:?}: {sent} bytes were written and confirmed, {problem}");
        Err(Fault::new(&code::REMOTE_SIZE_DIFFERS, message).into())
    }

    /// Closes a file whose content no longer matters, so that the server lets go of it before it is removed.
    async fn close_quietly(&self, file: Box<dyn RemoteFile>) {
        if !self.remote.alive() {
            return;
        }
        if let Err(RemoteError::Refused(fault) | RemoteError::Ambiguous(fault)) = file.close().await {
            tracing::debug!(fault.code = fault.code.name, "closing a file that is given up failed: {fault}");
        }
    }
}
