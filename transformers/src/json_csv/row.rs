//! One row: gathering its cells in any order, writing them in column order.

use super::dialect::Dialect;
use super::sink::Kind;

/// A row buffer that once held a huge record gives the memory back down to this size, in bytes.
const KEEP_BYTES: usize = 4 << 20;

#[derive(Debug, Clone, Copy)]
struct Cell {
    start: u32,
    end: u32,
    /// None for a key that is not there.
    kind: Option<Kind>,
}

const MISSING: Cell = Cell { start: 0, end: 0, kind: None };

/// The cells of the record being read.
#[derive(Debug)]
pub(super) struct Row {
    /// The cells' bytes in input order.
    text: Vec<u8>,
    /// Where the cell being gathered begins in `text`.
    start: usize,
    /// By column.
    cells: Vec<Cell>,
}

impl Row {
    pub(super) fn new(columns: usize) -> Self {
        Self { text: Vec::new(), start: 0, cells: vec![MISSING; columns] }
    }

    /// Every cell missing.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEEP_BYTES);
        self.start = 0;
        self.cells.fill(MISSING);
    }

    /// More bytes of the next cell.
    #[inline]
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// Where the next cell is gathered, behind what is there.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// The bytes since the last call are the cell of this column.
    #[inline]
    pub(super) fn set(&mut self, column: usize, kind: Kind) {
        let end = self.text.len();
        // A record is at most `Limits::MOST_RECORD_BYTES` and decoding never lengthens it: 32 bits hold every
        // offset.
        self.cells[column] = Cell { start: self.start as u32, end: end as u32, kind: Some(kind) };
        self.start = end;
    }

    /// Appends the row with its line end. A row without columns is nothing.
    pub(super) fn write(&self, dialect: &Dialect, out: &mut Vec<u8>) {
        if self.cells.is_empty() {
            return;
        }
        let before = out.len();
        for (column, cell) in self.cells.iter().enumerate() {
            if column > 0 {
                out.push(dialect.delimiter);
            }
            let bytes = &self.text[cell.start as usize..cell.end as usize];
            match cell.kind {
                None => out.extend_from_slice(&dialect.missing),
                Some(Kind::Null) => out.extend_from_slice(&dialect.null),
                Some(Kind::Text) => dialect.text(bytes, out),
                Some(Kind::Bare) => dialect.bare(bytes, out),
            }
        }
        // A row of one empty cell would be a blank line, which readers skip.
        if out.len() == before {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(dialect.line_end);
    }

    #[cfg(test)]
    pub(super) fn retained_bytes(&self) -> usize {
        self.text.capacity() + self.cells.capacity() * size_of::<Cell>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(Kind, &str)], dialect: &Dialect) -> String {
        let mut row = Row::new(cells.len());
        for (column, (kind, text)) in cells.iter().enumerate() {
            row.extend(text.as_bytes());
            row.set(column, *kind);
        }
        let mut out = Vec::new();
        row.write(dialect, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_is_never_a_blank_line() {
        let plain = Dialect::default();
        let cases: [(&[(Kind, &str)], &str); 4] = [
            (&[], ""),
            (&[(Kind::Null, "")], "\"\"\n"),
            (&[(Kind::Text, "")], "\"\"\n"),
            (&[(Kind::Null, ""), (Kind::Text, ""), (Kind::Null, "")], ",\"\",\n"),
        ];
        for (cells, expected) in cases {
            assert_eq!(row(cells, &plain), expected, "{cells:?}");
        }
    }

    #[test]
    fn cells_land_in_their_columns_whatever_the_order() {
        let dialect = Dialect {
            null: b"NULL".to_vec(),
            missing: b"-".to_vec(),
            line_end: b"\r\n",
            delimiter: b'|',
            ..Dialect::default()
        };
        let mut row = Row::new(4);
        row.extend(b"third");
        row.set(2, Kind::Text);
        row.extend(b"fi");
        row.extend(b"rst");
        row.set(0, Kind::Text);
        row.set(3, Kind::Null);
        let mut out = Vec::new();
        row.write(&dialect, &mut out);
        row.clear();
        row.write(&dialect, &mut out);
        assert_eq!(out, b"first|-|third|NULL\r\n-|-|-|-\r\n");
    }
}
