//! `json-to-csv`: records of JSON to rows of CSV, in two passes over the same bytes.
//!
//! The first pass finds the columns, the second writes the rows. Both run the same strict scanner; neither
//! keeps more than the schema and one record. One pass would have to guess the header from the front of the
//! file, and the key that comes late is the very fault to avoid (README, "Columns").

mod cursor;
mod discover;
mod emit;
mod limits;
mod problem;
mod row;
mod scanner;
mod schema;
mod sink;
mod utf8;

use outport_core::{Fault, code};

pub use self::limits::Limits;

use self::discover::Discover;
use self::emit::Emit;
use self::problem::Problem;
use self::scanner::Scanner;
use self::schema::{Conflict, Schema};
use self::utf8::{After, Cut};
use crate::transform::{Finish, OUT_FULL, Summary, Transform};

/// Bytes that are checked for UTF-8 at once. When the sink has enough in the middle of a block, what is left
/// of it is checked again with the next push, so a block is small beside [`OUT_FULL`].
const BLOCK: usize = 16 << 10;

/// Converts JSON records to CSV: header, comma, LF, minimal quotes; every column of the whole file in every
/// row. What exactly becomes what is in the crate's README.
#[derive(Debug)]
pub struct JsonToCsv {
    limits: Limits,
    scanner: Scanner,
    cut: Cut,
    phase: Phase,
    bytes_out: u64,
}

#[derive(Debug)]
enum Phase {
    Discover(Discover),
    Emit { emit: Emit, first: FirstPass },
    Done(Summary),
    Failed(Fault),
}

/// What the second pass must find again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FirstPass {
    records: u64,
    bytes: u64,
}

impl JsonToCsv {
    /// A transform at the start of its first pass, with the default [`Limits`].
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// The same with other limits.
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            limits,
            scanner: Scanner::new(limits),
            cut: Cut::default(),
            phase: Phase::Discover(Discover::new(limits)),
            bytes_out: 0,
        }
    }

    /// Takes all of the block, or up to the end of the record that filled `out`.
    fn block(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut at = 0;
        while self.cut.is_open() {
            let Some(byte) = block.get(at) else { return Ok(at) };
            match self.cut.add(*byte) {
                // A record ends with `}`, so behind a character of several bytes the scanner never stops
                // early.
                Ok(Some((character, len))) => {
                    self.scan(&character[..len], out)?;
                }
                Ok(None) => {}
                Err(()) => return Err(self.fault(&self.not_utf8(None))),
            }
            at += 1;
        }
        let rest = &block[at..];
        let (good, after) = utf8::front(rest);
        let taken = self.scan(&rest[..good], out)?;
        if taken < good {
            return Ok(at + taken);
        }
        match after {
            After::End => {}
            After::Part => self.cut.hold(&rest[good..]),
            After::Bad => return Err(self.fault(&self.not_utf8(rest.get(good).copied()))),
        }
        Ok(block.len())
    }

    /// The byte matters only at the very start, where it may give UTF-16 away.
    fn not_utf8(&self, first: Option<u8>) -> Problem {
        Problem::Utf8 { first: first.filter(|_| self.scanner.byte() == 0) }
    }

    fn scan(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        match &mut self.phase {
            Phase::Discover(discover) => self.scanner.scan(piece, discover),
            Phase::Emit { emit, .. } => self.scanner.scan(piece, &mut emit.to(out)),
            Phase::Done(_) => Err(Fault::new(&code::TRANSFORM_FAILED, "could not take input behind its end")),
            Phase::Failed(fault) => Err(fault.clone()),
        }
    }

    fn fault(&mut self, problem: &Problem) -> Fault {
        match &mut self.phase {
            Phase::Discover(discover) => self.scanner.fault(problem, discover),
            Phase::Emit { emit, .. } => self.scanner.fault(problem, &emit.to(&mut Vec::new())),
            Phase::Done(_) | Phase::Failed(_) => Fault::new(&code::TRANSFORM_FAILED, problem.to_string()),
        }
    }

    fn end_pass(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        if self.cut.is_open() {
            return Err(self.fault(&Problem::Truncated { within: "inside a character" }));
        }
        let this = FirstPass { records: self.scanner.records(), bytes: self.scanner.byte() };
        match std::mem::replace(&mut self.phase, Phase::Discover(Discover::new(self.limits))) {
            Phase::Discover(discover) => {
                self.scanner.finish(&discover)?;
                let emit = Emit::new(discover.schema)
                    .map_err(|(schema, conflict)| conflict_fault(&schema, &conflict))?;
                self.scanner = Scanner::new(self.limits);
                self.phase = Phase::Emit { emit, first: this };
                Ok(Finish::Again)
            }
            Phase::Emit { mut emit, first } => {
                if this != first {
                    return Err(self.scanner.fault(&Problem::Changed, &emit.to(out)));
                }
                self.scanner.finish(&emit.to(out))?;
                emit.write_header(out);
                let (records, columns) = (Some(this.records), Some(emit.columns() as u64));
                let summary = Summary { records, columns, bytes_in: this.bytes, bytes_out: 0 };
                Ok(Finish::Done(summary))
            }
            Phase::Done(summary) => Ok(Finish::Done(summary)),
            Phase::Failed(fault) => Err(fault),
        }
    }

    /// Bytes held between two pushes, roughly.
    #[cfg(test)]
    fn retained_bytes(&self) -> usize {
        let phase = match &self.phase {
            Phase::Discover(discover) => discover.schema.retained_bytes(),
            Phase::Emit { emit, .. } => emit.retained_bytes(),
            Phase::Done(_) | Phase::Failed(_) => 0,
        };
        self.scanner.retained_bytes() + phase
    }
}

impl Default for JsonToCsv {
    fn default() -> Self {
        Self::new()
    }
}

impl Transform for JsonToCsv {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let before = out.len();
        if let Phase::Emit { emit, .. } = &mut self.phase {
            emit.write_header(out);
        }
        let mut taken = 0;
        while taken < chunk.len() {
            let block = &chunk[taken..chunk.len().min(taken + BLOCK)];
            match self.block(block, out) {
                Ok(more) => taken += more,
                Err(fault) => {
                    self.phase = Phase::Failed(fault.clone());
                    return Err(fault);
                }
            }
            if out.len() >= OUT_FULL {
                break;
            }
        }
        self.bytes_out += (out.len() - before) as u64;
        Ok(taken)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        let before = out.len();
        let ended = self.end_pass(out);
        self.bytes_out += (out.len() - before) as u64;
        match ended {
            Ok(Finish::Again) => Ok(Finish::Again),
            Ok(Finish::Done(summary)) => {
                let summary = Summary { bytes_out: self.bytes_out, ..summary };
                self.phase = Phase::Done(summary);
                Ok(Finish::Done(summary))
            }
            Err(fault) => {
                self.phase = Phase::Failed(fault.clone());
                Err(fault)
            }
        }
    }
}

fn conflict_fault(schema: &Schema, conflict: &Conflict) -> Fault {
    let place = |id| {
        let path = schema.pointer(id).unwrap_or_default();
        format!("{path} (first in record {})", schema.first_record(id))
    };
    let (first, second) = (place(conflict.first), place(conflict.second));
    let message = format!("could not name the columns: {first} and {second} would both get the same name");
    Fault::new(&code::JSON_COLUMN_CONFLICT, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one block of `block` bytes repeated until `total` leaves behind, measured after each block.
    fn most_retained(block: &[u8], total: usize) -> usize {
        let mut transform = JsonToCsv::new();
        let mut out = Vec::new();
        let mut most = 0;
        loop {
            for _ in 0..total / block.len() {
                let mut rest = block;
                while !rest.is_empty() {
                    let taken = transform.push(rest, &mut out).unwrap();
                    rest = &rest[taken..];
                    out.clear();
                }
                most = most.max(transform.retained_bytes()).max(out.capacity());
            }
            if let Finish::Done(summary) = transform.finish(&mut out).unwrap() {
                assert_eq!(summary.bytes_in, (total / block.len() * block.len()) as u64);
                return most;
            }
        }
    }

    #[test]
    fn memory_does_not_grow_with_the_input() {
        let mut block = String::new();
        for id in 0..2000 {
            block += &format!(
                "{{\"id\":{id},\"name\":\"{}\",\"at\":{{\"town\":\"Z\\u00fcrich\"}},\"tags\":[{{\"k\":\"v\"}},{id}]}}\n",
                "name, with a comma ".repeat(20)
            );
        }
        let small = most_retained(block.as_bytes(), 2 << 20);
        let large = most_retained(block.as_bytes(), 200 << 20);
        assert!(large < 4 << 20, "{large} bytes held");
        assert_eq!(large, small, "100 times the input, the same memory");
    }

    #[test]
    fn a_huge_record_gives_its_memory_back() {
        let mut input = format!("{{\"a\":[\"{}\"]}}\n", "x".repeat(20 << 20));
        input += &"{\"a\":1}\n".repeat(10);
        let mut transform = JsonToCsv::new();
        let mut out = Vec::new();
        for _ in 0..2 {
            let mut rest = input.as_bytes();
            while !rest.is_empty() {
                rest = &rest[transform.push(rest, &mut out).unwrap()..];
                out.clear();
            }
            let retained = transform.retained_bytes();
            assert!(retained < 5 << 20, "{retained} bytes held");
            let _ended: Finish = transform.finish(&mut out).unwrap();
        }
    }

    #[test]
    fn a_failed_transform_stays_failed() {
        let mut transform = JsonToCsv::new();
        let mut out = Vec::new();
        let first = transform.push(b"{]", &mut out).unwrap_err();
        assert_eq!(transform.push(b"{\"a\":1}", &mut out).unwrap_err(), first);
        assert_eq!(transform.finish(&mut out).unwrap_err(), first);
        assert!(out.is_empty());
    }

    #[test]
    fn a_finished_transform_takes_no_more() {
        let mut transform = JsonToCsv::new();
        let mut out = Vec::new();
        let summary = crate::run(&mut transform, || Ok(&b"{\"a\":1}"[..]), &mut out).unwrap();
        assert_eq!(
            transform.finish(&mut out),
            Ok(Finish::Done(summary)),
            "asking again gives the same answer"
        );
        assert!(transform.push(b"{}", &mut Vec::new()).is_err());
    }

    #[test]
    fn another_input_in_the_second_pass_is_noticed() {
        let first = "{\"a\":1}\n{\"a\":2}\n";
        let others = [
            "",
            "{\"a\":1}\n",
            "{\"a\":1}\n{\"b\":2}\n",
            "{\"a\":1}\n{\"a\":{\"b\":1}}",
            "{\"a\":1}\n{\"a\":22}\n",
            "{\"a\":1,\"b\":[1,2]}\n",
        ];
        for other in others {
            let mut passes = [first, other].into_iter();
            let open = || Ok(passes.next().unwrap().as_bytes());
            let fault = crate::run(&mut JsonToCsv::new(), open, &mut Vec::new()).unwrap_err();
            assert_eq!(fault.code, &code::ARTIFACT_CHANGED, "{other}: {fault}");
        }
    }
}
