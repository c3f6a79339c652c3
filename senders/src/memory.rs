//! A partner's server in memory: the "null remote" for tests and dry runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use outport_core::{Fault, code};

use crate::remote::{ConnectFault, Connector, PeerIdentity, Remote, RemoteError, RemoteFile, RemoteStat};
use crate::target::Target;

#[derive(Debug, Default)]
struct Files {
    by_path: BTreeMap<String, (BytesMut, i64)>,
    /// Every path that a rename made, with the size it had then.
    renamed: Vec<(String, u64)>,
    now_s: i64,
}

/// Files by path; clones share them. There are no folders: every path can be written.
#[derive(Debug, Clone, Default)]
pub struct MemoryServer(Arc<Mutex<Files>>);

impl MemoryServer {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to it.
    pub fn remote(&self) -> MemoryRemote {
        MemoryRemote { server: self.clone() }
    }

    /// What stands under `path`.
    pub fn content(&self, path: &str) -> Option<Bytes> {
        self.files().by_path.get(path).map(|(content, _)| content.clone().freeze())
    }

    /// Puts a file there, with a modification time in seconds.
    pub fn put(&self, path: &str, content: &[u8], mtime_s: i64) {
        self.files().by_path.insert(path.to_owned(), (BytesMut::from(content), mtime_s));
    }

    /// Every path, in order.
    pub fn paths(&self) -> Vec<String> {
        self.files().by_path.keys().cloned().collect()
    }

    /// Every name that a rename gave, with the size of the file at that moment, in order.
    pub fn renames(&self) -> Vec<(String, u64)> {
        self.files().renamed.clone()
    }

    /// Sets the clock that new files get their modification time from.
    pub fn set_now(&self, now_s: i64) {
        self.files().now_s = now_s;
    }
}

#[async_trait]
impl Connector for MemoryServer {
    async fn connect(&self, _target: &Target) -> Result<Arc<dyn Remote>, ConnectFault> {
        Ok(Arc::new(self.remote()))
    }
}

/// A connection to a [`MemoryServer`]. It never breaks; wrap it in [`crate::faulty::Faulty`] for that.
#[derive(Debug, Clone)]
pub struct MemoryRemote {
    server: MemoryServer,
}

#[async_trait]
impl Remote for MemoryRemote {
    async fn create(&self, path: &str) -> Result<Box<dyn RemoteFile>, Fault> {
        let mut files = self.server.files();
        let now = files.now_s;
        files.by_path.insert(path.to_owned(), (BytesMut::new(), now));
        Ok(Box::new(MemoryFile { server: self.server.clone(), path: path.to_owned(), size: 0 }))
    }

    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        Ok(self.server.files().by_path.get(path).map(|(content, mtime)| RemoteStat {
            size_bytes: Some(content.len() as u64),
            mtime_s: Some(*mtime),
            is_folder: false,
        }))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), RemoteError> {
        let mut files = self.server.files();
        let Some(file) = files.by_path.remove(from) else {
            let message = format!("could not rename {from:?} to {to:?}: no such file");
            return Err(RemoteError::Refused(Fault::new(&code::REMOTE_FAILURE, message)));
        };
        files.renamed.push((to.to_owned(), file.0.len() as u64));
        files.by_path.insert(to.to_owned(), file);
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        self.server.files().by_path.remove(path);
        Ok(())
    }

    fn identity(&self) -> PeerIdentity {
        PeerIdentity {
            fingerprint: "SHA256:memory".into(),
            algorithm: "none".into(),
            banner: "memory".into(),
            authority: None,
            agreed: outport_core::ssh::Agreed::default(),
        }
    }

    fn alive(&self) -> bool {
        true
    }

    async fn close(&self) {}
}

struct MemoryFile {
    server: MemoryServer,
    path: String,
    size: u64,
}

#[async_trait]
impl RemoteFile for MemoryFile {
    async fn write(&mut self, piece: Bytes) -> Result<(), Fault> {
        let mut files = self.server.files();
        let now = files.now_s;
        // A file that was removed while open takes bytes and shows nothing, as on a real server.
        if let Some((content, mtime)) = files.by_path.get_mut(&self.path) {
            content.extend_from_slice(&piece);
            *mtime = now;
        }
        self.size += piece.len() as u64;
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), RemoteError> {
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        self.size
    }
}
