//! `pass-through`: the bytes as they are, counted.

use outport_core::Fault;

use crate::transform::{Finish, Summary, Transform};

/// Hands the input on unchanged, in one pass; for subscriptions that want the original, and for sizes and
/// hashes made on the way. An empty input is fine: what the bytes mean is not its business.
#[derive(Debug, Default)]
pub struct PassThrough {
    bytes: u64,
}

impl PassThrough {
    /// A transform at the start of its input.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Transform for PassThrough {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        out.extend_from_slice(chunk);
        self.bytes += chunk.len() as u64;
        Ok(chunk.len())
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<Finish, Fault> {
        Ok(Finish::Done(Summary {
            records: None,
            rejected: 0,
            columns: None,
            bytes_in: self.bytes,
            bytes_out: self.bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        for input in [&b""[..], b"%PDF-1.7\n\x00\xff\xfe", b"{not json"] {
            let mut out = Vec::new();
            let summary = crate::run(&mut PassThrough::new(), || Ok(input), &mut out).unwrap();
            assert_eq!(out, input);
            assert_eq!((summary.bytes_in, summary.bytes_out), (input.len() as u64, input.len() as u64));
            assert_eq!((summary.records, summary.columns), (None, None));
        }
    }
}
