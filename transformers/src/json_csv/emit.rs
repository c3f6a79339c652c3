//! Writing the rows.

use outport_core::Fault;

use super::cursor::Cursor;
use super::dialect::Dialect;
use super::discover::Discover;
use super::fast::{Fast, Run, Separator};
use super::problem::Problem;
use super::reading::Stage;
use super::row::Row;
use super::scanner::{Lines, Scanner};
use super::schema::Conflict;
use super::sink::{Flow, Kind, Sink};
use crate::transform::OUT_FULL;

/// What to do with a key or a value that the settled schema has no column for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnLate {
    /// The schema was made from the front of this input: it grows, and the rows so far are to be written anew.
    Grow,
    /// The schema was made from all of this input, so the input is another one now.
    Refuse,
}

/// Rows of a settled schema.
#[derive(Debug)]
pub(super) struct Emit {
    /// Takes what comes late, with the same limits and faults as before.
    discover: Discover,
    row: Row,
    columns: usize,
    dialect: Dialect,
    on_late: OnLate,
    is_late: bool,
}

impl Emit {
    fn late(&mut self) -> Result<(), Problem> {
        match self.on_late {
            OnLate::Grow => self.is_late = true,
            OnLate::Refuse => return Err(Problem::Changed),
        }
        Ok(())
    }

    /// The sink for one push.
    pub(super) fn to<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Emitting<'a> {
        Emitting { emit: self, out }
    }
}

/// [`Emit`] together with where the rows go.
pub(super) struct Emitting<'a> {
    emit: &'a mut Emit,
    out: &'a mut Vec<u8>,
}

impl Sink for Emitting<'_> {
    fn begin_record(&mut self, number: u64) {
        self.emit.discover.begin_record(number);
        self.emit.row.clear();
    }

    fn open_object(&mut self) {
        self.emit.discover.open_object();
    }

    fn key(&mut self, key: &[u8]) -> Result<(), Problem> {
        let Discover { schema, cursor, .. } = &self.emit.discover;
        let (object, guess) = cursor.object();
        if schema.child(object, key, guess).is_none() {
            self.emit.late()?;
        }
        self.emit.discover.key(key)
    }

    fn close_object(&mut self) -> Result<(), Problem> {
        self.emit.discover.close_object()
    }

    fn cell(&mut self, bytes: &[u8]) {
        self.emit.row.extend(bytes);
    }

    fn end_cell(&mut self, kind: Kind) -> Result<(), Problem> {
        let Discover { schema, cursor, .. } = &self.emit.discover;
        match schema.column(cursor.here()) {
            Some(column) => self.emit.row.set(column, kind),
            // A null where other records have an object: the object's columns stay empty.
            None if kind == Kind::Null => {}
            None => self.emit.late()?,
        }
        self.emit.discover.end_cell(kind)
    }

    fn end_record(&mut self) -> Flow {
        if !self.emit.is_late {
            self.emit.row.write(&self.emit.dialect, self.out);
        }
        Flow::Enough
    }

    fn pointer(&self) -> Option<String> {
        self.emit.discover.pointer()
    }
}

/// Writing all rows of an input: the fast way, and the strict one where that stops.
#[derive(Debug)]
pub(super) struct Emission {
    pub(super) sink: Emit,
    /// None for a dialect that it does not write.
    fast: Option<Fast>,
    /// The header line until it is written.
    header: Vec<u8>,
}

impl Emission {
    /// Settles the schema.
    pub(super) fn new(
        mut discover: Discover,
        dialect: &Dialect,
        on_late: OnLate,
    ) -> Result<Self, Box<(Discover, Conflict)>> {
        let names = match discover.schema.settle(&dialect.separator) {
            Err(conflict) => return Err(Box::new((discover, conflict))),
            Ok(names) => names,
        };
        // Records are counted anew.
        discover.cursor = Cursor::default();
        let mut header = Vec::new();
        dialect.header(&names, &mut header);
        let columns = names.len();
        let limits = discover.limits();
        let fast = dialect
            .is_simple()
            .then(|| Fast::to_rows(&discover.schema, limits, dialect, discover.rules().lines == Lines::Each));
        Ok(Self {
            sink: Emit {
                discover,
                row: Row::new(columns),
                columns,
                dialect: dialect.clone(),
                on_late,
                is_late: false,
            },
            fast,
            header,
        })
    }

    /// The same for another thread, which converts ahead: there, what comes late ends a run.
    pub(super) fn ahead(&self) -> Self {
        let Emit { discover, columns, dialect, .. } = &self.sink;
        let mut discover = discover.clone();
        discover.cursor = Cursor::default();
        let row = Row::new(*columns);
        let (columns, dialect) = (*columns, dialect.clone());
        let sink = Emit { discover, row, columns, dialect, on_late: OnLate::Refuse, is_late: false };
        Self { sink, fast: self.fast.as_ref().map(Fast::again), header: Vec::new() }
    }

    /// Converts whole records from the front of `piece`, which begins at or in front of a record, until `most` bytes of rows are
    /// there or a record is cut or wrong.
    pub(super) fn records(
        &mut self,
        piece: &[u8],
        separator: Separator,
        most: usize,
        rows: &mut Vec<u8>,
    ) -> Run {
        // The cursor tells records apart by their numbers, so each run goes on counting.
        let counted = self.sink.discover.cursor.record();
        let mut scanner = Scanner::at_record(self.sink.discover.limits(), separator, counted)
            .with_rules(self.sink.discover.rules());
        let mut run = Run::default();
        while rows.len() < most
            && run.bytes < piece.len()
            && let Some(separator) = scanner.separator()
        {
            if let Some(fast) = &mut self.fast {
                let fast = fast.rows(&piece[run.bytes..], separator, most, rows);
                scanner.passed(fast);
                run = run.and(fast);
            }
            let (before, lines, records) = (rows.len(), scanner.line(), scanner.records());
            let read = scanner.scan(&piece[run.bytes..], &mut self.sink.to(rows));
            // It stops behind a record; anything else is only a part of one, or of what separates two.
            let is_whole = scanner.records() > records && scanner.separator().is_some();
            match read {
                Ok(bytes) if is_whole => {
                    run = run.and(Run { bytes, records: 1, lines: scanner.line() - lines });
                }
                _ => {
                    rows.truncate(before);
                    break;
                }
            }
        }
        run
    }

    /// How records begin, if they have members.
    pub(super) fn beginning(&self) -> Option<Vec<u8>> {
        self.fast.as_ref()?.beginning()
    }

    /// Moves the header line to `out`, the first time.
    pub(super) fn write_header(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.header);
    }

    /// How many columns the output has.
    pub(super) fn columns(&self) -> usize {
        self.sink.columns
    }

    /// The schema with what came late, if something did.
    pub(super) fn into_late(self) -> Discover {
        self.sink.discover
    }

    #[cfg(test)]
    pub(super) fn retained_bytes(&self) -> usize {
        self.sink.discover.schema.retained_bytes() + self.sink.row.retained_bytes() + self.header.capacity()
    }

    /// Whether a column came late: the rows so far are ragged.
    pub(super) fn is_late(&self) -> bool {
        self.sink.is_late
    }
}

impl Stage for Emission {
    /// Reads from the front of `piece`: all of it, or until `out` is full or a column comes late, and then to the end of that
    /// record.
    fn scan(&mut self, scanner: &mut Scanner, piece: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut at = 0;
        while at < piece.len() && out.len() < OUT_FULL && !self.sink.is_late {
            if let (Some(separator), Some(fast)) = (scanner.separator(), &mut self.fast) {
                let run = fast.rows(&piece[at..], separator, OUT_FULL, out);
                scanner.passed(run);
                at += run.bytes;
                if out.len() >= OUT_FULL {
                    break;
                }
            }
            at += scanner.scan(&piece[at..], &mut self.sink.to(out))?;
        }
        Ok(at)
    }

    fn end(&mut self, scanner: &mut Scanner) -> Result<(), Fault> {
        scanner.finish(&self.sink.discover)
    }

    fn fault(&self, scanner: &Scanner, problem: &Problem) -> Fault {
        scanner.fault(problem, &self.sink.discover)
    }
}
