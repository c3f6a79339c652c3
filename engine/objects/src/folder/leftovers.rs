//! Temp files whose writers died (kill -9, power cut): found and removed when the engine starts.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use outport_core::{Fault, Millis};
use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::beneath::{Kind, descend, each_entry, is_absent, open_root};
use crate::fault::{shown_path, store_fault};
use crate::intake::Signature;
use crate::key::is_temp;

/// Younger ones stay: between the creation of a temp file and its lock there is an instant without proof of life.
pub(super) const LEFT_AFTER_MS: Millis = 60 * 60 * 1000;

/// Removes what no living writer holds. Returns how many files that were.
pub(super) fn clear(root: &Path, now: Millis) -> Result<usize, Fault> {
    let mut removed = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        let folder = match descend(open_root(root)?, relative.iter()) {
            Ok(folder) => folder,
            Err(errno) if is_absent(errno) => continue,
            Err(errno) => {
                // Not ours to read, so none of our temp files is in it either.
                let path = shown_path(&root.join(&relative));
                tracing::warn!(path, error = %errno, "could not look for left-over files");
                continue;
            }
        };
        let mut temps = Vec::new();
        each_entry(&folder, |name, kind| {
            match kind {
                Kind::Folder => folders.push(relative.join(name)),
                Kind::File if is_temp(name.as_bytes()) => temps.push(name.to_owned()),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .map_err(|errno| store_fault("could not list", &root.join(&relative), errno))?;
        for temp in temps {
            match remove_dead(&folder, Path::new(&temp), now) {
                Ok(dead) => removed += usize::from(dead),
                Err(errno) => {
                    let path = shown_path(&root.join(&relative).join(&temp));
                    tracing::warn!(path, error = %errno, "could not remove a left-over file");
                }
            }
        }
    }
    Ok(removed)
}

fn remove_dead(folder: &OwnedFd, temp: &Path, now: Millis) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match fs::openat(folder, temp, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(false),
        other => other?,
    };
    let changed_at = Signature::of(&fs::fstat(&file)?).mtime_ns.div_euclid(1_000_000);
    if now.saturating_sub(changed_at) < LEFT_AFTER_MS {
        return Ok(false);
    }
    // A writer that lives holds the lock. One that published meanwhile gave the file another name; then there is
    // nothing under this one any more.
    match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(false),
        Err(errno) => return Err(errno),
    }
    match fs::unlinkat(folder, temp, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(false),
        other => other.map(|()| true),
    }
}
