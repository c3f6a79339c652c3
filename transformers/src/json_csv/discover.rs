//! Finding the columns.

use outport_core::Fault;

use super::cursor::Cursor;
use super::fast::Fast;
use super::limits::Limits;
use super::problem::Problem;
use super::reading::Stage;
use super::scanner::{Lines, Rules, Scanner};
use super::schema::Schema;
use super::sink::{Flow, Kind, Sink};

/// Grows the schema; keeps no values.
#[derive(Debug, Clone)]
pub(super) struct Discover {
    limits: Limits,
    /// A record of a stream stands on one line.
    by_lines: bool,
    pub(super) schema: Schema,
    pub(super) cursor: Cursor,
}

impl Discover {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, by_lines: false, schema: Schema::new(), cursor: Cursor::default() }
    }

    /// The same for records of which each stands on one line.
    pub(super) fn by_lines(self, by_lines: bool) -> Self {
        Self { by_lines, ..self }
    }

    /// What a scanner has to keep to that goes ahead with records of the same input.
    pub(super) fn rules(&self) -> Rules {
        let lines = if self.by_lines { Lines::Each } else { Lines::Free };
        Rules { lines, ..Rules::default() }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Checked where a value or an object ends: between a key and its value the count may be one too high,
    /// since what looks like a column may turn out to be an object.
    fn check_columns(&self) -> Result<(), Problem> {
        if self.schema.columns() > self.limits.columns {
            return Err(Problem::TooManyColumns(self.limits.columns));
        }
        Ok(())
    }
}

impl Sink for Discover {
    fn begin_record(&mut self, number: u64) {
        self.cursor.begin_record(number);
    }

    fn open_object(&mut self) {
        self.cursor.open_object();
    }

    fn key(&mut self, key: &[u8]) -> Result<(), Problem> {
        let (object, guess) = self.cursor.object();
        let child = match self.schema.child(object, key, guess) {
            Some(child) => child,
            None => self.schema.add(object, key, self.cursor.record(), &self.limits)?,
        };
        self.cursor.step(&self.schema, child)
    }

    fn close_object(&mut self) -> Result<(), Problem> {
        self.cursor.close_object();
        self.check_columns()
    }

    fn cell(&mut self, _bytes: &[u8]) {}

    fn end_cell(&mut self, kind: Kind) -> Result<(), Problem> {
        if kind != Kind::Null {
            self.schema.mark_value(self.cursor.here());
        }
        self.check_columns()
    }

    fn end_record(&mut self) -> Flow {
        // The next one may be of a known shape.
        Flow::Enough
    }

    fn pointer(&self) -> Option<String> {
        self.cursor.pointer(&self.schema)
    }
}

/// Finding the columns of a whole input: what repeats is gone over the fast way.
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) sink: Discover,
    known: Option<Fast>,
    /// The schema's changes when `known` was made.
    known_changes: u64,
    /// Records that were read the strict way since then.
    strict: u32,
    /// How many of them make it worth while to make `known` anew.
    patience: u32,
}

impl Stage for Discovery {
    /// Reads all of the piece, and puts nothing out.
    fn scan(&mut self, scanner: &mut Scanner, piece: &[u8], _: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut at = 0;
        while at < piece.len() {
            if let (Some(separator), Some(known)) = (scanner.separator(), &mut self.known) {
                let run = known.known(&piece[at..], separator);
                scanner.passed(run);
                at += run.bytes;
                if at == piece.len() {
                    break;
                }
            }
            at += scanner.scan(&piece[at..], &mut self.sink)?;
            self.learn();
        }
        Ok(at)
    }

    fn end(&mut self, scanner: &mut Scanner) -> Result<(), Fault> {
        scanner.finish(&self.sink)
    }

    fn fault(&self, scanner: &Scanner, problem: &Problem) -> Fault {
        scanner.fault(problem, &self.sink)
    }
}

impl Discovery {
    pub(super) fn new(sink: Discover) -> Self {
        Self { sink, known: None, known_changes: 0, strict: 0, patience: 1 }
    }

    /// Makes the known shape anew when it has missed something: after the first record, and then each time after twice as many
    /// strict records, so that an input of ever new shapes costs no more than those records do.
    fn learn(&mut self) {
        self.strict += 1;
        if self.strict >= self.patience && self.known_changes != self.sink.schema.changes() {
            self.known = Some(Fast::to_know(&self.sink.schema, self.sink.limits, self.sink.by_lines));
            self.known_changes = self.sink.schema.changes();
            self.strict = 0;
            self.patience = self.patience.saturating_mul(2).min(1 << 16);
        }
    }
}
