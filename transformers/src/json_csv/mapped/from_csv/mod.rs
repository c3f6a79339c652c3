//! `csv-to-json`: rows of CSV as records of JSON.
//!
//! The reader of rows is our own: csv-core says neither whether a cell was quoted, which decides between null and text, nor that
//! it met text behind a closing quote, a quote inside a plain cell or a blank line; it repairs or drops those without a word.

mod cells;
mod header;
mod record;
mod rows;

use outport_core::{Fault, code};

use self::cells::Cells;
use self::record::Record;
use self::rows::Rows;
use super::bad::Bad;
use super::cell::Facts;
use super::progress::Progress;
use super::quarantine::Quarantine;
use super::writer::Writer;
use crate::json_csv::problem::Place;
use crate::spec::{Columns, CsvInput, CsvOutput, ErrorPolicy, Filter, JsonLayout, Spec};
use crate::transform::{About, Finish, OUT_FULL, Summary, Transform};

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Rows of CSV to records of JSON, in one pass and in the memory of one row.
#[derive(Debug)]
pub(crate) struct CsvToJson {
    input: CsvInput,
    columns: Columns,
    filters: Vec<Filter>,
    about: About,
    /// Bytes of a byte order mark that were there; none once something else came.
    mark: Option<usize>,
    rows: Rows,
    cells: Cells,
    /// None until the first row has said what the columns of the file are.
    record: Option<Record>,
    /// Rows read, without the header.
    records: u64,
    /// A line without anything came in front of the first row, where that is no header.
    began_blank: bool,
    writer: Writer,
    quarantine: Option<Quarantine>,
    progress: Progress,
}

impl CsvToJson {
    pub(crate) fn new(spec: &Spec, input: &CsvInput, layout: JsonLayout) -> Self {
        let most = spec.input().max_record_bytes;
        let quarantine = match spec.errors() {
            ErrorPolicy::Reject => None,
            ErrorPolicy::Quarantine { max_bad } => Some(Quarantine::new(max_bad, most)),
        };
        Self {
            input: input.clone(),
            columns: spec.columns().clone(),
            filters: spec.filters().to_vec(),
            about: About::default(),
            mark: Some(0),
            rows: Rows::new(input.delimiter, most),
            cells: Cells::default(),
            record: None,
            records: 0,
            began_blank: false,
            writer: Writer::json(layout),
            quarantine,
            progress: Progress::default(),
        }
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut taken = 0;
        while taken < chunk.len() && out.len() < OUT_FULL {
            taken += match self.mark {
                Some(seen) if chunk[taken] == BYTE_ORDER_MARK[seen] => {
                    self.mark_goes_on(seen);
                    1
                }
                Some(_) => {
                    self.end_mark(out)?;
                    0
                }
                None => self.take_row(&chunk[taken..], out)?,
            };
        }
        Ok(taken)
    }

    fn mark_goes_on(&mut self, seen: usize) {
        if seen + 1 < BYTE_ORDER_MARK.len() {
            self.mark = Some(seen + 1);
            return;
        }
        self.mark = None;
        self.rows.skip(BYTE_ORDER_MARK.len());
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.read(&BYTE_ORDER_MARK);
            quarantine.forget(self.rows.byte());
        }
    }

    /// What began like a byte order mark and is none belongs to the first row.
    fn end_mark(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let seen = self.mark.take().unwrap_or_default();
        self.take_row(&BYTE_ORDER_MARK[..seen], out)?;
        Ok(())
    }

    /// Takes from the front of `bytes`, up to the end of a row.
    fn take_row(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let (taken, is_row) = match self.rows.take(bytes) {
            Ok(taken) => taken,
            Err(wrong) => return Err(self.rows.fault(wrong, self.next_record())),
        };
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.read(&bytes[..taken]);
        }
        if is_row {
            self.row(out)?;
        }
        Ok(taken)
    }

    /// The number of the row being read; the header has none.
    fn next_record(&self) -> Option<u64> {
        (self.record.is_some() || !self.input.header).then_some(self.records + 1)
    }

    /// A row is complete.
    fn row(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let is_header = self.record.is_none() && self.input.header;
        if is_header {
            self.header()?;
        } else if self.record.is_none() && self.rows.raw().is_empty() {
            self.began_blank = true;
        } else if self.is_data() {
            self.records += 1;
            let (byte, line) = self.rows.start();
            let place = Place { record: Some(self.records), line, byte, path: None };
            if let Err(bad) = self.data(Facts { number: self.records, byte }, out) {
                let fault = bad.fault(place.clone());
                match &mut self.quarantine {
                    // Without a first row nobody knows what the others have to be.
                    Some(_) if self.record.is_none() && fault.code == &code::CSV_RAGGED => return Err(fault),
                    Some(quarantine) => quarantine.reject(&place, self.rows.end(), &fault)?,
                    None => return Err(fault),
                }
            }
        }
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.forget(self.rows.byte());
        }
        self.rows.begin();
        Ok(())
    }

    /// In a file of several columns a line without anything is no row: it could not hold one. In a file of one column it is a row
    /// with an empty cell.
    fn is_data(&self) -> bool {
        !self.rows.raw().is_empty() || self.record.as_ref().is_none_or(|record| record.cells() == 1)
    }

    fn header(&mut self) -> Result<(), Fault> {
        if self.rows.raw().is_empty() {
            return Ok(());
        }
        let names = cells::text(self.rows.raw()).and_then(|row| {
            self.cells.read(row, self.input.delimiter, CsvOutput::MOST_COLUMNS);
            header::names(&self.cells)
        });
        self.bind(names)
    }

    /// Settles which cell makes which member.
    fn bind(&mut self, names: Result<Vec<String>, Bad>) -> Result<(), Fault> {
        let record = names.and_then(|names| {
            header::check(&names, &self.columns, &self.filters)?;
            Ok(Record::new(names, &self.columns, &self.filters, &self.input.null))
        });
        let (byte, line) = self.rows.start();
        let place = Place { record: None, line, byte, path: None };
        self.record = Some(record.map_err(|bad| header::fault(bad, place, self.rows.raw()))?);
        Ok(())
    }

    fn data(&mut self, facts: Facts, out: &mut Vec<u8>) -> Result<(), Bad> {
        let row = cells::text(self.rows.raw())?;
        let most = self.record.as_ref().map_or(CsvOutput::MOST_COLUMNS, Record::cells);
        self.cells.read(row, self.input.delimiter, most);
        let record = match &mut self.record {
            Some(record) => record,
            // Without a header the first row says how many columns there are.
            unknown => {
                let names = header::numbers(&self.cells)?;
                if self.began_blank && names.len() == 1 {
                    let what = "this is the first row and has one cell; what is blank in front of it may be rows, too";
                    return Err(Bad::new(&code::CSV_RAGGED, what)
                        .with_hint("remove the blank lines in front of the first row, if they are none"));
                }
                header::check(&names, &self.columns, &self.filters)?;
                unknown.insert(Record::new(names, &self.columns, &self.filters, &self.input.null))
            }
        };
        record.write(&self.cells, facts, &self.about, &mut self.writer, out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<Summary, Fault> {
        self.end_mark(out)?;
        match self.rows.finish() {
            Ok(true) => self.row(out)?,
            Ok(false) => {}
            Err(wrong) => return Err(self.rows.fault(wrong, self.next_record())),
        }
        // A file of nothing is a table of nothing, as json-to-csv writes `[]`; but then a required column is not there.
        if self.record.is_none() && self.input.header {
            self.bind(Ok(Vec::new()))?;
        }
        self.writer.finish(out);
        let mut rejected = 0;
        if let Some(quarantine) = &self.quarantine {
            quarantine.end(self.records)?;
            rejected = quarantine.bad();
        }
        let bytes_in = self.rows.byte();
        Ok(Summary { records: Some(self.records), rejected, columns: None, bytes_in, bytes_out: 0 })
    }
}

impl Transform for CsvToJson {
    fn about(&mut self, about: &About) {
        self.about = about.clone();
    }

    fn take_rejects(&mut self, out: &mut Vec<u8>) {
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.take(out);
        }
    }

    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut progress = std::mem::take(&mut self.progress);
        let taken = progress.push(out, |out| self.take(chunk, out));
        self.progress = progress;
        taken
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        let mut progress = std::mem::take(&mut self.progress);
        let finish = progress.finish(out, |out| self.end(out));
        self.progress = progress;
        finish
    }
}
