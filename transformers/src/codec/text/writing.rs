//! UTF-8 to any encoding.

use encoding_rs::{Encoder, EncoderResult};
use outport_core::{Fault, code};

use crate::codec::after::Outward;
use crate::codec::charset::{Charset, Unicode};
use crate::codec::{PORTION, Text, Unmappable};

/// The byte order mark as a character.
const BOM: char = '\u{feff}';

/// Writes UTF-8 in another encoding.
pub(in crate::codec) struct Writer {
    text: Text,
    target: Target,
    /// The first bytes of a character whose rest has not come yet.
    cut: Vec<u8>,
    /// Line feeds written so far.
    lines: u64,
    has_begun: bool,
}

enum Target {
    Unicode(Unicode),
    Legacy { encoder: Box<Encoder>, unmappable: Unmappable },
}

/// A writer of this encoding.
pub(in crate::codec) fn writer(text: Text) -> Writer {
    let target = match text {
        Text::Unicode { form, .. } => Target::Unicode(form),
        Text::Legacy { charset, unmappable } => Target::Legacy {
            encoder: Box::new(Charset::Legacy(charset).encoding().new_encoder()),
            unmappable,
        },
    };
    Writer { text, target, cut: Vec::new(), lines: 0, has_begun: false }
}

impl Writer {
    fn encode(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
        let text = if self.has_begun { text } else { self.begin(text, out) };
        match &mut self.target {
            Target::Unicode(Unicode::Utf8) => out.extend_from_slice(text.as_bytes()),
            Target::Unicode(Unicode::Utf16Le) => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Target::Unicode(Unicode::Utf16Be) => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Target::Legacy { encoder, unmappable } => {
                if let Err(at) = encode_legacy(encoder, *unmappable, text, false, out) {
                    self.lines += line_feeds(&text.as_bytes()[..at]);
                    return Err(self.unmappable());
                }
            }
        }
        self.lines += line_feeds(text.as_bytes());
        Ok(())
    }

    /// Writes the byte order mark if one is asked for; the text's own, if it has one, is dropped.
    fn begin<'t>(&mut self, text: &'t str, out: &mut Vec<u8>) -> &'t str {
        self.has_begun = true;
        if let Text::Unicode { form, bom: true } = self.text {
            out.extend_from_slice(match form {
                Unicode::Utf8 => &[0xef, 0xbb, 0xbf],
                Unicode::Utf16Le => &[0xff, 0xfe],
                Unicode::Utf16Be => &[0xfe, 0xff],
            });
        }
        text.strip_prefix(BOM).unwrap_or(text)
    }

    fn unmappable(&self) -> Fault {
        let (name, line) = (self.name(), self.lines + 1);
        let message =
            format!("could not write the output as {name}: line {line} has a character that it lacks");
        Fault::new(&code::TRANSFORM_ENCODING, message)
            .with_hint("write UTF-8 or UTF-16, or have such characters replaced by a question mark")
    }

    fn not_utf8(&self) -> Fault {
        let (name, line) = (self.name(), self.lines + 1);
        let message = format!("could not write the output as {name}: line {line} is not UTF-8 to begin with");
        Fault::new(&code::TRANSFORM_ENCODING, message).with_hint("say which encoding the input is in")
    }

    fn name(&self) -> &'static str {
        match self.text {
            Text::Unicode { form, .. } => Charset::Unicode(form).name(),
            Text::Legacy { charset, .. } => Charset::Legacy(charset).name(),
        }
    }

    /// Completes the character that was cut with the front of `bytes`, writes it, and gives back the rest.
    fn complete<'b>(&mut self, mut bytes: &'b [u8], out: &mut Vec<u8>) -> Result<&'b [u8], Fault> {
        while !self.cut.is_empty()
            && let Some((byte, rest)) = bytes.split_first()
        {
            self.cut.push(*byte);
            bytes = rest;
            let cut = std::mem::take(&mut self.cut);
            match std::str::from_utf8(&cut) {
                Ok(character) => self.encode(character, out)?,
                Err(error) if error.error_len().is_some() => return Err(self.not_utf8()),
                Err(_) => self.cut = cut,
            }
        }
        Ok(bytes)
    }
}

impl Outward for Writer {
    fn restart(&mut self) {
        *self = writer(self.text);
    }

    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let bytes = self.complete(bytes, out)?;
        let (text, rest, is_wrong) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, &[][..], false),
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                let text = std::str::from_utf8(valid).map_err(|_| self.not_utf8())?;
                (text, rest, error.error_len().is_some())
            }
        };
        if !text.is_empty() {
            self.encode(text, out)?;
        }
        if is_wrong {
            return Err(self.not_utf8());
        }
        self.cut.extend_from_slice(rest);
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.cut.is_empty() {
            return Err(self.not_utf8());
        }
        if !self.has_begun {
            self.begin("", out);
        }
        if let Target::Legacy { encoder, unmappable } = &mut self.target
            && encode_legacy(encoder, *unmappable, "", true, out).is_err()
        {
            return Err(self.unmappable());
        }
        Ok(())
    }
}

/// Encodes all of `text`. Where a character has no place in the encoding and may not be replaced, its offset in bytes is the error.
fn encode_legacy(
    encoder: &mut Encoder,
    unmappable: Unmappable,
    text: &str,
    is_last: bool,
    out: &mut Vec<u8>,
) -> Result<(), usize> {
    let mut read = 0;
    loop {
        let rest = &text[read..];
        let filled = out.len();
        // Most characters take as many bytes as in UTF-8 or fewer; 64 are room for any one with its escape sequences.
        out.resize(filled + rest.len().min(PORTION) + 64, 0);
        let (result, taken, made) =
            encoder.encode_from_utf8_without_replacement(rest, &mut out[filled..], is_last);
        out.truncate(filled + made);
        read += taken;
        match result {
            EncoderResult::InputEmpty => return Ok(()),
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(character) if unmappable == Unmappable::Refuse => {
                return Err(read - character.len_utf8());
            }
            // Through the encoder: ISO-2022-JP has to leave its double-byte state first.
            EncoderResult::Unmappable(_) => encode_legacy(encoder, Unmappable::Refuse, "?", false, out)?,
        }
    }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
