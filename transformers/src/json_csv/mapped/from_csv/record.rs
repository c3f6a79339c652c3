//! One row to its record.

use outport_core::code;

use super::super::bad::Bad;
use super::super::cell::{self, Facts};
use super::super::writer::{Value, Writer};
use super::cells::{Cell, Cells};
use super::header;
use crate::spec::{Column, Columns, Filter, Found, Path, Source};
use crate::transform::About;

/// A spec, bound to the names of a file.
#[derive(Debug)]
pub(super) struct Record {
    /// How many cells a row has.
    cells: usize,
    shape: Shape,
    /// Each with the place of the cell that it looks at, if there is one.
    filters: Vec<(Filter, Option<usize>)>,
    null: String,
}

#[derive(Debug)]
enum Shape {
    /// Every cell under its name.
    All(Vec<String>),
    /// The columns, each with the place of its cell if it has one.
    Columns(Vec<(Column, Option<usize>)>),
}

impl Record {
    /// `names` are those of the file, `null` the unquoted text that means null.
    pub(super) fn new(names: Vec<String>, columns: &Columns, filters: &[Filter], null: &str) -> Self {
        let place = |path: &Path| {
            let wanted = header::name(path)?;
            names.iter().position(|name| name == wanted)
        };
        let filters = filters.iter().map(|filter| (filter.clone(), place(&filter.from))).collect();
        let cells = names.len();
        let shape = match columns {
            Columns::Given { columns, .. } => {
                let place = |column: &Column| match &column.source {
                    Source::Record { from, .. } => place(from),
                    Source::Const(_) | Source::Builtin(_) => None,
                };
                Shape::Columns(columns.iter().map(|column| (column.clone(), place(column))).collect())
            }
            Columns::Observed => Shape::All(names),
        };
        Self { cells, shape, filters, null: null.to_owned() }
    }

    /// How many cells a row has.
    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    /// Appends the record of a row that passes the filters; when the row is bad, `out` is as it was.
    pub(super) fn write(
        &self,
        cells: &Cells,
        facts: Facts,
        about: &About,
        writer: &mut Writer,
        out: &mut Vec<u8>,
    ) -> Result<(), Bad> {
        if cells.count() != self.cells {
            let what = format!("the row has {}, the first row has {}", counted(cells.count()), self.cells);
            return Err(Bad::new(&code::CSV_RAGGED, what));
        }
        let found = |place: usize| cells.get(place).map(|cell| self.found(cell));
        if !self.filters.iter().all(|(filter, place)| filter.passes(place.and_then(found))) {
            return Ok(());
        }
        let (before, was_first) = (out.len(), writer.is_first());
        writer.begin(out);
        let written = match &self.shape {
            Shape::All(names) => names.iter().enumerate().try_for_each(|(place, name)| {
                writer.value(place, name, out, |cell| Ok(write(found(place), cell)))
            }),
            Shape::Columns(columns) => columns.iter().enumerate().try_for_each(|(at, (column, place))| {
                let found = place.and_then(found);
                writer.value(at, &column.name, out, |cell| cell::write(column, found, facts, about, cell))
            }),
        };
        match written {
            Ok(()) => writer.end(out),
            Err(_) => {
                out.truncate(before);
                writer.undo(was_first);
            }
        }
        written
    }

    fn found<'a>(&self, cell: Cell<'a>) -> Found<'a> {
        if !cell.is_quoted && cell.text == self.null { Found::Null } else { Found::Text(cell.text) }
    }
}

fn write(found: Option<Found<'_>>, cell: &mut Vec<u8>) -> Value {
    match found {
        Some(Found::Text(text) | Found::Bare(text)) => {
            cell.extend_from_slice(text.as_bytes());
            Value::Text
        }
        Some(Found::Null) | None => Value::Null,
    }
}

fn counted(cells: usize) -> String {
    format!("{cells} cell{}", if cells == 1 { "" } else { "s" })
}
