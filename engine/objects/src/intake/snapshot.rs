//! A copy of an arrived file, taken so that it is exactly what counted as arrived, or not at all.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use outport_core::{Fault, code};
use rustix::fs;

use super::Signature;
use crate::FolderStore;
use crate::blocking::blocking;
use crate::fault::shown_path;
use crate::folder::part::{Part, Publish};
use crate::folder::reading::{open_file, path_of};
use crate::key::Place;
use crate::object::{PIECE_BYTES, Stored};

/// Pieces copied per hop to a blocking thread: 4 MiB, so that a stopped engine does not wait for a whole large file.
const PIECES: usize = 16;

/// What came of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshot {
    /// The artifact holds the file as it arrived.
    Taken(Stored),
    /// The file is not, or no longer, the one that arrived: look again later.
    Changed,
    /// The file is not there any more.
    Gone,
}

/// Stores the file `bucket`/`key` of `buckets` as `to_bucket`/`to_key` of `artifacts`, provided that it looks like
/// `signature` before and after. Shares the blocks where the file system can (reflink), copies elsewhere; never a hard
/// link, which an overwrite in place would change. Nothing is stored unless it is [`Snapshot::Taken`].
///
/// # Errors
/// `intake.unreadable` for the file; `object.store_full`, `object.store_failed`, `object.exists` for the artifact;
/// `intake.bucket_missing` and `intake.bad_key` for either.
pub async fn snapshot(
    buckets: &FolderStore,
    (bucket, key): (&str, &str),
    signature: &Signature,
    artifacts: &FolderStore,
    (to_bucket, to_key): (&str, &str),
) -> Result<Snapshot, Fault> {
    let source =
        Source { root: buckets.root().into(), place: Place::new(bucket, key)?, signature: *signature };
    let (to_root, to) = (artifacts.root().to_owned(), Place::new(to_bucket, to_key)?);
    let copy = blocking(move || {
        Ok(match source.open()? {
            Opened::File(file) => {
                Ok(Copy::start(source, file, Part::start(&to_root, &to, Publish::IfAbsent)?))
            }
            Opened::Changed => Err(Snapshot::Changed),
            Opened::Gone => Err(Snapshot::Gone),
        })
    });
    let mut copy = match copy.await? {
        Ok(copy) => copy,
        Err(end) => return Ok(end),
    };
    loop {
        match blocking(move || copy.step()).await? {
            Step::More(next) => copy = next,
            Step::Ended(snapshot) => return Ok(snapshot),
        }
    }
}

struct Source {
    root: Arc<std::path::Path>,
    place: Place,
    signature: Signature,
}

enum Opened {
    File(File),
    Changed,
    Gone,
}

impl Source {
    fn path(&self) -> PathBuf {
        path_of(&self.root, &self.place)
    }

    fn open(&self) -> Result<Opened, Fault> {
        // What the store cannot open because of this file is the file's trouble.
        let found = open_file(&self.root, &self.place).map_err(|fault| {
            match fault.code == &code::OBJECT_STORE_FAILED {
                true => Fault { code: &code::INTAKE_UNREADABLE, ..fault },
                false => fault,
            }
        })?;
        Ok(match found {
            None => Opened::Gone,
            Some((file, stat)) if Signature::of(&stat) == self.signature => Opened::File(file),
            Some(_) => Opened::Changed,
        })
    }

    fn unreadable(&self, cause: impl Into<std::io::Error>) -> Fault {
        let message = format!("could not read {}: {}", shown_path(&self.path()), cause.into());
        Fault::new(&code::INTAKE_UNREADABLE, message)
    }
}

struct Copy {
    source: Source,
    from: File,
    part: Part,
    cloned: bool,
    buffer: Vec<u8>,
}

enum Step {
    More(Box<Copy>),
    Ended(Snapshot),
}

impl Copy {
    fn start(source: Source, from: File, part: Part) -> Box<Self> {
        let cloned = clone_blocks(&from, part.file());
        Box::new(Self { source, from, part, cloned, buffer: Vec::with_capacity(PIECE_BYTES) })
    }

    fn step(mut self: Box<Self>) -> Result<Step, Fault> {
        for _ in 0..PIECES {
            self.buffer.clear();
            // A clone is read back, and not the original: the hash must be that of the bytes that are kept.
            let read = match self.cloned {
                true => self.part.file().take(PIECE_BYTES as u64).read_to_end(&mut self.buffer),
                false => (&self.from).take(PIECE_BYTES as u64).read_to_end(&mut self.buffer),
            };
            read.map_err(|error| self.source.unreadable(error))?;
            if self.buffer.is_empty() {
                return self.end().map(Step::Ended);
            }
            match self.cloned {
                true => self.part.count(&self.buffer),
                false => self.part.append(&self.buffer)?,
            }
            // A file that grows would never end.
            if self.part.size_bytes() > self.source.signature.size_bytes {
                return Ok(Step::Ended(Snapshot::Changed));
            }
        }
        Ok(Step::More(self))
    }

    /// The second look: at what was open, and at what has the name now.
    fn end(self) -> Result<Snapshot, Fault> {
        let stat = fs::fstat(&self.from).map_err(|errno| self.source.unreadable(errno))?;
        match self.source.open()? {
            Opened::Gone => return Ok(Snapshot::Gone),
            Opened::Changed => return Ok(Snapshot::Changed),
            Opened::File(_) => {}
        }
        let signature = self.source.signature;
        if Signature::of(&stat) != signature || self.part.size_bytes() != signature.size_bytes {
            return Ok(Snapshot::Changed);
        }
        self.part.publish().map(Snapshot::Taken)
    }
}

/// Whether the file system could share the blocks (btrfs, xfs, bcachefs; both files on the same one).
#[cfg(target_os = "linux")]
fn clone_blocks(from: &File, to: &File) -> bool {
    fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn clone_blocks(_from: &File, _to: &File) -> bool {
    false
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
