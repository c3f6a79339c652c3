//! The scanner: strict JSON (RFC 8259), a piece at a time, told to a [`Sink`] as it is read. No tree is
//! built.

mod between;
mod keys;
mod lines;
mod number;
mod scalar;
mod structure;
mod text;
mod wrapper;

use outport_core::Fault;

use self::between::Between;
use self::keys::Keys;
pub(super) use self::lines::Lines;
use self::number::Number;
use self::text::Text;
use self::wrapper::Wrapper;
use super::fast::{Run, Separator};
use super::limits::Limits;
use super::problem::{Place, Problem};
use super::sink::{Flow, Sink};
use crate::spec::Layout;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Outside of records.
    Between,
    /// At the `[` of the records inside the object around them.
    Records,
    /// A value: behind a colon, or behind the comma of an array.
    Value,
    /// The first value of an array, or its end.
    ValueOrEnd,
    /// A key: behind the comma of an object.
    Key,
    /// The first key of an object, or its end.
    KeyOrEnd,
    Colon,
    /// A comma or the end of the innermost container.
    CommaOrEnd,
    InText {
        text: Text,
        is_key: bool,
    },
    InNumber(Number),
    /// Inside `true`, `false` or `null`, of which `done` bytes were there.
    InWord {
        word: &'static [u8],
        done: usize,
    },
}

/// What is told, and what is taken for right, beyond RFC 8259.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// A record is told as one cell, like an array.
    pub(super) is_whole: bool,
    /// A key may stand twice in one object; only where records are told whole.
    pub(super) allows_duplicates: bool,
    /// How records have to stand in the input.
    pub(super) layout: Layout,
    /// Whether each record of a stream stands on a line of its own.
    pub(super) lines: Lines,
    /// There may be no record at all.
    pub(super) may_be_empty: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            is_whole: false,
            allows_duplicates: false,
            layout: Layout::Auto,
            lines: Lines::Free,
            may_be_empty: false,
        }
    }
}

/// Reads records from pieces of UTF-8 that may be cut anywhere between characters.
#[derive(Debug)]
pub(super) struct Scanner {
    limits: Limits,
    between: Between,
    /// What stands around the records, if something does.
    wrapper: Option<Wrapper>,
    state: State,
    rules: Rules,
    /// The open containers of the current record, the record itself first.
    open: Vec<Container>,
    /// How many were open when the outermost array began. Everything inside it is one cell.
    array_at: Option<usize>,
    /// The decoded key so far, when it did not stand in one piece; empty outside of keys.
    key: Vec<u8>,
    keys: Keys,
    /// Where the current piece begins in the input, and the place in the piece.
    base: u64,
    at: usize,
    line: u64,
    /// How many records have begun; where the latest did.
    records: u64,
    record_byte: u64,
    record_line: u64,
    /// The line on which the latest record ended; 0 before there is one.
    ended_line: u64,
}

impl Scanner {
    pub(super) fn new(limits: Limits) -> Self {
        let record_bytes = limits.record_bytes.min(Limits::MOST_RECORD_BYTES);
        Self {
            limits: Limits { record_bytes, ..limits },
            between: Between::Start,
            wrapper: None,
            state: State::Between,
            rules: Rules::default(),
            open: Vec::new(),
            array_at: None,
            key: Vec::new(),
            keys: Keys::default(),
            base: 0,
            at: 0,
            line: 1,
            records: 0,
            record_byte: 0,
            record_line: 1,
            ended_line: 0,
        }
    }

    /// The same by other rules.
    pub(super) fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// A scanner that goes on behind something that was left out: at this byte and line, behind so many records of a stream.
    pub(super) fn resumed(mut self, byte: u64, line: u64, records: u64) -> Self {
        (self.base, self.line, self.records, self.between) = (byte, line, records, Between::Stream);
        self
    }

    /// Where the latest record began.
    pub(super) fn record_place(&self) -> Place {
        Place { record: Some(self.records), line: self.record_line, byte: self.record_byte, path: None }
    }

    /// A scanner that stands where a record of a larger input may come next, behind `records` records. It counts bytes and lines from
    /// there.
    pub(super) fn at_record(limits: Limits, separator: Separator, records: u64) -> Self {
        Self { between: Between::before(separator), records, ..Self::new(limits) }
    }

    /// The line that comes next, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// What separates the next record from where the scanner stands, when a record may come next and it is known what the file is
    /// made of.
    pub(super) fn separator(&self) -> Option<Separator> {
        // One object is all that there may be: no other comes next.
        let more = matches!(self.state, State::Between) && self.rules.layout != Layout::Object;
        more.then(|| self.between.separator()).flatten()
    }

    /// Whether the records stand in an array.
    pub(super) fn is_array(&self) -> bool {
        self.between.is_array()
    }

    /// Goes over what somebody else has read, to the end of a record.
    pub(super) fn passed(&mut self, run: Run) {
        if run.records > 0 {
            self.base += run.bytes as u64;
            self.records += run.records;
            self.line += run.lines;
            self.ended_line = self.line;
            self.between = self.between.behind_record();
        }
    }

    /// How many bytes were read.
    pub(super) fn byte(&self) -> u64 {
        self.base + self.at as u64
    }

    /// How many records have begun.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Reads `piece` and says how much of it: all, or up to the end of the record with which the sink had
    /// enough.
    pub(super) fn scan<S: Sink>(&mut self, piece: &[u8], sink: &mut S) -> Result<usize, Fault> {
        self.at = 0;
        while self.at < piece.len() {
            if self.in_wrapper() {
                self.read_wrapper(piece).map_err(|problem| self.fault(&problem, sink))?;
                continue;
            }
            // Never looks behind the limit, so that what is reported does not depend on where the input was
            // cut.
            let room = self.room();
            if room == 0 {
                return Err(self.too_large(sink));
            }
            let end = piece.len().min(self.at.saturating_add(room));
            match self.read(&piece[..end], sink) {
                Ok(Flow::Continue) => {}
                Ok(Flow::Enough) => break,
                Err(problem) => return Err(self.fault(&problem, sink)),
            }
        }
        let taken = self.at;
        self.base += taken as u64;
        self.at = 0;
        Ok(taken)
    }

    /// How many bytes can be read before a record can have become too large.
    fn room(&self) -> usize {
        let used = if self.open.is_empty() { 0 } else { self.byte() - self.record_byte };
        usize::try_from(self.limits.record_bytes.saturating_sub(used)).unwrap_or(usize::MAX)
    }

    /// Checks that the input may end here.
    pub(super) fn finish<S: Sink>(&mut self, sink: &S) -> Result<(), Fault> {
        let problem = match self.state {
            State::Between if self.rules.may_be_empty && self.between == Between::Start => return Ok(()),
            State::Between => match self.between.may_end(self.byte()) {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            },
            _ if self.in_wrapper() => Problem::Truncated { within: "inside the object around the records" },
            State::InText { .. } => Problem::Truncated { within: "inside a string" },
            _ if self.in_array() && !self.rules.is_whole => Problem::Truncated { within: "inside an array" },
            _ => Problem::Truncated { within: "inside a record" },
        };
        Err(self.fault(&problem, sink))
    }

    /// The fault for a problem at the byte that comes next.
    pub(super) fn fault<S: Sink>(&self, problem: &Problem, sink: &S) -> Fault {
        let (record, path) = if self.in_wrapper() {
            (None, None)
        } else if self.open.is_empty() {
            // More on the line of a record that has it for itself is a part of that record.
            let is_behind = self.lines() == Lines::Each && self.line == self.ended_line;
            let record = if is_behind { self.records } else { self.records + 1 };
            (self.between.awaits_record().then_some(record), None)
        } else {
            (Some(self.records), sink.pointer())
        };
        problem.at(&Place { record, line: self.line, byte: self.byte(), path })
    }

    fn too_large<S: Sink>(&self, sink: &S) -> Fault {
        // The place of the record's beginning: where the limit was crossed says nothing.
        let place =
            Place { record: Some(self.records), line: self.record_line, byte: self.record_byte, path: None };
        let fault = Problem::RecordTooLarge(self.limits.record_bytes).at(&place);
        match sink.pointer() {
            // A first record without end, most of it one array, is an object wrapped around the real records.
            Some(path) if self.records == 1 && self.in_array() => fault.with_hint(format!(
                "if the array at {path} holds the records, say so in a mapping spec: input.records = \"{path}\""
            )),
            _ => fault,
        }
    }

    fn in_array(&self) -> bool {
        self.array_at.is_some()
    }

    fn read<S: Sink>(&mut self, piece: &[u8], sink: &mut S) -> Result<Flow, Problem> {
        while self.at < piece.len() {
            match self.state {
                State::InText { text, is_key } => self.in_text(text, is_key, piece, sink)?,
                State::InNumber(number) => self.in_number(number, piece, sink)?,
                State::InWord { word, done } => self.in_word(word, done, piece, sink)?,
                State::Records => return Ok(Flow::Continue),
                _ => {
                    let Some(byte) = self.skip_blanks(piece) else { break };
                    if self.token(byte, piece, sink)? == Flow::Enough {
                        return Ok(Flow::Enough);
                    }
                }
            }
        }
        Ok(Flow::Continue)
    }

    /// Takes the byte that begins a token.
    fn token<S: Sink>(&mut self, byte: u8, piece: &[u8], sink: &mut S) -> Result<Flow, Problem> {
        match (self.state, byte) {
            (State::KeyOrEnd, b'}') | (State::ValueOrEnd, b']') => return self.close(sink),
            (State::CommaOrEnd, _) => return self.comma_or_end(byte, sink),
            (State::Between, _) => return self.between_records(byte, piece, sink),
            (State::Key, _) => self.key_begins(byte, "a key after the comma", piece, sink)?,
            (State::KeyOrEnd, _) => self.key_begins(byte, "a key or `}`", piece, sink)?,
            (State::Colon, _) => self.colon(byte, sink)?,
            (State::ValueOrEnd, _) => self.value_begins(byte, "a value or `]`", piece, sink)?,
            _ => self.value_begins(byte, self.wanted_value(), piece, sink)?,
        }
        Ok(Flow::Continue)
    }

    /// The next byte that is not blank, counting lines on the way.
    #[inline]
    fn skip_blanks(&mut self, piece: &[u8]) -> Option<u8> {
        while let Some(byte) = piece.get(self.at) {
            match byte {
                b'\n'
                    if self.rules.lines == Lines::Each
                        && self.between == Between::Stream
                        && !self.open.is_empty() =>
                {
                    return Some(b'\n');
                }
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                other => return Some(*other),
            }
            self.at += 1;
        }
        None
    }

    #[cfg(test)]
    pub(super) fn retained_bytes(&self) -> usize {
        self.key.capacity() + self.open.capacity() + self.keys.retained_bytes()
    }
}
