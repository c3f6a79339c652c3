//! Strings: where one ends, and its characters as a CSV cell.

use super::lanes::{Input, Lane, Out, WIDTH};

/// A string whose escapes are right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    /// What stands behind the opening quote.
    pub(super) front: Lane,
    /// Of the closing quote.
    pub(super) end: usize,
    pub(super) has_escape: bool,
    /// The delimiter stands in it; with no escape that is the only reason to quote, since JSON escapes quotes and line ends.
    pub(super) has_delimiter: bool,
}

/// Reads on from behind the opening quote. None where the string does not end sixteen bytes before the input does, or is wrong.
#[inline(always)]
pub(super) fn text(bytes: Input<'_>, mut at: usize, delimiter: Lane) -> Option<Text> {
    let (mut delimiters, mut has_escape) = (0, false);
    let front = bytes.lane(at)?;
    let mut lane = front;
    loop {
        let ends = lane.ends_of_text();
        let found = lane.equal(delimiter);
        if ends == 0 {
            delimiters |= found;
            at += WIDTH;
            lane = bytes.lane(at)?;
            continue;
        }
        let plain = ends.trailing_zeros();
        delimiters |= found & ((1 << plain) - 1);
        at += plain as usize;
        match bytes[at] {
            b'"' => return Some(Text { front, end: at, has_escape, has_delimiter: delimiters != 0 }),
            b'\\' => {
                has_escape = true;
                at += escape(&bytes, at)?.1;
                lane = bytes.lane(at)?;
            }
            _ => return None,
        }
    }
}

/// The character of the escape that begins at `at`, and how many bytes the escape has.
#[inline]
fn escape(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let meant = match bytes.get(at + 1)? {
        b'n' => '\n',
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => return unicode(bytes, at),
        _ => return None,
    };
    Some((meant, 2))
}

/// `\uXXXX`, or the two of a surrogate pair (RFC 8259 section 7).
fn unicode(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let first = hex(bytes, at + 2)?;
    if !(0xd800..0xdc00).contains(&first) {
        // None for the second half of a pair.
        return Some((char::from_u32(first)?, 6));
    }
    if bytes.get(at + 6..at + 8)? != b"\\u" {
        return None;
    }
    let second = hex(bytes, at + 8)?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 12))
}

fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .iter()
        .try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// Writes the characters of a string with escapes, in quotes where the cell needs them.
#[inline(never)]
pub(super) fn write_escaped(
    bytes: Input<'_>,
    from: usize,
    to: usize,
    has_delimiter: bool,
    delimiter: u8,
    out: &mut Out<'_>,
) {
    let start = out.len();
    let mut needs_quotes = has_delimiter;
    out.byte(b'"');
    let mut at = from;
    while at < to {
        // `text` has read this string to its end by the same steps, so each lane lies there and each escape is right.
        let Some(lane) = bytes.lane(at) else { break };
        let plain = (lane.ends_of_text().trailing_zeros() as usize).min(WIDTH);
        out.lane(lane, plain);
        at += plain;
        if plain == WIDTH || at >= to {
            continue;
        }
        let Some((character, length)) = escape(&bytes, at) else { break };
        at += length;
        match character {
            '"' => out.bytes(b"\"\""),
            other => out.bytes(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        needs_quotes |= matches!(character, '"' | '\n' | '\r') || character == char::from(delimiter);
    }
    if needs_quotes {
        out.byte(b'"');
    } else {
        out.remove(start);
    }
}

/// The decoded form of a key that is spelt with escapes; none if there is no such spelling.
pub(super) fn decode(raw: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        if *byte == b'\\' {
            let (character, length) = escape(raw, at)?;
            decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at += length;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    Some(decoded)
}
