//! A file that is written under its final name: what the partner can see at any moment is in docs/STATES.md, "Direct".

use outport_core::upload::{OnExisting, numbered};
use outport_core::{Fault, code};

use super::folders::name_of;
use super::place::{NAMES, in_the_way};
use super::{Earlier, End, Placed, Run};
use crate::fence::{IntentStep, RenameIntent, Stop};
use crate::outcome::{ConfirmedBy, Stage};
use crate::probe::{DirectFinding, judge_direct};
use crate::remote::{Opening, RemoteError, RemoteFile};
use crate::sha256::Sha256Sum;
use crate::source::Source;

impl Run<'_> {
    /// After an attempt that opened, or was about to open, the file under its final name.
    pub(super) async fn go_on_direct(
        &mut self,
        earlier: &Earlier,
        source: &mut dyn Source,
    ) -> Result<Placed, End> {
        let finding = if self.upload.plan.write_only() {
            DirectFinding::CannotTell
        } else {
            let shown = self.look(&earlier.final_path).await?;
            let replaces = self.upload.plan.on_existing() == OnExisting::Replace;
            judge_direct(self.size_bytes, earlier.step, replaces, shown, earlier.before)
        };
        match finding {
            DirectFinding::Arrived => self.found(earlier, source).await,
            DirectFinding::Half if earlier.step == IntentStep::Created => {
                self.anew_over(source, earlier).await
            }
            DirectFinding::Half | DirectFinding::NotBegun => {
                self.anew(source, earlier.possible_duplicate).await
            }
            DirectFinding::CannotTell => self.unconfirmed(earlier, source).await,
        }
    }

    /// Ours to write over: this delivery made it.
    async fn anew_over(&mut self, source: &mut dyn Source, earlier: &Earlier) -> Result<Placed, End> {
        if self.upload.temp_path.is_some() {
            return self.anew(source, earlier.possible_duplicate).await;
        }
        let final_path = Some(earlier.final_path.clone());
        self.write_direct(source, earlier.possible_duplicate, final_path).await
    }

    /// `ours`: the name of a half file that this delivery made.
    pub(super) async fn write_direct(
        &mut self,
        source: &mut dyn Source,
        possible_duplicate: bool,
        ours: Option<String>,
    ) -> Result<Placed, End> {
        let (mut intent, mut file) = self.open_final(possible_duplicate, ours).await?;
        let streamed = self.stream(&mut *file, source, 0).await;
        self.bytes_sent = file.acknowledged();
        let final_path = intent.final_path.clone();
        let finished = match streamed {
            Ok(sum) => self.finish_direct(file, &final_path, sum).await.map(|()| sum),
            Err(end) => {
                self.close_quietly(file).await;
                Err(end)
            }
        };
        match finished {
            Ok(sha256) => {
                self.stage = Stage::Confirming;
                intent.step = IntentStep::Placed;
                Ok(Placed { intent, sha256, confirmed_by: ConfirmedBy::Reply, is_old: false })
            }
            Err(end) => Err(self.take_back(&final_path, end).await),
        }
    }

    async fn finish_direct(
        &mut self,
        mut file: Box<dyn RemoteFile>,
        final_path: &str,
        sum: Sha256Sum,
    ) -> Result<(), End> {
        // Every byte is on its way: when the connection ends from here on, the file may be whole.
        let closed = match self.before_close(final_path, &mut *file).await {
            Ok(()) => {
                let closed = file.close().await;
                self.bytes_sent = self.size_bytes;
                closed
            }
            Err(fault) => {
                self.close_quietly(file).await;
                Err(RemoteError::Refused(fault))
            }
        };
        match closed {
            Ok(()) => {}
            Err(RemoteError::Refused(fault)) if self.remote.alive() => return Err(fault.into()),
            Err(error) => return Err(End::AnswerLost(error.into_fault())),
        }
        self.stage = Stage::Verifying;
        match self.verify(final_path, &sum).await {
            Err(End::Fault(fault)) if !self.remote.alive() => Err(End::AnswerLost(fault)),
            verified => verified,
        }
    }

    /// Removes what this attempt wrote, while it is certainly ours: the lease stands, and somebody answers.
    async fn take_back(&self, final_path: &str, end: End) -> End {
        let is_known = matches!(end, End::Fault(_) | End::Stopped(Stop::Cancelled));
        let is_ours = matches!(end, End::Stopped(Stop::Cancelled)) || self.fence.check().is_ok();
        if is_known && is_ours && self.remote.alive() {
            self.remove_quietly(final_path).await;
        }
        end
    }

    /// Finds a name, writes it down, and opens it.
    async fn open_final(
        &mut self,
        possible_duplicate: bool,
        ours: Option<String>,
    ) -> Result<(RenameIntent, Box<dyn RemoteFile>), End> {
        let on_existing = self.upload.plan.on_existing();
        let name = name_of(&self.upload.final_path)?;
        let tries = if on_existing == OnExisting::Unique { NAMES } else { 1 };
        if let Some(final_path) = ours {
            let intent = self.direct_intent(final_path, possible_duplicate, IntentStep::Created).await?;
            let file = self.open(&intent.final_path, Opening::Replace).await?;
            return Ok((intent, file));
        }
        for n in 1..=tries {
            let final_path = numbered(&name, n).map_err(Fault::from)?.as_str().to_owned();
            let mut intent = self.direct_intent(final_path, possible_duplicate, IntentStep::Writing).await?;
            if on_existing == OnExisting::Replace {
                let file = self.open(&intent.final_path, Opening::Replace).await?;
                return Ok((intent, file));
            }
            if intent.before.is_none() {
                match self.open(&intent.final_path, Opening::New).await {
                    Ok(file) => {
                        // Only what is known to be ours may be written over by the next attempt.
                        intent.step = IntentStep::Created;
                        if let Err(stop) = self.fence.enter_renaming(&intent).await {
                            self.close_quietly(file).await;
                            return Err(self.take_back(&intent.final_path, stop.into()).await);
                        }
                        return Ok((intent, file));
                    }
                    Err(fault) if fault.code == &code::REMOTE_EXISTS => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
            if on_existing == OnExisting::Fail {
                return Err(in_the_way(&intent.final_path).into());
            }
        }
        let message =
            format!("could not place {:?}: {NAMES} files of that name are there", self.upload.final_path);
        Err(Fault::new(&code::REMOTE_EXISTS, message).into())
    }

    /// Looks, and writes down what is about to happen. A name that is taken and stays is not written down.
    async fn direct_intent(
        &mut self,
        final_path: String,
        possible_duplicate: bool,
        step: IntentStep,
    ) -> Result<RenameIntent, End> {
        let before = self.look(&final_path).await?;
        let intent = RenameIntent { step, temp_path: String::new(), final_path, before, possible_duplicate };
        let stays = self.upload.plan.on_existing() != OnExisting::Replace && step == IntentStep::Writing;
        if !(stays && intent.before.is_some()) {
            self.fence.enter_renaming(&intent).await?;
        }
        Ok(intent)
    }
}
