//! What a server answers (sections 4 and 7).

use std::fmt;

use bytes::Bytes;

use super::fields::{Fields, Packet};
use super::{Attrs, WireError};

const VERSION: u8 = 2;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// A packet from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerPacket {
    /// The answer to INIT (section 4).
    Version {
        /// The version that both sides speak from now on.
        version: u32,
        /// Name and data of each extension.
        extensions: Vec<(Bytes, Bytes)>,
    },
    /// The answer to the request of that id.
    Reply {
        /// The request's id.
        id: u32,
        /// The answer.
        reply: Reply,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// How it went.
    Status(Status),
    /// A file or folder was opened.
    Handle(Bytes),
    /// What was read.
    Data(Bytes),
    /// Names of a folder, or one path.
    Name(Vec<Name>),
    /// Attributes.
    Attrs(Attrs),
    /// The answer to an extended request.
    Extended(Bytes),
}

/// One entry of a [`Reply::Name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: Bytes,
    /// A line as `ls -l` prints it.
    pub long: Bytes,
    /// Attributes.
    pub attrs: Attrs,
}

/// A status: any number, and a text that is empty on terse servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Section 7 has 0 to 8; servers also send 9 to 31 of later drafts.
    pub code: u32,
    /// The server's words.
    pub message: Bytes,
}

impl Status {
    /// Success.
    pub const OK: u32 = 0;
    /// Nothing more to read.
    pub const EOF: u32 = 1;
    /// No such file or folder.
    pub const NO_SUCH_FILE: u32 = 2;
    /// Not allowed.
    pub const PERMISSION_DENIED: u32 = 3;
    /// Anything else.
    pub const FAILURE: u32 = 4;
    /// A packet that cannot be understood.
    pub const BAD_MESSAGE: u32 = 5;
    /// Not offered by this server.
    pub const OP_UNSUPPORTED: u32 = 8;

    /// A status with a text.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: Bytes::from(message.into()) }
    }
}

/// Code and words as shown to people: control characters of the server's text are masked, and it is cut at 200 characters.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.message);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        match text.trim() {
            "" => write!(f, "status {}", self.code),
            text => write!(f, "status {} {text:?}", self.code),
        }
    }
}

impl ServerPacket {
    /// The packet's bytes, length field included.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Version { version, extensions } => extensions
                .iter()
                .fold(Packet::new(VERSION).u32(*version), |packet, (name, data)| {
                    packet.string(name).string(data)
                })
                .finish(),
            Self::Reply { id, reply } => reply.encode(*id),
        }
    }

    /// Reads a packet that [`take_packet`](super::take_packet) gave.
    ///
    /// # Errors
    /// A packet that ends too early, or of a type that servers do not send.
    pub fn decode(packet: Bytes) -> Result<Self, WireError> {
        let (kind, mut fields) = Fields::of(packet)?;
        if kind == VERSION {
            let version = fields.u32()?;
            let mut extensions = Vec::new();
            while !fields.is_empty() {
                extensions.push((fields.string()?, fields.string()?));
            }
            return Ok(Self::Version { version, extensions });
        }
        let id = fields.u32()?;
        Ok(Self::Reply { id, reply: Reply::decode(kind, fields)? })
    }
}

impl Reply {
    fn encode(&self, id: u32) -> Bytes {
        let packet = |kind: u8| Packet::new(kind).u32(id);
        match self {
            Self::Status(status) => packet(STATUS).u32(status.code).string(&status.message).string(b""),
            Self::Handle(handle) => packet(HANDLE).string(handle),
            Self::Data(data) => packet(DATA).string(data),
            Self::Name(names) => names
                .iter()
                .fold(packet(NAME).u32(u32::try_from(names.len()).unwrap_or(u32::MAX)), |packet, entry| {
                    packet.string(&entry.name).string(&entry.long).raw(&entry.attrs.encode())
                }),
            Self::Attrs(attrs) => packet(ATTRS).raw(&attrs.encode()),
            Self::Extended(payload) => packet(EXTENDED_REPLY).raw(payload),
        }
        .finish()
    }

    fn decode(kind: u8, mut fields: Fields) -> Result<Self, WireError> {
        let f = &mut fields;
        Ok(match kind {
            // Text and language came with version 3; servers that forget them are common enough.
            STATUS => Self::Status(Status { code: f.u32()?, message: f.string().unwrap_or_default() }),
            HANDLE => Self::Handle(f.string()?),
            DATA => Self::Data(f.string()?),
            NAME => {
                let count = f.u32()?;
                // The count is only a claim: no memory is reserved for it.
                let mut names = Vec::new();
                for _ in 0..count {
                    names.push(Name { name: f.string()?, long: f.string()?, attrs: Attrs::decode(f)? });
                }
                Self::Name(names)
            }
            ATTRS => Self::Attrs(Attrs::decode(f)?),
            EXTENDED_REPLY => Self::Extended(fields.rest()),
            kind => return Err(WireError::UnknownType { kind }),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
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

    fn packet() -> impl Strategy<Value = ServerPacket> {
        let name = (bytes(), bytes(), attrs()).prop_map(|(name, long, attrs)| Name { name, long, attrs });
        let reply = prop_oneof![
            (any::<u32>(), bytes()).prop_map(|(code, message)| Reply::Status(Status { code, message })),
            bytes().prop_map(Reply::Handle),
            bytes().prop_map(Reply::Data),
            proptest::collection::vec(name, 0..4).prop_map(Reply::Name),
            attrs().prop_map(Reply::Attrs),
            bytes().prop_map(Reply::Extended),
        ];
        prop_oneof![
            (any::<u32>(), proptest::collection::vec((bytes(), bytes()), 0..4))
                .prop_map(|(version, extensions)| ServerPacket::Version { version, extensions }),
            (any::<u32>(), reply).prop_map(|(id, reply)| ServerPacket::Reply { id, reply }),
        ]
    }

    proptest! {
        #[test]
        fn replies_survive_the_wire(packet in packet()) {
            let mut received = BytesMut::from(&packet.encode()[..]);
            let taken = take_packet(&mut received).unwrap().unwrap();
            prop_assert!(received.is_empty());
            prop_assert_eq!(ServerPacket::decode(taken).unwrap(), packet);
        }
    }

    #[test]
    fn a_status_without_text_is_read() {
        let terse = Bytes::from_static(&[101, 0, 0, 0, 9, 0, 0, 0, 14]);
        let expected =
            ServerPacket::Reply { id: 9, reply: Reply::Status(Status { code: 14, message: Bytes::new() }) };
        assert_eq!(ServerPacket::decode(terse), Ok(expected));
    }

    #[test]
    fn a_status_shows_code_and_masked_text() {
        assert_eq!(Status::new(4, "Failure").to_string(), "status 4 \"Failure\"");
        assert_eq!(Status::new(14, "").to_string(), "status 14");
        let rude = Status { code: 31, message: Bytes::from_static(b"a\x1b[2J\nb\xff") }.to_string();
        assert!(!rude.contains('\x1b') && !rude.contains('\n'), "{rude}");
        assert!(Status::new(4, "x".repeat(5000)).to_string().len() < 300);
    }

    #[test]
    fn vendor_attributes_are_read_over() {
        // ATTRS id 1, flags SIZE|EXTENDED, size 5, one extension ("a", "b")
        let packet = [
            &[105, 0, 0, 0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1][..],
            b"a",
            &[0, 0, 0, 1],
            b"b",
        ]
        .concat();
        let ServerPacket::Reply { reply: Reply::Attrs(attrs), .. } =
            ServerPacket::decode(packet.into()).unwrap()
        else {
            panic!()
        };
        assert_eq!(attrs, Attrs { size: Some(5), ..Attrs::default() });
    }

    #[test]
    fn a_claimed_count_reserves_nothing() {
        let packet = Bytes::from_static(&[104, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(ServerPacket::decode(packet), Err(WireError::Short { kind: 104 }));
    }
}
