//! The first pass: which columns there are.

use super::cursor::Cursor;
use super::limits::Limits;
use super::problem::Problem;
use super::schema::Schema;
use super::sink::{Flow, Kind, Sink};

/// Grows the schema; keeps no values.
#[derive(Debug)]
pub(super) struct Discover {
    limits: Limits,
    pub(super) schema: Schema,
    cursor: Cursor,
}

impl Discover {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, schema: Schema::new(), cursor: Cursor::default() }
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
        Flow::Continue
    }

    fn pointer(&self) -> Option<String> {
        self.cursor.pointer(&self.schema)
    }
}
