//! Opening things below a folder without ever following a symbolic link on the way.
//!
//! Segment by segment with `O_NOFOLLOW`, because whoever may write into a bucket could otherwise lead us to any file
//! that we may read. `openat2(RESOLVE_BENEATH)` would be one call, but container runtimes still refuse it.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use outport_core::{Fault, code};
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::fault::{shown, shown_path, store_fault};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What stands behind a name in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    /// A symbolic link, a device, a pipe or a socket: never an object.
    Other,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            _ => Self::Other,
        }
    }
}

/// Opens the folder that holds the buckets. This one may be reached over links: the operator named it.
pub(crate) fn open_root(root: &Path) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::open(root, flags, Mode::empty())
        .map_err(|errno| store_fault("could not open the buckets folder", root, errno))
}

/// Opens a bucket's folder.
pub(crate) fn open_bucket(root: &Path, bucket: &str) -> Result<OwnedFd, Fault> {
    match fs::openat(open_root(root)?, bucket, FOLDER, Mode::empty()) {
        Ok(folder) => Ok(folder),
        Err(Errno::NOENT) => Err(missing(root, bucket, "there is no such folder")),
        Err(errno) if not_a_folder(errno) => {
            Err(missing(root, bucket, "it is not a folder (symbolic links are not followed)"))
        }
        Err(errno) => Err(store_fault("could not open bucket", &root.join(bucket), errno)),
    }
}

fn missing(root: &Path, bucket: &str, problem: &str) -> Fault {
    let message =
        format!("could not open bucket \"{}\" below {}: {problem}", shown(bucket), shown_path(root));
    Fault::new(&code::INTAKE_BUCKET_MISSING, message)
}

/// Whether opening a folder failed because something else has its name.
pub(crate) fn not_a_folder(errno: Errno) -> bool {
    // Linux says ENOTDIR for a link opened with O_DIRECTORY|O_NOFOLLOW, other systems ELOOP.
    matches!(errno, Errno::NOTDIR | Errno::LOOP)
}

/// Whether an object is not there: no such name, or something on the way is no folder.
pub(crate) fn is_absent(errno: Errno) -> bool {
    errno == Errno::NOENT || not_a_folder(errno)
}

/// From `folder` down through folders that exist.
pub(crate) fn descend<S: AsRef<OsStr>>(
    mut folder: OwnedFd,
    names: impl IntoIterator<Item = S>,
) -> Result<OwnedFd, Errno> {
    for name in names {
        folder = fs::openat(&folder, name.as_ref(), FOLDER, Mode::empty())?;
    }
    Ok(folder)
}

/// The same, making the folders that are missing, durably.
pub(crate) fn descend_making<'a>(
    mut folder: OwnedFd,
    names: impl IntoIterator<Item = &'a str>,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    for name in names {
        match fs::mkdirat(&folder, name, mode) {
            Ok(()) => fs::fsync(&folder)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        folder = fs::openat(&folder, name, FOLDER, Mode::empty())?;
    }
    Ok(folder)
}

/// Calls `visit` with every name in a folder, in the file system's order, one at a time: a folder may hold millions.
pub(crate) fn each_entry(
    folder: impl AsFd,
    mut visit: impl FnMut(&OsStr, Kind) -> ControlFlow<()>,
) -> Result<(), Errno> {
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say in the listing.
            FileType::Unknown => match fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode).into(),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            },
            known => known.into(),
        };
        if visit(OsStr::from_bytes(name.to_bytes()), kind).is_break() {
            break;
        }
    }
    Ok(())
}
