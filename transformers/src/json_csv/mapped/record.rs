//! One record to its rows: what the columns ask for, what the filters let pass, one row for each element that is exploded.

use outport_core::code;

use super::bad::Bad;
use super::cell::{self, Facts};
use super::tape::{Kind, Tape, TokenId, found};
use super::wanted::{Slot, Wanted};
use super::whole::{self, Whole};
use super::writer::{Value, Writer};
use crate::spec::{
    Arrays, Column, Columns, Explode, ExplodeEmpty, Filter, JsonInput, Others, Path, Source, Type,
};
use crate::transform::About;

/// Rows of one record, in bytes: more is taken for an attack, or an explode that cannot be meant (each row repeats its parents).
const MOST_ROWS_BYTES: usize = 1 << 30;

#[derive(Debug)]
struct Test {
    slot: Slot,
    is_relative: bool,
    filter: Filter,
}

#[derive(Debug)]
struct Exploded {
    slot: Slot,
    empty: ExplodeEmpty,
    path: String,
    wanted: Wanted,
}

#[derive(Debug)]
enum Shape {
    /// The columns, each with the slot of its value if it has one.
    Columns(Vec<(Column, Option<Slot>)>),
    Whole(Whole),
}

/// A spec, ready for records.
#[derive(Debug)]
pub(super) struct Mapping {
    wanted: Wanted,
    exploded: Option<Exploded>,
    tests: Vec<Test>,
    shape: Shape,
    arrays: Arrays,
    about: About,
    tape: Tape,
    found: Vec<Option<TokenId>>,
}

impl Mapping {
    pub(super) fn new(
        input: &JsonInput,
        columns: &Columns,
        filters: &[Filter],
        arrays: Arrays,
        about: About,
    ) -> Self {
        let refuses = matches!(columns, Columns::Given { others: Others::Error, .. });
        let mut wanted = Wanted::new(input.duplicate_keys, refuses);
        let mut slots = 0;
        let mut exploded = input.explode.as_ref().map(|Explode { path, empty }| {
            slots += 1;
            wanted.want(path, slots - 1);
            let element = Wanted::new(input.duplicate_keys, refuses);
            Exploded { slot: slots - 1, empty: *empty, path: path.to_string(), wanted: element }
        });
        let mut want = |path: &Path| {
            slots += 1;
            match &mut exploded {
                Some(exploded) if path.is_relative() => exploded.wanted.want(path, slots - 1),
                _ => wanted.want(path, slots - 1),
            }
            slots - 1
        };
        let tests = filters
            .iter()
            .map(|filter| Test {
                slot: want(&filter.from),
                is_relative: filter.from.is_relative(),
                filter: filter.clone(),
            })
            .collect();
        let shape = match columns {
            Columns::Observed => {
                Shape::Whole(Whole { arrays: arrays.clone(), duplicates: input.duplicate_keys })
            }
            Columns::Given { columns, .. } => Shape::Columns(
                columns
                    .iter()
                    .map(|column| {
                        let slot = match &column.source {
                            Source::Record { from, .. } => Some(want(from)),
                            _ => None,
                        };
                        (column.clone(), slot)
                    })
                    .collect(),
            ),
        };
        Self {
            wanted,
            exploded,
            tests,
            shape,
            arrays,
            about,
            tape: Tape::default(),
            found: vec![None; slots],
        }
    }

    /// What is known of the input.
    pub(super) fn about(&mut self, about: About) {
        self.about = about;
    }

    /// Appends the rows of a record; on a fault `out` is as it was. Gives how many rows there were.
    pub(super) fn rows(
        &mut self,
        text: &[u8],
        facts: Facts,
        writer: &mut Writer,
        out: &mut Vec<u8>,
    ) -> Result<u64, Bad> {
        let (before, was_first) = (out.len(), writer.is_first());
        self.tape.read(text);
        let rows = self.try_rows(text, facts, writer, out);
        if rows.is_err() {
            out.truncate(before);
            writer.undo(was_first);
        }
        rows
    }

    fn try_rows(
        &mut self,
        text: &[u8],
        facts: Facts,
        writer: &mut Writer,
        out: &mut Vec<u8>,
    ) -> Result<u64, Bad> {
        let before = out.len();
        self.found.fill(None);
        self.wanted.find(&self.tape, text, 0, &mut self.found).map_err(unknown_key)?;
        if !self.passes(text, false) {
            return Ok(0);
        }
        let Some(exploded) = &self.exploded else {
            self.row(text, facts, None, writer, out)?;
            return Ok(1);
        };
        let array = self.found[exploded.slot];
        let elements: Vec<TokenId> = match array.map(|array| (array, self.tape.kind(array))) {
            Some((array, Kind::Array)) => self.tape.elements(array).collect(),
            None | Some((_, Kind::Null)) => Vec::new(),
            Some(_) => {
                let what = "the value that is to be exploded is no array";
                return Err(Bad::new(&code::MAPPING_ARRAY, what).at(exploded.path.clone()));
            }
        };
        if elements.is_empty() {
            if exploded.empty == ExplodeEmpty::Drop || !self.passes(text, true) {
                return Ok(0);
            }
            self.row(text, facts, array.map(|array| (array, None)), writer, out)?;
            return Ok(1);
        }
        let mut rows = 0;
        let absolute = self.found.clone();
        for element in elements {
            self.found.clone_from(&absolute);
            if let Some(exploded) = &self.exploded {
                exploded.wanted.find(&self.tape, text, element, &mut self.found).map_err(unknown_key)?;
            }
            if !self.passes(text, true) {
                continue;
            }
            self.row(text, facts, array.map(|array| (array, Some(element))), writer, out)?;
            rows += 1;
            if out.len() - before > MOST_ROWS_BYTES {
                let what = format!("its rows are larger than {MOST_ROWS_BYTES} bytes together");
                return Err(Bad::new(&code::JSON_RECORD_TOO_LARGE, what));
            }
        }
        Ok(rows)
    }

    fn passes(&self, text: &[u8], relative: bool) -> bool {
        let mut scratch = String::new();
        self.tests.iter().filter(|test| test.is_relative == relative).all(|test| {
            let token = self.found[test.slot];
            test.filter.passes(token.map(|token| found(&self.tape, text, token, &mut scratch)))
        })
    }

    fn row(
        &self,
        text: &[u8],
        facts: Facts,
        exploded: Option<(TokenId, Option<TokenId>)>,
        writer: &mut Writer,
        out: &mut Vec<u8>,
    ) -> Result<(), Bad> {
        let columns = match &self.shape {
            Shape::Whole(whole) => {
                writer.begin(out);
                whole.write(&self.tape, text, exploded, out)?;
                writer.end_whole(out);
                return Ok(());
            }
            Shape::Columns(columns) => columns,
        };
        writer.begin(out);
        for (place, (column, slot)) in columns.iter().enumerate() {
            let token = slot.and_then(|slot| self.found[slot]);
            writer.value(place, &column.name, out, |cell| self.cell(column, token, text, facts, cell))?;
        }
        writer.end(out);
        Ok(())
    }

    /// Appends the text of a column's value to `cell`.
    fn cell(
        &self,
        column: &Column,
        token: Option<TokenId>,
        text: &[u8],
        facts: Facts,
        cell: &mut Vec<u8>,
    ) -> Result<Value, Bad> {
        if let (Source::Record { from, ty: Type::Any, .. }, Some(token)) = (&column.source, token)
            && self.tape.kind(token) == Kind::Array
        {
            let is_text = whole::cell(&self.arrays, &self.tape, text, token, cell)
                .map_err(|bad| bad.at(from.to_string()))?;
            return Ok(if is_text { Value::Text } else { Value::Bare });
        }
        let mut scratch = String::new();
        let found = token.map(|token| found(&self.tape, text, token, &mut scratch));
        cell::write(column, found, facts, &self.about, cell)
    }
}

fn unknown_key(path: String) -> Bad {
    Bad::new(&code::MAPPING_UNKNOWN_KEY, "the spec has no column for this key").at(path)
}
