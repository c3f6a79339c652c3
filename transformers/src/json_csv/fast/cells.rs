//! Where the values of a record go: straight into the row, into places by column, or nowhere.

use super::array::{self, Array};
use super::lanes::{Input, Lane, Out, WIDTH};
use super::text::{self, Text};
use super::walk::Cells;

/// Nowhere: only whether the record is right and of the known shape counts.
pub(super) struct Nothing;

impl Cells for Nothing {
    const IN_ORDER: bool = false;
    fn bare(&mut self, _: u32, _: usize, _: usize, _: Lane) {}
    fn text(&mut self, _: u32, _: usize, _: Text) {}
    fn array(&mut self, _: u32, _: usize, _: Array) {}
}

/// Writes a row while its record is read; needs the columns in their order.
pub(super) struct Direct<'a> {
    pub(super) bytes: Input<'a>,
    pub(super) out: Out<'a>,
    pub(super) delimiter: u8,
    /// Sixteen delimiters.
    pub(super) delimiters: Lane,
    /// The column of the cell that was written last; delimiters up to it are there.
    pub(super) column: u32,
}

impl Direct<'_> {
    /// Writes the delimiters between the last cell and this column, the last sixteen left out: how many are left.
    #[inline(always)]
    fn near(&mut self, column: u32) -> usize {
        let mut ahead = column.saturating_sub(self.column) as usize;
        self.column = column;
        while ahead > WIDTH {
            self.out.lane(self.delimiters, WIDTH);
            ahead -= WIDTH;
        }
        ahead
    }

    /// Writes the delimiters between the last cell and this column.
    #[inline(always)]
    fn go_to(&mut self, column: u32) {
        let ahead = self.near(column);
        self.out.lane(self.delimiters, ahead);
    }

    /// A cell as it stands in the input, with the delimiters in front of it. `front` is what stands at `from`.
    #[inline(always)]
    fn plain(&mut self, column: u32, from: usize, to: usize, front: Lane) {
        let ahead = self.near(column);
        self.out.two((self.delimiters, ahead), (front, to - from));
        if to - from > WIDTH {
            self.rest(from + WIDTH, to);
        }
    }

    /// Bytes of the input as they stand.
    #[inline(always)]
    fn rest(&mut self, mut from: usize, to: usize) {
        // Few strings are longer than four lanes; for those a call is cheap.
        while from < to && to - from <= 3 * WIDTH {
            let Some(lane) = self.bytes.lane(from) else { break };
            self.out.lane(lane, to - from);
            from += WIDTH;
        }
        if from < to {
            self.out.bytes(&self.bytes[from..to]);
        }
    }

    /// Ends the row that began at `start`.
    #[inline(always)]
    pub(super) fn end_row(&mut self, start: usize, columns: usize, line_end: &'static [u8]) {
        match columns {
            // A record without keys in a file without columns is no row.
            0 => return,
            // A row of one empty cell would be a blank line, which readers skip.
            1 if self.out.len() == start => self.out.bytes(b"\"\""),
            _ => self.go_to(columns as u32 - 1),
        }
        match line_end {
            [only] => self.out.byte(*only),
            other => self.out.bytes(other),
        }
        self.column = 0;
    }

    /// Gives up the row that began at `start`.
    pub(super) fn undo_row(&mut self, start: usize) {
        self.out.truncate(start);
        self.column = 0;
    }
}

impl Cells for Direct<'_> {
    const IN_ORDER: bool = true;

    #[inline(always)]
    fn bare(&mut self, column: u32, from: usize, to: usize, front: Lane) {
        self.plain(column, from, to, front);
    }

    #[inline(always)]
    fn text(&mut self, column: u32, from: usize, text: Text) {
        if !(text.has_escape || text.has_delimiter || from == text.end) {
            return self.plain(column, from, text.end, text.front);
        }
        self.go_to(column);
        if text.has_escape {
            text::write_escaped(
                self.bytes,
                from,
                text.end,
                text.has_delimiter,
                self.delimiter,
                &mut self.out,
            );
        } else {
            // Empty strings are quoted: readers that tell null and empty apart can.
            self.out.byte(b'"');
            self.rest(from, text.end);
            self.out.byte(b'"');
        }
    }

    #[inline(always)]
    fn array(&mut self, column: u32, from: usize, array: Array) {
        self.go_to(column);
        array::write(self.bytes, from, array, self.delimiter, &mut self.out);
    }
}

#[derive(Debug, Clone, Copy)]
enum Cell {
    Empty,
    Bare { from: usize, to: usize, front: Lane },
    Text { from: usize, text: Text },
    Array { from: usize, array: Array },
}

/// The places of a record's values by column, for records whose keys come in another order.
#[derive(Debug)]
pub(super) struct Places(Vec<Cell>);

impl Places {
    pub(super) fn new(columns: usize) -> Self {
        Self(vec![Cell::Empty; columns])
    }

    /// Writes the cells in the order of their columns and forgets them.
    pub(super) fn write(&mut self, row: &mut Direct<'_>) {
        for (column, cell) in self.0.iter_mut().enumerate() {
            let column = column as u32;
            match std::mem::replace(cell, Cell::Empty) {
                Cell::Empty => {}
                Cell::Bare { from, to, front } => row.bare(column, from, to, front),
                Cell::Text { from, text } => row.text(column, from, text),
                Cell::Array { from, array } => row.array(column, from, array),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(Cell::Empty);
    }
}

impl Cells for Places {
    const IN_ORDER: bool = false;

    #[inline(always)]
    fn bare(&mut self, column: u32, from: usize, to: usize, front: Lane) {
        self.0[column as usize] = Cell::Bare { from, to, front };
    }

    #[inline(always)]
    fn text(&mut self, column: u32, from: usize, text: Text) {
        self.0[column as usize] = Cell::Text { from, text };
    }

    fn array(&mut self, column: u32, from: usize, array: Array) {
        self.0[column as usize] = Cell::Array { from, array };
    }
}
