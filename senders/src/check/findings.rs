//! What the probe found.

use outport_core::Fault;
use serde::{Deserialize, Serialize};

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Write a file of more than one piece.
    Write,
    /// Look at a file that is open.
    Fstat,
    /// Set the permissions of a file.
    Mode,
    /// Set the modification time of a file.
    Mtime,
    /// Flush a file to the server's disk.
    Fsync,
    /// Look at a file by its name.
    Stat,
    /// List a folder.
    List,
    /// Read the file again, and compare.
    ReadBack,
    /// Have the server compute the SHA-256.
    Checksum,
    /// Go on with a file that is there.
    Resume,
    /// Make an empty file.
    EmptyFile,
    /// Make a file only where none is.
    Exclusive,
    /// RENAME to a free name.
    Rename,
    /// RENAME over a file that is there.
    RenameOver,
    /// `posix-rename@openssh.com` over a file that is there.
    PosixRename,
    /// Have two files open at once.
    TwoFiles,
    /// Have two connections at once.
    TwoConnections,
    /// Make a folder, and remove it.
    MakeFolder,
    /// Remove a file.
    Remove,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It works.
    Yes,
    /// The server did something else, or does not offer it.
    No(String),
    /// The server said no: code and message.
    Refused {
        /// The fault's code.
        code: String,
        /// The fault's message.
        message: String,
    },
    /// It was not tried.
    Skipped(String),
}

impl Answer {
    pub(super) fn of<T>(result: &Result<T, Fault>) -> Self {
        match result {
            Ok(_) => Self::Yes,
            Err(fault) => Self::Refused { code: fault.code.name.into(), message: fault.message.clone() },
        }
    }

    /// Whether it works.
    pub fn is_yes(&self) -> bool {
        *self == Self::Yes
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was tried.
    pub probe: Probe,
    /// What came of it.
    pub answer: Answer,
}

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// The host key's fingerprint.
    pub host_key: String,
    /// What the server calls itself.
    pub banner: String,
    /// The names of its extensions.
    pub extensions: Vec<String>,
    /// Bytes of one write.
    pub write_bytes: usize,
    /// How far the server's clock is ahead of ours, in seconds; `None` when it shows no times.
    pub clock_ahead_s: Option<i64>,
    /// What was tried, in order.
    pub found: Vec<Finding>,
    /// What the probe made and could not remove.
    pub left: Vec<String>,
}

impl Findings {
    pub(super) fn note(&mut self, probe: Probe, answer: Answer) {
        self.found.push(Finding { probe, answer });
    }

    /// What came of a probe; `None` when it is not in the report.
    pub fn answer(&self, probe: Probe) -> Option<&Answer> {
        self.found.iter().find(|finding| finding.probe == probe).map(|finding| &finding.answer)
    }

    /// Whether a probe was answered with yes.
    pub fn can(&self, probe: Probe) -> bool {
        self.answer(probe).is_some_and(Answer::is_yes)
    }

    /// Whether a probe was tried and did not work.
    pub fn cannot(&self, probe: Probe) -> bool {
        matches!(self.answer(probe), Some(Answer::No(_) | Answer::Refused { .. }))
    }
}
