//! Files that must stay unchanged for a while, by path and by age.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outport_core::Millis;

use super::{How, Signature};

/// A file in its quiet time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) signature: Signature,
    pub(super) since: Millis,
    pub(super) how: How,
}

/// All of them. Both collections hold the same files, always: the second finds the oldest without a look at all.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    files: HashMap<Arc<Path>, Waiting>,
    by_age: BTreeSet<(Millis, Arc<Path>)>,
}

impl WaitingRoom {
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn get(&self, path: &Path) -> Option<Waiting> {
        self.files.get(path).copied()
    }

    /// Lets a file in, or lets it start anew.
    pub(super) fn insert(&mut self, path: &Path, waiting: Waiting) {
        self.remove(path);
        let path: Arc<Path> = path.into();
        self.by_age.insert((waiting.since, path.clone()));
        self.files.insert(path, waiting);
    }

    pub(super) fn remove(&mut self, path: &Path) {
        if let Some((path, waiting)) = self.files.remove_entry(path) {
            self.by_age.remove(&(waiting.since, path));
        }
    }

    /// Since when the oldest one waits.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.by_age.first().map(|(since, _)| *since)
    }

    /// At most `limit` of those that wait since `latest` or longer, the oldest first.
    pub(super) fn since(&self, latest: Millis, limit: usize) -> Vec<PathBuf> {
        let old = self.by_age.iter().take_while(|(since, _)| *since <= latest);
        old.take(limit).map(|(_, path)| path.to_path_buf()).collect()
    }
}
