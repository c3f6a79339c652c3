//! THE upload protocol, stated once, over any [`Remote`]: probe, temp file, verify, fence, rename, confirm.
//!
//! The order is what keeps the promises: nothing stands under the final name before size and hash are verified (unless
//! the plan says to write there at once), and the intent is stored before the final name is touched, so that a crash
//! at any line leaves something the next attempt can judge. How each step is done is the [`UploadPlan`]'s to say.
//!
//! [`UploadPlan`]: outport_core::upload::UploadPlan

mod aftermath;
mod ahead;
mod companions;
mod direct;
mod folders;
mod looks;
mod offered;
mod place;
mod resume;
mod upload;
mod verify;
mod what;

use std::time::Instant;

use outport_core::Fault;

use self::ahead::Ahead;
pub use self::what::{Earlier, OnUnconfirmed, Upload};
use crate::fence::{Fence, IntentStep, RenameIntent, Stop};
use crate::outcome::{ConfirmedBy, Outcome, Receipt, Stage};
use crate::pool::Pool;
use crate::probe::Finding;
use crate::remote::Remote;
use crate::sha256::{Hasher, Sha256Sum};
use crate::source::Source;
use crate::target::Target;

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
    let got = if upload.plan.one_handle() {
        pool.get_alone(target, max_connections, source.size_bytes()).await
    } else {
        pool.get(target, max_connections, source.size_bytes()).await
    };
    match got {
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
        ahead: Ahead::default(),
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

/// A whole file under its final name.
struct Placed {
    intent: RenameIntent,
    sha256: Sha256Sum,
    confirmed_by: ConfirmedBy,
    /// An earlier attempt placed it: its companions may have been there already, and the partner may have taken all.
    is_old: bool,
}

struct Run<'a> {
    remote: &'a dyn Remote,
    upload: &'a Upload,
    fence: &'a dyn Fence,
    size_bytes: u64,
    stage: Stage,
    bytes_sent: u64,
    ahead: Ahead,
    started: Instant,
}

impl<'a> Run<'a> {
    async fn all(&mut self, source: &mut dyn Source) -> Result<Receipt, End> {
        self.fence.check()?;
        offered::check(&self.upload.plan, self.remote.offers())?;
        let placed = match &self.upload.earlier {
            None => self.anew(source, false).await?,
            Some(earlier) => self.go_on(earlier, source).await?,
        };
        self.companions(&placed).await?;
        self.remove_stale_temps().await;
        Ok(self.receipt(&placed))
    }

    /// After an attempt that came as far as the final name.
    async fn go_on(&mut self, earlier: &'a Earlier, source: &mut dyn Source) -> Result<Placed, End> {
        if earlier.step == IntentStep::Placed {
            return self.found(earlier, source).await;
        }
        // By what that attempt did, not by the plan, which may have changed since.
        if earlier.step != IntentStep::Renaming {
            return self.go_on_direct(earlier, source).await;
        }
        match self.look_at_rename(earlier).await? {
            Finding::Arrived => self.found(earlier, source).await,
            Finding::StillTemp => {
                let (sha256, possible_duplicate) =
                    (self.known_sum(source).await?, earlier.possible_duplicate);
                self.place(Whole { temp_path: &earlier.temp_path, sha256, possible_duplicate }).await
            }
            Finding::CannotTell => self.unconfirmed(earlier, source).await,
        }
    }

    /// The whole way.
    async fn anew(&mut self, source: &mut dyn Source, possible_duplicate: bool) -> Result<Placed, End> {
        let upload = self.upload;
        let Some(temp_path) = &upload.temp_path else {
            return self.write_direct(source, possible_duplicate, None).await;
        };
        self.refuse_early().await?;
        let sha256 = self.upload_temp(temp_path, source).await?;
        self.place(Whole { temp_path, sha256, possible_duplicate }).await
    }

    /// Nothing tells whether the earlier attempt delivered.
    async fn unconfirmed(&mut self, earlier: &Earlier, source: &mut dyn Source) -> Result<Placed, End> {
        match self.upload.on_unconfirmed {
            OnUnconfirmed::Resend => self.anew(source, true).await,
            OnUnconfirmed::Hold => Err(End::Unconfirmed(aftermath::cannot_tell(&earlier.final_path))),
        }
    }

    /// The earlier attempt delivered.
    async fn found(&mut self, earlier: &Earlier, source: &mut dyn Source) -> Result<Placed, End> {
        let sha256 = self.known_sum(source).await?;
        Ok(Placed { intent: earlier.clone(), sha256, confirmed_by: ConfirmedBy::Probe, is_old: true })
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

    fn receipt(&self, placed: &Placed) -> Receipt {
        Receipt {
            remote_final: placed.intent.final_path.clone(),
            size_bytes: self.size_bytes,
            sha256: placed.sha256,
            peer: self.remote.identity(),
            confirmed_by: placed.confirmed_by,
            possible_duplicate: placed.intent.possible_duplicate,
            fresh_login: false,
            bytes_sent: self.bytes_sent,
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod tests;
