//! The encodings of an output.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::Unmappable;

/// The encoding of an output file.
///
/// An own type because encoding_rs encodes to UTF-8 where it is asked for UTF-16, as the web does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TextEncoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// One that does not have every character.
    Legacy {
        /// Never UTF-8, UTF-16 or "replacement".
        encoding: &'static Encoding,
        /// What happens to a character that it does not have.
        unmappable: Unmappable,
    },
}

impl TextEncoding {
    /// The name in the WHATWG Encoding Standard.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => UTF_8.name(),
            Self::Utf16Le => UTF_16LE.name(),
            Self::Utf16Be => UTF_16BE.name(),
            Self::Legacy { encoding, .. } => encoding.name(),
        }
    }

    /// Whether it has a byte order mark.
    pub(super) fn has_bom(self) -> bool {
        !matches!(self, Self::Legacy { .. })
    }
}
