//! The port: what the upload protocol needs from a partner's server, whatever its protocol.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;
use outport_core::ssh::Agreed;
use serde::{Deserialize, Serialize};

use crate::outcome::Stage;
use crate::sha256::Sha256Sum;
use crate::target::Target;

/// A logged-in connection to a partner's server. Every method may be called by many files at the same time; each call
/// is answered on its own. A fault of one file does not end the connection unless [`Remote::alive`] says so.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Opens `path` for writing.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn create(&self, path: &str, opening: Opening) -> Result<Box<dyn RemoteFile>, Fault>;

    /// What stands under `path`; `None` when nothing does.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault>;

    /// What the listing of its folder shows of `path`, for servers that refuse to look at single files.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn find(&self, path: &str) -> Result<Option<RemoteStat>, Fault>;

    /// Gives `from` the name `to`. What happens to a file of that name is up to `with`.
    ///
    /// # Errors
    /// [`RemoteError::Ambiguous`] when the request went out and no answer came: it may have happened. `remote.exists`
    /// when a file is in the way.
    async fn rename(&self, from: &str, to: &str, with: RenameWith) -> Result<(), RemoteError>;

    /// Makes the folder `path`; one that is there already counts as made.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn make_folder(&self, path: &str) -> Result<(), Fault>;

    /// Removes the empty folder `path`.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn remove_folder(&self, path: &str) -> Result<(), Fault>;

    /// Opens `path` for reading from its start.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn read(&self, path: &str) -> Result<Box<dyn RemoteReader>, Fault>;

    /// The SHA-256 of the file, as the server computes it.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn checksum(&self, path: &str) -> Result<Sha256Sum, Fault>;

    /// What the server said at the start that it can do.
    fn offers(&self) -> Offers;

    /// The same in its own words, and how much a write has.
    fn introduction(&self) -> Introduction;

    /// Removes the file `path`; one that is not there counts as removed.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn remove(&self, path: &str) -> Result<(), Fault>;

    /// Who the server proved to be when the connection was made.
    fn identity(&self) -> PeerIdentity;

    /// Whether the connection can take another file.
    fn alive(&self) -> bool;

    /// Says goodbye and closes the connection. Calls in flight end with a fault.
    async fn close(&self);
}

/// A file being written, one piece after the other.
#[async_trait]
pub trait RemoteFile: Send {
    /// Appends a piece. It may return before the server has it; a refusal then comes with a later call.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn write(&mut self, piece: Bytes) -> Result<(), Fault>;

    /// Waits until the server has every piece, then looks at the open file.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn stat(&mut self) -> Result<RemoteStat, Fault>;

    /// Waits until the server has every piece, then sets these of the file's attributes.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn set(&mut self, attributes: FileAttributes) -> Result<(), Fault>;

    /// Waits until the server has every piece and has flushed the file to its disk.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn sync(&mut self) -> Result<(), Fault>;

    /// Waits until the server has every piece, then closes the file.
    ///
    /// # Errors
    /// [`RemoteError::Ambiguous`] when the close went out and no answer came.
    async fn close(self: Box<Self>) -> Result<(), RemoteError>;

    /// How many bytes the server has confirmed.
    fn acknowledged(&self) -> u64;
}

/// A file being read, from its start to its end.
#[async_trait]
pub trait RemoteReader: Send {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault>;
}

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// From its start; a file that is there is emptied.
    Replace,
    /// From its start; a file that is there stays, and the opening is refused with `remote.exists`.
    New,
    /// A file that is there, from this byte on; what stands before stays.
    Continue {
        /// The first byte to be written.
        at: u64,
    },
}

/// Which rename is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameWith {
    /// One that replaces where the server has such, else RENAME.
    Best,
    /// `posix-rename@openssh.com`, which replaces.
    PosixRename,
    /// RENAME, which must not replace (filexfer-02 section 6.5).
    Rename,
}

/// Attributes to set; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileAttributes {
    /// The nine permission bits.
    pub mode: Option<u32>,
    /// Modification time in seconds since 1970; the access time becomes the same.
    pub mtime_s: Option<u32>,
}

/// What a server said at the start that it can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offers {
    /// `posix-rename@openssh.com`.
    pub posix_rename: bool,
    /// `fsync@openssh.com`.
    pub fsync: bool,
    /// `check-file`, by name or by handle.
    pub checksum: bool,
}

/// What a server tells about itself, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Introduction {
    /// The names of its extensions, in its order.
    pub extensions: Vec<String>,
    /// Bytes of a write: what its limits say, else 32 KiB.
    pub write_bytes: usize,
}

/// What a server shows of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteStat {
    /// Size in bytes. SFTP v3 may leave it out (filexfer-02 section 5); then nothing can be verified.
    pub size_bytes: Option<u64>,
    /// Modification time in seconds since 1970 (all that SFTP v3 has), by the server's clock.
    pub mtime_s: Option<i64>,
    /// Whether it is a folder.
    #[serde(default)]
    pub is_folder: bool,
}

/// Who the server proved to be, for the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerIdentity {
    /// Host key fingerprint: `SHA256:` and 43 characters of base64.
    pub fingerprint: String,
    /// Host key algorithm: `ssh-ed25519`.
    pub algorithm: String,
    /// What the server calls itself: `SSH-2.0-OpenSSH_9.2`. Its own claim; nothing proves it.
    pub banner: String,
    /// The fingerprint of the authority whose certificate made the key believable; `None`: the key is pinned.
    #[serde(default)]
    pub authority: Option<String>,
    /// What was agreed on when the connection was made.
    #[serde(default)]
    pub agreed: Agreed,
}

impl PeerIdentity {
    /// The identity in one line: the key, and the authority that vouches for it.
    pub fn proof(&self) -> String {
        match &self.authority {
            Some(authority) => format!("{} certified by {authority}", self.fingerprint),
            None => self.fingerprint.clone(),
        }
    }
}

/// Why a step that changes something did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// It did not happen: the server refused, or the request never went out.
    #[error("{0}")]
    Refused(Fault),
    /// It may have happened: the request went out and the answer was lost.
    #[error("{0}")]
    Ambiguous(Fault),
}

impl RemoteError {
    /// The fault, whichever way it failed.
    pub fn into_fault(self) -> Fault {
        match self {
            Self::Refused(fault) | Self::Ambiguous(fault) => fault,
        }
    }
}

/// A connection that could not be made, and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct ConnectFault {
    /// [`Stage::Connecting`] or [`Stage::Authenticating`].
    pub stage: Stage,
    /// What went wrong.
    pub fault: Fault,
}

/// Makes connections; [`crate::sftp::SftpConnector`] in the product, a [`crate::memory::MemoryServer`] in tests.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Connects, checks who the server is, logs in.
    ///
    /// # Errors
    /// The stage and the fault; no credential was sent when the fault is of class identity.
    async fn connect(&self, target: &Target) -> Result<Arc<dyn Remote>, ConnectFault>;
}
