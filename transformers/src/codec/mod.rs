//! Around a transform: compressed input and output, and text that is not UTF-8.
//!
//! [`wrap`] puts adapters around a [`Transform`], each of them a transform itself, so that whoever drives it sees compressed bytes go
//! in and come out, and the transform within sees plain UTF-8:
//!
//! ```text
//! bytes in -> decompress -> to UTF-8 -> the transform -> to an encoding -> compress -> bytes out
//! ```
//!
//! Everything streams. An adapter holds some hundred KiB (zstd input up to 128 MiB, the largest window that is accepted), so the size
//! that something unpacks to is not limited: a bomb costs time, never memory.

mod after;
mod before;
mod charset;
mod pack;
mod text;
mod unpack;

pub use self::charset::{Charset, Legacy, Unicode};

use self::after::After;
use self::before::Before;
use crate::transform::Transform;

/// Bytes that a step makes at most before they are handed on: 128 KiB, a block of zstd; it stays in the processor's cache.
const PORTION: usize = 128 << 10;

/// How the input is made ready for the transform. The default leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decode {
    /// How it is compressed.
    pub compression: Unpack,
    /// In which encoding its text is when no byte order mark in front says otherwise. None: it is not looked at.
    ///
    /// A byte order mark of UTF-8 or UTF-16 says more than this. UTF-8 is left to the transform as it is, with its mark: the transform
    /// checks it anyway. Everything else is checked and made UTF-8 without a mark.
    pub charset: Option<Charset>,
}

/// How the input is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unpack {
    /// It is not, or the transform takes it as it is.
    #[default]
    AsIs,
    /// As its first bytes say: gzip, zstd, or else not at all.
    Auto,
    /// gzip (RFC 1952), one member or several; every check value is compared.
    Gzip,
    /// zstd (RFC 8878), one frame or several, skippable ones among them; windows up to 128 MiB, no dictionaries.
    Zstd,
}

/// What is made of the transform's output. The default leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encode {
    /// How the text is encoded.
    pub text: Text,
    /// How the result is compressed.
    pub compression: Pack,
}

/// How the text of the output is encoded. The transform's own output must be UTF-8; a byte order mark in front of it does not count
/// as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// A form of Unicode, which has all characters.
    Unicode {
        /// Which one.
        form: Unicode,
        /// Whether a byte order mark goes in front (of an empty output too).
        bom: bool,
    },
    /// An encoding that lacks most characters.
    Legacy {
        /// Which one.
        charset: Legacy,
        /// What happens to characters that it lacks.
        unmappable: Unmappable,
    },
}

impl Default for Text {
    fn default() -> Self {
        Self::Unicode { form: Unicode::Utf8, bom: false }
    }
}

/// What happens to a character that the encoding of the output lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unmappable {
    /// The transform fails, with the line of the output: nothing is lost in silence.
    #[default]
    Refuse,
    /// A question mark takes its place.
    QuestionMark,
}

/// How the output is compressed. The same output gives the same compressed bytes: no time and no name is written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pack {
    /// It is not.
    #[default]
    AsIs,
    /// One gzip member at level 6, the default of zlib.
    Gzip,
    /// One zstd frame at level 3, the default of zstd, with a checksum of the content.
    Zstd,
}

/// Puts around `inner` what `decode` and `encode` ask for; when they ask for nothing it is handed back as it is.
///
/// The [`Summary`](crate::Summary) of the result counts the bytes outside: what was pushed as it was pushed, what came out as it came out.
///
/// ```
/// use outport_transform::codec::{Charset, Decode, Encode, Pack, Unpack, wrap};
/// use outport_transform::{JsonToCsv, run};
///
/// let latin = Charset::for_label("iso-8859-1").expect("a known label");
/// let decode = Decode { compression: Unpack::Auto, charset: Some(latin) };
/// let encode = Encode { compression: Pack::Gzip, ..Encode::default() };
/// let mut transform = wrap(Box::new(JsonToCsv::new()), decode, encode);
/// let mut out = Vec::new();
/// run(transform.as_mut(), || Ok(&b"{\"name\":\"Jos\xe9\"}"[..]), &mut out)?;
///
/// let decode = Decode { compression: Unpack::Gzip, charset: None };
/// let mut transform = wrap(Box::new(outport_transform::PassThrough::new()), decode, Encode::default());
/// let mut csv = Vec::new();
/// run(transform.as_mut(), || Ok(&out[..]), &mut csv)?;
/// assert_eq!(csv, "name\nJosé\n".as_bytes());
/// # Ok::<(), outport_core::Fault>(())
/// ```
///
/// # Errors
/// Besides those of `inner`, pushing and finishing fail with `transform.compression` and `transform.encoding`. A fault is the same
/// however the input is cut.
pub fn wrap(inner: Box<dyn Transform>, decode: Decode, encode: Encode) -> Box<dyn Transform> {
    let inner = match encode.text {
        Text::Unicode { form: Unicode::Utf8, bom: false } => inner,
        text => Box::new(After::new(inner, text::writer(text))),
    };
    let inner = match encode.compression {
        Pack::AsIs => inner,
        Pack::Gzip => Box::new(After::new(inner, pack::Gzip::new())),
        Pack::Zstd => Box::new(After::new(inner, pack::Zstd::new())),
    };
    let inner = match decode.charset {
        None => inner,
        Some(charset) => Box::new(Before::new(inner, text::ToUtf8::new(charset))),
    };
    match decode.compression {
        Unpack::AsIs => inner,
        Unpack::Auto => Box::new(Before::new(inner, unpack::Sniffed::default())),
        Unpack::Gzip => Box::new(Before::new(inner, unpack::Gzip::new())),
        Unpack::Zstd => Box::new(Before::new(inner, unpack::Zstd::new())),
    }
}
