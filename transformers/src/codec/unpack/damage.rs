//! What can be wrong with compressed input, and the fault made of it.

use outport_core::{Fault, code};
use thiserror::Error;

/// What is wrong. Places are bytes of the compressed input, counted from 0; of damage only the beginning of its part is known for
/// certain (a wrong bit shows later than it stands).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Damage {
    #[error("the input is empty")]
    Empty,
    #[error("its first bytes are not those of such a file")]
    NotThis,
    #[error("at byte {at} it goes on with something else")]
    Garbage { at: u64 },
    #[error("it ends at byte {at}, inside the part that begins at byte {begun}")]
    Truncated { at: u64, begun: u64 },
    #[error("the header of the part that begins at byte {begun} is damaged")]
    Header { begun: u64 },
    #[error("the part that begins at byte {begun} is damaged")]
    Data { begun: u64 },
    #[error("the part that begins at byte {begun} is damaged: its checksum is wrong")]
    Checksum { begun: u64 },
    #[error("the part that begins at byte {begun} is damaged: its length is wrong")]
    Length { begun: u64 },
    #[error("the part that begins at byte {begun} has a window of more than 128 MiB")]
    Window { begun: u64 },
    #[error("the part that begins at byte {begun} needs a dictionary")]
    Dictionary { begun: u64 },
    #[error("there is no memory for the part that begins at byte {begun}")]
    Memory { begun: u64 },
}

impl Damage {
    /// The fault of input that was to be decompressed as `format`.
    pub(super) fn fault(self, format: &str) -> Fault {
        let code = match self {
            // Not the input's fault.
            Self::Memory { .. } => &code::IO_FAILED,
            _ => &code::TRANSFORM_COMPRESSION,
        };
        let fault = Fault::new(code, format!("could not decompress the input as {format}: {self}"));
        match self {
            Self::Empty | Self::Truncated { .. } => {
                fault.with_hint("the upload or the export broke off; upload the whole file again")
            }
            Self::NotThis => {
                fault.with_hint("check how the file is compressed; `auto` looks at its first bytes")
            }
            Self::Garbage { .. } => {
                fault.with_hint("compress the whole file, and append nothing that is not compressed too")
            }
            Self::Window { .. } => {
                fault.with_hint("compress the file with a smaller window (zstd --long=27)")
            }
            Self::Dictionary { .. } => fault.with_hint("compress the file without a dictionary"),
            Self::Memory { .. } => fault.with_hint("give this process 128 MiB more memory"),
            _ => fault,
        }
    }
}
