//! [`Remote`] over an SFTP session.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use outport_core::Fault;
use russh::Disconnect;
use russh::client::Handle;

use super::checksum::CheckFile;
use super::classify::Operation;
use super::connection::{Connection, Features, bytes, shown};
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

/// A logged-in SFTP connection.
pub(super) struct SftpRemote {
    connection: Arc<Connection>,
    ssh: Arc<Handle<Watcher>>,
    peer: Arc<Peer>,
    extensions: Vec<String>,
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
        self.connection.remove(path, &Request::Rmdir { path: bytes(path) }).await
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
        self.connection.remove(path, &Request::Remove { path: bytes(path) }).await
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
