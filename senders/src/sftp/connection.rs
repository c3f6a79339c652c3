//! What everything on one SFTP connection shares: its channels, what the server can do, and what a refusal means.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use outport_core::{Fault, code};

use super::checksum::CheckFile;
use super::classify::{Meaning, Operation, meaning};
use super::diagnose::{Facts, Room, diagnose, folder_of};
use super::second_channel::SecondChannel;
use super::session::Session;
use super::wire::{Attrs, Reply, Request, Status, extended, extension, open_flags};
use crate::remote::{RemoteError, RemoteStat};

/// What this server can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    pub(super) posix_rename: bool,
    pub(super) statvfs: bool,
    pub(super) fsync: bool,
    pub(super) check_file: Option<CheckFile>,
}

/// What the files of a connection share with it.
pub(super) struct Connection {
    pub(super) session: Arc<Session>,
    pub(super) second: SecondChannel,
    pub(super) write_bytes: usize,
    pub(super) features: Features,
    pub(super) place: String,
}

impl Connection {
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn may_have_second(&self) -> bool {
        self.second.may_be()
    }

    /// The second channel, opened by the first who asks.
    pub(super) async fn second(&self) -> Option<Arc<Session>> {
        self.second.session().await
    }

    /// Opens a file that is open for writing once more, as it is.
    pub(super) async fn open_again(&self, session: &Session, path: &str) -> Option<Bytes> {
        let open = Request::Open { path: bytes(path), flags: open_flags::WRITE, attrs: Attrs::default() };
        match session.ask(&open).await {
            Ok(Reply::Handle(handle)) => Some(handle),
            answer => {
                tracing::info!(
                    endpoint = self.place,
                    "a file stays on one channel, it was not opened a second time: {answer:?}"
                );
                None
            }
        }
    }

    /// The fault for a refusal, after a look at the server where the status says nothing.
    pub(super) async fn refusal(&self, operation: Operation, path: &str, status: &Status) -> Fault {
        let (code, seen) = match meaning(operation, status) {
            Meaning::Clear(code) => (code, None),
            Meaning::NotThere => diagnose(operation, true, &self.facts(operation, path, false).await),
            Meaning::Unclear => diagnose(operation, false, &self.facts(operation, path, true).await),
        };
        let seen = seen.map(|seen| format!(" ({seen})")).unwrap_or_default();
        let message = format!(
            "could not {} {path:?} on {}: the server answered {status}{seen}",
            operation.verb(),
            self.place
        );
        Fault::new(code, message)
    }

    /// Looks; what cannot be learned is left out.
    pub(super) async fn facts(&self, operation: Operation, path: &str, with_room: bool) -> Facts {
        let folder = folder_of(path);
        let mut facts = Facts::default();
        if let Ok(Ok(stat)) = self.stat_once(folder).await {
            // A file where a folder should be is no folder; a server that shows no modes is believed.
            facts.folder_is_there =
                Some(stat.is_some_and(|attrs| attrs.is_folder() || attrs.permissions.is_none()));
        }
        if operation != Operation::Write
            && let Ok(Ok(stat)) = self.stat_once(path).await
        {
            facts.itself = stat.as_ref().map(shown);
        }
        if with_room && self.features.statvfs {
            facts.room = self.room(folder).await;
        }
        facts
    }

    /// Room on the file system of a folder: eleven numbers, of which block size, free blocks, files and free files count.
    pub(super) async fn room(&self, folder: &str) -> Option<Room> {
        let reply = self.session.ask(&extended(extension::STATVFS, &[folder.as_bytes()])).await.ok()?;
        let Reply::Extended(mut data) = reply else { return None };
        let mut numbers = [0u64; 11];
        for number in &mut numbers {
            *number = data.try_get_u64().ok()?;
        }
        let [_, block, _, _, free, files, _, free_files, ..] = numbers;
        Some(Room { free_bytes: free.saturating_mul(block), free_files: (files > 0).then_some(free_files) })
    }

    pub(super) async fn stat_once(&self, path: &str) -> Result<Result<Option<Attrs>, Status>, RemoteError> {
        match self.session.ask(&Request::Stat { path: bytes(path) }).await? {
            Reply::Attrs(attrs) => Ok(Ok(Some(attrs))),
            Reply::Status(Status { code: Status::NO_SUCH_FILE | 10, .. }) => Ok(Ok(None)),
            Reply::Status(status) => Ok(Err(status)),
            other => Err(RemoteError::Refused(self.senseless(Operation::Stat, path, &other))),
        }
    }

    /// Asks for something that is answered with a status.
    pub(super) async fn ask_status(
        &self,
        operation: Operation,
        path: &str,
        request: &Request,
    ) -> Result<Status, RemoteError> {
        match self.session.ask(request).await? {
            Reply::Status(status) => Ok(status),
            other => Err(RemoteError::Ambiguous(self.senseless(operation, path, &other))),
        }
    }

    /// An answer of a kind that the request does not have (section 6).
    pub(super) fn senseless(&self, operation: Operation, path: &str, reply: &Reply) -> Fault {
        let kind = match reply {
            Reply::Status(status) => &status.to_string(),
            Reply::Handle(_) => "a handle",
            Reply::Data(_) => "data",
            Reply::Name(_) => "names",
            Reply::Attrs(_) => "attributes",
            Reply::Extended(_) => "an extended reply",
        };
        let message = format!(
            "could not {} {path:?} on {}: the server answered with {kind}",
            operation.verb(),
            self.place
        );
        Fault::new(&code::SFTP_PROTOCOL, message)
    }

    /// Why a new file was not made: O_EXCL on a file that is there is answered with a bare 4 (OpenSSH, ProFTPD).
    pub(super) async fn not_new(&self, path: &str, status: &Status) -> Fault {
        let is_there = matches!(status.code, Status::FAILURE | 11)
            && matches!(self.stat_once(path).await, Ok(Ok(Some(_))));
        if is_there {
            let message = format!(
                "could not create {path:?} on {}: a file of that name is there ({status})",
                self.place
            );
            return Fault::new(&code::REMOTE_EXISTS, message);
        }
        self.refusal(Operation::Create, path, status).await
    }

    /// RENAME may not replace an existing file (section 6.5). `remote.exists` tells that one is in the way; whether it may
    /// go is for the upload protocol to say, which knows its lease.
    pub(super) async fn plain_rename(&self, from: &str, to: &str) -> Result<(), RemoteError> {
        let request = Request::Rename { from: bytes(from), to: bytes(to) };
        let status = self.ask_status(Operation::Rename, to, &request).await?;
        if status.code == Status::OK {
            return Ok(());
        }
        let may_exist = status.code == Status::FAILURE || status.code == 11;
        let in_the_way =
            may_exist && matches!(self.stat_once(to).await, Ok(Ok(Some(attrs))) if !attrs.is_folder());
        if in_the_way {
            let message = format!(
                "could not rename to {to:?} on {}: a file of that name is there ({status})",
                self.place
            );
            return Err(RemoteError::Refused(Fault::new(&code::REMOTE_EXISTS, message)));
        }
        Err(self.rename_refused(to, &status).await)
    }

    /// 6 and 7 (section 7: no connection, connection lost) come from a gateway that lost its own server: what happened
    /// behind it is not known.
    pub(super) async fn rename_refused(&self, to: &str, status: &Status) -> RemoteError {
        let fault = self.refusal(Operation::Rename, to, status).await;
        if matches!(status.code, 6 | 7) { RemoteError::Ambiguous(fault) } else { RemoteError::Refused(fault) }
    }

    /// Asks for a removal; what is not there is removed.
    pub(super) async fn remove(&self, path: &str, request: &Request) -> Result<(), Fault> {
        let status =
            self.ask_status(Operation::Remove, path, request).await.map_err(RemoteError::into_fault)?;
        match status.code {
            // NO_SUCH_PATH of later drafts says the same.
            Status::OK | Status::NO_SUCH_FILE | 10 => Ok(()),
            _ => Err(self.refusal(Operation::Remove, path, &status).await),
        }
    }
}

pub(super) fn bytes(path: &str) -> Bytes {
    Bytes::copy_from_slice(path.as_bytes())
}

pub(super) fn shown(attrs: &Attrs) -> RemoteStat {
    RemoteStat {
        size_bytes: attrs.size,
        mtime_s: attrs.times.map(|(_, modified)| i64::from(modified)),
        is_folder: attrs.is_folder(),
    }
}
