//! One whole record as compact text.

use crate::json_csv::problem::Problem;
use crate::json_csv::sink::{Flow, Kind, Sink};

/// A buffer that once held a huge record gives the memory back down to this size, in bytes.
const KEEP_BYTES: usize = 4 << 20;

/// Gathers a record's text from a scanner that tells records whole.
#[derive(Debug, Default)]
pub(super) struct Capture {
    pub(super) text: Vec<u8>,
    is_complete: bool,
}

impl Capture {
    /// The record that has just ended, if one has; asked once.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.is_complete).then(|| std::mem::take(&mut self.text))
    }

    /// The buffer of a record that is done with.
    pub(super) fn give_back(&mut self, mut text: Vec<u8>) {
        text.clear();
        text.shrink_to(KEEP_BYTES);
        self.text = text;
    }
}

impl Sink for Capture {
    fn begin_record(&mut self, _: u64) {
        self.text.clear();
        self.is_complete = false;
    }

    fn open_object(&mut self) {}

    fn key(&mut self, _: &[u8]) -> Result<(), Problem> {
        Ok(())
    }

    fn close_object(&mut self) -> Result<(), Problem> {
        Ok(())
    }

    fn cell(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    fn end_cell(&mut self, _: Kind) -> Result<(), Problem> {
        Ok(())
    }

    fn end_record(&mut self) -> Flow {
        self.is_complete = true;
        Flow::Enough
    }

    fn pointer(&self) -> Option<String> {
        None
    }
}
