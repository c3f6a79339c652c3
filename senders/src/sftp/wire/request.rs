//! What a client sends (sections 4 and 6).

use bytes::Bytes;

use super::fields::{Fields, Packet};
use super::{Attrs, WireError};

/// Flags of [`Request::Open`] (section 6.3).
pub mod open_flags {
    /// Open for reading.
    pub const READ: u32 = 0x01;
    /// Open for writing.
    pub const WRITE: u32 = 0x02;
    /// All writes go to the end.
    pub const APPEND: u32 = 0x04;
    /// Create the file if it is not there.
    pub const CREATE: u32 = 0x08;
    /// Empty the file.
    pub const TRUNCATE: u32 = 0x10;
    /// Fail if the file is there.
    pub const EXCLUSIVE: u32 = 0x20;
}

const INIT: u8 = 1;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const SETSTAT: u8 = 9;
const FSETSTAT: u8 = 10;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const RMDIR: u8 = 15;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const RENAME: u8 = 18;
const READLINK: u8 = 19;
const SYMLINK: u8 = 20;
const EXTENDED: u8 = 200;

/// A packet from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientPacket {
    /// The first packet: the version that the client speaks.
    Init {
        /// The highest version.
        version: u32,
    },
    /// Any other: a request, answered under its id.
    Request {
        /// Chosen by the client.
        id: u32,
        /// What is asked.
        request: Request,
    },
}

/// A request, without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The names are those of section 6, one to one.
pub enum Request {
    Open {
        path: Bytes,
        flags: u32,
        attrs: Attrs,
    },
    Close {
        handle: Bytes,
    },
    Read {
        handle: Bytes,
        offset: u64,
        length: u32,
    },
    Write {
        handle: Bytes,
        offset: u64,
        data: Bytes,
    },
    Lstat {
        path: Bytes,
    },
    Fstat {
        handle: Bytes,
    },
    Setstat {
        path: Bytes,
        attrs: Attrs,
    },
    Fsetstat {
        handle: Bytes,
        attrs: Attrs,
    },
    Opendir {
        path: Bytes,
    },
    Readdir {
        handle: Bytes,
    },
    Remove {
        path: Bytes,
    },
    Mkdir {
        path: Bytes,
        attrs: Attrs,
    },
    Rmdir {
        path: Bytes,
    },
    Realpath {
        path: Bytes,
    },
    Stat {
        path: Bytes,
    },
    Rename {
        from: Bytes,
        to: Bytes,
    },
    Readlink {
        path: Bytes,
    },
    Symlink {
        first: Bytes,
        second: Bytes,
    },
    Extended {
        name: Bytes,
        payload: Bytes,
    },
    /// A type that version 3 does not have: answered with "operation unsupported" (section 7).
    Unknown {
        kind: u8,
    },
}

impl ClientPacket {
    /// The packet's bytes, length field included.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Init { version } => Packet::new(INIT).u32(*version).finish(),
            Self::Request { id, request } => request.encode(*id),
        }
    }

    /// Reads a packet that [`take_packet`](super::take_packet) gave. What an INIT has after its version is read over.
    ///
    /// # Errors
    /// A packet that ends too early.
    pub fn decode(packet: Bytes) -> Result<Self, WireError> {
        let (kind, mut fields) = Fields::of(packet)?;
        let number = fields.u32()?;
        if kind == INIT {
            return Ok(Self::Init { version: number });
        }
        Ok(Self::Request { id: number, request: Request::decode(kind, fields)? })
    }
}

impl Request {
    /// The request as a packet with this id, length field included.
    pub fn encode(&self, id: u32) -> Bytes {
        let packet = |kind: u8| Packet::new(kind).u32(id);
        match self {
            Self::Open { path, flags, attrs } => packet(OPEN).string(path).u32(*flags).raw(&attrs.encode()),
            Self::Close { handle } => packet(CLOSE).string(handle),
            Self::Read { handle, offset, length } => packet(READ).string(handle).u64(*offset).u32(*length),
            Self::Write { handle, offset, data } => packet(WRITE).string(handle).u64(*offset).string(data),
            Self::Lstat { path } => packet(LSTAT).string(path),
            Self::Fstat { handle } => packet(FSTAT).string(handle),
            Self::Setstat { path, attrs } => packet(SETSTAT).string(path).raw(&attrs.encode()),
            Self::Fsetstat { handle, attrs } => packet(FSETSTAT).string(handle).raw(&attrs.encode()),
            Self::Opendir { path } => packet(OPENDIR).string(path),
            Self::Readdir { handle } => packet(READDIR).string(handle),
            Self::Remove { path } => packet(REMOVE).string(path),
            Self::Mkdir { path, attrs } => packet(MKDIR).string(path).raw(&attrs.encode()),
            Self::Rmdir { path } => packet(RMDIR).string(path),
            Self::Realpath { path } => packet(REALPATH).string(path),
            Self::Stat { path } => packet(STAT).string(path),
            Self::Rename { from, to } => packet(RENAME).string(from).string(to),
            Self::Readlink { path } => packet(READLINK).string(path),
            Self::Symlink { first, second } => packet(SYMLINK).string(first).string(second),
            Self::Extended { name, payload } => packet(EXTENDED).string(name).raw(payload),
            Self::Unknown { kind } => packet(*kind),
        }
        .finish()
    }

    fn decode(kind: u8, mut fields: Fields) -> Result<Self, WireError> {
        let f = &mut fields;
        Ok(match kind {
            OPEN => Self::Open { path: f.string()?, flags: f.u32()?, attrs: Attrs::decode(f)? },
            CLOSE => Self::Close { handle: f.string()? },
            READ => Self::Read { handle: f.string()?, offset: f.u64()?, length: f.u32()? },
            WRITE => Self::Write { handle: f.string()?, offset: f.u64()?, data: f.string()? },
            LSTAT => Self::Lstat { path: f.string()? },
            FSTAT => Self::Fstat { handle: f.string()? },
            SETSTAT => Self::Setstat { path: f.string()?, attrs: Attrs::decode(f)? },
            FSETSTAT => Self::Fsetstat { handle: f.string()?, attrs: Attrs::decode(f)? },
            OPENDIR => Self::Opendir { path: f.string()? },
            READDIR => Self::Readdir { handle: f.string()? },
            REMOVE => Self::Remove { path: f.string()? },
            MKDIR => Self::Mkdir { path: f.string()?, attrs: Attrs::decode(f)? },
            RMDIR => Self::Rmdir { path: f.string()? },
            REALPATH => Self::Realpath { path: f.string()? },
            STAT => Self::Stat { path: f.string()? },
            RENAME => Self::Rename { from: f.string()?, to: f.string()? },
            READLINK => Self::Readlink { path: f.string()? },
            SYMLINK => Self::Symlink { first: f.string()?, second: f.string()? },
            EXTENDED => Self::Extended { name: f.string()?, payload: fields.rest() },
            kind => Self::Unknown { kind },
        })
    }
}

/// The start of a WRITE whose `size` data bytes follow separately: header and data go out as two pieces, so that the
/// data is not copied once more before it is encrypted (measured: 15 % less CPU).
pub fn write_head(id: u32, handle: &[u8], offset: u64, size: u32) -> Bytes {
    Packet::new(WRITE).u32(id).string(handle).u64(offset).u32(size).followed_by(size as usize)
}

/// Extended requests that take plain strings: `posix-rename@openssh.com`, `statvfs@openssh.com`, `limits@openssh.com`.
pub(in crate::sftp) fn extended(name: &str, strings: &[&[u8]]) -> Request {
    let mut payload = Vec::new();
    for string in strings {
        payload.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
        payload.extend_from_slice(string);
    }
    Request::Extended { name: Bytes::copy_from_slice(name.as_bytes()), payload: payload.into() }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use proptest::prelude::*;

    use super::super::take_packet;
    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn attrs() -> impl Strategy<Value = Attrs> {
        (any::<Option<u64>>(), any::<Option<(u32, u32)>>(), any::<Option<u32>>(), any::<Option<(u32, u32)>>())
            .prop_map(|(size, owner, permissions, times)| Attrs { size, owner, permissions, times })
    }

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            (bytes(), any::<u32>(), attrs()).prop_map(|(path, flags, attrs)| Request::Open {
                path,
                flags,
                attrs
            }),
            bytes().prop_map(|handle| Request::Close { handle }),
            (bytes(), any::<u64>(), any::<u32>()).prop_map(|(handle, offset, length)| Request::Read {
                handle,
                offset,
                length
            }),
            (bytes(), any::<u64>(), bytes()).prop_map(|(handle, offset, data)| Request::Write {
                handle,
                offset,
                data
            }),
            bytes().prop_map(|path| Request::Lstat { path }),
            bytes().prop_map(|handle| Request::Fstat { handle }),
            (bytes(), attrs()).prop_map(|(path, attrs)| Request::Setstat { path, attrs }),
            (bytes(), attrs()).prop_map(|(handle, attrs)| Request::Fsetstat { handle, attrs }),
            bytes().prop_map(|path| Request::Opendir { path }),
            bytes().prop_map(|handle| Request::Readdir { handle }),
            bytes().prop_map(|path| Request::Remove { path }),
            (bytes(), attrs()).prop_map(|(path, attrs)| Request::Mkdir { path, attrs }),
            bytes().prop_map(|path| Request::Rmdir { path }),
            bytes().prop_map(|path| Request::Realpath { path }),
            bytes().prop_map(|path| Request::Stat { path }),
            (bytes(), bytes()).prop_map(|(from, to)| Request::Rename { from, to }),
            bytes().prop_map(|path| Request::Readlink { path }),
            (bytes(), bytes()).prop_map(|(first, second)| Request::Symlink { first, second }),
            (bytes(), bytes()).prop_map(|(name, payload)| Request::Extended { name, payload }),
            (21u8..100).prop_map(|kind| Request::Unknown { kind }),
        ]
    }

    proptest! {
        #[test]
        fn requests_survive_the_wire(id in any::<u32>(), request in request()) {
            let packet = ClientPacket::Request { id, request };
            let mut received = BytesMut::from(&packet.encode()[..]);
            let taken = take_packet(&mut received).unwrap().unwrap();
            prop_assert!(received.is_empty());
            prop_assert_eq!(ClientPacket::decode(taken).unwrap(), packet);
        }

        #[test]
        fn a_cut_request_is_an_error_or_another_request(id in any::<u32>(), request in request(), cut in 1usize..60) {
            let whole = request.encode(id).slice(4..);
            let cut = whole.slice(..whole.len().saturating_sub(cut));
            if let Ok(ClientPacket::Request { request: read, .. }) = ClientPacket::decode(cut) {
                prop_assert_ne!(read, request);
            }
        }
    }

    #[test]
    fn head_and_data_make_the_same_write() {
        let (handle, data) = (Bytes::from_static(b"h\0\xff"), Bytes::from_static(b"some data"));
        let mut sent = BytesMut::new();
        sent.put(write_head(7, &handle, 1 << 40, 9));
        sent.put(data.clone());
        assert_eq!(sent.freeze(), Request::Write { handle, offset: 1 << 40, data }.encode(7));
    }

    #[test]
    fn init_is_as_the_draft_draws_it() {
        let init = ClientPacket::Init { version: 3 };
        assert_eq!(init.encode(), &[0, 0, 0, 5, 1, 0, 0, 0, 3][..]);
        assert_eq!(ClientPacket::decode(init.encode().slice(4..)), Ok(init));
    }
}
