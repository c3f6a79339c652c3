//! A whole row taken apart.

use outport_core::code;

use super::super::bad::Bad;

/// The cells of a row, decoded, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Cells {
    text: String,
    ends: Vec<End>,
    count: usize,
}

/// Where a cell ends. 32 bits are enough: no row is larger than 1 GiB.
#[derive(Debug, Clone, Copy)]
struct End {
    at: u32,
    is_quoted: bool,
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    pub(super) text: &'a str,
    pub(super) is_quoted: bool,
}

/// The characters of a row.
pub(super) fn text(row: &[u8]) -> Result<&str, Bad> {
    let text = std::str::from_utf8(row)
        .map_err(|_| Bad::new(&code::CSV_UTF8, "the bytes of the row are not UTF-8"))?;
    if text.contains('\0') {
        return Err(Bad::new(&code::CSV_SYNTAX, "NUL stands in the row")
            .with_hint("correct the row at its source; in every row it means that the file is UTF-16: set `encoding` in [input]"));
    }
    Ok(text)
}

impl Cells {
    /// Takes apart a row that [`Rows`](super::rows::Rows) has found right. No more cells than `most` are kept, so that a row of
    /// delimiters does not cost a multiple of itself; all are counted.
    pub(super) fn read(&mut self, row: &str, delimiter: u8, most: usize) {
        self.text.clear();
        self.ends.clear();
        self.count = 0;
        let delimiter = char::from(delimiter);
        let mut rest = row;
        loop {
            let is_quoted = rest.starts_with('"');
            let end =
                if is_quoted { end_of_quoted(rest) } else { rest.find(delimiter).unwrap_or(rest.len()) };
            if self.count < most {
                if is_quoted {
                    self.unquote(&rest[1..end - 1]);
                } else {
                    self.text += &rest[..end];
                }
                self.ends.push(End { at: self.text.len() as u32, is_quoted });
            }
            self.count += 1;
            match rest[end..].strip_prefix(delimiter) {
                Some(behind) => rest = behind,
                None => return,
            }
        }
    }

    fn unquote(&mut self, inside: &str) {
        let mut halves = inside.split("\"\"");
        self.text += halves.next().unwrap_or_default();
        for half in halves {
            self.text.push('"');
            self.text += half;
        }
    }

    /// How many cells the row has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The cell at a place, from 0.
    pub(super) fn get(&self, place: usize) -> Option<Cell<'_>> {
        let End { at, is_quoted } = *self.ends.get(place)?;
        let from = place.checked_sub(1).map_or(0, |before| self.ends[before].at as usize);
        Some(Cell { text: &self.text[from..at as usize], is_quoted })
    }
}

/// The place behind the closing quote.
fn end_of_quoted(cell: &str) -> usize {
    let bytes = cell.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_decoded_and_know_their_quotes() {
        let mut cells = Cells::default();
        // Twice: nothing is left of the row before.
        cells.read("\"x\",y,z,,,", b',', 9);
        cells.read("é;\"\";;\"b;\"\"c\"\"\"", b';', 9);
        let all: Vec<_> =
            (0..4).map(|place| cells.get(place).unwrap()).map(|cell| (cell.text, cell.is_quoted)).collect();
        assert_eq!(all, [("é", false), ("", true), ("", false), ("b;\"c\"", true)]);
        assert_eq!((cells.count(), cells.get(4)), (4, None));
    }

    #[test]
    fn a_row_of_delimiters_is_only_counted() {
        let mut cells = Cells::default();
        cells.read(&",".repeat(1_000), b',', 2);
        assert_eq!((cells.count(), cells.ends.len()), (1_001, 2));
    }
}
