//! UTF-8 to any encoding.

use encoding_rs::{EUC_JP, Encoder, EncoderResult, Encoding, ISO_2022_JP, SHIFT_JIS};
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

/// Whether the encoding has a byte for the character that is read back as another one: the Encoding Standard writes what looks alike
/// (yen sign and backslash share 0x5c in Shift_JIS), which for an amount of money is a lie.
fn is_altered(encoding: &'static Encoding, character: char) -> bool {
    match character {
        '\u{a5}' | '\u{203e}' => encoding == SHIFT_JIS || encoding == EUC_JP,
        '\u{2212}' => encoding == SHIFT_JIS || encoding == EUC_JP || encoding == ISO_2022_JP,
        // Katakana of half width become those of full width.
        '\u{ff61}'..='\u{ff9f}' => encoding == ISO_2022_JP,
        _ => false,
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
    let encoding = encoder.encoding();
    let mut at = 0;
    if [SHIFT_JIS, EUC_JP, ISO_2022_JP].contains(&encoding) {
        for (altered, character) in text.char_indices().filter(|(_, one)| is_altered(encoding, *one)) {
            encode_mapped(encoder, unmappable, &text[at..altered], false, out).map_err(|error| at + error)?;
            if unmappable == Unmappable::Refuse {
                return Err(altered);
            }
            encode_mapped(encoder, Unmappable::Refuse, "?", false, out)?;
            at = altered + character.len_utf8();
        }
    }
    encode_mapped(encoder, unmappable, &text[at..], is_last, out).map_err(|error| at + error)
}

fn encode_mapped(
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
            EncoderResult::Unmappable(_) if unmappable == Unmappable::Refuse => {
                // Not by the character that is told: of an escape in ISO-2022-JP that is U+FFFD.
                let last = text[..read].chars().next_back().map_or(0, char::len_utf8);
                return Err(read - last);
            }
            // Through the encoder: ISO-2022-JP has to leave its double-byte state first.
            EncoderResult::Unmappable(_) => encode_mapped(encoder, Unmappable::Refuse, "?", false, out)?,
        }
    }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_a_sequence_of_iso_2022_jp_is_no_text() {
        for (text, place) in [("\u{1b}", 0), ("ab\u{1b}c", 2), ("\u{65e5}\u{e}", 3), ("\u{f}\u{65e5}", 0)] {
            let encoded = |unmappable| {
                let mut out = Vec::new();
                encode_legacy(&mut ISO_2022_JP.new_encoder(), unmappable, text, true, &mut out).map(|()| out)
            };
            assert_eq!(encoded(Unmappable::Refuse), Err(place), "{text:?}");
            let replaced = text.replace(['\u{1b}', '\u{e}', '\u{f}'], "?");
            let (expected, ..) = ISO_2022_JP.encode(&replaced);
            assert_eq!(encoded(Unmappable::QuestionMark).unwrap(), &expected[..], "{text:?}");
        }
    }

    /// What is written is read back as it was, or refused: every character of the Basic Multilingual Plane, in every encoding.
    #[test]
    fn nothing_becomes_something_else() {
        for label in [
            "shift_jis",
            "euc-jp",
            "iso-2022-jp",
            "gbk",
            "gb18030",
            "big5",
            "euc-kr",
            "ibm866",
            "iso-8859-2",
            "iso-8859-7",
            "iso-8859-8",
            "iso-8859-15",
            "koi8-r",
            "koi8-u",
            "macintosh",
            "windows-874",
            "windows-1250",
            "windows-1251",
            "windows-1252",
            "windows-1253",
            "windows-1254",
            "windows-1255",
            "windows-1256",
            "windows-1257",
            "windows-1258",
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let has = |character: &char| {
                let mut text = [0; 4];
                let text: &str = character.encode_utf8(&mut text);
                let mut encoder = encoding.new_encoder();
                encode_legacy(&mut encoder, Unmappable::Refuse, text, true, &mut Vec::new()).is_ok()
            };
            // What private characters mean is between those who use them; GB 18030 has given some of theirs a public number.
            let is_public = |one: &char| *one != '\u{feff}' && !('\u{e000}'..='\u{f8ff}').contains(one);
            let written: String = (' '..='\u{ffff}').filter(is_public).filter(has).collect();
            let mut out = Vec::new();
            let mut encoder = encoding.new_encoder();
            encode_legacy(&mut encoder, Unmappable::Refuse, &written, true, &mut out).unwrap();
            let read = encoding.decode_without_bom_handling(&out).0;
            for (written, read) in written.chars().zip(read.chars()) {
                assert_eq!(written, read, "{label}: {written:?} came back as {read:?}");
            }
            assert_eq!(written.chars().count(), read.chars().count(), "{label}");
            assert!(written.chars().count() > 150, "{label}");
        }
    }
}
