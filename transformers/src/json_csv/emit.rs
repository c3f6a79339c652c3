//! The second pass: one row a record.

use super::cursor::Cursor;
use super::problem::Problem;
use super::row::{Row, write_header};
use super::schema::{Conflict, Schema};
use super::sink::{Flow, Kind, Sink};
use crate::transform::OUT_FULL;

/// What the second pass keeps between two pushes.
#[derive(Debug)]
pub(super) struct Emit {
    schema: Schema,
    cursor: Cursor,
    row: Row,
    /// The header line until it is written.
    header: Vec<u8>,
    columns: usize,
}

impl Emit {
    /// Settles the schema of the first pass.
    pub(super) fn new(mut schema: Schema) -> Result<Self, (Schema, Conflict)> {
        match schema.settle() {
            Err(conflict) => Err((schema, conflict)),
            Ok(names) => {
                let mut header = Vec::new();
                write_header(&names, &mut header);
                let columns = names.len();
                Ok(Self { schema, cursor: Cursor::default(), row: Row::new(columns), header, columns })
            }
        }
    }

    /// Moves the header line to `out`, the first time.
    pub(super) fn write_header(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.header);
    }

    /// How many columns the output has.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The sink for one push.
    pub(super) fn to<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Emitting<'a> {
        Emitting { emit: self, out }
    }

    #[cfg(test)]
    pub(super) fn retained_bytes(&self) -> usize {
        self.schema.retained_bytes() + self.row.retained_bytes() + self.header.capacity()
    }
}

/// [`Emit`] together with where the rows go.
pub(super) struct Emitting<'a> {
    emit: &'a mut Emit,
    out: &'a mut Vec<u8>,
}

impl Sink for Emitting<'_> {
    fn begin_record(&mut self, number: u64) {
        self.emit.cursor.begin_record(number);
        self.emit.row.clear();
    }

    fn open_object(&mut self) {
        self.emit.cursor.open_object();
    }

    fn key(&mut self, key: &[u8]) -> Result<(), Problem> {
        let Emit { schema, cursor, .. } = &mut *self.emit;
        let (object, guess) = cursor.object();
        // The first pass saw every key of the same bytes.
        let child = schema.child(object, key, guess).ok_or(Problem::Changed)?;
        cursor.step(schema, child)
    }

    fn close_object(&mut self) -> Result<(), Problem> {
        self.emit.cursor.close_object();
        Ok(())
    }

    fn cell(&mut self, bytes: &[u8]) {
        self.emit.row.extend(bytes);
    }

    fn end_cell(&mut self, kind: Kind) -> Result<(), Problem> {
        let Emit { schema, cursor, row, .. } = &mut *self.emit;
        match schema.column(cursor.here()) {
            Some(column) => row.set(column, kind),
            // A null where other records have an object: the object's columns stay empty.
            None if kind == Kind::Null => {}
            None => return Err(Problem::Changed),
        }
        Ok(())
    }

    fn end_record(&mut self) -> Flow {
        self.emit.row.write(self.out);
        if self.out.len() >= OUT_FULL { Flow::Enough } else { Flow::Continue }
    }

    fn pointer(&self) -> Option<String> {
        self.emit.cursor.pointer(&self.emit.schema)
    }
}
