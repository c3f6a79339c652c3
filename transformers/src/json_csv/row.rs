//! One row of CSV (RFC 4180): gathering its cells in any order, writing them in column order.

use super::sink::Kind;

/// A row buffer that once held a huge record gives the memory back down to this size, in bytes.
const KEEP_BYTES: usize = 4 << 20;

#[derive(Debug, Clone, Copy)]
struct Cell {
    start: u32,
    end: u32,
    kind: Kind,
}

const EMPTY: Cell = Cell { start: 0, end: 0, kind: Kind::Null };

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
        Self { text: Vec::new(), start: 0, cells: vec![EMPTY; columns] }
    }

    /// Every cell empty.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEEP_BYTES);
        self.start = 0;
        self.cells.fill(EMPTY);
    }

    /// More bytes of the next cell.
    #[inline]
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// The bytes since the last call are the cell of this column.
    #[inline]
    pub(super) fn set(&mut self, column: usize, kind: Kind) {
        let end = self.text.len();
        // A record is at most `Limits::MOST_RECORD_BYTES` and decoding never lengthens it: 32 bits hold every
        // offset.
        self.cells[column] = Cell { start: self.start as u32, end: end as u32, kind };
        self.start = end;
    }

    /// Appends the row with its line feed. A row without columns is nothing.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self.cells.as_slice() {
            [] => return,
            // A row of one empty cell would be a blank line, which readers skip.
            [only] if only.start == only.end => out.extend_from_slice(b"\"\""),
            cells => {
                for (column, cell) in cells.iter().enumerate() {
                    if column > 0 {
                        out.push(b',');
                    }
                    let bytes = &self.text[cell.start as usize..cell.end as usize];
                    match cell.kind {
                        Kind::Null => {}
                        // Distinct from null, for readers that tell the two apart.
                        Kind::Text if bytes.is_empty() => out.extend_from_slice(b"\"\""),
                        Kind::Text | Kind::Bare => write_cell(bytes, out),
                    }
                }
            }
        }
        out.push(b'\n');
    }

    #[cfg(test)]
    pub(super) fn retained_bytes(&self) -> usize {
        self.text.capacity() + self.cells.capacity() * size_of::<Cell>()
    }
}

/// Appends the header line. Without columns there is none.
pub(super) fn write_header(names: &[Vec<u8>], out: &mut Vec<u8>) {
    if names.is_empty() {
        return;
    }
    for (column, name) in names.iter().enumerate() {
        if column > 0 {
            out.push(b',');
        }
        // At the very start of a file a reader takes U+FEFF for a byte order mark and drops it; a quote
        // protects it.
        let looks_like_bom = column == 0 && name.starts_with(b"\xef\xbb\xbf");
        if looks_like_bom || (names.len() == 1 && name.is_empty()) {
            write_quoted(name, out);
        } else {
            write_cell(name, out);
        }
    }
    out.push(b'\n');
}

/// RFC 4180 section 2 rules 6 and 7: quotes where there is a comma, a quote or a line break, inner quotes
/// doubled.
#[inline]
fn write_cell(bytes: &[u8], out: &mut Vec<u8>) {
    // No early exit: the compiler turns the whole loop into vector compares.
    let special = bytes.iter().fold(false, |any, byte| any | matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if special {
        write_quoted(bytes, out);
    } else {
        out.extend_from_slice(bytes);
    }
}

fn write_quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (part, piece) in bytes.split(|byte| *byte == b'"').enumerate() {
        if part > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(piece);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(Kind, &str)]) -> String {
        let mut row = Row::new(cells.len());
        for (column, (kind, text)) in cells.iter().enumerate() {
            row.extend(text.as_bytes());
            row.set(column, *kind);
        }
        let mut out = Vec::new();
        row.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cases: [(&[(Kind, &str)], &str); 9] = [
            (&[], ""),
            (&[(Kind::Null, "")], "\"\"\n"),
            (&[(Kind::Text, "")], "\"\"\n"),
            (&[(Kind::Null, ""), (Kind::Text, ""), (Kind::Null, "")], ",\"\",\n"),
            (&[(Kind::Text, "plain text"), (Kind::Bare, "1.10")], "plain text,1.10\n"),
            (
                &[(Kind::Text, "a,b"), (Kind::Text, "\"q\""), (Kind::Text, "\"")],
                "\"a,b\",\"\"\"q\"\"\",\"\"\"\"\n",
            ),
            (&[(Kind::Text, "l1\nl2"), (Kind::Text, "\r")], "\"l1\nl2\",\"\r\"\n"),
            (&[(Kind::Bare, "[]"), (Kind::Bare, "[\"x\",1]")], "[],\"[\"\"x\"\",1]\"\n"),
            (&[(Kind::Text, " pad "), (Kind::Text, "é;\t'=")], " pad ,é;\t'=\n"),
        ];
        for (cells, expected) in cases {
            assert_eq!(row(cells), expected, "{cells:?}");
        }
    }

    #[test]
    fn cells_land_in_their_columns_whatever_the_order() {
        let mut row = Row::new(3);
        row.extend(b"third");
        row.set(2, Kind::Text);
        row.extend(b"fi");
        row.extend(b"rst");
        row.set(0, Kind::Text);
        let mut out = Vec::new();
        row.write(&mut out);
        row.clear();
        row.write(&mut out);
        assert_eq!(out, b"first,,third\n,,\n");
    }

    #[test]
    fn headers_are_quoted_like_cells() {
        let cases: [(&[&str], &str); 5] = [
            (&[], ""),
            (&[""], "\"\"\n"),
            (&["a", ""], "a,\n"),
            (&["a,b", "c\"d", "e\nf"], "\"a,b\",\"c\"\"d\",\"e\nf\"\n"),
            (&["\u{feff}a", "\u{feff}b"], "\"\u{feff}a\",\u{feff}b\n"),
        ];
        for (names, expected) in cases {
            let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            let mut out = Vec::new();
            write_header(&names, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
