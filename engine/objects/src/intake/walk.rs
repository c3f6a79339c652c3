//! Listing folders for files: the sweep over all buckets, and the look into folders that are new.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outport_core::{Millis, code};
use rustix::fs::{self, AtFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::hints::Watches;
use super::spot::{hides, waits};
use super::{How, Signature, Since};
use crate::fault::{shown_path, store_fault};
use crate::folder::beneath::{Kind, descend, each_entry, is_absent, open_root};
use crate::key::{KEY_BYTES, SEGMENT_BYTES, check_bucket};

/// Files in one message.
const BATCH: usize = 256;

/// What a walk tells, in this order: files, more files, its end.
pub(super) enum Walked {
    Files(How, Vec<(PathBuf, Signature)>),
    /// `saw_all`: there was nothing that could not be read.
    Ended {
        how: How,
        saw_all: bool,
    },
}

/// One walk, on a blocking thread. It waits when nobody takes its messages, and ends when nobody can.
pub(super) struct Walk {
    pub(super) root: Arc<Path>,
    pub(super) watches: Watches,
    pub(super) out: mpsc::Sender<Walked>,
    pub(super) how: How,
}

impl Walk {
    /// Runs `walk` on a blocking thread. The end is told even when it panics (`Since` is the caller's code): a sweep
    /// that never ends would be the last one.
    pub(super) fn start(mut self, walk: impl FnOnce(&mut Self) -> bool + Send + 'static) {
        drop(tokio::task::spawn_blocking(move || {
            let saw_all = catch_unwind(AssertUnwindSafe(|| walk(&mut self))).unwrap_or_else(|_| {
                tracing::error!(
                    code = code::ENGINE_PANIC.name,
                    "a walk over the bucket folders ended by a bug"
                );
                false
            });
            // Nobody listens any more when the intake was stopped.
            self.out.blocking_send(Walked::Ended { how: self.how, saw_all }).unwrap_or_default();
        }));
    }

    /// Every file in every bucket whose ctime is not before what `since` says of its bucket. False when something
    /// could not be read.
    pub(super) fn sweep(&mut self, since: &Since) -> bool {
        match self.buckets() {
            Ok(buckets) => self.all_below(buckets.into_iter().map(PathBuf::from), since),
            Err(fault) => {
                tracing::warn!(code = fault.code.name, hint = fault.hint(), "{fault}");
                false
            }
        }
    }

    /// The same for some folders and all below them. They are new here, but their files need not be: a folder that is
    /// moved keeps the ctimes of its files, and must not bring along what the sweep would leave alone.
    pub(super) fn folders(&mut self, folders: Vec<PathBuf>, since: &Since) -> bool {
        let root = self.root.clone();
        self.all_below(
            folders.iter().filter_map(|folder| folder.strip_prefix(&root).ok()).map(Path::to_owned),
            since,
        )
    }

    fn all_below(&mut self, folders: impl Iterator<Item = PathBuf>, since: &Since) -> bool {
        let mut saw_all = true;
        for relative in folders {
            let bucket = relative.iter().next().and_then(|bucket| bucket.to_str()).unwrap_or_default();
            let horizon = since(bucket);
            saw_all &= self.below(relative, horizon);
        }
        saw_all
    }

    fn buckets(&self) -> Result<Vec<String>, outport_core::Fault> {
        let failed = |errno| store_fault("could not list the buckets folder", &self.root, errno);
        let folder = open_root(&self.root)?;
        self.watches.watch(&self.root, fs::fstat(&folder).map_err(failed)?.st_ino);
        let mut buckets = Vec::new();
        each_entry(&folder, |name, kind| {
            match name.to_str() {
                Some(name) if kind == Kind::Folder && check_bucket(name).is_ok() => {
                    buckets.push(name.to_owned())
                }
                None => tracing::warn!(folder = %name.to_string_lossy(), "a bucket's name must be UTF-8"),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .map_err(failed)?;
        Ok(buckets)
    }

    /// Returns false when something could not be read.
    fn below(&mut self, first: PathBuf, since: Millis) -> bool {
        let mut saw_all = true;
        let mut folders = vec![first];
        while let Some(relative) = folders.pop() {
            match self.folder(&relative, since, &mut folders) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return false,
                Err(errno) if is_absent(errno) => {}
                Err(error) => {
                    saw_all = false;
                    let path = shown_path(&self.root.join(&relative));
                    tracing::warn!(path, %error, "a bucket folder could not be read; the next sweep tries again");
                }
            }
        }
        saw_all
    }

    /// One folder: first the watch, then the list, so that nothing falls between the two.
    fn folder(
        &mut self,
        relative: &Path,
        since: Millis,
        deeper: &mut Vec<PathBuf>,
    ) -> Result<ControlFlow<()>, Errno> {
        // Below, no file can have a key; and far below, no path has room for the names.
        if relative.as_os_str().len() > KEY_BYTES + SEGMENT_BYTES {
            let path = shown_path(relative);
            tracing::warn!(path, "a folder is nested too deep for keys of 1,024 bytes and is not looked at");
            return Ok(ControlFlow::Continue(()));
        }
        let root = open_root(&self.root).map_err(|_| Errno::NOENT)?;
        let folder = descend(root, relative.iter())?;
        let path = self.root.join(relative);
        self.watches.watch(&path, fs::fstat(&folder)?.st_ino);
        let mut files = Vec::new();
        let mut flow = ControlFlow::Continue(());
        each_entry(&folder, |name, kind| {
            match kind {
                Kind::Folder if !hides(name) => deeper.push(relative.join(name)),
                Kind::File if !waits(name) => match fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => {
                        let signature = Signature::of(&stat);
                        if signature.changed_at() >= since {
                            files.push((path.join(name), signature));
                        }
                    }
                    Err(error) if error == Errno::NOENT => {}
                    Err(error) => {
                        tracing::warn!(path = shown_path(&path.join(name)), %error, "could not look at a file");
                    }
                },
                _ => {}
            }
            if files.len() >= BATCH {
                flow = self.send(std::mem::take(&mut files));
            }
            flow
        })?;
        if flow.is_continue() && !files.is_empty() {
            flow = self.send(files);
        }
        Ok(flow)
    }

    fn send(&self, files: Vec<(PathBuf, Signature)>) -> ControlFlow<()> {
        match self.out.blocking_send(Walked::Files(self.how, files)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
