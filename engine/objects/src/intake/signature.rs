//! What a file looks like from outside, to tell whether it changed between two looks.

use std::path::Path;

use rustix::fs::{self, FileType, Stat};
use rustix::io::Errno;

/// Size, times and inode of a file. Two looks that show the same signature saw the same bytes, unless somebody wrote
/// within one tick of the kernel's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last change of the content, nanoseconds since 1970. Writers can set it: `mv`, `cp -p` and `rsync -t` keep it.
    pub mtime_ns: i64,
    /// Last change of the content, the name or the owner, nanoseconds since 1970. Only the kernel sets it.
    pub ctime_ns: i64,
    /// The file's number in its file system.
    pub inode: u64,
}

impl Signature {
    /// The signature that a `stat` shows.
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
        }
    }

    /// The ctime in whole milliseconds since 1970.
    pub fn changed_at(&self) -> outport_core::Millis {
        self.ctime_ns.div_euclid(1_000_000)
    }
}

// The types of the fields differ between systems; every one fits into i128.
fn nanoseconds(seconds: impl Into<i128>, nanoseconds: impl TryInto<i64>) -> i64 {
    let total = seconds.into() * 1_000_000_000 + i128::from(nanoseconds.try_into().unwrap_or(0));
    i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX })
}

/// What stands at a path now, without following a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    File(Signature),
    /// A folder, and its inode.
    Folder(u64),
    Nothing,
}

/// Looks at a path. What cannot be looked at counts as nothing: the snapshot reports why, when it comes to that.
pub(crate) fn look(path: &Path) -> Look {
    match fs::lstat(path) {
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Look::File(Signature::of(&stat)),
            FileType::Directory => Look::Folder(stat.st_ino),
            _ => Look::Nothing,
        },
        Err(errno) => {
            if !matches!(errno, Errno::NOENT | Errno::NOTDIR) {
                let path = crate::fault::shown_path(path);
                tracing::warn!(path, error = %errno, "could not look at a file in a bucket folder");
            }
            Look::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_beyond_2262_do_not_wrap() {
        assert_eq!(nanoseconds(-1i64, 999_999_999u64), -1);
        assert_eq!(nanoseconds(1i64, 5u64), 1_000_000_005);
        assert_eq!(nanoseconds(i64::MAX, 0u64), i64::MAX);
        assert_eq!(nanoseconds(i64::MIN, 0u64), i64::MIN);
    }

    #[test]
    fn every_change_shows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "12").unwrap();
        let first = look(&path);
        assert_eq!(look(&path), first);
        std::fs::write(&path, "123").unwrap();
        let second = look(&path);
        assert_ne!(second, first);
        std::fs::write(folder.path().join("b"), "123").unwrap();
        std::fs::rename(folder.path().join("b"), &path).unwrap();
        assert_ne!(look(&path), second);
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(look(&folder.path().join("link")), Look::Nothing);
        assert!(matches!(look(folder.path()), Look::Folder(_)));
    }
}
