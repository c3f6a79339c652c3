//! Strings (RFC 8259 section 7): where they end, and what their escapes mean.

use super::super::problem::Problem;

/// How far an escape has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Backslash,
    Hex {
        digits: u8,
        value: u16,
    },
}

/// The state of a string that may be cut anywhere, also inside an escape.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Text {
    escape: Escape,
    /// The first half of a surrogate pair; the second half must follow at once.
    high: Option<u16>,
}

/// What stands next in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// That many bytes stand for themselves.
    Plain(usize),
    /// One byte of an escape that is not complete.
    Within,
    /// The last byte of an escape.
    Char(char),
    /// The closing quote.
    End,
}

impl Text {
    /// Looks at the front of `bytes`, which must not be empty. All parts but `Plain` are one byte long.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<Part, Problem> {
        match self.escape {
            Escape::None => {
                let plain = plain_length(bytes);
                if self.high.is_some() && (plain > 0 || bytes[0] != b'\\') {
                    return Err(Problem::Surrogate);
                }
                match bytes[0] {
                    _ if plain > 0 => Ok(Part::Plain(plain)),
                    b'"' => Ok(Part::End),
                    b'\\' => {
                        self.escape = Escape::Backslash;
                        Ok(Part::Within)
                    }
                    found => Err(Problem::Control { found }),
                }
            }
            Escape::Backslash => self.after_backslash(bytes[0]),
            Escape::Hex { digits, value } => self.hex(digits, value, bytes[0]),
        }
    }

    fn after_backslash(&mut self, found: u8) -> Result<Part, Problem> {
        if found == b'u' {
            self.escape = Escape::Hex { digits: 0, value: 0 };
            return Ok(Part::Within);
        }
        let meant = match found {
            b'"' | b'\\' | b'/' => char::from(found),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => return Err(Problem::Escape { found }),
        };
        if self.high.is_some() {
            return Err(Problem::Surrogate);
        }
        self.escape = Escape::None;
        Ok(Part::Char(meant))
    }

    fn hex(&mut self, digits: u8, value: u16, found: u8) -> Result<Part, Problem> {
        let digit = char::from(found).to_digit(16).ok_or(Problem::Escape { found })?;
        let value = value << 4 | digit as u16;
        if digits < 3 {
            self.escape = Escape::Hex { digits: digits + 1, value };
            return Ok(Part::Within);
        }
        self.escape = Escape::None;
        match (self.high.take(), value) {
            (None, 0xd800..=0xdbff) => {
                self.high = Some(value);
                Ok(Part::Within)
            }
            (Some(high), 0xdc00..=0xdfff) => {
                let code = 0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(value) - 0xdc00);
                char::from_u32(code).map(Part::Char).ok_or(Problem::Surrogate)
            }
            (Some(_), _) => Err(Problem::Surrogate),
            (None, _) => char::from_u32(u32::from(value)).map(Part::Char).ok_or(Problem::Surrogate),
        }
    }
}

/// How many bytes at the front are neither a quote, a backslash nor a control character.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut at = 0;
    // Eight bytes at a time: `(x - 1) & !x` has its high bit in the first byte that is zero (and perhaps in some
    // behind it, as the subtraction borrows upwards). The same with 0x20 finds the first byte below a blank.
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
        let below_blank = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zero_in(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_in(word ^ (ONES * u64::from(b'\\')));
        let hits = (below_blank | quote | backslash) & HIGHS;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes what stands between the quotes of a string, plus the closing quote.
    fn decode(raw: &str) -> Result<String, Problem> {
        let raw = format!("{raw}\"");
        let (mut text, mut decoded, mut at) = (Text::default(), String::new(), 0);
        loop {
            match text.next(&raw.as_bytes()[at..])? {
                Part::Plain(length) => {
                    decoded.push_str(&raw[at..at + length]);
                    at += length;
                }
                Part::Within => at += 1,
                Part::Char(character) => {
                    decoded.push(character);
                    at += 1;
                }
                Part::End => return Ok(decoded),
            }
        }
    }

    #[test]
    fn escapes_mean_what_the_rfc_says() {
        let cases = [
            ("", ""),
            ("plain é€😀", "plain é€😀"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u0041\u00e9\u20AC\u20ac\u0000", "Aé€€\0"),
            (r"\ud83d\ude00\uD83D\uDE00", "😀😀"),
            (r"a\ud83d\ude00b", "a😀b"),
            (r"\uffff\ue000", "\u{ffff}\u{e000}"),
        ];
        for (raw, decoded) in cases {
            assert_eq!(decode(raw).as_deref(), Ok(decoded), "{raw}");
        }
    }

    #[test]
    fn what_is_not_a_string_is_refused() {
        let cases = [
            (r"\x41", Problem::Escape { found: b'x' }),
            (r"\u00g0", Problem::Escape { found: b'g' }),
            (r"\u00", Problem::Escape { found: b'"' }),
            ("a\tb", Problem::Control { found: b'\t' }),
            ("a\0", Problem::Control { found: 0 }),
            (r"\ud83d", Problem::Surrogate),
            (r"\ud83dx", Problem::Surrogate),
            (r"\ud83d\n", Problem::Surrogate),
            (r"\ud83d\ud83d", Problem::Surrogate),
            (r"\ud83dA", Problem::Surrogate),
            (r"\ude00\ud83d", Problem::Surrogate),
        ];
        for (raw, problem) in cases {
            assert_eq!(decode(raw), Err(problem), "{raw}");
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_word_is_told_apart() {
        for byte in 0..=255u8 {
            for length in [1, 7, 8, 9, 16, 17, 40] {
                for at in 0..length {
                    let mut bytes = vec![0xc3; length];
                    bytes[at] = byte;
                    let special = matches!(byte, b'"' | b'\\' | 0..=0x1f);
                    let expected = if special { at } else { length };
                    assert_eq!(plain_length(&bytes), expected, "{byte:#x} at {at} of {length}");
                }
            }
        }
    }
}
