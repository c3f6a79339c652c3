//! Bytes to zstd.

use outport_core::{Fault, code};
use zstd_safe::zstd_sys::ZSTD_EndDirective as Directive;
use zstd_safe::{CCtx, CLEVEL_DEFAULT, CParameter, InBuffer, OutBuffer, get_error_name};

use crate::codec::PORTION;
use crate::codec::after::Outward;

/// One zstd frame.
pub(in crate::codec) struct Zstd {
    context: CCtx<'static>,
}

impl Zstd {
    pub(in crate::codec) fn new() -> Self {
        let mut context = CCtx::create();
        for parameter in [CParameter::CompressionLevel(CLEVEL_DEFAULT), CParameter::ChecksumFlag(true)] {
            context.set_parameter(parameter).expect("values within the library's bounds");
        }
        Self { context }
    }

    /// Compresses all of `bytes`; with [`Directive::ZSTD_e_end`], to the end of the frame.
    fn compress(&mut self, bytes: &[u8], directive: Directive, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut input = InBuffer::around(bytes);
        loop {
            if out.len() == out.capacity() {
                out.reserve(PORTION);
            }
            let filled = out.len();
            let left = self
                .context
                .compress_stream2(&mut OutBuffer::around_pos(out, filled), &mut input, directive)
                .map_err(|code| {
                    let cause = get_error_name(code);
                    Fault::new(&code::TRANSFORM_FAILED, format!("could not write zstd: {cause}"))
                })?;
            let is_over = match directive {
                Directive::ZSTD_e_end => left == 0,
                _ => input.pos() == bytes.len(),
            };
            if is_over {
                return Ok(());
            }
        }
    }
}

impl Outward for Zstd {
    fn restart(&mut self) {
        *self = Self::new();
    }

    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.compress(bytes, Directive::ZSTD_e_continue, out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.compress(&[], Directive::ZSTD_e_end, out)
    }
}
