//! Chunks cut anywhere become whole rows, as they stand. Whether a line break ends a row depends on quotes, so quotes are read
//! here, by the grammar of RFC 4180 section 2 and no other.

use outport_core::{Code, Fault, code};

use crate::json_csv::problem::Place;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The first of a cell.
    Cell,
    /// A cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote between quotes: the other half of a doubled one, or the end of the cell.
    BehindQuote,
}

/// What ends the file, because nobody knows where the next row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    QuoteInside,
    TextBehindQuote,
    NotClosed,
    TooLarge,
}

/// The row being read.
#[derive(Debug)]
pub(super) struct Rows {
    delimiter: u8,
    /// The most bytes of a row.
    most: u64,
    at: At,
    raw: Vec<u8>,
    /// Of the row's first byte, from 0.
    start: u64,
    /// From 1.
    line: u64,
    /// How many bytes were read.
    byte: u64,
    /// Where in the row the latest quoted cell opened.
    opened: usize,
    /// A CR ended the row before; an LF right behind it belongs to it.
    is_behind_cr: bool,
}

/// A buffer that once held a huge row gives the memory back down to this size, in bytes.
const KEEP_BYTES: usize = 4 << 20;

impl Rows {
    pub(super) fn new(delimiter: u8, most: u64) -> Self {
        Self {
            delimiter,
            most,
            at: At::Cell,
            raw: Vec::new(),
            start: 0,
            line: 1,
            byte: 0,
            opened: 0,
            is_behind_cr: false,
        }
    }

    /// So many bytes in front belong to no row.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.byte += bytes as u64;
        self.start = self.byte;
    }

    /// Takes from the front of `bytes`, up to the end of a row: how many, and whether the row is complete. Ask for
    /// [`raw`](Self::raw) then, and call [`begin`](Self::begin).
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Wrong> {
        let mut at = 0;
        if self.is_behind_cr && !bytes.is_empty() {
            self.is_behind_cr = false;
            if bytes[0] == b'\n' {
                self.skip(1);
                at = 1;
            }
        }
        while at < bytes.len() {
            let stretch = self.stretch(&bytes[at..]);
            self.keep(&bytes[at..at + stretch])?;
            at += stretch;
            let Some(byte) = bytes.get(at) else { break };
            let next = match (self.at, *byte) {
                (At::Quoted, _) => At::BehindQuote,
                (At::BehindQuote, b'"') => At::Quoted,
                (At::Cell, b'"') => {
                    self.opened = self.raw.len();
                    At::Quoted
                }
                (At::Plain, b'"') => return Err(Wrong::QuoteInside),
                (_, b'\r' | b'\n') => {
                    self.byte += 1;
                    self.is_behind_cr = *byte == b'\r';
                    return Ok((at + 1, true));
                }
                (_, byte) if byte == self.delimiter => At::Cell,
                (At::BehindQuote, _) => return Err(Wrong::TextBehindQuote),
                (At::Cell | At::Plain, _) => At::Plain,
            };
            self.keep(&[*byte])?;
            self.at = next;
            at += 1;
        }
        Ok((at, false))
    }

    /// How many bytes at the front mean nothing but themselves.
    fn stretch(&self, bytes: &[u8]) -> usize {
        let end = match self.at {
            At::Cell | At::BehindQuote => Some(0),
            At::Quoted => bytes.iter().position(|byte| *byte == b'"'),
            At::Plain => {
                let delimiter = self.delimiter;
                bytes.iter().position(|byte| matches!(*byte, b'"' | b'\r' | b'\n') || *byte == delimiter)
            }
        };
        end.unwrap_or(bytes.len())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        if self.raw.len() as u64 + bytes.len() as u64 > self.most {
            return Err(Wrong::TooLarge);
        }
        self.raw.extend_from_slice(bytes);
        self.byte += bytes.len() as u64;
        Ok(())
    }

    /// The input ends: whether that ends a row.
    pub(super) fn finish(&mut self) -> Result<bool, Wrong> {
        match self.at {
            At::Quoted => Err(Wrong::NotClosed),
            _ => Ok(!self.raw.is_empty()),
        }
    }

    /// The next row begins.
    pub(super) fn begin(&mut self) {
        self.line += line_breaks(&self.raw) + 1;
        self.raw.clear();
        self.raw.shrink_to(KEEP_BYTES);
        self.at = At::Cell;
        self.start = self.byte;
    }

    /// The row without its line break.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Byte (from 0) and line (from 1) of the row.
    pub(super) fn start(&self) -> (u64, u64) {
        (self.start, self.line)
    }

    /// The byte behind the row.
    pub(super) fn end(&self) -> u64 {
        self.start + self.raw.len() as u64
    }

    /// How many bytes were read.
    pub(super) fn byte(&self) -> u64 {
        self.byte
    }

    /// The fault of what is wrong; `record` is none for the header.
    pub(super) fn fault(&self, wrong: Wrong, record: Option<u64>) -> Fault {
        let (code, within, what): (&'static Code, usize, String) = match wrong {
            Wrong::QuoteInside => {
                let what = "a quote stands inside a cell without quotes";
                (&code::CSV_SYNTAX, self.raw.len(), what.into())
            }
            Wrong::TextBehindQuote => {
                let what = "behind a closing quote stands neither a delimiter nor the end of the line";
                (&code::CSV_SYNTAX, self.raw.len(), what.into())
            }
            Wrong::NotClosed => {
                let what = "the quote that opens here is not closed before the end of the input";
                (&code::CSV_TRUNCATED, self.opened, what.into())
            }
            Wrong::TooLarge => {
                (&code::CSV_RECORD_TOO_LARGE, 0, format!("the row is larger than {} bytes", self.most))
            }
        };
        let line = self.line + line_breaks(&self.raw[..within]);
        let place = Place { record, line, byte: self.start + within as u64, path: None };
        Fault::new(code, format!("could not convert {place}: {what}"))
    }
}

/// CR, LF and CR LF.
fn line_breaks(text: &[u8]) -> u64 {
    let pairs = text.windows(2).filter(|pair| pair == b"\r\n").count();
    (text.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count() - pairs) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(input: &[u8], length: usize) -> Result<Vec<(String, u64, u64)>, Wrong> {
        let mut rows = Rows::new(b',', 100);
        let mut found = Vec::new();
        let mut end = |rows: &mut Rows| {
            let (byte, line) = rows.start();
            assert_eq!(rows.raw(), &input[byte as usize..rows.end() as usize]);
            found.push((String::from_utf8(rows.raw().to_vec()).unwrap(), byte, line));
            rows.begin();
        };
        for chunk in input.chunks(length) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let (taken, is_row) = rows.take(rest)?;
                rest = &rest[taken..];
                if is_row {
                    end(&mut rows);
                }
            }
        }
        if rows.finish()? {
            end(&mut rows);
        }
        assert_eq!(rows.byte(), input.len() as u64);
        Ok(found)
    }

    #[test]
    fn rows_end_where_no_quote_is_open() {
        let input = b"a,\"b\r\nc\"\r\nd\n\re,\"\"\"\n\"\n\n\"\"";
        let expected = [
            ("a,\"b\r\nc\"", 0, 1),
            ("d", 10, 3),
            ("", 12, 4),
            ("e,\"\"\"\n\"", 13, 5),
            ("", 21, 7),
            ("\"\"", 22, 8),
        ];
        for length in 1..input.len() {
            let found = rows(input, length).unwrap();
            let found: Vec<_> = found.iter().map(|(text, byte, line)| (&text[..], *byte, *line)).collect();
            assert_eq!(found, expected, "in chunks of {length}");
        }
    }

    #[test]
    fn what_is_wrong_is_the_same_however_it_is_cut() {
        let long = "x".repeat(101);
        for (input, wrong) in [
            ("a,b\"c", Wrong::QuoteInside),
            ("a\n\"b\"c", Wrong::TextBehindQuote),
            ("\"a\" ,b", Wrong::TextBehindQuote),
            ("a,\"b\n", Wrong::NotClosed),
            (&long, Wrong::TooLarge),
        ] {
            for length in 1..=input.len() {
                assert_eq!(rows(input.as_bytes(), length), Err(wrong), "{input} in chunks of {length}");
            }
        }
        assert!(rows(&long.as_bytes()[1..], 7).is_ok());
    }
}
