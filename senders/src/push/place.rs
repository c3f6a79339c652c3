//! The final name: looked at, written down, taken, confirmed.

use outport_core::upload::{Naming, OnExisting, Rename, Verify, numbered};
use outport_core::{Fault, code};

use super::folders::name_of;
use super::{End, Placed, Run, Whole};
use crate::fence::{IntentStep, RenameIntent};
use crate::outcome::{ConfirmedBy, Stage};
use crate::probe::{Finding, judge};
use crate::remote::{RemoteError, RemoteStat, RenameWith};

/// Names tried for a file whose own is taken. A folder with more of one name is not what anybody wanted.
pub(super) const NAMES: u32 = 100;

impl Run<'_> {
    /// Where nothing may be replaced, a file that is there ends the attempt before any byte is sent.
    pub(super) async fn refuse_early(&self) -> Result<(), End> {
        if self.upload.plan.on_existing() == OnExisting::Fail
            && self.look(&self.upload.final_path).await?.is_some()
        {
            return Err(in_the_way(&self.upload.final_path).into());
        }
        Ok(())
    }

    /// Gives a whole temp file its final name.
    pub(super) async fn place(&mut self, whole: Whole<'_>) -> Result<Placed, End> {
        let tries = if self.upload.plan.on_existing() == OnExisting::Unique { NAMES } else { 1 };
        let name = name_of(&self.upload.final_path)?;
        for n in 1..=tries {
            let final_path = numbered(&name, n).map_err(Fault::from)?.as_str().to_owned();
            if let Some(placed) = self.take_name(&whole, final_path).await? {
                return Ok(placed);
            }
        }
        let message =
            format!("could not place {:?}: {NAMES} files of that name are there", self.upload.final_path);
        Err(self.give_up(whole.temp_path, Fault::new(&code::REMOTE_EXISTS, message).into()).await)
    }

    /// `None`: another file has that name.
    async fn take_name(&mut self, whole: &Whole<'_>, final_path: String) -> Result<Option<Placed>, End> {
        let (temp_path, on_existing) = (whole.temp_path, self.upload.plan.on_existing());
        let before = match self.look_before(&final_path).await {
            Ok(before) => before,
            Err(fault) => return Err(self.give_up(temp_path, fault.into()).await),
        };
        if before.is_some() && on_existing == OnExisting::Unique {
            return Ok(None);
        }
        if before.is_some() && on_existing == OnExisting::Fail {
            return Err(self.give_up(temp_path, in_the_way(&final_path).into()).await);
        }
        let intent = RenameIntent {
            step: IntentStep::Renaming,
            temp_path: temp_path.to_owned(),
            final_path,
            before,
            possible_duplicate: whole.possible_duplicate,
        };
        if let Err(stop) = self.fence.enter_renaming(&intent).await {
            return Err(self.give_up(temp_path, stop.into()).await);
        }
        self.stage = Stage::Renaming;
        // From here on the temp file stays while nobody knows what happened: the next attempt finds it by the stored
        // intent and renames it without sending it again.
        let (mut renamed, mut seen) = self.rename_and_look(&intent).await;
        if self.is_in_the_way(&renamed, &intent) {
            if on_existing == OnExisting::Unique {
                return Ok(None);
            }
            if self.may_remove_old() && intent.before.is_some_and(|old| !old.is_folder) {
                (renamed, seen) = (self.replace(&intent).await?, None);
            }
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
            self.confirm(&intent, seen).await?;
        }
        Ok(Some(Placed { intent, sha256: whole.sha256, confirmed_by, is_old: false }))
    }

    fn wanted(&self) -> Rename {
        match self.upload.plan.naming() {
            Naming::Temp { rename, .. } => *rename,
            // A whole temp file that an attempt by an older plan left.
            Naming::Direct => Rename::Auto,
        }
    }

    fn may_remove_old(&self) -> bool {
        let plan = &self.upload.plan;
        plan.on_existing() == OnExisting::Replace
            && !plan.write_only()
            && matches!(self.wanted(), Rename::Auto | Rename::DeleteRename)
    }

    /// Whether a file under the final name is why the rename was refused. Where STAT is refused, the connection cannot tell
    /// it from other failures; the listing has shown the file.
    fn is_in_the_way(&self, renamed: &Result<(), RemoteError>, intent: &RenameIntent) -> bool {
        let Err(RemoteError::Refused(fault)) = renamed else { return false };
        let is_listed = self.upload.plan.verify() == Verify::List
            && intent.before.is_some()
            && !self.remote.offers().posix_rename;
        fault.code == &code::REMOTE_EXISTS || (is_listed && fault.code == &code::REMOTE_FAILURE)
    }

    pub(super) async fn rename(&self, intent: &RenameIntent) -> Result<(), RemoteError> {
        let with = match (self.wanted(), self.upload.plan.on_existing()) {
            (Rename::PosixRename, _) => RenameWith::PosixRename,
            (Rename::Auto, OnExisting::Replace) => RenameWith::Best,
            _ => RenameWith::Rename,
        };
        let (from, to) = (&intent.temp_path, &intent.final_path);
        match self.remote.rename(from, to, with).await {
            Err(RemoteError::Refused(fault)) if self.may_make_folders(&fault) => {
                self.make_folders(to).await.map_err(RemoteError::Refused)?;
                self.remote.rename(from, to, with).await
            }
            renamed => renamed,
        }
    }

    /// The server does not rename over a file: the old one goes first, and for a moment neither stands under the name.
    /// Only while the lease is ours and our whole temp file is there: a worker that was overtaken must not remove what
    /// its heir delivered.
    async fn replace(&self, intent: &RenameIntent) -> Result<Result<(), RemoteError>, End> {
        let final_path = &intent.final_path;
        if self.look_at_rename(intent).await? != Finding::StillTemp {
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
        Ok(self.remote.rename(&intent.temp_path, final_path, RenameWith::Rename).await)
    }

    /// The rename was not answered with yes. On a connection that still works a look may show that it happened all the
    /// same; nothing less than that counts.
    async fn look_after(&self, error: &RemoteError, intent: &RenameIntent) -> Result<(), End> {
        let arrived =
            self.remote.alive() && matches!(self.look_at_rename(intent).await, Ok(Finding::Arrived));
        match error {
            _ if arrived => Ok(()),
            RemoteError::Refused(fault) => Err(End::Fault(fault.clone())),
            RemoteError::Ambiguous(fault) => Err(End::AnswerLost(fault.clone())),
        }
    }

    /// The server said that it renamed. A size that differs is a meddler's, and a temp file that is still there makes it a
    /// lie; a file that is gone again was taken by the partner, as was intended; a look that fails takes nothing back.
    async fn confirm(&mut self, intent: &RenameIntent, seen: Option<RemoteStat>) -> Result<(), End> {
        self.stage = Stage::Confirming;
        let has_arrived = |shown| judge(self.size_bytes, None, shown, intent.before) == Finding::Arrived;
        if self.upload.plan.write_only() || (seen.is_some() && has_arrived(seen)) {
            return Ok(());
        }
        let final_path = &intent.final_path;
        let shown = match self.look(final_path).await {
            Ok(shown) => shown,
            Err(fault) => {
                tracing::info!(code = fault.code.name, "the look after the rename failed");
                return Ok(());
            }
        };
        if has_arrived(shown) {
            return Ok(());
        }
        if let Ok(Some(_)) = self.look(&intent.temp_path).await {
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
}

pub(super) fn in_the_way(path: &str) -> Fault {
    let message =
        format!("could not place {path:?}: a file of that name is there, and the endpoint replaces none");
    Fault::new(&code::REMOTE_EXISTS, message)
        .with_hint("have the partner take it away and retry; or change upload.on_existing of the endpoint")
}
