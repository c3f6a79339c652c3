//! An unfinished file: invisible to readers and to the intake, whole and durable once published.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use outport_core::{Fault, code};
use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::beneath::{descend_making, not_a_folder, open_bucket};
use super::reading::{info_of, path_of};
use crate::fault::{shown_path, store_fault};
use crate::key::{Place, temp_name};
use crate::object::Stored;

/// What becomes of an object that has the key already, and who may read the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publish {
    /// It stays, and publishing fails. The new file is for us alone: stored artifacts are nobody else's business.
    IfAbsent,
    /// It is replaced in one step. The new file is as readable as any file its writer makes (umask): another user's
    /// `outport up` must be able to take it in.
    Replacing,
}

impl Publish {
    fn file_mode(self) -> Mode {
        match self {
            Self::IfAbsent => Mode::from_raw_mode(0o600),
            Self::Replacing => Mode::from_raw_mode(0o666),
        }
    }

    fn folder_mode(self) -> Mode {
        match self {
            Self::IfAbsent => Mode::from_raw_mode(0o700),
            Self::Replacing => Mode::from_raw_mode(0o777),
        }
    }
}

/// The temp file of one writer, beside its target so that the rename stays within one file system. Dropped unpublished,
/// it is removed; when the process dies first, [`super::leftovers`] removes it.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    folder: OwnedFd,
    temp: String,
    name: String,
    path: PathBuf,
    publish: Publish,
    hash: Sha256,
    size_bytes: u64,
    there: bool,
}

impl Part {
    /// Makes the folders on the way and the empty temp file.
    pub(crate) fn start(root: &Path, place: &Place, publish: Publish) -> Result<Self, Fault> {
        let path = path_of(root, place);
        let bucket = open_bucket(root, place.bucket())?;
        let folder = match descend_making(bucket, place.folders(), publish.folder_mode()) {
            Err(errno) if not_a_folder(errno) => return Err(blocked_way(&path)),
            other => other.map_err(|errno| store_fault("could not make the folders of", &path, errno))?,
        };
        let name = place.name().to_owned();
        if publish == Publish::IfAbsent && fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(taken(&folder, &name, &path));
        }
        let (file, temp) = make_temp(&folder, publish.file_mode())
            .map_err(|errno| store_fault("could not make a temporary file for", &path, errno))?;
        let hash = Sha256::new();
        Ok(Self { file, folder, temp, name, path, publish, hash, size_bytes: 0, there: true })
    }

    /// The open temp file, to be cloned into before anything is appended.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes so far.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Writes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all(bytes).map_err(|error| store_fault("could not write", &self.path, error))?;
        self.count(bytes);
        Ok(())
    }

    /// Takes bytes into size and hash that are in the file already (a clone).
    pub(crate) fn count(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
    }

    /// Durable first, visible then, and the folder's entry durable last: a crash at any line leaves the whole object
    /// or none.
    pub(crate) fn publish(mut self) -> Result<Stored, Fault> {
        let failed = |doing| move |errno: Errno, path: &Path| store_fault(doing, path, errno);
        fs::fsync(&self.file).map_err(|errno| failed("could not make durable")(errno, &self.path))?;
        let renamed = match self.publish {
            Publish::Replacing => fs::renameat(&self.folder, &self.temp, &self.folder, &self.name),
            Publish::IfAbsent => match self.rename_if_absent() {
                // The file system does not know the flag (EINVAL) or the kernel does not know the call.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.link_if_absent(),
                other => other,
            },
        };
        match renamed {
            Ok(()) => self.there = false,
            Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => {
                return Err(taken(&self.folder, &self.name, &self.path));
            }
            Err(errno) => return Err(failed("could not put into place")(errno, &self.path)),
        }
        fs::fsync(&self.folder)
            .map_err(|errno| failed("could not make durable the folder of")(errno, &self.path))?;
        let stat = fs::fstat(&self.file).map_err(|errno| failed("could not look at")(errno, &self.path))?;
        let sha256 =
            std::mem::take(&mut self.hash).finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Stored { size_bytes: self.size_bytes, sha256, etag: info_of(&stat).etag })
    }

    fn rename_if_absent(&self) -> Result<(), Errno> {
        fs::renameat_with(&self.folder, &self.temp, &self.folder, &self.name, RenameFlags::NOREPLACE)
    }

    /// link(2) never replaces either; a crash before the unlink leaves a second name that the leftovers' sweep takes.
    fn link_if_absent(&self) -> Result<(), Errno> {
        fs::linkat(&self.folder, &self.temp, &self.folder, &self.name, AtFlags::empty())?;
        fs::unlinkat(&self.folder, &self.temp, AtFlags::empty())
    }

    /// Removes it and says so when that fails.
    pub(crate) fn discard(mut self) -> Result<(), Fault> {
        self.remove().map_err(|errno| store_fault("could not remove the unfinished", &self.path, errno))
    }

    fn remove(&mut self) -> Result<(), Errno> {
        if !std::mem::take(&mut self.there) {
            return Ok(());
        }
        match fs::unlinkat(&self.folder, &self.temp, AtFlags::empty()) {
            Err(errno) if errno != Errno::NOENT => Err(errno),
            _ => Ok(()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(errno) = self.remove() {
            tracing::warn!(path = %shown_path(&self.path), error = %errno, "could not remove an unfinished file");
        }
    }
}

/// A new temp file under a name that nobody has, locked: the lock tells the leftovers' sweep, in any process, that its
/// writer lives, however long it takes.
fn make_temp(folder: &OwnedFd, mode: Mode) -> Result<(File, String), Errno> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        // Neither a process id nor a clock is unique over containers that share the folder; O_EXCL decides.
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.subsec_nanos());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temp = temp_name(&format!("{}-{count}-{clock:08x}", std::process::id()));
        match fs::openat(folder, &temp, flags, mode) {
            Ok(file) => {
                if let Err(errno) = fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                    // The sweep cannot lock it either then, and leaves it alone.
                    tracing::debug!(error = %errno, "the file system has no file locks");
                }
                return Ok((File::from(file), temp));
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn taken(folder: &OwnedFd, name: &str, path: &Path) -> Fault {
    let stat = fs::statat(folder, OsStr::new(name), AtFlags::SYMLINK_NOFOLLOW);
    let path = shown_path(path);
    match stat {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => {
            Fault::new(&code::INTAKE_BAD_KEY, format!("could not write {path}: a folder has this name"))
                .with_hint("use another key, or remove the folder")
        }
        _ => Fault::new(
            &code::OBJECT_EXISTS,
            format!("could not write {path}: there is an object with this key"),
        ),
    }
}

fn blocked_way(path: &Path) -> Fault {
    let message =
        format!("could not write {}: a part of its path is a file or a symbolic link", shown_path(path));
    Fault::new(&code::INTAKE_BAD_KEY, message).with_hint("use another key, or remove what is in the way")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("b")).unwrap();
        root
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(root.join("b"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn both_ways_to_publish_never_replace() {
        type Way = fn(&Part) -> Result<(), Errno>;
        for way in [Part::rename_if_absent as Way, Part::link_if_absent as Way] {
            let root = root();
            let place = Place::new("b", "k").unwrap();
            let mut first = Part::start(root.path(), &place, Publish::IfAbsent).unwrap();
            let mut second = Part::start(root.path(), &place, Publish::IfAbsent).unwrap();
            first.append(b"first").unwrap();
            second.append(b"second").unwrap();
            assert_eq!(way(&first), Ok(()));
            assert_eq!(way(&second), Err(Errno::EXIST));
            drop((first, second));
            assert_eq!(names(root.path()), ["k"]);
            assert_eq!(std::fs::read(root.path().join("b/k")).unwrap(), b"first");
        }
    }

    #[test]
    fn replacing_is_one_step_and_a_folder_is_not_replaced() {
        let root = root();
        std::fs::create_dir(root.path().join("b/folder")).unwrap();
        std::fs::write(root.path().join("b/k"), "old").unwrap();
        for (key, want) in
            [("k", None), ("folder", Some(&code::INTAKE_BAD_KEY)), ("k/x", Some(&code::INTAKE_BAD_KEY))]
        {
            let place = Place::new("b", key).unwrap();
            let result = Part::start(root.path(), &place, Publish::Replacing).and_then(|mut part| {
                part.append(b"new")?;
                part.publish()
            });
            assert_eq!(result.err().map(|fault| fault.code), want, "{key}");
        }
        assert_eq!(names(root.path()), ["folder", "k"]);
        assert_eq!(std::fs::read(root.path().join("b/k")).unwrap(), b"new");
    }
}
