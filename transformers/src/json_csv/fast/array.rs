//! Arrays: one cell each, checked to their end and written as compact JSON.

use super::lanes::{Input, Lane, Out, WIDTH, doubled};
use super::number::number;
use super::text::{Text, text};

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
    fn add(&mut self, key: &[u8], text: Text) -> Option<()> {
        let print = print(key, text.front);
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
fn print(key: &[u8], front: Lane) -> u64 {
    // Odd, with its bits well spread, so that no byte is lost and its place counts.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let [mut low, mut high] = front.halves();
    // What stands behind the key is not part of it.
    match key.len() {
        0 => return 0,
        length @ 1..=8 => (low, high) = (low << (64 - 8 * length), 0),
        length @ 9..=15 => high <<= 128 - 8 * length,
        _ => {}
    }
    let mut print = (low ^ key.len() as u64).wrapping_mul(SPREAD).rotate_left(29) ^ high;
    for byte in key.get(WIDTH..).unwrap_or(&[]) {
        print = (print ^ u64::from(*byte)).wrapping_mul(SPREAD).rotate_left(29);
    }
    print
}

/// Reads the array that begins at `at`. None where it is wrong, deeper than `depth`, or not whole.
#[inline(never)]
pub(super) fn array(
    bytes: Input<'_>,
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
                keys.add(&bytes[at + 1..key.end], key)?;
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
                b'-' | b'0'..=b'9' => at = number(bytes, at, bytes.lane(at)?)?,
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
fn skip(bytes: Input<'_>, at: usize, array: &mut Array) -> Option<usize> {
    if *bytes.get(at)? > b' ' { Some(at) } else { skip_blanks(&bytes, at, array) }
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
pub(super) fn write(bytes: Input<'_>, from: usize, array: Array, delimiter: u8, out: &mut Out<'_>) {
    // What stands outside of strings and could be a delimiter is a comma.
    let needs_quotes = array.has_text || (array.has_comma && delimiter == b',');
    if array.has_blanks {
        return write_compact(&bytes[from..array.end], needs_quotes, out);
    }
    if !needs_quotes {
        return out.bytes(&bytes[from..array.end]);
    }
    out.byte(b'"');
    doubled(bytes, from, array.end, out);
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
