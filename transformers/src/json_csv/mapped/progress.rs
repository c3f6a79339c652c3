//! How far a transform of one pass has come: open, done, or failed for good.

use outport_core::{Fault, code};

use crate::transform::{Finish, Summary};

/// Open until the end or the first fault; what it then says it says for ever. Counts what was put out.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes_out: u64,
    ended: Option<Result<Summary, Fault>>,
}

impl Progress {
    /// A push: `take` appends to `out` and says how much of the input it took.
    pub(super) fn push(
        &mut self,
        out: &mut Vec<u8>,
        take: impl FnOnce(&mut Vec<u8>) -> Result<usize, Fault>,
    ) -> Result<usize, Fault> {
        match &self.ended {
            None => {}
            Some(Ok(_)) => {
                return Err(Fault::new(&code::TRANSFORM_FAILED, "could not take input behind its end"));
            }
            Some(Err(fault)) => return Err(fault.clone()),
        }
        let before = out.len();
        let taken = take(out);
        self.bytes_out += (out.len() - before) as u64;
        taken.inspect_err(|fault| self.ended = Some(Err(fault.clone())))
    }

    /// The end: `end` appends the tail, and its summary lacks only the size of the output.
    pub(super) fn finish(
        &mut self,
        out: &mut Vec<u8>,
        end: impl FnOnce(&mut Vec<u8>) -> Result<Summary, Fault>,
    ) -> Result<Finish, Fault> {
        if self.ended.is_none() {
            let before = out.len();
            let ended = end(out);
            self.bytes_out += (out.len() - before) as u64;
            self.ended = Some(ended.map(|summary| Summary { bytes_out: self.bytes_out, ..summary }));
        }
        match &self.ended {
            Some(Ok(summary)) => Ok(Finish::Done(*summary)),
            Some(Err(fault)) => Err(fault.clone()),
            None => Ok(Finish::More),
        }
    }
}
