//! SFTP version 3 packets (draft-ietf-secsh-filexfer-02), both directions: the client and the [partner](crate::partner)
//! server speak through it. Nothing in here does I/O; whatever the bytes are, nothing panics or reserves more memory
//! than it was given.
//!
//! Names and handles are bytes (section 3: "string" is no text), and a status is any `u32`: servers that speak
//! version 3 send the codes of later versions all the same.

mod attrs;
mod fields;
mod reply;
mod request;

use bytes::{Buf, Bytes, BytesMut};

pub use attrs::Attrs;
pub use reply::{Name, Reply, ServerPacket, Status};
pub(in crate::sftp) use request::extended;
pub use request::{ClientPacket, Request, open_flags, write_head};

/// The protocol version we speak (section 4).
pub const VERSION: u32 = 3;

/// The longest packet accepted, without its length field: OpenSSH's own limit (SFTP_MAX_MSG_LENGTH, 256 KiB). Section
/// 3 asks for at least 34,000.
pub const MAX_PACKET_BYTES: usize = 256 * 1024;

/// Extension names, with the version that their data announces.
pub mod extension {
    /// `rename` that replaces an existing file (OpenSSH PROTOCOL, section 4.3).
    pub const POSIX_RENAME: &str = "posix-rename@openssh.com";
    /// Free space of the file system of a path (section 4.4).
    pub const STATVFS: &str = "statvfs@openssh.com";
    /// Flushes a handle to disk (section 4.6).
    pub const FSYNC: &str = "fsync@openssh.com";
    /// The sum of a file by its name (draft-ietf-secsh-filexfer-extensions-00, section 3).
    pub const CHECK_FILE_NAME: &str = "check-file-name";
    /// The same by its handle.
    pub const CHECK_FILE_HANDLE: &str = "check-file-handle";
    /// The sizes that the server takes (section 4.8).
    pub const LIMITS: &str = "limits@openssh.com";
}

/// Bytes that are not a packet of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length field is above [`MAX_PACKET_BYTES`]. When a login script prints text, the text is read as a length.
    #[error(
        "a packet of {length} bytes was announced, {MAX_PACKET_BYTES} are allowed (the first bytes read as text: {text:?})"
    )]
    TooLong {
        /// The announced length.
        length: u32,
        /// The length field as text, to recognise what a login script printed.
        text: String,
    },
    /// A packet without a type.
    #[error("an empty packet came")]
    Empty,
    /// A packet that ends before its fields do.
    #[error("a packet of type {kind} ends too early")]
    Short {
        /// The packet's type.
        kind: u8,
    },
    /// A type that the other side may not send.
    #[error("a packet of the unknown type {kind} came")]
    UnknownType {
        /// The packet's type.
        kind: u8,
    },
}

/// Takes one packet, without its length field, off the front of what was received; `None`: not all of it is there yet.
///
/// # Errors
/// [`WireError::TooLong`] and [`WireError::Empty`]; the stream cannot be read on after either.
pub fn take_packet(received: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
    let Some(field) = received.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*field);
    if length == 0 {
        return Err(WireError::Empty);
    }
    let size = length as usize;
    if size > MAX_PACKET_BYTES {
        return Err(WireError::TooLong { length, text: String::from_utf8_lossy(field).into_owned() });
    }
    if received.len() < 4 + size {
        return Ok(None);
    }
    received.advance(4);
    Ok(Some(received.split_to(size).freeze()))
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    #[test]
    fn packets_come_off_whole_or_not_at_all() {
        let mut received = BytesMut::new();
        assert_eq!(take_packet(&mut received), Ok(None));
        for byte in [0, 0, 0, 2, 1] {
            received.put_u8(byte);
            assert_eq!(take_packet(&mut received), Ok(None));
        }
        received.put_slice(&[7, 0, 0]);
        assert_eq!(take_packet(&mut received), Ok(Some(Bytes::from_static(&[1, 7]))));
        assert_eq!(take_packet(&mut received), Ok(None));
        assert_eq!(&received[..], [0, 0]);
    }

    #[test]
    fn the_text_of_a_login_script_is_shown() {
        let error = take_packet(&mut BytesMut::from("Welcome!")).unwrap_err();
        assert!(error.to_string().contains("\"Welc\""), "{error}");
        assert_eq!(take_packet(&mut BytesMut::from(&[0u8; 4][..])), Err(WireError::Empty));
    }

    #[test]
    fn the_longest_packet_is_taken_and_one_more_byte_is_not() {
        let frame = |size: usize| {
            let mut frame = BytesMut::new();
            frame.put_u32(u32::try_from(size).unwrap());
            frame.put_bytes(1, size);
            frame
        };
        assert_eq!(take_packet(&mut frame(MAX_PACKET_BYTES)).unwrap().unwrap().len(), MAX_PACKET_BYTES);
        assert!(take_packet(&mut frame(MAX_PACKET_BYTES + 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut received = BytesMut::from(&bytes[..]);
            while let Ok(Some(packet)) = take_packet(&mut received) {
                drop(ClientPacket::decode(packet.clone()));
                drop(ServerPacket::decode(packet));
            }
            drop(ClientPacket::decode(Bytes::from(bytes.clone())));
            drop(ServerPacket::decode(Bytes::from(bytes)));
        }
    }
}
