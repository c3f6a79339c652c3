//! SSE2.

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
    _mm_or_si128, _mm_set1_epi8, _mm_shuffle_epi8, _mm_storeu_si128, _mm_sub_epi8, _mm_unpackhi_epi64,
};

/// SSE2 is part of every x86-64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes16(__m128i);

impl Bytes16 {
    #[inline(always)]
    pub(super) unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller says that sixteen bytes can be read there.
        Self(unsafe { _mm_loadu_si128(from.cast()) })
    }

    #[inline(always)]
    pub(super) unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller says that sixteen bytes can be written there.
        unsafe { _mm_storeu_si128(to.cast(), self.0) }
    }

    #[inline(always)]
    pub(super) fn splat(byte: u8) -> Self {
        Self(unsafe { _mm_set1_epi8(byte.cast_signed()) })
    }

    #[inline(always)]
    pub(super) fn equal(self, other: Self) -> u32 {
        mask(unsafe { _mm_cmpeq_epi8(self.0, other.0) })
    }

    #[inline(always)]
    pub(super) fn ends_of_text(self) -> u32 {
        // The smaller of a byte and 0x1f is the byte itself: a control character.
        unsafe {
            let quote = _mm_cmpeq_epi8(self.0, Self::splat(b'"').0);
            let backslash = _mm_cmpeq_epi8(self.0, Self::splat(b'\\').0);
            let control = _mm_cmpeq_epi8(_mm_min_epu8(self.0, Self::splat(0x1f).0), self.0);
            mask(_mm_or_si128(_mm_or_si128(quote, backslash), control))
        }
    }

    #[inline(always)]
    pub(super) fn halves(self) -> [u64; 2] {
        let low = |lane| unsafe { _mm_cvtsi128_si64(lane) }.cast_unsigned();
        [low(self.0), low(unsafe { _mm_unpackhi_epi64(self.0, self.0) })]
    }

    #[inline]
    #[target_feature(enable = "ssse3")]
    pub(super) fn shuffled(self, places: Self) -> Self {
        Self(_mm_shuffle_epi8(self.0, places.0))
    }

    #[inline(always)]
    pub(super) fn digits(self) -> u32 {
        unsafe {
            let value = _mm_sub_epi8(self.0, Self::splat(b'0').0);
            mask(_mm_cmpeq_epi8(_mm_min_epu8(value, Self::splat(9).0), value))
        }
    }
}

#[inline(always)]
fn mask(bytes: __m128i) -> u32 {
    unsafe { _mm_movemask_epi8(bytes) }.cast_unsigned()
}
