//! How one attempt ended, and the evidence of an arrival.

use outport_core::Fault;
pub use outport_core::delivery::Stage;

use crate::remote::{ConnectFault, PeerIdentity};
use crate::sha256::Sha256Sum;

/// How we know that the file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmedBy {
    /// The server answered the rename.
    Reply,
    /// The answer was lost; a look at the remote names told.
    Probe,
}

impl ConfirmedBy {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Probe => "probe",
        }
    }
}

/// Evidence that a file stands under its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The final name, as it was asked for.
    pub remote_final: String,
    /// Size of the file, as counted here and as the server showed it.
    pub size_bytes: u64,
    /// Hash of the bytes that were sent.
    pub sha256: Sha256Sum,
    /// Who took it.
    pub peer: PeerIdentity,
    /// How we know.
    pub confirmed_by: ConfirmedBy,
    /// An earlier attempt may have delivered the same file already, and nothing could tell.
    pub possible_duplicate: bool,
    /// The connection was made for this file: its login works now. An older connection proves nothing about logins.
    pub fresh_login: bool,
    /// Bytes that this attempt uploaded; 0 when it found the file already there.
    pub bytes_sent: u64,
    /// Time from the start of the push to the confirmation, in milliseconds.
    pub duration_ms: u64,
}

/// How an attempt ended. Only [`crate::push`](crate::push()) and [`crate::deliver`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The file stands under its final name.
    Delivered(Receipt),
    /// It does not, by this attempt; or it does, and what goes with it (a checksum, a trigger) is missing.
    Failed {
        /// Why.
        fault: Fault,
        /// Where.
        stage: Stage,
        /// Bytes that the server had confirmed.
        bytes_sent: u64,
    },
    /// The rename went out and its answer was lost. The next attempt has to look first ([`crate::Earlier`]).
    Unknown {
        /// How the answer was lost.
        fault: Fault,
        /// Always [`Stage::Renaming`] today.
        stage: Stage,
        /// Bytes that the server had confirmed.
        bytes_sent: u64,
    },
    /// An earlier attempt may have delivered it, a look at the remote names did not tell, and the subscription says not
    /// to send again. Nothing was sent.
    Unconfirmed {
        /// What the look showed.
        fault: Fault,
    },
    /// The lease is lost or about to be: nothing was renamed. Another worker acts on this delivery.
    LeaseLost {
        /// Where it was noticed.
        stage: Stage,
    },
    /// An operator cancelled: nothing was renamed.
    Cancelled {
        /// Where it was noticed.
        stage: Stage,
        /// Bytes that the server had confirmed.
        bytes_sent: u64,
    },
}

impl From<ConnectFault> for Outcome {
    fn from(failed: ConnectFault) -> Self {
        Self::Failed { fault: failed.fault, stage: failed.stage, bytes_sent: 0 }
    }
}
