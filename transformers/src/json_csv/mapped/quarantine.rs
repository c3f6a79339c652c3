//! Records that are left out: kept with their bytes and the reason, while the others go on.

use base64ct::{Base64, Encoding};
use outport_core::{Fault, code};
use serde::Serialize;

use crate::json_csv::problem::Place;
use crate::spec::MaxBad;

/// The input since the end of the last record, and what was rejected.
#[derive(Debug)]
pub(super) struct Quarantine {
    max_bad: MaxBad,
    bad: u64,
    /// The input from `from` on.
    raw: Vec<u8>,
    from: u64,
    /// Bytes of one record that are kept.
    most: usize,
    lines: Vec<u8>,
    /// What was wrong with the latest one.
    last: String,
}

#[derive(Serialize)]
struct Reject<'a> {
    record: u64,
    line: u64,
    byte: u64,
    /// Bytes of the record.
    len: u64,
    code: &'static str,
    error: &'a str,
    /// The record as it came (RFC 4648 section 4); its front, if it is larger than a record may be.
    raw_b64: String,
}

impl Quarantine {
    pub(super) fn new(max_bad: MaxBad, most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { max_bad, bad: 0, raw: Vec::new(), from: 0, most, lines: Vec::new(), last: String::new() }
    }

    /// More of the input was read.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }

    /// Nothing in front of `byte` is needed any more.
    pub(super) fn forget(&mut self, byte: u64) {
        let gone = usize::try_from(byte.saturating_sub(self.from)).unwrap_or(usize::MAX).min(self.raw.len());
        self.raw.drain(..gone);
        self.from += gone as u64;
    }

    /// Where what is kept begins.
    pub(super) fn from(&self) -> u64 {
        self.from
    }

    pub(super) fn kept(&self) -> &[u8] {
        &self.raw
    }

    pub(super) fn bad(&self) -> u64 {
        self.bad
    }

    /// Leaves out the record at a place that ends before `to`.
    ///
    /// # Errors
    /// It is one too many.
    pub(super) fn reject(&mut self, place: &Place, to: u64, fault: &Fault) -> Result<(), Fault> {
        let error = &fault.message;
        self.bad += 1;
        if let MaxBad::Count(most) = self.max_bad
            && self.bad > most
        {
            return Err(too_many(self.bad, self.max_bad, error));
        }
        let offset = |byte: u64| {
            usize::try_from(byte.saturating_sub(self.from)).unwrap_or(usize::MAX).min(self.raw.len())
        };
        let raw = &self.raw[offset(place.byte)..offset(to)];
        let reject = Reject {
            record: place.record.unwrap_or_default(),
            line: place.line,
            byte: place.byte,
            len: to - place.byte,
            code: fault.code.name,
            error,
            raw_b64: Base64::encode_string(&raw[..raw.len().min(self.most)]),
        };
        let line = serde_json::to_vec(&reject).map_err(|error| {
            Fault::new(&code::TRANSFORM_FAILED, format!("could not write a reject: {error}"))
        })?;
        self.lines.extend_from_slice(&line);
        self.lines.push(b'\n');
        self.last.clone_from(error);
        Ok(())
    }

    /// Checks the share of bad records, which only the end can tell.
    pub(super) fn end(&self, records: u64) -> Result<(), Fault> {
        if self.max_bad.allows(self.bad, records) {
            return Ok(());
        }
        Err(too_many(self.bad, self.max_bad, &self.last))
    }

    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.lines);
    }
}

fn too_many(bad: u64, max_bad: MaxBad, last: &str) -> Fault {
    let message =
        format!("could not convert the file: {bad} records are bad, max_bad is {max_bad}; the last: {last}");
    Fault::new(&code::MAPPING_TOO_MANY_BAD, message)
}
