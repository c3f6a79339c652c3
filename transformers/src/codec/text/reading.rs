//! Any encoding to UTF-8.

use encoding_rs::{Decoder, DecoderResult, UTF_16BE, UTF_16LE};
use outport_core::{Fault, code};

use crate::codec::PORTION;
use crate::codec::before::Inward;
use crate::codec::charset::{Charset, Unicode};

/// Makes UTF-8 of a text, in the encoding that a byte order mark or else the label says.
pub(in crate::codec) struct ToUtf8 {
    label: Charset,
    /// Looked at, until it is known whether it is a mark.
    front: Vec<u8>,
    found: Option<Found>,
}

enum Found {
    /// UTF-8 goes on as it is.
    Utf8,
    Other(Box<Decoding>),
}

/// A decoder on its way.
struct Decoding {
    decoder: Decoder,
    /// Bytes taken, with the byte order mark.
    at: u64,
}

/// What a front says about the encoding.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    Is(Unicode),
    None,
    /// Too short to say.
    Open,
}

fn mark(front: &[u8]) -> Mark {
    match front {
        [0xff, 0xfe, ..] => Mark::Is(Unicode::Utf16Le),
        [0xfe, 0xff, ..] => Mark::Is(Unicode::Utf16Be),
        [0xef, 0xbb, 0xbf, ..] => Mark::Is(Unicode::Utf8),
        [] | [0xff] | [0xfe] | [0xef] | [0xef, 0xbb] => Mark::Open,
        _ => Mark::None,
    }
}

impl ToUtf8 {
    pub(in crate::codec) fn new(label: Charset) -> Self {
        Self { label, front: Vec::new(), found: None }
    }

    /// Settles on an encoding; the front is its first input, without a mark of UTF-16, which is no text.
    fn settle(&mut self, mark: &Mark, out: &mut Vec<u8>) -> Result<(), Fault> {
        let front = std::mem::take(&mut self.front);
        let (encoding, text) = match mark {
            Mark::Is(Unicode::Utf16Le) => (UTF_16LE, &front[2..]),
            Mark::Is(Unicode::Utf16Be) => (UTF_16BE, &front[2..]),
            Mark::Is(Unicode::Utf8) => return self.settle_utf8(&front, out),
            Mark::None | Mark::Open if self.label == Charset::Unicode(Unicode::Utf8) => {
                return self.settle_utf8(&front, out);
            }
            Mark::None | Mark::Open => (self.label.encoding(), &front[..]),
        };
        let decoder = encoding.new_decoder_without_bom_handling();
        let decoding = Box::new(Decoding { decoder, at: (front.len() - text.len()) as u64 });
        let Found::Other(decoding) = self.found.insert(Found::Other(decoding)) else { return Ok(()) };
        decoding.decode(text, out, false).map(drop)
    }

    fn settle_utf8(&mut self, front: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        out.extend_from_slice(front);
        self.found = Some(Found::Utf8);
        Ok(())
    }
}

impl Decoding {
    /// Decodes until `input` is used up or a portion is made. Says how many bytes it took.
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>, is_last: bool) -> Result<usize, Fault> {
        let filled = out.len();
        out.resize(filled + PORTION, 0);
        let (result, read, made) =
            self.decoder.decode_to_utf8_without_replacement(input, &mut out[filled..], is_last);
        out.truncate(filled + made);
        self.at += read as u64;
        match result {
            DecoderResult::InputEmpty | DecoderResult::OutputFull => Ok(read),
            DecoderResult::Malformed(length, behind) => {
                let byte = self.at - u64::from(length) - u64::from(behind);
                let name = self.decoder.encoding().name();
                let message = format!(
                    "could not read the input as {name}: the bytes at byte {byte} of the text are no character in it"
                );
                Err(Fault::new(&code::TRANSFORM_ENCODING, message))
            }
        }
    }
}

impl Inward for ToUtf8 {
    fn restart(&mut self) {
        *self = Self::new(self.label);
    }

    fn is_idle(&self) -> bool {
        matches!(self.found, Some(Found::Utf8))
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        match &mut self.found {
            Some(Found::Utf8) => Ok(0),
            Some(Found::Other(decoding)) => decoding.decode(input, out, false),
            None => {
                let mut taken = 0;
                while taken < input.len() && self.found.is_none() {
                    self.front.push(input[taken]);
                    taken += 1;
                    match mark(&self.front) {
                        Mark::Open => {}
                        mark => self.settle(&mark, out)?,
                    }
                }
                Ok(taken)
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.found.is_none() {
            self.settle(&Mark::None, out)?;
        }
        match &mut self.found {
            Some(Found::Other(decoding)) => decoding.decode(&[], out, true).map(drop),
            Some(Found::Utf8) | None => Ok(()),
        }
    }
}
