//! What a tool wrote, looked at as a table.

use std::fmt;
use std::io::Read;

/// The size of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Records below the header.
    pub rows: u64,
    /// Cells of the header.
    pub columns: u64,
    /// Whether a row has another number of cells than the header.
    pub is_ragged: bool,
}

/// Counts rows and columns, RFC 4180 with LF or CRLF. An empty file has none of either.
///
/// # Errors
/// Those of `input`.
pub fn count(input: impl Read) -> csv::Result<Output> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let mut record = csv::ByteRecord::new();
    let mut output = Output { rows: 0, columns: 0, is_ragged: false };
    if reader.read_byte_record(&mut record)? {
        output.columns = record.len() as u64;
    }
    while reader.read_byte_record(&mut record)? {
        output.rows += 1;
        output.is_ragged |= record.len() as u64 != output.columns;
    }
    Ok(output)
}

impl Output {
    /// `12 x 3`, and in words how far that is from `expected`. Where ours failed, only the rows are known.
    pub(super) fn against(&self, rows: u64, columns: Option<u64>) -> String {
        let mut text = self.to_string();
        let parts = [("row", self.rows, Some(rows)), ("column", self.columns, columns)];
        for (what, found, expected) in parts.into_iter().filter_map(|(w, f, e)| Some((w, f, e?))) {
            let difference = found.abs_diff(expected);
            let plural = if difference == 1 { "" } else { "s" };
            match found.cmp(&expected) {
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Less => text += &format!(", **{difference} {what}{plural} fewer**"),
                std::cmp::Ordering::Greater => text += &format!(", {difference} {what}{plural} more"),
            }
        }
        text
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}{}", self.rows, self.columns, if self.is_ragged { ", **ragged**" } else { "" })
    }
}
