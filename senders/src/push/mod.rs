//! THE upload protocol, stated once, over any [`Remote`]: probe, temp file, verify, fence, rename, confirm.
//!
//! The order is what keeps the promises: nothing stands under the final name before size and hash are verified, and the
//! intent to rename is stored before the rename, so that a crash at any line leaves something the next attempt can judge.

mod upload;

use std::time::Instant;

use outport_core::{Fault, code};

use crate::fence::{Fence, RenameIntent, Stop};
use crate::outcome::{ConfirmedBy, Outcome, Receipt, Stage};
use crate::pool::Pool;
use crate::probe::{Finding, judge};
use crate::remote::{Remote, RemoteError, RemoteStat};
use crate::sha256::{Hasher, Sha256Sum};
use crate::source::Source;
use crate::target::Target;

/// What to put where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The name the partner is to see. Relative to the folder one logs in to, unless it starts with a slash.
    pub final_path: String,
    /// The name while it is being written: in the same folder, and of this attempt alone (a function of delivery id
    /// and attempt number), so that a worker that wakes up late cannot write into a newer attempt's file.
    pub temp_path: String,
    /// The recorded hash; `None` when none is recorded (a local file sent by hand).
    pub sha256: Option<Sha256Sum>,
    /// The last attempt that got as far as renaming and did not end with a definite answer (it was abandoned, or ended
    /// as [`Outcome::Unknown`]).
    pub earlier: Option<Earlier>,
    /// What to do when a look at the remote names does not tell whether that attempt delivered.
    pub on_unconfirmed: OnUnconfirmed,
    /// Temp names of earlier attempts that were abandoned: removed once the file is delivered, as far as possible.
    pub stale_temps: Vec<String>,
}

impl Upload {
    /// A first attempt.
    pub fn new(final_path: impl Into<String>, temp_path: impl Into<String>) -> Self {
        Self {
            final_path: final_path.into(),
            temp_path: temp_path.into(),
            sha256: None,
            earlier: None,
            on_unconfirmed: OnUnconfirmed::Resend,
            stale_temps: Vec::new(),
        }
    }
}

/// What an earlier attempt stored before it renamed: its [`RenameIntent`].
pub type Earlier = RenameIntent;

/// What to do with a file that may have arrived (`on_unconfirmed` of the subscription).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnconfirmed {
    /// Send again and mark the receipt as a possible duplicate.
    Resend,
    /// Send nothing; a person decides.
    Hold,
}

/// Takes a connection to `target` from the pool and pushes over it.
pub async fn deliver(
    pool: &Pool,
    target: &Target,
    max_connections: usize,
    upload: &Upload,
    source: &mut dyn Source,
    fence: &dyn Fence,
) -> Outcome {
    if let Err(stop) = fence.check() {
        return stopped(stop, Stage::Connecting, 0);
    }
    match pool.get(target, max_connections, source.size_bytes()).await {
        Ok(remote) => {
            let mut outcome = push(&*remote, upload, source, fence).await;
            if let Outcome::Delivered(receipt) = &mut outcome {
                receipt.fresh_login = remote.is_fresh();
            }
            outcome
        }
        Err(failed) => failed.into(),
    }
}

/// Puts `source` on the server under `upload.final_path`, whole or not at all.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use outport_send::memory::MemoryServer;
/// use outport_send::source::BytesSource;
/// use outport_send::{NoFence, Outcome, Upload, push};
///
/// let server = MemoryServer::default();
/// let upload = Upload::new("in/a.csv", "in/.a.csv.1.part");
/// let outcome = push(&server.remote(), &upload, &mut BytesSource::new("id,name\n"), &NoFence).await;
/// assert!(matches!(outcome, Outcome::Delivered(receipt) if receipt.size_bytes == 8));
/// assert_eq!(server.content("in/a.csv").unwrap(), "id,name\n");
/// # });
/// ```
pub async fn push(
    remote: &dyn Remote,
    upload: &Upload,
    source: &mut dyn Source,
    fence: &dyn Fence,
) -> Outcome {
    let mut run = Run {
        remote,
        upload,
        fence,
        size_bytes: source.size_bytes(),
        stage: Stage::Uploading,
        bytes_sent: 0,
        started: Instant::now(),
    };
    let end = run.all(source).await;
    let (stage, bytes_sent) = (run.stage, run.bytes_sent);
    match end {
        Ok(receipt) => Outcome::Delivered(receipt),
        Err(End::Fault(fault)) => Outcome::Failed { fault, stage, bytes_sent },
        Err(End::AnswerLost(fault)) => Outcome::Unknown { fault, stage, bytes_sent },
        Err(End::Unconfirmed(fault)) => Outcome::Unconfirmed { fault },
        Err(End::Stopped(stop)) => stopped(stop, stage, bytes_sent),
    }
}

fn stopped(stop: Stop, stage: Stage, bytes_sent: u64) -> Outcome {
    match stop {
        Stop::LeaseLost => Outcome::LeaseLost { stage },
        Stop::Cancelled => Outcome::Cancelled { stage, bytes_sent },
    }
}

/// How a push ends without a receipt.
enum End {
    Fault(Fault),
    AnswerLost(Fault),
    Unconfirmed(Fault),
    Stopped(Stop),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

/// A whole and verified temp file, ready for its final name.
struct Whole<'a> {
    temp_path: &'a str,
    sha256: Sha256Sum,
    possible_duplicate: bool,
}

struct Run<'a> {
    remote: &'a dyn Remote,
    upload: &'a Upload,
    fence: &'a dyn Fence,
    size_bytes: u64,
    stage: Stage,
    bytes_sent: u64,
    started: Instant,
}

impl<'a> Run<'a> {
    async fn all(&mut self, source: &mut dyn Source) -> Result<Receipt, End> {
        self.fence.check()?;
        let upload = self.upload;
        let receipt = match &upload.earlier {
            None => self.upload_and_rename(source, false).await?,
            Some(earlier) => match self.look(&earlier.temp_path, earlier.before).await? {
                Finding::Arrived => {
                    let sha256 = self.known_sum(source).await?;
                    self.receipt(sha256, ConfirmedBy::Probe, earlier.possible_duplicate)
                }
                Finding::StillTemp => {
                    let sha256 = self.known_sum(source).await?;
                    let possible_duplicate = earlier.possible_duplicate;
                    self.rename(Whole { temp_path: &earlier.temp_path, sha256, possible_duplicate }).await?
                }
                Finding::CannotTell => match upload.on_unconfirmed {
                    OnUnconfirmed::Resend => self.upload_and_rename(source, true).await?,
                    OnUnconfirmed::Hold => return Err(End::Unconfirmed(self.unconfirmed())),
                },
            },
        };
        self.remove_stale_temps().await;
        Ok(receipt)
    }

    async fn upload_and_rename(
        &mut self,
        source: &mut dyn Source,
        possible_duplicate: bool,
    ) -> Result<Receipt, End> {
        let upload = self.upload;
        let sha256 = self.upload_temp(source).await?;
        self.rename(Whole { temp_path: &upload.temp_path, sha256, possible_duplicate }).await
    }

    /// The recorded hash, or that of the source read through: the bytes were sent by an earlier attempt.
    async fn known_sum(&self, source: &mut dyn Source) -> Result<Sha256Sum, End> {
        if let Some(sum) = self.upload.sha256 {
            return Ok(sum);
        }
        let mut hasher = Hasher::default();
        while let Some(piece) = source.next().await? {
            self.fence.check()?;
            hasher.update(&piece);
        }
        Ok(hasher.finish())
    }

    async fn rename(&mut self, whole: Whole<'a>) -> Result<Receipt, End> {
        let upload = self.upload;
        let (temp_path, final_path) = (whole.temp_path, &upload.final_path);
        let before = match self.remote.stat(final_path).await {
            Ok(before) => before,
            Err(fault) => return Err(self.give_up(temp_path, fault.into()).await),
        };
        let possible_duplicate = whole.possible_duplicate;
        let intent = RenameIntent { temp_path: temp_path.to_owned(), before, possible_duplicate };
        if let Err(stop) = self.fence.enter_renaming(&intent).await {
            return Err(self.give_up(temp_path, stop.into()).await);
        }
        self.stage = Stage::Renaming;
        // From here on the temp file stays while nobody knows what happened: the next attempt finds it by the stored
        // intent and renames it without sending it again.
        let mut renamed = self.remote.rename(temp_path, final_path).await;
        if let Err(RemoteError::Refused(fault)) = &renamed
            && fault.code == &code::REMOTE_EXISTS
            && intent.before.is_some_and(|old| !old.is_folder)
        {
            renamed = self.replace(&intent).await?;
        }
        let confirmed_by = match renamed {
            Ok(()) => ConfirmedBy::Reply,
            Err(error) => match self.look_after(&error, &intent).await {
                Ok(()) => ConfirmedBy::Probe,
                // Refused for certain: nobody will look for this temp file again.
                Err(end @ End::Fault(_)) => return Err(self.give_up(temp_path, end).await),
                Err(end) => return Err(end),
            },
        };
        if confirmed_by == ConfirmedBy::Reply {
            self.confirm(&intent).await?;
        }
        Ok(self.receipt(whole.sha256, confirmed_by, whole.possible_duplicate))
    }

    /// The server does not rename over a file: the old one goes first, and for a moment neither stands under the name.
    /// Only while the lease is ours and our whole temp file is there: a worker that was overtaken must not remove what
    /// its heir delivered.
    async fn replace(&self, intent: &RenameIntent) -> Result<Result<(), RemoteError>, End> {
        let final_path = &self.upload.final_path;
        if self.look(&intent.temp_path, intent.before).await? != Finding::StillTemp {
            let message = format!("could not replace {final_path:?}: the temp file is not there any more");
            return Err(End::AnswerLost(Fault::new(&code::REMOTE_FAILURE, message)));
        }
        self.fence.check()?;
        tracing::debug!("the server does not rename over a file: the old one is removed first");
        if let Err(fault) = self.remote.remove(final_path).await {
            let message = format!(
                "could not replace {final_path:?}: the server neither renames over the old file nor removes it: {}",
                fault.message
            );
            return Ok(Err(RemoteError::Refused(Fault::new(&code::REMOTE_EXISTS, message))));
        }
        self.fence.check()?;
        Ok(self.remote.rename(&intent.temp_path, final_path).await)
    }

    /// The rename was not answered with yes. On a connection that still works a look may show that it happened all the
    /// same; nothing less than that counts.
    async fn look_after(&self, error: &RemoteError, intent: &RenameIntent) -> Result<(), End> {
        let arrived = self.remote.alive()
            && matches!(self.look(&intent.temp_path, intent.before).await, Ok(Finding::Arrived));
        match error {
            _ if arrived => Ok(()),
            RemoteError::Refused(fault) => Err(End::Fault(fault.clone())),
            RemoteError::Ambiguous(fault) => Err(End::AnswerLost(fault.clone())),
        }
    }

    async fn look(&self, temp_path: &str, before: Option<RemoteStat>) -> Result<Finding, Fault> {
        let temp = self.remote.stat(temp_path).await?;
        let last = self.remote.stat(&self.upload.final_path).await?;
        Ok(judge(self.size_bytes, temp, last, before))
    }

    /// The server said that it renamed. A size that differs is a meddler's, and a temp file that is still there makes it a
    /// lie; a file that is gone again was taken by the partner, as was intended; a look that fails takes nothing back.
    async fn confirm(&mut self, intent: &RenameIntent) -> Result<(), End> {
        self.stage = Stage::Confirming;
        let upload = self.upload;
        let final_path = &upload.final_path;
        let shown = match self.remote.stat(final_path).await {
            Ok(shown) => shown,
            Err(fault) => {
                tracing::info!(code = fault.code.name, "the look after the rename failed");
                return Ok(());
            }
        };
        if judge(self.size_bytes, None, shown, intent.before) == Finding::Arrived {
            return Ok(());
        }
        if let Ok(Some(_)) = self.remote.stat(&intent.temp_path).await {
            let message = format!(
                "could not confirm {final_path:?}: the server says that it renamed, and the temp file is still there"
            );
            return Err(Fault::new(&code::REMOTE_FAILURE, message).into());
        }
        if let Some(RemoteStat { size_bytes: Some(size), .. }) = shown
            && size != self.size_bytes
        {
            let message = format!(
                "could not confirm {final_path:?}: {} bytes were sent and verified, after the rename the server shows {size}",
                self.size_bytes
            );
            // The rename happened: sending it again could give the partner a second one. A person looks.
            return Err(End::Unconfirmed(Fault::new(&code::DELIVERY_UNCONFIRMED, message)));
        }
        if shown.is_none() {
            tracing::info!("the file was taken from under its final name at once");
        }
        Ok(())
    }

    fn receipt(&self, sha256: Sha256Sum, confirmed_by: ConfirmedBy, possible_duplicate: bool) -> Receipt {
        Receipt {
            remote_final: self.upload.final_path.clone(),
            size_bytes: self.size_bytes,
            sha256,
            peer: self.remote.identity(),
            confirmed_by,
            possible_duplicate,
            fresh_login: false,
            bytes_sent: self.bytes_sent,
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn unconfirmed(&self) -> Fault {
        Fault::new(
            &code::DELIVERY_UNCONFIRMED,
            format!(
                "could not tell whether {:?} arrived: an earlier attempt got as far as renaming, its temp file is gone, \
                 and nothing under the final name is certainly that file",
                self.upload.final_path
            ),
        )
    }

    async fn remove_stale_temps(&self) {
        for path in &self.upload.stale_temps {
            if self.remote.alive() {
                self.remove_quietly(path).await;
            }
        }
    }

    /// Removes a temp file that nobody needs. It never decides the outcome, so a failure is only logged.
    async fn remove_quietly(&self, path: &str) {
        if let Err(fault) = self.remote.remove(path).await {
            // Logs may not name files: the ledger has the temp name.
            tracing::warn!(code = fault.code.name, "a temp file stays behind on the server");
        }
    }

    /// Ends a push before its rename: the temp file is removed if anybody still answers. Not when the lease is lost: the
    /// intent may be stored all the same, and whoever acts now may rely on the file.
    async fn give_up(&self, temp_path: &str, end: End) -> End {
        if !matches!(end, End::Stopped(Stop::LeaseLost)) && self.remote.alive() {
            self.remove_quietly(temp_path).await;
        }
        end
    }
}

#[cfg(test)]
mod tests;
