//! `json-to-csv`: records of JSON to rows of CSV.
//!
//! The columns have to be known before the first row. The front of the input is held and gone over for them; most inputs show
//! all of theirs there, and are converted in the same pass. When a column comes late the rest is only gone over, and a second
//! pass over the same bytes writes the rows: no row is ever ragged, nothing is spilled, and memory does not grow with the file.

mod ahead;
mod by_spec;
mod crew;
mod cursor;
mod dialect;
mod discover;
mod emit;
mod fast;
mod limits;
mod mapped;
mod problem;
mod reading;
mod row;
mod scanner;
mod schema;
mod sink;
mod strict;
#[cfg(test)]
mod tests;
mod utf8;

use outport_core::{Fault, code};

pub(crate) use self::by_spec::mapped;
pub use self::limits::Limits;
pub use self::mapped::infer;
pub(crate) use self::strict::is_taken;

use self::ahead::Ahead;
use self::dialect::Dialect;
use self::discover::{Discover, Discovery};
use self::emit::{Emission, OnLate};
use self::problem::Problem;
use self::reading::{Reading, Size, Stage};
use self::scanner::{Lines, Rules};
use self::schema::{Conflict, Schema};
use crate::spec::{CsvOutput, JsonInput, Spec};
use crate::transform::{Finish, OUT_FULL, Summary, Transform};

/// Bytes at the front of the input that are held to find the columns in: 8 MiB. Keys that come later cost a second pass; more
/// would cost memory in every conversion.
const FRONT: usize = 8 << 20;

/// Converts JSON records to CSV: header, comma, LF, minimal quotes; every column of the whole file in every
/// row. What exactly becomes what is in the crate's README.
#[derive(Debug)]
pub struct JsonToCsv {
    limits: Limits,
    /// The keys of the array of records, from the outside in; none when the records are the top level.
    records: Vec<Vec<u8>>,
    rules: Rules,
    dialect: Dialect,
    front: usize,
    reading: Reading,
    phase: Phase,
    writes_once: bool,
    threads: usize,
    bytes_out: u64,
}

#[derive(Debug)]
enum Phase {
    /// Finding the columns of the front, which is held.
    Front {
        discovery: Discovery,
        held: Vec<u8>,
    },
    /// Finding the columns of the rest: no row is written in this pass.
    Discover(Discovery),
    /// Writing rows, first of what is held.
    Emit {
        emission: Box<Emission>,
        held: Held,
        ahead: Option<Box<Ahead>>,
        first: Option<Size>,
    },
    Done(Summary),
    Failed(Fault),
}

/// The front of the input on its way to rows.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    at: usize,
}

impl Held {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Goes on, and gives the memory back at the end.
    fn advance(&mut self, taken: usize) {
        self.at += taken;
        if self.at == self.bytes.len() {
            *self = Self::default();
        }
    }
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
            records: Vec::new(),
            rules: Rules::default(),
            dialect: Dialect::default(),
            front: FRONT,
            reading: Reading::new(limits, &[]),
            phase: Phase::Front { discovery: Discovery::new(Discover::new(limits)), held: Vec::new() },
            writes_once: false,
            threads: 1,
            bytes_out: 0,
        }
    }

    /// Rows as a spec wants them that gives no columns and asks nothing of records.
    fn by_dialect(spec: &Spec, input: &JsonInput, output: &CsvOutput) -> Self {
        let limits = Limits {
            record_bytes: spec.input().max_record_bytes,
            depth: input.max_depth,
            columns: output.max_columns,
            ..Limits::default()
        };
        let mut transform = Self::with_limits(limits);
        transform.dialect = Dialect::of(output);
        transform.rules = Rules { layout: input.layout, lines: Lines::of(input.layout), ..Rules::default() };
        let discover = Discover::new(limits).by_lines(transform.rules.lines == Lines::Each);
        transform.phase = Phase::Front { discovery: Discovery::new(discover), held: Vec::new() };
        let records = input.records.as_ref().map(|path| path.keys()).unwrap_or_default();
        transform.with_records(records.iter().map(String::as_str))
    }

    /// Behind another transform, which may have left every record out: then nothing is no fault.
    fn that_may_be_empty(mut self) -> Self {
        self.rules.may_be_empty = true;
        self.reading = self.reading();
        self
    }

    fn reading(&self) -> Reading {
        Reading::new(self.limits, &self.records).with_rules(self.rules)
    }

    /// The same with another size of what is held at the front to find the columns in, in bytes. The output does not depend on
    /// it: only how often a second pass is needed, and how much memory is.
    ///
    /// ```
    /// use outport_transform::{Finish, JsonToCsv, Transform};
    /// let mut transform = JsonToCsv::new().with_front(8);
    /// let mut out = Vec::new();
    /// transform.push(b"{\"a\":1}\n{\"b\":2}\n", &mut out)?;
    /// assert_eq!(transform.finish(&mut out)?, Finish::Again, "b came behind the front");
    /// # Ok::<(), outport_core::Fault>(())
    /// ```
    pub fn with_front(mut self, bytes: usize) -> Self {
        self.front = bytes.max(1);
        self
    }

    /// The same for records in an array inside an object: `path` has the keys that lead there, from the outside in.
    ///
    /// ```
    /// use outport_transform::{JsonToCsv, run};
    /// let json = r#"{"meta": {"n": 2}, "data": {"items": [{"id": 1}, {"id": 2}]}}"#;
    /// let mut csv = Vec::new();
    /// run(&mut JsonToCsv::new().with_records(["data", "items"]), || Ok(json.as_bytes()), &mut csv)?;
    /// assert_eq!(csv, b"id\n1\n2\n");
    /// # Ok::<(), outport_core::Fault>(())
    /// ```
    pub fn with_records<'a>(mut self, path: impl IntoIterator<Item = &'a str>) -> Self {
        self.records = path.into_iter().map(|key| key.as_bytes().to_vec()).collect();
        self.reading = self.reading();
        self
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut taken = 0;
        while taken < chunk.len() && out.len() < OUT_FULL {
            let rest = &chunk[taken..];
            match &mut self.phase {
                Phase::Front { discovery, held } => {
                    let room = self.front - held.len();
                    let read = self.reading.take(&rest[..rest.len().min(room)], discovery, out)?;
                    held.extend_from_slice(&rest[..read]);
                    taken += read;
                    if held.len() >= self.front {
                        self.end_front(out);
                    }
                }
                Phase::Discover(discovery) => taken += self.reading.take(rest, discovery, out)?,
                Phase::Emit { emission, held, ahead, .. } => {
                    let source = if held.rest().is_empty() { rest } else { held.rest() };
                    let read = match ahead {
                        None => self.reading.take(source, &mut **emission, out)?,
                        Some(ahead) => {
                            let read = ahead.fill(source);
                            ahead.advance(&mut self.reading, emission, out, false)?;
                            read
                        }
                    };
                    if held.rest().is_empty() {
                        taken += read;
                    } else {
                        held.advance(read);
                    }
                    if emission.is_late() {
                        self.begin_anew(out)?;
                    }
                }
                Phase::Done(_) => {
                    return Err(Fault::new(&code::TRANSFORM_FAILED, "could not take input behind its end"));
                }
                Phase::Failed(fault) => return Err(fault.clone()),
            }
        }
        Ok(taken)
    }

    /// The front is full: its columns are taken for all there are. Where output cannot be taken back, the rest is looked at first.
    /// So it is where two columns have one name: a mistake further on is told before that.
    fn end_front(&mut self, out: &mut Vec<u8>) {
        match self.take_phase() {
            Phase::Front { discovery, .. } if self.writes_once => self.phase = Phase::Discover(discovery),
            Phase::Front { discovery, held } => match self.emit(discovery.sink, OnLate::Grow, None, out) {
                Ok(()) => {
                    if let Phase::Emit { held: to_emit, .. } = &mut self.phase {
                        to_emit.bytes = held;
                    }
                }
                Err(clash) => self.phase = Phase::Discover(Discovery::new(clash.0)),
            },
            other => self.phase = other,
        }
    }

    /// Settles the columns; rows are written from the beginning of the input.
    fn emit(
        &mut self,
        discover: Discover,
        on_late: OnLate,
        first: Option<Size>,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<(Discover, Conflict)>> {
        let is_array = self.reading.is_array();
        let mut emission = Emission::new(discover, &self.dialect, on_late)?;
        if first.is_none() {
            emission.write_header(out);
        }
        self.reading = self.reading();
        let ahead = Ahead::new(self.threads, is_array, &emission).map(Box::new);
        let emission = Box::new(emission);
        self.phase = Phase::Emit { emission, held: Held::default(), ahead, first };
        Ok(())
    }

    /// Writes rows of what is held or under way, until `out` is full.
    fn emit_held(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        while out.len() < OUT_FULL
            && let Phase::Emit { emission, held, ahead, .. } = &mut self.phase
        {
            match ahead {
                _ if !held.rest().is_empty() && ahead.is_none() => {
                    let taken = self.reading.take(held.rest(), &mut **emission, out)?;
                    held.advance(taken);
                }
                Some(ahead) if !held.rest().is_empty() => {
                    let taken = ahead.fill(held.rest());
                    held.advance(taken);
                    ahead.advance(&mut self.reading, emission, out, false)?;
                }
                Some(ahead) if !ahead.is_empty() => {
                    ahead.end();
                    ahead.advance(&mut self.reading, emission, out, true)?;
                }
                _ => break,
            }
            if emission.is_late() {
                self.begin_anew(out)?;
            }
        }
        Ok(())
    }

    /// A column came late: from here on this pass only looks for columns.
    fn begin_anew(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.take_phase() {
            Phase::Emit { emission, held, ahead, .. } => {
                let mut discovery = Discovery::new(emission.into_late());
                let under_way = ahead.map(|ahead| ahead.rest()).unwrap_or_default();
                for mut rest in under_way.iter().map(Vec::as_slice).chain([held.rest()]) {
                    while !rest.is_empty() {
                        rest = &rest[self.reading.take(rest, &mut discovery, out)?..];
                    }
                }
                self.phase = Phase::Discover(discovery);
            }
            other => self.phase = other,
        }
        Ok(())
    }

    fn end_pass(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        if let Phase::Front { discovery, .. } = &mut self.phase {
            self.reading.end(discovery)?;
            // All of the input is held, so writing once is no reason to look again.
            self.writes_once = false;
            self.end_front(out);
            if let Phase::Discover(discovery) = &mut self.phase {
                return match discovery.sink.schema.settle(&self.dialect.separator) {
                    Err(conflict) => Err(conflict_fault(&discovery.sink.schema, &conflict)),
                    Ok(_) => Err(Fault::new(&code::TRANSFORM_FAILED, "could not settle the columns")),
                };
            }
        }
        self.emit_held(out)?;
        match self.take_phase() {
            Phase::Emit { emission, held, ahead, first }
                if !held.rest().is_empty() || ahead.as_ref().is_some_and(|ahead| !ahead.is_empty()) =>
            {
                self.phase = Phase::Emit { emission, held, ahead, first };
                Ok(Finish::More)
            }
            Phase::Emit { mut emission, first, .. } => {
                emission.write_header(out);
                let size = self.size_of_pass(&mut emission, first)?;
                let (records, columns) = (Some(size.records), Some(emission.columns() as u64));
                Ok(Finish::Done(Summary {
                    records,
                    rejected: 0,
                    columns,
                    bytes_in: size.bytes,
                    bytes_out: 0,
                }))
            }
            Phase::Discover(mut discovery) => {
                let first = self.reading.end(&mut discovery)?;
                self.emit(discovery.sink, OnLate::Refuse, Some(first), out)
                    .map_err(|clash| conflict_fault(&clash.0.schema, &clash.1))?;
                self.bytes_out = 0;
                Ok(Finish::Again)
            }
            Phase::Done(summary) => {
                self.phase = Phase::Done(summary);
                Ok(Finish::Done(summary))
            }
            Phase::Failed(fault) => Err(fault),
            front @ Phase::Front { .. } => {
                self.phase = front;
                Ok(Finish::More)
            }
        }
    }

    /// Ends the pass that wrote the rows; it must have read what the pass read in which the columns were found.
    fn size_of_pass(&mut self, emission: &mut Emission, first: Option<Size>) -> Result<Size, Fault> {
        let this = Size { records: self.reading.scanner.records(), bytes: self.reading.scanner.byte() };
        if first.is_some_and(|first| first != this) {
            return Err(emission.fault(&self.reading.scanner, &Problem::Changed));
        }
        self.reading.end(emission)
    }

    fn take_phase(&mut self) -> Phase {
        let fault = Fault::new(&code::TRANSFORM_FAILED, "could not go on behind a fault");
        std::mem::replace(&mut self.phase, Phase::Failed(fault))
    }

    /// Bytes held between two pushes, roughly.
    #[cfg(test)]
    fn retained_bytes(&self) -> usize {
        let phase = match &self.phase {
            Phase::Front { discovery, held } => discovery.sink.schema.retained_bytes() + held.capacity(),
            Phase::Discover(discovery) => discovery.sink.schema.retained_bytes(),
            Phase::Emit { emission, held, .. } => emission.retained_bytes() + held.bytes.capacity(),
            Phase::Done(_) | Phase::Failed(_) => 0,
        };
        self.reading.scanner.retained_bytes() + phase
    }
}

impl Default for JsonToCsv {
    fn default() -> Self {
        Self::new()
    }
}

impl Transform for JsonToCsv {
    fn write_once(&mut self) {
        self.writes_once = true;
    }

    fn use_threads(&mut self, threads: usize) {
        self.threads = threads;
    }

    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let before = out.len();
        if let Phase::Emit { emission, .. } = &mut self.phase {
            emission.write_header(out);
        }
        let taken = self.take(chunk, out);
        self.bytes_out += (out.len() - before) as u64;
        taken.inspect_err(|fault| self.phase = Phase::Failed(fault.clone()))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        let before = out.len();
        let ended = self.end_pass(out);
        if !matches!(ended, Ok(Finish::Again)) {
            self.bytes_out += (out.len() - before) as u64;
        }
        match ended {
            Ok(Finish::Done(summary)) if !matches!(self.phase, Phase::Done(_)) => {
                // The second time the answer is the one that was kept.
                let summary = Summary { bytes_out: self.bytes_out, ..summary };
                self.phase = Phase::Done(summary);
                Ok(Finish::Done(summary))
            }
            Err(fault) => {
                self.phase = Phase::Failed(fault.clone());
                Err(fault)
            }
            other => other,
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
