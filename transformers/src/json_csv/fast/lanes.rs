//! Sixteen bytes at a time: SSE2 or NEON where the machine has them, plain Rust elsewhere.
//!
//! The only unsafe code of the crate. Its invariants are kept inside this file, each by a check or a clamp of its own, so no
//! caller can break them:
//! - a [`Lane`] is read only where sixteen bytes of the slice lie ([`Lane::load`] checks);
//! - [`Out`] writes only into room that its vector has (each write checks), and its length covers only bytes that were
//!   written;
//! - the vector's length is set before anybody else sees it (on drop, and before it grows).
#![allow(unsafe_code)]

use std::marker::PhantomData;

/// Bytes of a lane.
pub(super) const WIDTH: usize = 16;

#[cfg(all(target_arch = "aarch64", not(miri)))]
use neon::Bytes16;
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", not(miri)))))]
use plain::Bytes16;
#[cfg(target_arch = "x86_64")]
use sse2::Bytes16;

/// Sixteen bytes. Masks have one bit a byte, the first byte in the lowest bit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane(Bytes16);

impl Lane {
    /// The lane at `at`, if sixteen bytes lie there.
    #[inline(always)]
    pub(super) fn load(bytes: &[u8], at: usize) -> Option<Self> {
        if bytes.len() < WIDTH || at > bytes.len() - WIDTH {
            return None;
        }
        // SAFETY: `at + WIDTH <= bytes.len()`, so sixteen readable bytes lie at `at`; unaligned loads need nothing else.
        Some(Self(unsafe { Bytes16::load(bytes.as_ptr().add(at)) }))
    }

    /// Sixteen times one byte.
    #[inline(always)]
    pub(super) fn splat(byte: u8) -> Self {
        Self(Bytes16::splat(byte))
    }

    /// The lane of an array.
    #[inline(always)]
    pub(super) fn of(bytes: &[u8; WIDTH]) -> Self {
        // SAFETY: an array of sixteen bytes is sixteen readable bytes.
        Self(unsafe { Bytes16::load(bytes.as_ptr()) })
    }

    /// Where both hold the same byte.
    #[inline(always)]
    pub(super) fn equal(self, other: Self) -> u32 {
        self.0.equal(other.0)
    }

    /// Where a string's plain run ends: a quote, a backslash or a control character.
    #[inline(always)]
    pub(super) fn ends_of_text(self) -> u32 {
        self.0.ends_of_text()
    }

    /// Where `0` to `9` stand.
    #[inline(always)]
    pub(super) fn digits(self) -> u32 {
        self.0.digits()
    }
}

/// The end of a vector, written without a call for each cell. Its length lives here until the drop.
pub(super) struct Out<'a> {
    start: *mut u8,
    len: usize,
    capacity: usize,
    vec: *mut Vec<u8>,
    borrow: PhantomData<&'a mut Vec<u8>>,
}

impl<'a> Out<'a> {
    pub(super) fn new(vec: &'a mut Vec<u8>) -> Self {
        Self {
            start: vec.as_mut_ptr(),
            len: vec.len(),
            capacity: vec.capacity(),
            vec: std::ptr::from_mut(vec),
            borrow: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes back what was written behind `len`.
    #[inline(always)]
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes room for `more` bytes.
    #[inline(always)]
    fn room(&mut self, more: usize) {
        if self.capacity - self.len < more {
            self.grow(more);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        // SAFETY: `vec` is borrowed for 'a by this value alone. `len` never exceeds the capacity, and all bytes below it were
        // written (`lane` and `bytes` write before they count).
        unsafe {
            let vec = &mut *self.vec;
            vec.set_len(self.len);
            vec.reserve(more);
            self.start = vec.as_mut_ptr();
            self.capacity = vec.capacity();
        }
    }

    /// The first `keep` bytes of the lane, sixteen at most.
    #[inline(always)]
    pub(super) fn lane(&mut self, lane: Lane, keep: usize) {
        self.room(WIDTH);
        // SAFETY: `room` left at least sixteen bytes behind `len`.
        unsafe { lane.0.store(self.start.add(self.len)) };
        self.len += keep.min(WIDTH);
    }

    #[inline(always)]
    pub(super) fn byte(&mut self, byte: u8) {
        self.room(1);
        // SAFETY: `room` left at least one byte behind `len`.
        unsafe { self.start.add(self.len).write(byte) };
        self.len += 1;
    }

    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        // SAFETY: `room` left `bytes.len()` bytes behind `len`; the two do not overlap, since the vector is borrowed mutably.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(self.len), bytes.len()) };
        self.len += bytes.len();
    }

    /// Takes the byte at `at` out, and moves what stands behind it up.
    #[cold]
    pub(super) fn remove(&mut self, at: usize) {
        if at < self.len {
            // SAFETY: the bytes behind `at` up to `len` are initialised and inside the vector.
            unsafe { std::ptr::copy(self.start.add(at + 1), self.start.add(at), self.len - at - 1) };
            self.len -= 1;
        }
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        // SAFETY: as in `grow`.
        unsafe { (*self.vec).set_len(self.len) };
    }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8, _mm_storeu_si128, _mm_sub_epi8,
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
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod neon {
    use std::arch::aarch64::{
        uint8x16_t, vaddv_u8, vandq_u8, vceqq_u8, vcleq_u8, vcltq_u8, vdupq_n_u8, vget_high_u8, vget_low_u8,
        vld1q_u8, vorrq_u8, vst1q_u8, vsubq_u8,
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
}

/// The same without vector instructions: what other machines run, and what the tests hold the others against.
#[cfg(any(test, not(any(target_arch = "x86_64", all(target_arch = "aarch64", not(miri))))))]
mod plain {
    #[derive(Debug, Clone, Copy)]
    pub(super) struct Bytes16([u8; 16]);

    #[allow(dead_code, reason = "on x86-64 and AArch64 only the tests need it, and not all of it")]
    impl Bytes16 {
        #[inline(always)]
        pub(super) unsafe fn load(from: *const u8) -> Self {
            // SAFETY: the caller says that sixteen bytes can be read there; an array of bytes needs no alignment.
            Self(unsafe { from.cast::<[u8; 16]>().read() })
        }

        #[inline(always)]
        pub(super) unsafe fn store(self, to: *mut u8) {
            // SAFETY: the caller says that sixteen bytes can be written there.
            unsafe { to.cast::<[u8; 16]>().write(self.0) }
        }

        #[inline(always)]
        pub(super) fn splat(byte: u8) -> Self {
            Self([byte; 16])
        }

        #[inline(always)]
        pub(super) fn equal(self, other: Self) -> u32 {
            let mut mask = 0;
            for (place, (a, b)) in self.0.iter().zip(other.0).enumerate() {
                mask |= u32::from(*a == b) << place;
            }
            mask
        }

        #[inline(always)]
        pub(super) fn ends_of_text(self) -> u32 {
            self.mask(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
        }

        #[inline(always)]
        pub(super) fn digits(self) -> u32 {
            self.mask(|byte| byte.is_ascii_digit())
        }

        #[inline(always)]
        fn mask(self, is: impl Fn(u8) -> bool) -> u32 {
            self.0.iter().enumerate().fold(0, |mask, (place, byte)| mask | u32::from(is(*byte)) << place)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_the_same_to_both() {
        for byte in 0..=255u8 {
            for around in [b'a', b'5', b'"', 0xff] {
                for place in 0..WIDTH {
                    let mut bytes = [around; WIDTH];
                    bytes[place] = byte;
                    let fast = Lane::of(&bytes);
                    // SAFETY: sixteen bytes of an array.
                    let plain = unsafe { plain::Bytes16::load(bytes.as_ptr()) };
                    assert_eq!(fast.ends_of_text(), plain.ends_of_text(), "{bytes:?}");
                    assert_eq!(fast.digits(), plain.digits(), "{bytes:?}");
                    let (same, as_plain) = (Lane::splat(byte), plain::Bytes16::splat(byte));
                    assert_eq!(fast.equal(same), plain.equal(as_plain), "{bytes:?}");
                    assert_ne!(fast.equal(same) & 1 << place, 0, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn a_lane_is_only_where_sixteen_bytes_lie() {
        let bytes = [7; 20];
        for (len, at, there) in [
            (20, 4, true),
            (20, 5, false),
            (16, 0, true),
            (15, 0, false),
            (0, 0, false),
            (20, usize::MAX, false),
        ] {
            assert_eq!(Lane::load(&bytes[..len], at).is_some(), there, "{at} of {len}");
        }
    }

    #[test]
    fn what_is_written_is_what_a_vector_would_hold() {
        let mut vec = b"before ".to_vec();
        let mut expected = vec.clone();
        {
            let mut out = Out::new(&mut vec);
            for round in 0..100usize {
                let keep = round % 19;
                out.lane(Lane::of(b"0123456789abcdef"), keep);
                expected.extend_from_slice(&b"0123456789abcdef"[..keep.min(16)]);
                out.byte(b'-');
                expected.push(b'-');
                let long = vec![round as u8; round * 3];
                out.bytes(&long);
                expected.extend_from_slice(&long);
                if round % 7 == 0 {
                    let at = out.len() / 2;
                    out.remove(at);
                    expected.remove(at);
                    out.truncate(out.len() - 1);
                    expected.pop();
                    out.truncate(usize::MAX);
                }
                assert_eq!(out.len(), expected.len());
            }
        }
        assert_eq!(vec, expected);
    }
}
