//! The port: what the upload protocol needs from a partner's server, whatever its protocol.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;
use outport_core::ssh::Agreed;
use serde::{Deserialize, Serialize};

use crate::outcome::Stage;
use crate::target::Target;

/// A logged-in connection to a partner's server. Every method may be called by many files at the same time; each call
/// is answered on its own. A fault of one file does not end the connection unless [`Remote::alive`] says so.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Opens `path` for writing from its start; a file that is there is emptied.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn create(&self, path: &str) -> Result<Box<dyn RemoteFile>, Fault>;

    /// What stands under `path`; `None` when nothing does.
    ///
    /// # Errors
    /// What the server refused, or how the connection ended.
    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault>;

    /// Gives `from` the name `to` and replaces a file of that name.
    ///
    /// # Errors
    /// [`RemoteError::Ambiguous`] when the request went out and no answer came: it may have happened.
    async fn rename(&self, from: &str, to: &str) -> Result<(), RemoteError>;

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

    /// Waits until the server has every piece, then closes the file.
    ///
    /// # Errors
    /// [`RemoteError::Ambiguous`] when the close went out and no answer came.
    async fn close(self: Box<Self>) -> Result<(), RemoteError>;

    /// How many bytes the server has confirmed.
    fn acknowledged(&self) -> u64;
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
