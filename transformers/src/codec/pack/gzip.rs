//! Bytes to gzip.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use outport_core::{Fault, code};

use crate::codec::PORTION;
use crate::codec::after::Outward;

/// RFC 1952, section 2.3: deflate, no fields, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// One gzip member.
pub(in crate::codec) struct Gzip {
    deflate: Compress,
    crc: Crc,
    has_header: bool,
}

impl Gzip {
    pub(in crate::codec) fn new() -> Self {
        let deflate = Compress::new(Compression::default(), false);
        Self { deflate, crc: Crc::new(), has_header: false }
    }

    /// Compresses all of `bytes`; with [`FlushCompress::Finish`], to the end of the stream.
    fn deflate(&mut self, bytes: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.has_header {
            self.has_header = true;
            out.extend_from_slice(&HEADER);
        }
        let mut read = 0;
        loop {
            // What deflate makes depends on where its output is cut, too. This is room for a portion that does not compress and for all
            // that is held back: one call each time, on every machine.
            out.reserve(3 * PORTION);
            let before = self.deflate.total_in();
            let status = self.deflate.compress_vec(&bytes[read..], out, flush).map_err(|error| {
                Fault::new(&code::TRANSFORM_FAILED, format!("could not write gzip: {error}"))
            })?;
            read += (self.deflate.total_in() - before) as usize;
            let is_over = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => read == bytes.len() && out.len() < out.capacity(),
            };
            if is_over {
                return Ok(());
            }
        }
    }
}

impl Outward for Gzip {
    fn restart(&mut self) {
        *self = Self::new();
    }

    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.crc.update(bytes);
        self.deflate(bytes, FlushCompress::None, out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.deflate(&[], FlushCompress::Finish, out)?;
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
        Ok(())
    }
}
