//! One record of a known shape: through its keys by comparing, its values told as they stand in the input.

use super::array::{Array, Keys, array};
use super::lanes::{Input, Lane};
use super::number::number;
use super::shape::{NONE, Shape, StepId};
use super::text::{Text, text};

/// What the values of a record are told to. Places are offsets into the same input.
pub(super) trait Cells {
    /// Whether each record's columns have to come in rising order.
    const IN_ORDER: bool;
    /// A number, `true` or `false`, as written. `front` is what stands at `from`.
    fn bare(&mut self, column: u32, from: usize, to: usize, front: Lane);
    /// A string; `from` is behind its opening quote.
    fn text(&mut self, column: u32, from: usize, text: Text);
    fn array(&mut self, column: u32, from: usize, array: Array);
}

/// Why a record was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its keys come in another order than the columns.
    Order,
    /// It is not whole, not of this shape, or wrong: the strict scanner will tell.
    Unusual,
}

/// What is reused from record to record.
#[derive(Debug)]
pub(super) struct Path {
    /// The objects that are open, the record left out: their steps.
    open: Vec<StepId>,
    keys: Keys,
    /// By step: the record that last had it, where keys may come in any order.
    seen: Vec<u64>,
    record: u64,
    /// Containers that may be open at once, the record counted.
    deepest: usize,
    /// Sixteen times the byte that stands between two cells.
    delimiters: Lane,
}

impl Path {
    pub(super) fn new(shape: &Shape, deepest: usize, delimiter: u8) -> Self {
        Self {
            open: Vec::with_capacity(shape.depth),
            keys: Keys::new(),
            seen: vec![0; shape.steps.len()],
            record: 0,
            deepest,
            delimiters: Lane::splat(delimiter),
        }
    }

    /// The same for another thread.
    pub(super) fn again(&self) -> Self {
        let (open, seen) = (Vec::with_capacity(self.open.capacity()), vec![0; self.seen.len()]);
        Self { open, keys: Keys::new(), seen, record: 0, ..*self }
    }
}

/// Steps that are compared in their order before the key is looked up: a record may leave out that many keys in a row and still be
/// read without hashing.
const GLANCES: usize = 4;

/// Reads the record whose `{` stands before `at`. Gives the place behind its `}`; `lines` grows by its line feeds.
#[inline(always)]
pub(super) fn record<C: Cells>(
    bytes: Input<'_>,
    mut at: usize,
    shape: &mut Shape,
    path: &mut Path,
    cells: &mut C,
    lines: &mut u64,
) -> Result<usize, Stop> {
    let (deepest, delimiter) = (path.deepest, path.delimiters);
    path.open.clear();
    path.record += 1;
    let mut expected = shape.steps[0].first;
    at = skip(bytes, at, lines)?;
    if byte(bytes, at) == b'}' {
        return Ok(at + 1);
    }
    loop {
        // A key.
        let lane = bytes.lane(at).ok_or(Stop::Unusual)?;
        let mut id = expected;
        let mut glances = GLANCES;
        loop {
            if id == NONE || glances == 0 {
                (id, at) = find::<C>(bytes, at, shape, path, expected, lines)?;
                break;
            }
            let step = &shape.steps[id as usize];
            if step.stands(lane, bytes, at) {
                at += step.written_bytes();
                break;
            }
            id = step.next;
            glances -= 1;
        }
        if !C::IN_ORDER {
            let seen = &mut path.seen[id as usize];
            if *seen == path.record {
                return Err(Stop::Unusual);
            }
            *seen = path.record;
        }
        let step = &shape.steps[id as usize];
        // A value.
        let mut first = byte(bytes, at);
        if first <= b' ' {
            at = skip(bytes, at, lines)?;
            first = byte(bytes, at);
        }
        match first {
            b'"' => {
                let text = text(bytes, at + 1, delimiter).ok_or(Stop::Unusual)?;
                if step.column == NONE {
                    return Err(Stop::Unusual);
                }
                cells.text(step.column, at + 1, text);
                at = text.end + 1;
            }
            b'-' | b'0'..=b'9' => {
                let front = bytes.lane(at).ok_or(Stop::Unusual)?;
                let end = number(bytes, at, front).ok_or(Stop::Unusual)?;
                if step.column == NONE {
                    return Err(Stop::Unusual);
                }
                cells.bare(step.column, at, end, front);
                at = end;
            }
            b'{' => {
                let inside = step.first;
                at = skip(bytes, at + 1, lines)?;
                // The record and this one are open beside those in `open`.
                if path.open.len() + 2 > deepest {
                    return Err(Stop::Unusual);
                }
                if byte(bytes, at) == b'}' {
                    at += 1;
                } else {
                    path.open.push(id);
                    expected = inside;
                    continue;
                }
            }
            b'[' => {
                let room = deepest.saturating_sub(path.open.len() + 1);
                let array = array(bytes, at, room, delimiter, &mut path.keys).ok_or(Stop::Unusual)?;
                if step.column == NONE {
                    return Err(Stop::Unusual);
                }
                cells.array(step.column, at, array);
                *lines += array.lines;
                at = array.end;
            }
            b'n' if bytes[at..].starts_with(b"null") => at += 4,
            b't' | b'f' if step.column != NONE => {
                let length = if first == b't' { 4 } else { 5 };
                if !bytes[at..].starts_with(if first == b't' { b"true" } else { b"false" }) {
                    return Err(Stop::Unusual);
                }
                let front = bytes.lane(at).ok_or(Stop::Unusual)?;
                cells.bare(step.column, at, at + length, front);
                at += length;
            }
            _ => return Err(Stop::Unusual),
        }
        expected = step.next;
        // Behind a value: what closes here, then a comma and the next key.
        loop {
            match byte(bytes, at) {
                b',' => {
                    at += 1;
                    if byte(bytes, at) <= b' ' {
                        at = skip(bytes, at, lines)?;
                    }
                    break;
                }
                b'}' => {
                    at += 1;
                    match path.open.pop() {
                        Some(id) => expected = shape.steps[id as usize].next,
                        None => return Ok(at),
                    }
                }
                _ => {
                    let from = at;
                    at = skip(bytes, at, lines)?;
                    if at == from {
                        return Err(Stop::Unusual);
                    }
                }
            }
        }
    }
}

/// Looks up the key at `at`, which is not where its order puts it, and goes behind its colon.
#[cold]
#[inline(never)]
fn find<C: Cells>(
    bytes: Input<'_>,
    at: usize,
    shape: &mut Shape,
    path: &Path,
    expected: StepId,
    lines: &mut u64,
) -> Result<(StepId, usize), Stop> {
    if byte(bytes, at) != b'"' {
        return Err(Stop::Unusual);
    }
    let key = text(bytes, at + 1, path.delimiters).ok_or(Stop::Unusual)?;
    let parent = path.open.last().copied().unwrap_or(0);
    let id = shape.find(parent, &bytes[at + 1..key.end], key.has_escape).ok_or(Stop::Unusual)?;
    // Members are numbered in their order, so what has a smaller number has had its turn.
    if C::IN_ORDER && (expected == NONE || id < expected) {
        return Err(Stop::Order);
    }
    let at = skip(bytes, key.end + 1, lines)?;
    if byte(bytes, at) != b':' {
        return Err(Stop::Unusual);
    }
    Ok((id, at + 1))
}

#[inline(always)]
fn byte(bytes: Input<'_>, at: usize) -> u8 {
    // No JSON holds a zero outside of strings, and in strings it is not asked for.
    bytes.get(at).copied().unwrap_or(0)
}

/// The next byte that is not blank.
#[inline(always)]
pub(super) fn skip(bytes: Input<'_>, at: usize, lines: &mut u64) -> Result<usize, Stop> {
    if byte(bytes, at) > b' ' { Ok(at) } else { skip_blanks(&bytes, at, lines) }
}

#[inline(never)]
fn skip_blanks(bytes: &[u8], mut at: usize, lines: &mut u64) -> Result<usize, Stop> {
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\r') => {}
            Some(b'\n') => *lines += 1,
            Some(_) => return Ok(at),
            None => return Err(Stop::Unusual),
        }
        at += 1;
    }
}
