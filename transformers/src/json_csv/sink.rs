//! What the scanner tells while it reads.

use super::problem::Problem;

/// What a cell holds, which decides how an empty one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `null`; no bytes.
    Null,
    /// A string, decoded.
    Text,
    /// A number or boolean as written, or an array as compact JSON.
    Bare,
}

/// Whether the scanner reads on behind a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    /// There is enough output for now.
    Enough,
}

/// Takes what the scanner finds, in input order. Only objects outside of arrays are told as objects; an array
/// is one cell.
pub(super) trait Sink {
    /// A record begins; its `open_object` follows. Numbers count from 1.
    fn begin_record(&mut self, number: u64);
    /// `{` of the record, or of the object under the latest key.
    fn open_object(&mut self);
    /// A key of the innermost object, decoded; its value follows.
    fn key(&mut self, key: &[u8]) -> Result<(), Problem>;
    /// `}`.
    fn close_object(&mut self) -> Result<(), Problem>;
    /// An array begins under the latest key, outside of other arrays. True: its elements are the records.
    fn enters_array(&mut self) -> bool {
        false
    }
    /// More bytes of the cell under the latest key.
    fn cell(&mut self, bytes: &[u8]);
    /// The cell is complete.
    fn end_cell(&mut self, kind: Kind) -> Result<(), Problem>;
    /// The record is complete.
    fn end_record(&mut self) -> Flow;
    /// JSON Pointer to what is being read.
    fn pointer(&self) -> Option<String>;
}
