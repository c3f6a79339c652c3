//! A partner's server in memory: the "null remote" for tests and dry runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use outport_core::{Fault, code};

use crate::remote::{
    ConnectFault, Connector, FileAttributes, Introduction, Offers, Opening, PeerIdentity, Remote,
    RemoteError, RemoteFile, RemoteReader, RemoteStat, RenameWith,
};
use crate::sha256::Sha256Sum;
use crate::target::Target;

/// What the server can do besides the plain operations. [`Default`]: everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryAbilities {
    /// Extensions that it offers.
    pub offers: Offers,
    /// Nothing can be looked at, listed, read or removed: a drop box.
    pub write_only: bool,
    /// Files can be made only in folders that were made; the root is one.
    pub has_folders: bool,
}

impl Default for MemoryAbilities {
    fn default() -> Self {
        let offers = Offers { posix_rename: true, fsync: true, checksum: true };
        Self { offers, write_only: false, has_folders: false }
    }
}

#[derive(Debug, Default)]
struct Files {
    abilities: MemoryAbilities,
    by_path: BTreeMap<String, (BytesMut, i64)>,
    folders: BTreeSet<String>,
    modes: BTreeMap<String, u32>,
    /// Names that an open handle has flushed.
    synced: Vec<String>,
    /// Every name that was opened for writing, in order.
    opened: Vec<String>,
    /// Every path that a rename made, with the size it had then.
    renamed: Vec<(String, u64)>,
    now_s: i64,
}

/// Files by path; clones share them. Every path can be written, unless its [`MemoryAbilities`] say otherwise.
#[derive(Debug, Clone, Default)]
pub struct MemoryServer(Arc<Mutex<Files>>);

impl MemoryServer {
    /// A server that can do no more than this.
    pub fn with(abilities: MemoryAbilities) -> Self {
        let server = Self::default();
        server.files().abilities = abilities;
        server
    }

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

    /// Takes a file away, as a partner does.
    pub fn take(&self, path: &str) -> Option<Bytes> {
        self.files().by_path.remove(path).map(|(content, _)| content.freeze())
    }

    /// Every path, in order.
    pub fn paths(&self) -> Vec<String> {
        self.files().by_path.keys().cloned().collect()
    }

    /// Every name that a rename gave, with the size of the file at that moment, in order.
    pub fn renames(&self) -> Vec<(String, u64)> {
        self.files().renamed.clone()
    }

    /// Every name that was opened for writing, in order.
    pub fn opened(&self) -> Vec<String> {
        self.files().opened.clone()
    }

    /// The permissions that were set for a file.
    pub fn mode(&self, path: &str) -> Option<u32> {
        self.files().modes.get(path).copied()
    }

    /// The modification time of a file.
    pub fn mtime(&self, path: &str) -> Option<i64> {
        self.files().by_path.get(path).map(|(_, mtime)| *mtime)
    }

    /// The names under which files were flushed, in order.
    pub fn synced(&self) -> Vec<String> {
        self.files().synced.clone()
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

impl Files {
    fn may_look(&self, doing: &str, path: &str) -> Result<(), Fault> {
        if !self.abilities.write_only {
            return Ok(());
        }
        Err(Fault::new(&code::REMOTE_PERMISSION_DENIED, format!("could not {doing} {path:?}: a drop box")))
    }

    fn has_folder_of(&self, path: &str) -> Result<(), Fault> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !self.abilities.has_folders || folder.is_empty() || self.folders.contains(folder) {
            return Ok(());
        }
        let message = format!("could not create {path:?}: the folder is not there");
        Err(Fault::new(&code::REMOTE_NO_SUCH_FOLDER, message))
    }

    fn stat(&self, path: &str) -> Option<RemoteStat> {
        self.by_path.get(path).map(|(content, mtime)| RemoteStat {
            size_bytes: Some(content.len() as u64),
            mtime_s: Some(*mtime),
            is_folder: false,
        })
    }
}

fn exists(path: &str) -> Fault {
    Fault::new(&code::REMOTE_EXISTS, format!("could not take the name {path:?}: a file has it"))
}

#[async_trait]
impl Remote for MemoryRemote {
    async fn create(&self, path: &str, opening: Opening) -> Result<Box<dyn RemoteFile>, Fault> {
        let mut files = self.server.files();
        files.has_folder_of(path)?;
        let now = files.now_s;
        let is_there = files.by_path.contains_key(path);
        let at = match opening {
            Opening::New if is_there => return Err(exists(path)),
            Opening::New | Opening::Replace => {
                files.by_path.insert(path.to_owned(), (BytesMut::new(), now));
                0
            }
            Opening::Continue { at } if is_there => at,
            Opening::Continue { .. } => {
                return Err(Fault::new(
                    &code::REMOTE_FAILURE,
                    format!("could not open {path:?}: no such file"),
                ));
            }
        };
        files.opened.push(path.to_owned());
        Ok(Box::new(MemoryFile { server: self.server.clone(), path: path.to_owned(), at, written: 0 }))
    }

    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        let files = self.server.files();
        files.may_look("look at", path)?;
        Ok(files.stat(path))
    }

    async fn find(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        let files = self.server.files();
        files.may_look("list", path)?;
        Ok(files.stat(path))
    }

    async fn rename(&self, from: &str, to: &str, with: RenameWith) -> Result<(), RemoteError> {
        let mut files = self.server.files();
        files.has_folder_of(to).map_err(RemoteError::Refused)?;
        let replaces = match with {
            RenameWith::Best => files.abilities.offers.posix_rename,
            RenameWith::PosixRename => true,
            RenameWith::Rename => false,
        };
        if !replaces && files.by_path.contains_key(to) {
            return Err(RemoteError::Refused(exists(to)));
        }
        let Some(file) = files.by_path.remove(from) else {
            let message = format!("could not rename {from:?} to {to:?}: no such file");
            return Err(RemoteError::Refused(Fault::new(&code::REMOTE_FAILURE, message)));
        };
        files.renamed.push((to.to_owned(), file.0.len() as u64));
        files.by_path.insert(to.to_owned(), file);
        if let Some(mode) = files.modes.remove(from) {
            files.modes.insert(to.to_owned(), mode);
        }
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        let mut files = self.server.files();
        files.may_look("remove", path)?;
        files.by_path.remove(path);
        Ok(())
    }

    async fn make_folder(&self, path: &str) -> Result<(), Fault> {
        let mut files = self.server.files();
        files.has_folder_of(path)?;
        files.folders.insert(path.to_owned());
        Ok(())
    }

    async fn remove_folder(&self, path: &str) -> Result<(), Fault> {
        self.server.files().folders.remove(path);
        Ok(())
    }

    async fn read(&self, path: &str) -> Result<Box<dyn RemoteReader>, Fault> {
        let files = self.server.files();
        files.may_look("read", path)?;
        match files.by_path.get(path) {
            Some((content, _)) => Ok(Box::new(MemoryReader(content.clone().freeze()))),
            None => Err(Fault::new(&code::REMOTE_FAILURE, format!("could not read {path:?}: no such file"))),
        }
    }

    async fn checksum(&self, path: &str) -> Result<Sha256Sum, Fault> {
        let files = self.server.files();
        match files.by_path.get(path) {
            Some((content, _)) if files.abilities.offers.checksum => Ok(Sha256Sum::of(content)),
            _ => Err(Fault::new(&code::REMOTE_UNSUPPORTED, format!("could not compute the sum of {path:?}"))),
        }
    }

    fn offers(&self) -> Offers {
        self.server.files().abilities.offers
    }

    fn introduction(&self) -> Introduction {
        Introduction { extensions: Vec::new(), write_bytes: 32_768 }
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

/// Hands out a few bytes at a time.
struct MemoryReader(Bytes);

#[async_trait]
impl RemoteReader for MemoryReader {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let piece = self.0.split_to(self.0.len().min(7));
        Ok((!piece.is_empty()).then_some(piece))
    }
}

struct MemoryFile {
    server: MemoryServer,
    path: String,
    /// Where the next byte goes.
    at: u64,
    written: u64,
}

#[async_trait]
impl RemoteFile for MemoryFile {
    async fn write(&mut self, piece: Bytes) -> Result<(), Fault> {
        let mut files = self.server.files();
        let now = files.now_s;
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        // A file that was removed while open takes bytes and shows nothing, as on a real server.
        if let Some((content, mtime)) = files.by_path.get_mut(&self.path) {
            let end = at.saturating_add(piece.len());
            if content.len() < end {
                content.resize(end, 0);
            }
            if let Some(place) = content.get_mut(at..end) {
                place.copy_from_slice(&piece);
            }
            *mtime = now;
        }
        self.at += piece.len() as u64;
        self.written += piece.len() as u64;
        Ok(())
    }

    async fn stat(&mut self) -> Result<RemoteStat, Fault> {
        let stat = self.server.files().stat(&self.path);
        stat.ok_or_else(|| Fault::new(&code::REMOTE_FAILURE, format!("could not look at {:?}", self.path)))
    }

    async fn set(&mut self, attributes: FileAttributes) -> Result<(), Fault> {
        let mut files = self.server.files();
        if let Some(mode) = attributes.mode {
            files.modes.insert(self.path.clone(), mode);
        }
        if let (Some(wanted), Some((_, mtime))) = (attributes.mtime_s, files.by_path.get_mut(&self.path)) {
            *mtime = i64::from(wanted);
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), Fault> {
        self.server.files().synced.push(self.path.clone());
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), RemoteError> {
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        self.written
    }
}
