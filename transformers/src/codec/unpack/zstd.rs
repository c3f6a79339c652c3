//! zstd to bytes.

use outport_core::Fault;
use zstd_safe::zstd_sys::ZSTD_ErrorCode as Kind;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, is_error_kind};

use super::damage::Damage;
use crate::codec::PORTION;
use crate::codec::before::Inward;

/// 128 MiB, what `zstd --long` and the library's own default ask for at most. A window is memory that the sender decides on.
const WINDOW_LOG: u32 = 27;

/// Decompresses zstd frames, one after the other; a frame's checksum is compared where it has one.
pub(in crate::codec) struct Zstd {
    context: DCtx<'static>,
    at: u64,
    /// Where the frame begins.
    begun: u64,
    frames: u64,
    /// What the library would like next, in bytes; 0 between frames.
    wanted: usize,
}

impl Zstd {
    pub(in crate::codec) fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
            .expect("27 is within the library's bounds");
        Self { context, at: 0, begun: 0, frames: 0, wanted: 0 }
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Damage> {
        let mut taken = 0;
        // `decompress` makes room for what a block still holds back, so that `out` is never full after a block that fills it.
        while taken < input.len() && out.len() < PORTION {
            if self.wanted == 0 {
                self.begun = self.at;
            }
            // Never past the end of a block: a call that fails does not say what it put out before. What the library wants is the rest of a
            // block and the header of the next, which has 3 bytes.
            let length = self.wanted.saturating_sub(3).clamp(1, input.len() - taken);
            let portion = &input[taken..taken + length];
            taken += self.decompress(portion, out)?;
        }
        Ok(taken)
    }

    /// Decompresses until `out` is full or the input used up and everything in it put out. Says how many bytes it took.
    fn decompress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Damage> {
        let mut input = InBuffer::around(input);
        loop {
            if out.len() == out.capacity() {
                out.reserve(PORTION);
            }
            let (before, filled) = (input.pos(), out.len());
            let result = self.context.decompress_stream(&mut OutBuffer::around_pos(out, filled), &mut input);
            self.wanted = result.map_err(|code| self.damage(code))?;
            self.at += (input.pos() - before) as u64;
            if self.wanted == 0 {
                self.frames += 1;
                return Ok(input.pos());
            }
            let (is_full, is_used_up) = (out.len() == out.capacity(), input.pos() == input.src.len());
            // Both: something may be held back. Neither: there is room for more.
            if is_full != is_used_up {
                return Ok(input.pos());
            }
        }
    }

    fn damage(&self, code: usize) -> Damage {
        let begun = self.begun;
        let is = |kind| is_error_kind(code, kind);
        if is(Kind::ZSTD_error_prefix_unknown) || is(Kind::ZSTD_error_version_unsupported) {
            if self.frames == 0 { Damage::NotThis } else { Damage::Garbage { at: begun } }
        } else if is(Kind::ZSTD_error_frameParameter_windowTooLarge) {
            Damage::Window { begun }
        } else if is(Kind::ZSTD_error_frameParameter_unsupported) {
            Damage::Header { begun }
        } else if is(Kind::ZSTD_error_dictionary_wrong) {
            Damage::Dictionary { begun }
        } else if is(Kind::ZSTD_error_checksum_wrong) {
            Damage::Checksum { begun }
        } else if is(Kind::ZSTD_error_memory_allocation) {
            Damage::Memory { begun }
        } else {
            Damage::Data { begun }
        }
    }
}

impl Inward for Zstd {
    fn restart(&mut self) {
        *self = Self::new();
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        self.read(input, out).map_err(|damage| damage.fault("zstd"))
    }

    fn end(&mut self, _out: &mut Vec<u8>) -> Result<(), Fault> {
        let damage = match (self.wanted, self.frames) {
            (0, 0) => Damage::Empty,
            (0, _) => return Ok(()),
            _ => Damage::Truncated { at: self.at, begun: self.begun },
        };
        Err(damage.fault("zstd"))
    }
}
