//! Converting blocks of the input before it is their turn, on several threads.
//!
//! A block is cut where a record seems to begin. Where its first whole record begins is guessed, and it is converted from there. When
//! its turn comes the scanner stands where the block before it really ends; it reads up to the guess, and only if it then stands between
//! two records, at the very place and behind the same kind of separator, the rows are taken as they are. Otherwise the block is read as
//! if nobody had looked at it. So a wrong guess costs time and never a row, and output and faults are those of one thread.

use std::collections::VecDeque;

use outport_core::Fault;

use super::crew::{Block, Crew, Guess, Ticket};
use super::emit::Emission;
use super::fast::Separator;
use super::reading::Reading;
use crate::transform::OUT_FULL;

/// Bytes of a block: 512 KiB. Larger ones cost memory and a twentieth more time, since they leave the cache with their rows; smaller
/// ones cost more for their two ends.
const BLOCK: usize = 512 << 10;

/// How far from a block's ends the beginning of a record is looked for.
const SEARCHED: usize = 64 << 10;

/// The blocks that are under way.
#[derive(Debug)]
pub(super) struct Ahead {
    crew: Crew,
    /// Whether the records stand in an array, as the look for columns has shown.
    is_array: bool,
    /// How a record begins.
    beginning: Vec<u8>,
    filling: Vec<u8>,
    /// Whether `filling` begins where a record seems to.
    at_record: bool,
    pending: VecDeque<Ticket>,
    /// The block whose turn it is, and how much of it was read.
    turn: Option<(Block, usize)>,
    spare: Vec<Vec<u8>>,
}

impl Ahead {
    /// Blocks for `threads` threads, the caller's counted.
    /// None when one thread does as well: records without members have no beginning to look for.
    pub(super) fn new(threads: usize, is_array: bool, emission: &Emission) -> Option<Self> {
        (threads > 1).then_some(())?;
        Some(Self {
            is_array,
            beginning: emission.beginning()?,
            crew: Crew::new(threads.saturating_sub(1), emission),
            filling: Vec::new(),
            // The very first one, which nothing separates from another, is read in its turn.
            at_record: false,
            pending: VecDeque::new(),
            turn: None,
            spare: Vec::new(),
        })
    }

    /// Takes bytes of the input: none while enough blocks are under way.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        // Two for each thread: while one is converted, the next one waits.
        if self.pending.len() >= 2 * self.crew.size() {
            return 0;
        }
        let taken = bytes.len().min(BLOCK - self.filling.len());
        self.filling.reserve_exact(BLOCK - self.filling.len());
        self.filling.extend_from_slice(&bytes[..taken]);
        if self.filling.len() == BLOCK {
            let end = end(&self.filling, self.is_array, &self.beginning);
            let mut next = self.spare.pop().unwrap_or_default();
            next.reserve_exact(BLOCK);
            if let Some(end) = end {
                next.extend_from_slice(&self.filling[end..]);
                self.filling.truncate(end);
            }
            self.hand_in(next);
            self.at_record = end.is_some();
        }
        taken
    }

    fn hand_in(&mut self, next: Vec<u8>) {
        let bytes = std::mem::replace(&mut self.filling, next);
        let guess = guess(&bytes, self.at_record, self.is_array, &self.beginning);
        let spare = self.spare.pop().unwrap_or_default();
        self.pending.push_back(self.crew.hand_in(Block { bytes, guess, converted: None, spare }));
    }

    /// The input is at its end: what is there of the last block is one.
    pub(super) fn end(&mut self) {
        if !self.filling.is_empty() {
            self.hand_in(Vec::new());
        }
    }

    /// Whether everything that was taken has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.turn.is_none() && self.pending.is_empty() && self.filling.is_empty()
    }

    /// Writes the rows of the blocks whose turn it is, until `out` is full, a column came late, or no block is left (`to_end`) or as
    /// many are under way as should be.
    pub(super) fn advance(
        &mut self,
        reading: &mut Reading,
        emission: &mut Emission,
        out: &mut Vec<u8>,
        to_end: bool,
    ) -> Result<(), Fault> {
        while out.len() < OUT_FULL && !emission.is_late() {
            let Some((block, at)) = &mut self.turn else {
                let Some(ticket) = self.pending.front() else { return Ok(()) };
                let is_full = self.pending.len() >= 2 * self.crew.size();
                if !(to_end || is_full || self.crew.is_done(ticket)) {
                    return Ok(());
                }
                self.turn = self.pending.pop_front().map(|ticket| (self.crew.wait(ticket), 0));
                continue;
            };
            let until = block.converted.as_ref().map_or(block.bytes.len(), |converted| converted.guess.from);
            if *at < until {
                *at += reading.take(&block.bytes[*at..until], emission, out)?;
            } else if let Some(mut converted) = block.converted.take() {
                if reading.separator() == Some(converted.guess.separator) {
                    if out.is_empty() {
                        std::mem::swap(out, &mut converted.rows);
                    } else {
                        out.extend_from_slice(&converted.rows);
                    }
                    reading.scanner.passed(converted.run);
                    *at += converted.run.bytes;
                }
                block.spare = converted.rows;
            } else {
                let Some((block, _)) = self.turn.take() else { return Ok(()) };
                self.spare.extend([block.bytes, block.spare].map(|mut buffer| {
                    buffer.clear();
                    buffer
                }));
            }
        }
        Ok(())
    }

    /// The bytes that were not read, in order.
    pub(super) fn rest(mut self) -> Vec<Vec<u8>> {
        let mut rest: Vec<Vec<u8>> =
            self.turn.take().map(|(block, at)| block.bytes[at..].to_vec()).into_iter().collect();
        while let Some(ticket) = self.pending.pop_front() {
            rest.push(self.crew.take_back(ticket).bytes);
        }
        rest.push(std::mem::take(&mut self.filling));
        rest
    }
}

/// Where a block's first whole record most likely begins: where the block does (`at_record`), behind the end of a line, or behind the
/// comma between two records, where the first key of records follows.
fn guess(bytes: &[u8], at_record: bool, is_array: bool, beginning: &[u8]) -> Option<Guess> {
    let separator = if is_array { Separator::Comma { is_open: false } } else { Separator::Blanks };
    if at_record {
        return Some(Guess { from: 0, separator });
    }
    let searched = &bytes[..bytes.len().min(SEARCHED)];
    if is_array {
        let from = searched
            .windows(beginning.len())
            .enumerate()
            .find_map(|(at, window)| if window == beginning { behind_record(searched, at) } else { None })?;
        return Some(Guess { from, separator });
    }
    let from = searched.windows(2).position(|two| two == b"\n{")? + 1;
    Some(Guess { from, separator })
}

/// Where a full block ends, so that the next one begins with a record: as near to its own end as there is one.
fn end(bytes: &[u8], is_array: bool, beginning: &[u8]) -> Option<usize> {
    let skipped = bytes.len().saturating_sub(SEARCHED);
    let searched = &bytes[skipped..];
    let found = if is_array {
        searched
            .windows(beginning.len())
            .enumerate()
            .rev()
            .find_map(|(at, window)| if window == beginning { behind_record(searched, at) } else { None })
    } else {
        searched.windows(2).rposition(|two| two == b"\n{").map(|line_end| line_end + 1)
    };
    found.map(|end| skipped + end)
}

/// The place behind the record that ends in front of the one at `at`, a comma between them.
fn behind_record(bytes: &[u8], at: usize) -> Option<usize> {
    let comma = before(bytes, at, b',')?;
    Some(before(bytes, comma, b'}')? + 1)
}

/// The place of the last byte before `at` that is not blank, if it is this one.
fn before(bytes: &[u8], at: usize, wanted: u8) -> Option<usize> {
    let place = bytes[..at].iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))?;
    (bytes[place] == wanted).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_looked_for_where_it_may_begin() {
        let blanks = |from| Some(Guess { from, separator: Separator::Blanks });
        let comma = |from| Some(Guess { from, separator: Separator::Comma { is_open: false } });
        let cases: [(&str, bool, Option<Guess>); 8] = [
            ("1}\n{\"id\":2}", false, blanks(3)),
            ("{\"id\":2}\n", false, None),
            ("1}{\"id\":2}", false, None),
            ("1},{\"id\":2}", true, comma(2)),
            ("1} ,\n {\"id\":2}", true, comma(2)),
            ("[{\"id\":2}", true, None),
            ("[{\"x\":1},{\"x\":2}]},{\"id\":3}", true, comma(18)),
            ("\"{\"id\":1", true, None),
        ];
        for (text, is_array, expected) in cases {
            assert_eq!(guess(text.as_bytes(), false, is_array, b"{\"id\":"), expected, "{text}");
            let at_once = if is_array { comma(0) } else { blanks(0) };
            assert_eq!(guess(text.as_bytes(), true, is_array, b"{\"id\":"), at_once, "{text}");
        }
    }

    #[test]
    fn a_block_ends_where_a_record_does() {
        let cases = [
            ("{\"id\":1}\n{\"id\":2}\n{\"i", false, Some(18)),
            ("{\"id\":1}\n{\"id\":2}\n", false, Some(9)),
            ("{\"id\":1", false, None),
            (",{\"id\":1},{\"id\":2},{\"id\":", true, Some(18)),
            (",{\"id\":1} , {\"id\":2", true, Some(9)),
            (",{\"id\":1", true, None),
        ];
        for (text, is_array, expected) in cases {
            assert_eq!(end(text.as_bytes(), is_array, b"{\"id\":"), expected, "{text}");
        }
    }
}
