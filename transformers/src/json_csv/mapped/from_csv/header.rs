//! The names of the columns of a file, and whether they are those that the spec means.
//!
//! No message shows a name of the file: where the header was forgotten, the first row is content.

use std::collections::{HashMap, HashSet};

use outport_core::{Fault, code};

use super::super::bad::Bad;
use super::cells::Cells;
use crate::json_csv::problem::Place;
use crate::spec::{Absent, Columns, CsvOutput, Filter, Others, Path, Source};

/// The names in the header.
pub(super) fn names(cells: &Cells) -> Result<Vec<String>, Bad> {
    limit(cells)?;
    let mut places = HashMap::new();
    let mut names = Vec::with_capacity(cells.count());
    while let Some(cell) = cells.get(names.len()) {
        names.push(cell.text.to_owned());
        if let Some(first) = places.insert(cell.text, names.len()) {
            let what = format!("cells {first} and {} of the header have the same name", names.len());
            return Err(Bad::new(&code::CSV_HEADER, what));
        }
    }
    Ok(names)
}

/// The names of columns that have none: `1`, `2`, ...
pub(super) fn numbers(cells: &Cells) -> Result<Vec<String>, Bad> {
    limit(cells)?;
    Ok((1..=cells.count()).map(|number| number.to_string()).collect())
}

fn limit(cells: &Cells) -> Result<(), Bad> {
    if cells.count() <= CsvOutput::MOST_COLUMNS {
        return Ok(());
    }
    let what = format!("there are {} columns, more than {}", cells.count(), CsvOutput::MOST_COLUMNS);
    Err(Bad::new(&code::CSV_HEADER, what))
}

/// Checks what every row would get wrong.
pub(super) fn check(names: &[String], columns: &Columns, filters: &[Filter]) -> Result<(), Bad> {
    let Columns::Given { columns, others } = columns else { return Ok(()) };
    let there: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut wanted: HashSet<&str> = filters.iter().filter_map(|filter| name(&filter.from)).collect();
    for column in columns {
        if let Source::Record { from, absent, .. } = &column.source {
            wanted.extend(name(from));
            if *absent == Absent::Required && name(from).is_none_or(|name| !there.contains(name)) {
                return Err(Bad::absent(&column.name, false).at(from.to_string()));
            }
        }
    }
    let unknown = names.iter().position(|name| !wanted.contains(name.as_str()));
    match unknown.filter(|_| *others == Others::Error) {
        None => Ok(()),
        Some(place) => {
            let what = format!("the spec has no column for column {} of the input", place + 1);
            Err(Bad::new(&code::MAPPING_UNKNOWN_KEY, what))
        }
    }
}

/// The name in the header that a pointer means.
pub(super) fn name(path: &Path) -> Option<&str> {
    path.keys().first().map(String::as_str)
}

/// The fault of a bad header; `raw` may show by its first bytes what the file really is.
pub(super) fn fault(bad: Bad, place: Place, raw: &[u8]) -> Fault {
    let fault = bad.fault(place);
    match raw {
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, ..] | [_, 0, ..] => {
            fault.with_hint("the file looks like UTF-16; export it as UTF-8, or set `encoding` in [input]")
        }
        _ => fault,
    }
}
