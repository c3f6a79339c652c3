//! [`Remote`] over an SFTP session.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use outport_core::{Fault, code};
use russh::Disconnect;
use russh::client::Handle;

use super::checksum::CheckFile;
use super::classify::{Meaning, Operation, meaning};
use super::diagnose::{Facts, Room, diagnose, folder_of};
use super::file::SftpFile;
use super::peer::{Peer, Watcher};
use super::reader::SftpReader;
use super::second_channel::SecondChannel;
use super::session::{Line, Session};
use super::wire::{Attrs, Reply, Request, Status, extended, extension, open_flags};
use crate::remote::{
    Introduction, Offers, Opening, PeerIdentity, Remote, RemoteError, RemoteFile, RemoteReader, RemoteStat,
    RenameWith,
};
use crate::sha256::Sha256Sum;

/// What every server has to take (filexfer-02 section 3: packets of 34,000 bytes).
const WRITE_BYTES: usize = 32_768;
/// What OpenSSH takes, and the most that fits its packets of 256 KiB.
const WRITE_BYTES_MAX: usize = 261_120;

/// What this server can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    pub(super) posix_rename: bool,
    pub(super) statvfs: bool,
    pub(super) fsync: bool,
    pub(super) check_file: Option<CheckFile>,
}

/// A logged-in SFTP connection.
pub(super) struct SftpRemote {
    connection: Arc<Connection>,
    ssh: Arc<Handle<Watcher>>,
    peer: Arc<Peer>,
    extensions: Vec<String>,
}

/// What the files of a connection share with it.
pub(super) struct Connection {
    pub(super) session: Arc<Session>,
    second: SecondChannel,
    pub(super) write_bytes: usize,
    pub(super) features: Features,
    place: String,
}

impl SftpRemote {
    /// Asks for the server's limits, if it tells them.
    pub(super) async fn prepare(
        session: Session,
        extensions: &[String],
        second: SecondChannel,
        ssh: Arc<Handle<Watcher>>,
        peer: Arc<Peer>,
    ) -> Result<Self, Fault> {
        let offers = |name: &str| extensions.iter().any(|offered| offered == name);
        let features = Features {
            posix_rename: offers(extension::POSIX_RENAME),
            statvfs: offers(extension::STATVFS),
            fsync: offers(extension::FSYNC),
            check_file: CheckFile::offered(extensions),
        };
        let mut write_bytes = WRITE_BYTES;
        if offers(extension::LIMITS) {
            let limits =
                session.ask(&extended(extension::LIMITS, &[])).await.map_err(RemoteError::into_fault)?;
            if let Reply::Extended(limits) = limits {
                write_bytes = write_size(limits).unwrap_or(WRITE_BYTES);
            }
        }
        let connection = Connection {
            session: Arc::new(session),
            second,
            write_bytes,
            features,
            place: peer.place().to_owned(),
        };
        Ok(Self { connection: Arc::new(connection), ssh, peer, extensions: extensions.to_vec() })
    }
}

/// The write size from the data of a `limits@openssh.com` reply: packet, read, write, handles (OpenSSH PROTOCOL section
/// 4.8; 0 means that the server sets no limit).
fn write_size(mut limits: Bytes) -> Option<usize> {
    let packet = limits.try_get_u64().ok()?;
    let _read = limits.try_get_u64().ok()?;
    let write = limits.try_get_u64().ok()?;
    let bound = |limit: u64| match limit {
        0 => WRITE_BYTES_MAX,
        limit => usize::try_from(limit).unwrap_or(WRITE_BYTES_MAX),
    };
    // A WRITE has up to 285 bytes beside its data: the header and a handle of at most 256 bytes.
    let fits = bound(packet).saturating_sub(if packet == 0 { 0 } else { 1024 });
    Some(bound(write).min(fits).clamp(1024, WRITE_BYTES_MAX))
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
    async fn facts(&self, operation: Operation, path: &str, with_room: bool) -> Facts {
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
    async fn room(&self, folder: &str) -> Option<Room> {
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
    async fn not_new(&self, path: &str, status: &Status) -> Fault {
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
    async fn plain_rename(&self, from: &str, to: &str) -> Result<(), RemoteError> {
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
    async fn rename_refused(&self, to: &str, status: &Status) -> RemoteError {
        let fault = self.refusal(Operation::Rename, to, status).await;
        if matches!(status.code, 6 | 7) { RemoteError::Ambiguous(fault) } else { RemoteError::Refused(fault) }
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

#[async_trait]
impl Remote for SftpRemote {
    async fn create(&self, path: &str, opening: Opening) -> Result<Box<dyn RemoteFile>, Fault> {
        let connection = &self.connection;
        let (flags, at) = match opening {
            Opening::Replace => (open_flags::WRITE | open_flags::CREATE | open_flags::TRUNCATE, 0),
            Opening::New => (open_flags::WRITE | open_flags::CREATE | open_flags::EXCLUSIVE, 0),
            Opening::Continue { at } => (open_flags::WRITE, at),
        };
        let open = Request::Open { path: bytes(path), flags, attrs: Attrs::default() };
        match connection.session.ask(&open).await.map_err(RemoteError::into_fault)? {
            Reply::Handle(handle) => {
                Ok(Box::new(SftpFile::new(Arc::clone(connection), path.to_owned(), handle, at)))
            }
            Reply::Status(status) if opening == Opening::New => Err(connection.not_new(path, &status).await),
            Reply::Status(status) => Err(connection.refusal(Operation::Create, path, &status).await),
            other => Err(connection.senseless(Operation::Create, path, &other)),
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        match self.connection.stat_once(path).await.map_err(RemoteError::into_fault)? {
            Ok(attrs) => Ok(attrs.as_ref().map(shown)),
            Err(status) => Err(self.connection.refusal(Operation::Stat, path, &status).await),
        }
    }

    async fn find(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        self.connection.find(path).await
    }

    async fn make_folder(&self, path: &str) -> Result<(), Fault> {
        let connection = &self.connection;
        let request = Request::Mkdir { path: bytes(path), attrs: Attrs::default() };
        let status = connection
            .ask_status(Operation::MakeFolder, path, &request)
            .await
            .map_err(RemoteError::into_fault)?;
        if status.code == Status::OK {
            return Ok(());
        }
        // "Failure" is what most servers say to a folder that is there.
        match connection.stat_once(path).await {
            Ok(Ok(Some(attrs))) if attrs.is_folder() => Ok(()),
            _ => Err(connection.refusal(Operation::MakeFolder, path, &status).await),
        }
    }

    async fn remove_folder(&self, path: &str) -> Result<(), Fault> {
        let request = Request::Rmdir { path: bytes(path) };
        let status = self
            .connection
            .ask_status(Operation::Remove, path, &request)
            .await
            .map_err(RemoteError::into_fault)?;
        match status.code {
            Status::OK | Status::NO_SUCH_FILE => Ok(()),
            _ => Err(self.connection.refusal(Operation::Remove, path, &status).await),
        }
    }

    async fn read(&self, path: &str) -> Result<Box<dyn RemoteReader>, Fault> {
        Ok(Box::new(SftpReader::open(&self.connection, path).await?))
    }

    async fn checksum(&self, path: &str) -> Result<Sha256Sum, Fault> {
        self.connection.checksum(path).await
    }

    fn offers(&self) -> Offers {
        let features = &self.connection.features;
        Offers {
            posix_rename: features.posix_rename,
            fsync: features.fsync,
            checksum: features.check_file.is_some(),
        }
    }

    async fn rename(&self, from: &str, to: &str, with: RenameWith) -> Result<(), RemoteError> {
        let connection = &self.connection;
        let is_posix = match with {
            RenameWith::Best => connection.features.posix_rename,
            RenameWith::PosixRename => true,
            RenameWith::Rename => false,
        };
        if is_posix {
            let request = extended(extension::POSIX_RENAME, &[from.as_bytes(), to.as_bytes()]);
            let status = connection.ask_status(Operation::Rename, to, &request).await?;
            match status.code {
                Status::OK => return Ok(()),
                // Offered and not there: behind some gateways.
                Status::OP_UNSUPPORTED if with == RenameWith::Best => {}
                _ => return Err(connection.rename_refused(to, &status).await),
            }
        }
        connection.plain_rename(from, to).await
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        let request = Request::Remove { path: bytes(path) };
        let status = self
            .connection
            .ask_status(Operation::Remove, path, &request)
            .await
            .map_err(RemoteError::into_fault)?;
        match status.code {
            // NO_SUCH_PATH of later drafts says the same.
            Status::OK | Status::NO_SUCH_FILE | 10 => Ok(()),
            _ => Err(self.connection.refusal(Operation::Remove, path, &status).await),
        }
    }

    fn introduction(&self) -> Introduction {
        let extensions = self.extensions.clone();
        Introduction { extensions, write_bytes: self.connection.write_bytes }
    }

    fn identity(&self) -> PeerIdentity {
        self.peer.identity()
    }

    fn alive(&self) -> bool {
        self.connection.session.alive() && !self.ssh.is_closed()
    }

    async fn close(&self) {
        let goodbye = self.ssh.disconnect(Disconnect::ByApplication, "", "en");
        // A server that is stuck takes no goodbye; a second is more than the others need.
        let said = tokio::time::timeout(Duration::from_secs(1), async {
            if goodbye.await.is_ok() {
                self.connection.session.ended().await;
            }
        });
        if said.await.is_err() {
            tracing::debug!(endpoint = %self.connection.place, "the connection was closed without a goodbye");
        }
        self.peer.hang_up();
    }
}

impl Drop for SftpRemote {
    fn drop(&mut self) {
        self.peer.hang_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_sizes_from_limits() {
        let limits = |packet: u64, write: u64| {
            let numbers = [packet, 261_120, write, 0];
            write_size(numbers.iter().flat_map(|n| n.to_be_bytes()).collect())
        };
        assert_eq!(limits(262_144, 261_120), Some(261_120), "OpenSSH");
        assert_eq!(limits(0, 0), Some(261_120), "no limit");
        assert_eq!(limits(34_000, 0), Some(32_976));
        assert_eq!(limits(262_144, 65_536), Some(65_536));
        assert_eq!(limits(u64::MAX, u64::MAX), Some(261_120));
        assert_eq!(limits(1, 1), Some(1024), "nonsense is not taken literally");
        assert_eq!(write_size(Bytes::from_static(&[0; 20])), None);
    }
}
