//! What a look at the server adds to a status that says nothing. Pure.

use outport_core::{Code, code};

use super::classify::Operation;
use crate::remote::RemoteStat;

/// What was looked at after a refusal; `None`: the server did not tell that either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether the folder of the path is there.
    pub(super) folder_is_there: Option<bool>,
    /// What stands under the path itself.
    pub(super) itself: Option<RemoteStat>,
    /// Room on the file system of the folder.
    pub(super) room: Option<Room>,
}

/// What `statvfs@openssh.com` tells (OpenSSH PROTOCOL section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that the user may still write.
    pub(super) free_bytes: u64,
    /// Files that the user may still create; `None` where the file system does not count.
    pub(super) free_files: Option<u64>,
}

/// Less than this is full: a refused write of 255 KiB leaves the remainder of the last pieces free.
const NEARLY_NOTHING: u64 = 1024 * 1024;

/// A fault's code, and what the look showed, for the message.
pub(super) fn diagnose(
    operation: Operation,
    is_missing: bool,
    facts: &Facts,
) -> (&'static Code, Option<&'static str>) {
    use Operation::{Close, Create, Rename, Stat, Write};
    let concerns_a_file = matches!(operation, Create | Write | Close | Stat | Rename);
    if facts.itself.is_some_and(|stat| stat.is_folder) && concerns_a_file {
        return (&code::REMOTE_EXISTS, Some("a folder has that name"));
    }
    match facts.folder_is_there {
        Some(false) => return (&code::REMOTE_NO_SUCH_FOLDER, Some("the folder is not there")),
        // Create and rename need nothing else that could be missing, when the look itself is refused.
        None if is_missing && matches!(operation, Operation::Create | Operation::MakeFolder) => {
            return (&code::REMOTE_NO_SUCH_FOLDER, None);
        }
        _ => {}
    }
    if is_missing {
        return match operation {
            Operation::Rename => {
                (&code::REMOTE_FAILURE, Some("the folder is there, the file to rename is not"))
            }
            _ => (&code::REMOTE_FAILURE, Some("the folder is there")),
        };
    }
    match facts.room {
        Some(room) if room.free_bytes < NEARLY_NOTHING => {
            (&code::REMOTE_DISK_FULL, Some("the file system has no room"))
        }
        Some(Room { free_files: Some(0), .. })
            if matches!(operation, Operation::Create | Operation::MakeFolder) =>
        {
            (&code::REMOTE_DISK_FULL, Some("the file system has no room for another file"))
        }
        _ => (&code::REMOTE_FAILURE, None),
    }
}

/// The folder of a path, to look at: `.` for a path without one.
pub(super) fn folder_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: RemoteStat = RemoteStat { size_bytes: None, mtime_s: None, is_folder: true };

    #[test]
    fn every_finding() {
        let none = Facts::default();
        let there = Facts { folder_is_there: Some(true), ..none };
        let gone = Facts { folder_is_there: Some(false), ..none };
        let full = Facts { room: Some(Room { free_bytes: 4096, free_files: Some(10) }), ..there };
        let crowded = Facts { room: Some(Room { free_bytes: 1 << 40, free_files: Some(0) }), ..there };
        let roomy = Facts { room: Some(Room { free_bytes: 1 << 40, free_files: None }), ..there };
        let folder = Facts { itself: Some(FOLDER), ..there };
        for (operation, is_missing, facts, expected) in [
            (Operation::Create, true, gone, &code::REMOTE_NO_SUCH_FOLDER),
            (Operation::Create, true, none, &code::REMOTE_NO_SUCH_FOLDER),
            (Operation::Create, true, there, &code::REMOTE_FAILURE),
            (Operation::Create, false, gone, &code::REMOTE_NO_SUCH_FOLDER),
            (Operation::Create, false, folder, &code::REMOTE_EXISTS),
            (Operation::Create, false, crowded, &code::REMOTE_DISK_FULL),
            (Operation::Create, false, roomy, &code::REMOTE_FAILURE),
            (Operation::Write, false, full, &code::REMOTE_DISK_FULL),
            (Operation::Write, false, crowded, &code::REMOTE_FAILURE),
            (Operation::Write, false, none, &code::REMOTE_FAILURE),
            (Operation::Rename, true, gone, &code::REMOTE_NO_SUCH_FOLDER),
            (Operation::Rename, true, there, &code::REMOTE_FAILURE),
            (Operation::Rename, true, none, &code::REMOTE_FAILURE),
            (Operation::Rename, false, folder, &code::REMOTE_EXISTS),
        ] {
            assert_eq!(
                diagnose(operation, is_missing, &facts).0,
                expected,
                "{operation:?} {is_missing} {facts:?}"
            );
        }
    }

    #[test]
    fn folders_of_paths() {
        for (path, folder) in [("a.csv", "."), ("in/a.csv", "in"), ("/a.csv", "/"), ("/in/b/a.csv", "/in/b")]
        {
            assert_eq!(folder_of(path), folder);
        }
    }
}
