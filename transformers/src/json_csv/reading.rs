//! One pass over the input: chunks cut anywhere become pieces of whole characters, checked for UTF-8.

use outport_core::Fault;

use super::fast::Separator;
use super::limits::Limits;
use super::problem::Problem;
use super::scanner::{Rules, Scanner};
use super::utf8::{After, Cut, front};

/// Bytes that are checked for UTF-8 at once. What is left of them when the output is full is checked again with the next push: a
/// quarter more work in the worst case, and pieces that are large beside a record.
const BLOCK: usize = 256 << 10;

/// What is done with the records of a pass.
pub(super) trait Stage {
    /// Reads from the front of `piece`: all of it, or up to the end of a record. Scanner and stage belong together for one pass.
    fn scan(&mut self, scanner: &mut Scanner, piece: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault>;
    /// Checks that the input may end here.
    fn end(&mut self, scanner: &mut Scanner) -> Result<(), Fault>;
    /// The fault for a problem at the byte that comes next.
    fn fault(&self, scanner: &Scanner, problem: &Problem) -> Fault;
}

/// How much input a pass has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// Where a pass stands.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) scanner: Scanner,
    cut: Cut,
}

impl Reading {
    /// `records` has the keys of the array of records, from the outside in; none when they are the top level.
    pub(super) fn new(limits: Limits, records: &[Vec<u8>]) -> Self {
        Self { scanner: Scanner::new(limits).with_records(records.to_vec()), cut: Cut::default() }
    }

    /// The same by other rules.
    pub(super) fn with_rules(self, rules: Rules) -> Self {
        Self { scanner: self.scanner.with_rules(rules), ..self }
    }

    /// The same behind something that was left out.
    pub(super) fn resumed(self, byte: u64, line: u64, records: u64) -> Self {
        Self { scanner: self.scanner.resumed(byte, line, records), ..self }
    }

    /// Takes from the front of `bytes`: a block, or up to the end of the record with which the stage had enough.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        stage: &mut impl Stage,
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let block = &bytes[..bytes.len().min(BLOCK)];
        let mut at = 0;
        while self.cut.is_open() {
            let Some(byte) = block.get(at) else { return Ok(at) };
            match self.cut.add(*byte) {
                // A record ends with `}`, so behind a character of several bytes the scanner never stops early.
                Ok(Some((character, len))) => {
                    stage.scan(&mut self.scanner, &character[..len], out)?;
                }
                Ok(None) => {}
                Err(()) => return Err(stage.fault(&self.scanner, &self.not_utf8(None))),
            }
            at += 1;
        }
        let rest = &block[at..];
        let (good, after) = front(rest);
        let taken = stage.scan(&mut self.scanner, &rest[..good], out)?;
        if taken < good {
            return Ok(at + taken);
        }
        match after {
            After::End => {}
            After::Part => self.cut.hold(&rest[good..]),
            After::Bad => {
                return Err(stage.fault(&self.scanner, &self.not_utf8(rest.get(good).copied())));
            }
        }
        Ok(block.len())
    }

    /// The byte matters only at the very start, where it may give UTF-16 away.
    fn not_utf8(&self, first: Option<u8>) -> Problem {
        Problem::Utf8 { first: first.filter(|_| self.scanner.byte() == 0) }
    }

    /// What separates the next record from here, when the pass stands between two.
    pub(super) fn separator(&self) -> Option<Separator> {
        if self.cut.is_open() { None } else { self.scanner.separator() }
    }

    /// Bytes of a character that the end of a chunk has cut: taken, and not seen by the scanner yet.
    pub(super) fn held(&self) -> u64 {
        self.cut.len() as u64
    }

    /// Whether the records stand in an array.
    pub(super) fn is_array(&self) -> bool {
        self.scanner.is_array()
    }

    /// Ends the pass.
    pub(super) fn end(&mut self, stage: &mut impl Stage) -> Result<Size, Fault> {
        if self.cut.is_open() {
            return Err(stage.fault(&self.scanner, &Problem::Truncated { within: "inside a character" }));
        }
        stage.end(&mut self.scanner)?;
        Ok(Size { records: self.scanner.records(), bytes: self.scanner.byte() })
    }
}
