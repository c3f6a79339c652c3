//! The fast way: whole records of a shape that is known, converted without a tree, a copy or a call for each value.
//!
//! It takes what it is sure of and stops before anything else: a key that is not in the schema, a key that stands twice, a number
//! that is none, a record that the chunk cuts. The strict scanner reads that one record, and alone decides what is a fault and how
//! it is told; so this way can be quick without being a second truth. Tests hold the two against each other.

mod array;
mod cells;
mod lanes;
mod number;
mod shape;
mod text;
mod walk;

use self::cells::{Direct, Nothing, Places};
use self::lanes::{Input, Lane, Out};
use self::shape::Shape;
use self::walk::{Path, Stop};
use super::dialect::Dialect;
use super::limits::Limits;
use super::schema::Schema;

/// What separates the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// Blanks, or nothing.
    Blanks,
    /// A comma; `is_open` while the next record needs none (behind `[` or a comma).
    Comma { is_open: bool },
}

/// How far it went: to the end of a record, or not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) bytes: usize,
    pub(super) records: u64,
    pub(super) lines: u64,
}

impl Run {
    /// One run behind the other.
    pub(super) fn and(self, next: Self) -> Self {
        Self {
            bytes: self.bytes + next.bytes,
            records: self.records + next.records,
            lines: self.lines + next.lines,
        }
    }
}

/// After a record out of order that many are gathered at once: their neighbours are likely the same, and reading a record twice
/// costs more than gathering it.
const GATHERED: u32 = 64;

/// The fast way for one settled schema.
#[derive(Debug)]
pub(super) struct Fast {
    shape: Shape,
    path: Path,
    places: Places,
    record_bytes: usize,
    /// A record with a line feed in it, or without one in front of it, is not for this way.
    by_lines: bool,
    delimiter: u8,
    line_end: &'static [u8],
    gather: u32,
}

impl Fast {
    /// Rows of a schema that is settled.
    pub(super) fn to_rows(schema: &Schema, limits: Limits, dialect: &Dialect, by_lines: bool) -> Self {
        let Dialect { delimiter, line_end, .. } = *dialect;
        let fast = Self::new(Shape::of(schema, |node| schema.column(node)), limits, delimiter, line_end);
        Self { by_lines, ..fast }
    }

    /// How the first member of a record begins, with the record's `{`; none if records have no members.
    pub(super) fn beginning(&self) -> Option<Vec<u8>> {
        self.shape.beginning()
    }

    /// Records that add nothing to a schema that still grows: where no value was seen, one would be something new.
    pub(super) fn to_know(schema: &Schema, limits: Limits, by_lines: bool) -> Self {
        let shape = Shape::of(schema, |node| schema.has_value(node).then_some(0));
        Self { by_lines, ..Self::new(shape, limits, b',', b"\n") }
    }

    fn new(shape: Shape, limits: Limits, delimiter: u8, line_end: &'static [u8]) -> Self {
        let path = Path::new(&shape, limits.depth, delimiter);
        Self {
            places: Places::new(shape.columns),
            path,
            shape,
            record_bytes: usize::try_from(limits.record_bytes).unwrap_or(usize::MAX),
            by_lines: false,
            delimiter,
            line_end,
            gather: 0,
        }
    }

    /// The same for another thread.
    pub(super) fn again(&self) -> Self {
        Self {
            shape: self.shape.clone(),
            path: self.path.again(),
            places: Places::new(self.shape.columns),
            ..*self
        }
    }

    /// Converts records from the front of `bytes`, which are UTF-8, until `out` holds `most` bytes or a record is not for this way.
    pub(super) fn rows(&mut self, bytes: &[u8], separator: Separator, most: usize, out: &mut Vec<u8>) -> Run {
        let (bytes, delimiters) = (Input::of(bytes), Lane::splat(self.delimiter));
        let mut row = Direct { bytes, out: Out::new(out), delimiter: self.delimiter, delimiters, column: 0 };
        let mut run = Run::default();
        let mut separator = separator;
        while row.out.len() < most {
            let mut lines = run.lines;
            let Some(inside) = begins(bytes, run.bytes, separator, &mut lines) else { break };
            if self.by_lines && lines == run.lines {
                break;
            }
            let (start, line) = (row.out.len(), lines);
            let mut read = Err(Stop::Order);
            if self.gather == 0 {
                let Self { shape, path, .. } = self;
                read = walk::record(bytes, inside, shape, path, &mut row, &mut lines);
                if read == Err(Stop::Order) {
                    row.undo_row(start);
                    lines = line;
                    self.gather = GATHERED;
                }
            }
            if read == Err(Stop::Order) {
                self.gather -= 1;
                let Self { shape, path, places, .. } = self;
                read = walk::record(bytes, inside, shape, path, places, &mut lines);
                match read {
                    Ok(_) => places.write(&mut row),
                    Err(_) => places.clear(),
                }
            }
            match read {
                Ok(end) if self.takes(end - (inside - 1), lines - line) => {
                    row.end_row(start, self.shape.columns, self.line_end);
                    run = Run { bytes: end, records: run.records + 1, lines };
                    separator = separator.behind_record();
                }
                _ => {
                    row.undo_row(start);
                    break;
                }
            }
        }
        run
    }

    /// Whether a record of so many bytes and line feeds is right; the strict scanner says what is wrong with another.
    #[inline(always)]
    fn takes(&self, bytes: usize, line_feeds: u64) -> bool {
        bytes <= self.record_bytes && (!self.by_lines || line_feeds == 0)
    }

    /// Goes over records that add nothing to the schema.
    pub(super) fn known(&mut self, bytes: &[u8], separator: Separator) -> Run {
        let bytes = Input::of(bytes);
        let mut run = Run::default();
        let mut separator = separator;
        loop {
            let mut lines = run.lines;
            let Some(inside) = begins(bytes, run.bytes, separator, &mut lines) else { return run };
            if self.by_lines && lines == run.lines {
                return run;
            }
            let line = lines;
            let Self { shape, path, .. } = self;
            let read = walk::record(bytes, inside, shape, path, &mut Nothing, &mut lines);
            match read {
                Ok(end) if self.takes(end - (inside - 1), lines - line) => {
                    run = Run { bytes: end, records: run.records + 1, lines };
                    separator = separator.behind_record();
                }
                _ => return run,
            }
        }
    }
}

impl Separator {
    /// The same behind a record.
    fn behind_record(self) -> Self {
        match self {
            Self::Blanks => Self::Blanks,
            Self::Comma { .. } => Self::Comma { is_open: false },
        }
    }
}

/// The place behind the `{` of the record that comes next.
#[inline(always)]
fn begins(bytes: Input<'_>, at: usize, separator: Separator, lines: &mut u64) -> Option<usize> {
    let mut at = walk::skip(bytes, at, lines).ok()?;
    if separator == (Separator::Comma { is_open: false }) {
        if bytes[at] != b',' {
            return None;
        }
        at = walk::skip(bytes, at + 1, lines).ok()?;
    }
    (bytes[at] == b'{').then_some(at + 1)
}
