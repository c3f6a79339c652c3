//! Every object below a prefix, in the byte order of the keys.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use outport_core::Fault;
use rustix::fs::{self, AtFlags, FileType};
use rustix::io::Errno;

use super::beneath::{Kind, descend, each_entry, is_absent, open_bucket};
use super::reading::info_of;
use crate::blocking::blocking;
use crate::fault::store_fault;
use crate::key::{check_bucket, is_temp};
use crate::object::Listed;

/// Objects found per hop to a blocking thread.
const BATCH: usize = 256;

/// Starts a listing. Memory grows with the largest folder on the way, not with the bucket.
pub(super) fn list(
    root: PathBuf,
    bucket: String,
    prefix: String,
) -> BoxStream<'static, Result<Listed, Fault>> {
    let walk = Walk { root, bucket, prefix, open: None };
    stream::try_unfold(walk, |walk| blocking(move || walk.step()))
        .map_ok(|batch| stream::iter(batch.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

struct Walk {
    root: PathBuf,
    bucket: String,
    prefix: String,
    /// The folders from the first one down to the present one; `None` before the start.
    open: Option<Vec<Level>>,
}

struct Level {
    folder: OwnedFd,
    /// What the keys below begin with: empty or ending with a slash.
    start: String,
    /// What is still to visit, last one first; folders with a slash at the end, so that `a.b` comes before `a/b`.
    names: Vec<String>,
}

impl Walk {
    fn step(mut self) -> Result<Option<(Vec<Listed>, Self)>, Fault> {
        let mut levels = match self.open.take() {
            Some(levels) => levels,
            None => self.first_level()?.into_iter().collect(),
        };
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(level) = levels.last_mut() else { break };
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let key = format!("{}{name}", level.start);
            let found = match name.strip_suffix('/') {
                Some(folder) => self.enter(level, folder, &key).map(|deeper| levels.extend(deeper)),
                None => look(level, &name, &key).map(|listed| batch.extend(listed)),
            };
            found.map_err(|errno| self.failed(&key, errno))?;
        }
        self.open = Some(levels);
        Ok((!batch.is_empty()).then_some((batch, self)))
    }

    /// The prefix's own folder: nothing outside of it needs to be read.
    fn first_level(&self) -> Result<Option<Level>, Fault> {
        check_bucket(&self.bucket)?;
        let bucket = open_bucket(&self.root, &self.bucket)?;
        let start = self.prefix.rfind('/').map_or("", |slash| &self.prefix[..=slash]);
        let segments: Vec<&str> = start.split_terminator('/').collect();
        if segments.iter().any(|s| matches!(*s, "" | "." | "..") || s.contains('\0')) {
            return Ok(None); // no key has such a segment
        }
        let opened = descend(bucket, segments).and_then(|folder| self.level(folder, start.to_owned()));
        match opened {
            Ok(level) => Ok(Some(level)),
            Err(errno) if is_absent(errno) || errno == Errno::NAMETOOLONG => Ok(None),
            Err(errno) => Err(self.failed(start, errno)),
        }
    }

    fn enter(&self, level: &Level, folder: &str, start: &str) -> Result<Option<Level>, Errno> {
        let opened =
            level.folder.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        match descend(opened?, [folder]) {
            Ok(folder) => self.level(folder, start.to_owned()).map(Some),
            Err(errno) if is_absent(errno) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn level(&self, folder: OwnedFd, start: String) -> Result<Level, Errno> {
        let mut names = Vec::new();
        each_entry(&folder, |name, kind| {
            if is_temp(name.as_bytes()) {
                return ControlFlow::Continue(());
            }
            // A name that is not text cannot be a key; the intake reports it.
            let Some(name) = name.to_str() else { return ControlFlow::Continue(()) };
            let name = match kind {
                Kind::File => name.to_owned(),
                Kind::Folder => format!("{name}/"),
                Kind::Other => return ControlFlow::Continue(()),
            };
            let key = format!("{start}{name}");
            if key.starts_with(&self.prefix) || (kind == Kind::Folder && self.prefix.starts_with(&key)) {
                names.push(name);
            }
            ControlFlow::Continue(())
        })?;
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Level { folder, start, names })
    }

    fn failed(&self, key: &str, errno: Errno) -> Fault {
        store_fault("could not list", &Path::new(&self.root).join(&self.bucket).join(key), errno)
    }
}

fn look(level: &Level, name: &str, key: &str) -> Result<Option<Listed>, Errno> {
    match fs::statat(&level.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => {
            Ok(Some(Listed { key: key.to_owned(), info: info_of(&stat) }))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
