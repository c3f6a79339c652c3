//! What a status of the server means. Pure; the table was measured on OpenSSH 9.2 and ProFTPD 1.3.8, the codes above 8
//! are those of later drafts (filexfer-13 section 9.1), which version 3 servers send all the same.

use outport_core::{Code, code};

use super::wire::Status;

/// What was asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Write,
    Close,
    Stat,
    Rename,
    Remove,
    Read,
    List,
    MakeFolder,
    SetAttributes,
    Sync,
    Checksum,
}

impl Operation {
    /// "could not ... PATH".
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Close => "close",
            Self::Stat => "look at",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Read => "read",
            Self::List => "list",
            Self::MakeFolder => "make the folder",
            Self::SetAttributes => "set the attributes of",
            Self::Sync => "flush",
            Self::Checksum => "ask for the checksum of",
        }
    }
}

/// What a status tells by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is clear.
    Clear(&'static Code),
    /// Something is not there: the file or its folder.
    NotThere,
    /// Nothing. OpenSSH says 4 "Failure" to a full disk, to a folder of that name, and to most else.
    Unclear,
}

/// Reads code and text together.
pub(super) fn meaning(operation: Operation, status: &Status) -> Meaning {
    use Meaning::{Clear, NotThere, Unclear};
    match status.code {
        // NO_SUCH_FILE, NO_SUCH_PATH
        2 | 10 => NotThere,
        // PERMISSION_DENIED, WRITE_PROTECT, UNKNOWN_PRINCIPAL, CANNOT_DELETE, OWNER_INVALID, GROUP_INVALID
        3 | 12 | 16 | 22 | 30 | 31 => Clear(&code::REMOTE_PERMISSION_DENIED),
        4 => by_text(&String::from_utf8_lossy(&status.message).to_ascii_lowercase()),
        // BAD_MESSAGE: OpenSSH's answer to a name that is too long
        5 if matches!(
            operation,
            Operation::Create | Operation::Rename | Operation::Stat | Operation::MakeFolder
        ) =>
        {
            Clear(&code::REMOTE_NAME_REFUSED)
        }
        5 => Clear(&code::REMOTE_UNSUPPORTED),
        // NO_CONNECTION, CONNECTION_LOST: of the server to whatever stands behind it
        6 | 7 => Clear(&code::ENDPOINT_RESET),
        8 => Clear(&code::REMOTE_UNSUPPORTED),
        // FILE_ALREADY_EXISTS, FILE_IS_A_DIRECTORY
        11 | 24 => Clear(&code::REMOTE_EXISTS),
        // NO_SPACE_ON_FILESYSTEM, QUOTA_EXCEEDED
        14 | 15 => Clear(&code::REMOTE_DISK_FULL),
        // NOT_A_DIRECTORY: a part of the folder is a file
        19 => Clear(&code::REMOTE_NO_SUCH_FOLDER),
        // INVALID_FILENAME, LINK_LOOP, INVALID_PARAMETER
        20 | 21 | 23 => Clear(&code::REMOTE_NAME_REFUSED),
        // 1 EOF makes no sense here; 9 INVALID_HANDLE, 13 NO_MEDIA, 17 and 25-27 locks, 18 DIR_NOT_EMPTY, 28 DELETE_PENDING,
        // 29 FILE_CORRUPT: may pass; and whatever nobody defined.
        _ => Unclear,
    }
}

/// ProFTPD and Windows servers say with words what the code 4 does not.
fn by_text(text: &str) -> Meaning {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["no space", "disk space", "disk full", "disk is full", "quota", "out of space"]) {
        Meaning::Clear(&code::REMOTE_DISK_FULL)
    } else if has(&["already exist", "file exists"]) {
        Meaning::Clear(&code::REMOTE_EXISTS)
    } else if has(&["name too long", "invalid filename", "invalid file name", "illegal file name"]) {
        Meaning::Clear(&code::REMOTE_NAME_REFUSED)
    } else if has(&["permission", "access denied", "read-only", "not permitted"]) {
        Meaning::Clear(&code::REMOTE_PERMISSION_DENIED)
    } else if has(&["no such file", "not found", "does not exist"]) {
        Meaning::NotThere
    } else {
        Meaning::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::Meaning::{Clear, NotThere, Unclear};
    use super::Operation::{Create, Remove, Rename, Write};
    use super::*;

    #[test]
    fn the_table_of_measured_answers() {
        let table = [
            // OpenSSH 9.2
            (Rename, 4, "Failure", Unclear),
            (Create, 2, "No such file", NotThere),
            (Create, 3, "Permission denied", Clear(&code::REMOTE_PERMISSION_DENIED)),
            (Create, 4, "Failure", Unclear),
            (Create, 5, "Bad message", Clear(&code::REMOTE_NAME_REFUSED)),
            (Write, 4, "Failure", Unclear),
            (Rename, 8, "Operation unsupported", Clear(&code::REMOTE_UNSUPPORTED)),
            // ProFTPD 1.3.8
            (Rename, 11, "File already exists", Clear(&code::REMOTE_EXISTS)),
            (Create, 4, "Invalid filename", Clear(&code::REMOTE_NAME_REFUSED)),
            (Create, 4, "File already exists", Clear(&code::REMOTE_EXISTS)),
            (Write, 4, "Out of disk space", Clear(&code::REMOTE_DISK_FULL)),
            // others
            (Write, 14, "", Clear(&code::REMOTE_DISK_FULL)),
            (Write, 15, "", Clear(&code::REMOTE_DISK_FULL)),
            (Write, 4, "User over quota", Clear(&code::REMOTE_DISK_FULL)),
            (Write, 4, "Read-only file system", Clear(&code::REMOTE_PERMISSION_DENIED)),
            (Rename, 4, "Cannot create a file when that file already exists.", Clear(&code::REMOTE_EXISTS)),
            (Create, 10, "", NotThere),
            (Create, 19, "", Clear(&code::REMOTE_NO_SUCH_FOLDER)),
            (Create, 24, "", Clear(&code::REMOTE_EXISTS)),
            (Write, 5, "Bad message", Clear(&code::REMOTE_UNSUPPORTED)),
            (Write, 7, "", Clear(&code::ENDPOINT_RESET)),
        ];
        for (operation, code, text, expected) in table {
            assert_eq!(meaning(operation, &Status::new(code, text)), expected, "{operation:?} {code} {text}");
        }
    }

    #[test]
    fn numbers_that_nobody_defined_claim_nothing() {
        for code in (32..300).chain([u32::MAX]) {
            for operation in [Create, Write, Rename, Remove, Operation::Close, Operation::Stat] {
                assert_eq!(
                    meaning(operation, &Status::new(code, "no space")),
                    Unclear,
                    "{operation:?} {code}"
                );
            }
        }
    }
}
