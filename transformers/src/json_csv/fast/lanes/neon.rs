//! NEON.

use std::arch::aarch64::{
    uint8x16_t, vaddv_u8, vandq_u8, vceqq_u8, vcleq_u8, vcltq_u8, vdupq_n_u8, vget_high_u8, vget_low_u8,
    vgetq_lane_u64, vld1q_u8, vorrq_u8, vqtbl1q_u8, vreinterpretq_u64_u8, vst1q_u8, vsubq_u8,
};

/// NEON is part of every AArch64 that Rust's standard targets name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes16(uint8x16_t);

impl Bytes16 {
    #[inline(always)]
    pub(super) unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller says that sixteen bytes can be read there.
        Self(unsafe { vld1q_u8(from) })
    }

    #[inline(always)]
    pub(super) unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller says that sixteen bytes can be written there.
        unsafe { vst1q_u8(to, self.0) }
    }

    #[inline(always)]
    pub(super) fn splat(byte: u8) -> Self {
        Self(unsafe { vdupq_n_u8(byte) })
    }

    #[inline(always)]
    pub(super) fn equal(self, other: Self) -> u32 {
        mask(unsafe { vceqq_u8(self.0, other.0) })
    }

    #[inline(always)]
    pub(super) fn ends_of_text(self) -> u32 {
        unsafe {
            let quote = vceqq_u8(self.0, Self::splat(b'"').0);
            let backslash = vceqq_u8(self.0, Self::splat(b'\\').0);
            let control = vcltq_u8(self.0, Self::splat(0x20).0);
            mask(vorrq_u8(vorrq_u8(quote, backslash), control))
        }
    }

    #[inline(always)]
    pub(super) fn halves(self) -> [u64; 2] {
        unsafe {
            let halves = vreinterpretq_u64_u8(self.0);
            [vgetq_lane_u64::<0>(halves), vgetq_lane_u64::<1>(halves)]
        }
    }

    #[inline(always)]
    pub(super) fn shuffled(self, places: Self) -> Self {
        Self(unsafe { vqtbl1q_u8(self.0, places.0) })
    }

    #[inline(always)]
    pub(super) fn digits(self) -> u32 {
        unsafe { mask(vcleq_u8(vsubq_u8(self.0, Self::splat(b'0').0), Self::splat(9).0)) }
    }
}

/// NEON has no instruction for it: each byte keeps the bit of its place in its half, and the halves are summed.
#[inline(always)]
fn mask(bytes: uint8x16_t) -> u32 {
    const PLACES: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: the constant is sixteen readable bytes.
    unsafe {
        let bits = vandq_u8(bytes, vld1q_u8(PLACES.as_ptr()));
        u32::from(vaddv_u8(vget_low_u8(bits))) | u32::from(vaddv_u8(vget_high_u8(bits))) << 8
    }
}
