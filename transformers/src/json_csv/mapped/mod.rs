//! Records by a spec: columns that are given, values of types, filters, explode; and records left out when they are bad.
//!
//! The strict scanner reads each record whole, as compact text; the values that the spec asks for are found in one walk over its
//! tokens. One pass, and no more memory than one record and its rows.

mod bad;
mod capture;
mod cell;
mod contract;
mod from_csv;
mod progress;
mod quarantine;
mod record;
mod tape;
mod wanted;
mod whole;
mod writer;

use outport_core::Fault;

pub use self::contract::infer;
pub(super) use self::from_csv::CsvToJson;

use self::bad::Bad;
use self::capture::Capture;
use self::cell::Facts;
use self::progress::Progress;
use self::quarantine::Quarantine;
use self::record::Mapping;
use self::writer::Writer;
use super::dialect::Dialect;
use super::limits::Limits;
use super::problem::{Place, Problem};
use super::reading::{Reading, Stage};
use super::scanner::{Lines, Rules, Scanner};
use crate::spec::{
    Arrays, Columns, CsvOutput, DuplicateKeys, ErrorPolicy, JsonInput, JsonLayout, Layout, Spec,
};
use crate::transform::{About, Finish, OUT_FULL, Summary, Transform};

/// Records of JSON by a spec, to rows of CSV or to other records.
#[derive(Debug)]
pub(crate) struct Mapped {
    input: JsonInput,
    limits: Limits,
    reading: Reading,
    stage: Rows,
    header: Vec<u8>,
    columns: Option<u64>,
    quarantine: Option<Quarantine>,
    /// A line that is left out because of this fault, which happened in it; where the line ends is not known yet.
    leaving_out: Option<Fault>,
    progress: Progress,
}

/// The records of a pass on their way to rows.
#[derive(Debug)]
struct Rows {
    capture: Capture,
    mapping: Mapping,
    writer: Writer,
    keeps_bad: bool,
    /// A good record of JSON on a line that has not ended: if more stands there, the line is bad.
    waiting: Option<Record>,
    /// Records that were bad: why, where, and the byte behind each.
    bad: Vec<(Bad, Place, u64)>,
    /// Where the latest record ended that was written or was bad.
    end: u64,
}

/// A record between the scanner and its rows.
#[derive(Debug)]
struct Record {
    text: Vec<u8>,
    place: Place,
    /// The byte behind it.
    end: u64,
}

impl Stage for Rows {
    fn scan(&mut self, scanner: &mut Scanner, piece: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut at = 0;
        while at < piece.len() && out.len() < OUT_FULL {
            at += scanner.scan(&piece[at..], &mut self.capture)?;
            let Some(text) = self.capture.take() else { continue };
            let record = Record { text, place: scanner.record_place(), end: scanner.byte() };
            let waits = self.keeps_bad && scanner.ends_with_line();
            self.write_waiting(out)?;
            if waits {
                self.waiting = Some(record);
            } else {
                self.write(record, out)?;
            }
            if !self.bad.is_empty() {
                break;
            }
        }
        Ok(at)
    }

    fn end(&mut self, scanner: &mut Scanner) -> Result<(), Fault> {
        scanner.finish(&self.capture)
    }

    fn fault(&self, scanner: &Scanner, problem: &Problem) -> Fault {
        scanner.fault(problem, &self.capture)
    }
}

impl Rows {
    fn write(&mut self, record: Record, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Record { text, place, end } = record;
        let facts = Facts { number: place.record.unwrap_or_default(), byte: place.byte };
        let written = self.mapping.rows(&text, facts, &mut self.writer, out);
        self.capture.give_back(text);
        self.end = end;
        match written {
            Ok(_) => {}
            Err(bad) if self.keeps_bad => self.bad.push((bad, place, end)),
            Err(bad) => return Err(bad.fault(place)),
        }
        Ok(())
    }

    /// The line of the waiting record has ended with it.
    fn write_waiting(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.waiting.take().map_or(Ok(()), |record| self.write(record, out))
    }
}

impl Mapped {
    /// Rows of CSV in the columns that the spec gives.
    pub(crate) fn to_csv(spec: &Spec, input: &JsonInput, output: &CsvOutput) -> Self {
        let dialect = Dialect::of(output);
        let names: Vec<Vec<u8>> = match spec.columns() {
            Columns::Given { columns, .. } => {
                columns.iter().map(|column| column.name.clone().into_bytes()).collect()
            }
            Columns::Observed => Vec::new(),
        };
        let mut header = Vec::new();
        dialect.header(&names, &mut header);
        let count = names.len();
        let writer = Writer::csv(count, dialect);
        Self { header, columns: Some(count as u64), ..Self::new(spec, input, output.arrays.clone(), writer) }
    }

    /// Records of JSON: those of the input, or of the columns that the spec gives.
    pub(crate) fn to_json(spec: &Spec, input: &JsonInput, layout: JsonLayout) -> Self {
        Self::new(spec, input, Arrays::Json, Writer::json(layout))
    }

    /// The records themselves, one a line, with what the spec says about arrays, filters and explode done: what is left to do for
    /// rows of CSV whose columns are not given is to find the columns.
    pub(crate) fn to_records(spec: &Spec, input: &JsonInput, arrays: Arrays) -> Self {
        Self::new(spec, input, arrays, Writer::json(JsonLayout::Ndjson))
    }

    fn new(spec: &Spec, input: &JsonInput, arrays: Arrays, writer: Writer) -> Self {
        let limits = Limits {
            record_bytes: spec.input().max_record_bytes,
            depth: input.max_depth,
            ..Limits::default()
        };
        let quarantine = match spec.errors() {
            ErrorPolicy::Reject => None,
            ErrorPolicy::Quarantine { max_bad } => Some(Quarantine::new(max_bad, limits.record_bytes)),
        };
        let stage = Rows {
            capture: Capture::default(),
            mapping: Mapping::new(input, spec.columns(), spec.filters(), arrays, About::default()),
            writer,
            keeps_bad: quarantine.is_some(),
            waiting: None,
            bad: Vec::new(),
            end: 0,
        };
        Self {
            input: input.clone(),
            limits,
            reading: reading(input, limits, lines(input, quarantine.is_some())),
            stage,
            header: Vec::new(),
            columns: None,
            quarantine,
            leaving_out: None,
            progress: Progress::default(),
        }
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        out.append(&mut self.header);
        let mut taken = 0;
        while taken < chunk.len() && out.len() < OUT_FULL {
            let rest = &chunk[taken..];
            if let Some(fault) = self.leaving_out.take() {
                taken += self.leave_out(rest, fault)?;
                continue;
            }
            // What the scanner has still to see of the bytes before these.
            let (before, held) = (self.reading.scanner.byte(), self.reading.held());
            let read = self.reading.take(rest, &mut self.stage, out);
            let Some(quarantine) = &mut self.quarantine else {
                taken += read?;
                continue;
            };
            match read {
                Ok(read) => {
                    quarantine.read(&rest[..read]);
                    taken += read;
                    self.set_apart()?;
                }
                // Only where a line is a record is it known where the next one begins.
                Err(fault) if self.reading.scanner.ends_with_line() => {
                    let scanned = (self.reading.scanner.byte() - before).saturating_sub(held);
                    let read = usize::try_from(scanned).unwrap_or(0).min(rest.len());
                    quarantine.read(&rest[..read]);
                    taken += read;
                    self.end_waiting(out)?;
                    self.leaving_out = Some(fault);
                }
                Err(fault) => return Err(self.not_left_out(fault)),
            }
        }
        Ok(taken)
    }

    /// Bad records go to the rejects; what was read up to them and of them is not needed any more.
    fn set_apart(&mut self) -> Result<(), Fault> {
        let Some(quarantine) = &mut self.quarantine else { return Ok(()) };
        for (bad, place, end) in self.stage.bad.drain(..) {
            quarantine.reject(&place, end, &bad.fault(place.clone()))?;
        }
        quarantine.forget(self.stage.end);
        Ok(())
    }

    /// Something is wrong where the scanner stands: with the waiting record too, if that is on the same line.
    fn end_waiting(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let scanner = &self.reading.scanner;
        if scanner.line() > scanner.ended_line() {
            self.stage.write_waiting(out)?;
        }
        self.stage.waiting = None;
        self.set_apart()
    }

    /// The fault of a record that cannot be left out.
    fn not_left_out(&self, fault: Fault) -> Fault {
        let may_be_lines = self.input.layout == Layout::Auto && self.input.records.is_none();
        let is_stream = self.reading.scanner.records() > 0 && !self.reading.is_array();
        if self.quarantine.is_none() || !may_be_lines || !is_stream {
            return fault;
        }
        fault.with_hint(
            "this record is not on one line, so nobody can say where the next one begins; correct it, or set format = \"ndjson\" in \
             [input] if each record is to be on one line",
        )
    }

    /// Reads to the end of the line in which something was wrong, and goes on behind it.
    fn leave_out(&mut self, rest: &[u8], fault: Fault) -> Result<usize, Fault> {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(rest.len());
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.read(&rest[..taken]);
        }
        match end {
            None => self.leaving_out = Some(fault),
            Some(_) => self.go_on_behind(&fault)?,
        }
        Ok(taken)
    }

    /// What is kept is the bad line: it is rejected, and reading goes on behind it.
    fn go_on_behind(&mut self, fault: &Fault) -> Result<(), Fault> {
        let Some(quarantine) = &mut self.quarantine else { return Ok(()) };
        let kept = quarantine.kept();
        // The end of the line before, if that is where the record before ended.
        let blank = kept.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        let scanner = &self.reading.scanner;
        let (byte, end) = (quarantine.from() + blank as u64, quarantine.from() + kept.len() as u64);
        // The scanner may or may not have begun the record before it found what is wrong.
        let has_begun = scanner.record_place().byte >= byte && scanner.records() > 0;
        let record = if has_begun { scanner.records() } else { scanner.records() + 1 };
        let inside = kept[blank..].iter().filter(|byte| **byte == b'\n').count() as u64;
        let line = if has_begun { scanner.record_place().line } else { scanner.line() };
        let place = Place { record: Some(record), line, byte, path: None };
        quarantine.reject(&place, end, fault)?;
        quarantine.forget(end);
        self.stage.end = end;
        let lines = scanner.lines();
        self.reading = reading(&self.input, self.limits, lines).resumed(end, line + inside, record);
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<Summary, Fault> {
        out.append(&mut self.header);
        if let Some(fault) = self.leaving_out.take() {
            self.go_on_behind(&fault)?;
        }
        let ended = self.reading.end(&mut self.stage);
        let size = match ended {
            Ok(size) => size,
            // The last line, cut.
            Err(fault) if self.cuts_last_line() => {
                self.end_waiting(out)?;
                self.go_on_behind(&fault)?;
                self.reading.end(&mut self.stage)?
            }
            Err(fault) => return Err(self.not_left_out(fault)),
        };
        self.stage.write_waiting(out)?;
        self.set_apart()?;
        self.stage.writer.finish(out);
        let rejected = self.quarantine.as_ref().map_or(0, Quarantine::bad);
        if let Some(quarantine) = &self.quarantine {
            quarantine.end(size.records)?;
        }
        let (records, columns) = (Some(size.records), self.columns);
        Ok(Summary { records, rejected, columns, bytes_in: size.bytes, bytes_out: 0 })
    }

    /// Whether the input ends inside of a line that can be left out.
    fn cuts_last_line(&self) -> bool {
        let kept = self.quarantine.as_ref().map(Quarantine::kept).unwrap_or_default();
        let has_begun = kept.iter().any(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        has_begun && self.reading.scanner.ends_with_line()
    }
}

/// How records stand on lines: who is to leave out a bad one has to know where it ends.
fn lines(input: &JsonInput, keeps_bad: bool) -> Lines {
    match input.layout {
        Layout::Auto if keeps_bad && input.records.is_none() => Lines::AsFirst,
        layout => Lines::of(layout),
    }
}

fn reading(input: &JsonInput, limits: Limits, lines: Lines) -> Reading {
    let keys = input.records.as_ref().map(|path| path.keys()).unwrap_or_default();
    let records: Vec<Vec<u8>> = keys.iter().map(|key| key.clone().into_bytes()).collect();
    Reading::new(limits, &records).with_rules(Rules {
        is_whole: true,
        allows_duplicates: input.duplicate_keys != DuplicateKeys::Error,
        layout: input.layout,
        lines,
        may_be_empty: false,
    })
}

impl Transform for Mapped {
    fn about(&mut self, about: &About) {
        self.stage.mapping.about(about.clone());
    }

    fn take_rejects(&mut self, out: &mut Vec<u8>) {
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.take(out);
        }
    }

    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut progress = std::mem::take(&mut self.progress);
        let taken = progress.push(out, |out| self.take(chunk, out));
        self.progress = progress;
        taken
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        let mut progress = std::mem::take(&mut self.progress);
        let finish = progress.finish(out, |out| self.end(out));
        self.progress = progress;
        finish
    }
}
