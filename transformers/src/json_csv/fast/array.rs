//! Arrays: one cell each, checked to their end and written as compact JSON.

use super::lanes::{Lane, Out, WIDTH};
use super::number::number;
use super::text::text;

/// An array that is right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Array {
    /// Behind its `]`.
    pub(super) end: usize,
    /// Strings are in it, so the cell needs quotes.
    pub(super) has_text: bool,
    /// Commas are between its values.
    pub(super) has_comma: bool,
    /// Blanks stand between its tokens.
    pub(super) has_blanks: bool,
    /// Line feeds among them.
    pub(super) lines: u64,
}

/// Keys that one object inside an array may have on the fast way; each is compared with all before it.
const MOST_KEYS: usize = 32;
/// Containers that may be open at once inside an array on the fast way: the bits of `Stack`.
pub(super) const MOST_DEPTH: usize = 64;

/// What is reused from array to array.
#[derive(Debug)]
pub(super) struct Keys {
    prints: Vec<u64>,
    /// Where the keys of each open object begin in `prints`.
    objects: Vec<usize>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { prints: Vec::with_capacity(MOST_KEYS * 4), objects: Vec::with_capacity(MOST_DEPTH) }
    }

    fn clear(&mut self) {
        self.prints.clear();
        self.objects.clear();
    }

    fn open(&mut self) {
        self.objects.push(self.prints.len());
    }

    fn close(&mut self) {
        self.prints.truncate(self.objects.pop().unwrap_or(0));
    }

    /// Notes a key of the innermost object. None when it may stand there already, or there are too many to tell.
    #[inline(always)]
    fn add(&mut self, key: &[u8]) -> Option<()> {
        let print = print(key);
        let before = &self.prints[self.objects.last().copied().unwrap_or(0)..];
        if before.len() >= MOST_KEYS || before.contains(&print) {
            return None;
        }
        self.prints.push(print);
        Some(())
    }
}

/// Sixty-four bits that equal keys share. That different ones share them by chance costs time, nothing else: the strict scanner
/// looks again.
#[inline(always)]
fn print(key: &[u8]) -> u64 {
    // Odd constants with their bits well spread, so that no byte is lost and its place counts.
    const SPREAD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];
    let eight = |from: usize| {
        key.get(from..from + 8).and_then(|eight| eight.first_chunk()).map(|eight| u64::from_le_bytes(*eight))
    };
    let mut print = key.len() as u64;
    if key.len() >= 8 {
        for from in (0..key.len() - 7).step_by(8).chain([key.len() - 8]) {
            print = (print ^ eight(from).unwrap_or(0)).wrapping_mul(SPREAD[0]).rotate_left(29);
        }
        print
    } else {
        let short = key.iter().fold(0, |short, byte| short << 8 | u64::from(*byte));
        (print ^ short).wrapping_mul(SPREAD[1]) ^ short
    }
}

/// Reads the array that begins at `at`. None where it is wrong, deeper than `depth`, or not whole.
#[inline(never)]
pub(super) fn array(
    bytes: &[u8],
    at: usize,
    depth: usize,
    delimiter: Lane,
    keys: &mut Keys,
) -> Option<Array> {
    // An open container a bit, the innermost lowest: set for an object.
    let mut open: u64 = 0;
    let mut levels = 1;
    let depth = depth.min(MOST_DEPTH);
    let mut array = Array { end: 0, has_text: false, has_comma: false, has_blanks: false, lines: 0 };
    if depth == 0 {
        return None;
    }
    keys.clear();
    let mut at = skip(bytes, at + 1, &mut array)?;
    let mut may_end = true;
    loop {
        // A value, or the end of an array that has none.
        let in_object = open & 1 == 1;
        if in_object {
            if may_end && bytes.get(at)? == &b'}' {
                keys.close();
            } else {
                if bytes.get(at)? != &b'"' {
                    return None;
                }
                let key = text(bytes, at + 1, delimiter)?;
                array.has_text = true;
                // A key with escapes may be another one in disguise.
                if key.has_escape {
                    return None;
                }
                keys.add(&bytes[at + 1..key.end])?;
                at = skip(bytes, key.end + 1, &mut array)?;
                if bytes[at] != b':' {
                    return None;
                }
                at = skip(bytes, at + 1, &mut array)?;
                may_end = false;
            }
        }
        let mut is_end = may_end && matches!(bytes.get(at)?, b']' | b'}');
        if is_end && (bytes[at] == b'}') != in_object {
            return None;
        }
        if !is_end {
            match bytes[at] {
                b'"' => {
                    at = text(bytes, at + 1, delimiter)?.end + 1;
                    array.has_text = true;
                }
                b'-' | b'0'..=b'9' => at = number(bytes, at)?,
                byte @ (b'{' | b'[') => {
                    if levels >= depth {
                        return None;
                    }
                    levels += 1;
                    open = open << 1 | u64::from(byte == b'{');
                    if byte == b'{' {
                        keys.open();
                    }
                    at = skip(bytes, at + 1, &mut array)?;
                    may_end = true;
                    continue;
                }
                b't' if bytes[at..].starts_with(b"true") => at += 4,
                b'f' if bytes[at..].starts_with(b"false") => at += 5,
                b'n' if bytes[at..].starts_with(b"null") => at += 4,
                _ => return None,
            }
        }
        // Behind a value: what closes here, then a comma.
        loop {
            if !is_end {
                at = skip(bytes, at, &mut array)?;
                let in_object = open & 1 == 1;
                match bytes[at] {
                    b',' => {
                        array.has_comma = true;
                        at = skip(bytes, at + 1, &mut array)?;
                        may_end = false;
                        break;
                    }
                    b'}' if in_object => keys.close(),
                    b']' if !in_object => {}
                    _ => return None,
                }
            }
            at += 1;
            is_end = false;
            levels -= 1;
            open >>= 1;
            if levels == 0 {
                array.end = at;
                return Some(array);
            }
        }
    }
}

/// The next byte that is not blank.
#[inline(always)]
fn skip(bytes: &[u8], at: usize, array: &mut Array) -> Option<usize> {
    if *bytes.get(at)? > b' ' { Some(at) } else { skip_blanks(bytes, at, array) }
}

#[inline(never)]
fn skip_blanks(bytes: &[u8], mut at: usize, array: &mut Array) -> Option<usize> {
    array.has_blanks = true;
    loop {
        match bytes.get(at)? {
            b' ' | b'\t' | b'\r' => {}
            b'\n' => array.lines += 1,
            _ => return Some(at),
        }
        at += 1;
    }
}

/// Writes an array as one cell: without blanks, and in quotes where needed.
#[inline(never)]
pub(super) fn write(bytes: &[u8], from: usize, array: Array, delimiter: u8, out: &mut Out<'_>) {
    // What stands outside of strings and could be a delimiter is a comma.
    let needs_quotes = array.has_text || (array.has_comma && delimiter == b',');
    if array.has_blanks {
        return write_compact(&bytes[from..array.end], needs_quotes, out);
    }
    if !needs_quotes {
        return out.bytes(&bytes[from..array.end]);
    }
    let quote = Lane::splat(b'"');
    out.byte(b'"');
    let mut at = from;
    while at < array.end {
        let left = array.end - at;
        let Some(lane) = Lane::load(bytes, at) else {
            for byte in &bytes[at..array.end] {
                out.bytes(if *byte == b'"' { b"\"\"" } else { std::slice::from_ref(byte) });
            }
            break;
        };
        let quotes = lane.equal(quote);
        let plain = (quotes.trailing_zeros() as usize).min(WIDTH);
        if plain >= left.min(WIDTH) {
            out.lane(lane, left);
            at += WIDTH;
        } else {
            out.lane(lane, plain + 1);
            out.byte(b'"');
            at += plain + 1;
        }
    }
    out.byte(b'"');
}

fn write_compact(array: &[u8], needs_quotes: bool, out: &mut Out<'_>) {
    let (mut in_text, mut escaped) = (false, false);
    if needs_quotes {
        out.byte(b'"');
    }
    for byte in array {
        match byte {
            b'"' => {
                in_text = !in_text || escaped;
                out.bytes(b"\"\"");
            }
            b' ' | b'\t' | b'\r' | b'\n' if !in_text => {}
            other => out.byte(*other),
        }
        escaped = in_text && !escaped && *byte == b'\\';
    }
    if needs_quotes {
        out.byte(b'"');
    }
}
