//! Sixteen bytes at a time: SSE2 or NEON where the machine has them, plain Rust elsewhere.
//!
//! The only unsafe code of the crate. Its invariants are kept inside this folder, each by a check or a clamp of its own, so no
//! caller can break them:
//! - a [`Lane`] is read only where sixteen bytes of the slice lie ([`Input::lane`] checks);
//! - [`Out`] writes only into room that its vector has (each write checks), and its length covers only bytes that were
//!   written;
//! - the vector's length is set before anybody else sees it (on drop, and before it grows).
#![allow(unsafe_code)]

mod doubled;
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod neon;
mod out;
#[cfg(any(test, not(any(target_arch = "x86_64", all(target_arch = "aarch64", not(miri))))))]
mod plain;
#[cfg(target_arch = "x86_64")]
mod sse2;

use std::ops::Deref;

pub(super) use self::doubled::doubled;
pub(super) use self::out::Out;

/// Bytes of a lane.
pub(super) const WIDTH: usize = 16;

#[cfg(all(target_arch = "aarch64", not(miri)))]
use self::neon::Bytes16;
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", not(miri)))))]
use self::plain::Bytes16;
#[cfg(target_arch = "x86_64")]
use self::sse2::Bytes16;

/// Bytes of which lanes are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    /// A lane lies at each place below this one.
    lanes: usize,
}

impl<'a> Input<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, lanes: (bytes.len() + 1).saturating_sub(WIDTH) }
    }

    /// The lane at `at`, if sixteen bytes lie there.
    #[inline(always)]
    pub(super) fn lane(self, at: usize) -> Option<Lane> {
        if at >= self.lanes {
            return None;
        }
        // SAFETY: `at < lanes`, so `at + WIDTH <= bytes.len()`: sixteen readable bytes lie at `at`; unaligned loads need nothing
        // else.
        Some(Lane(unsafe { Bytes16::load(self.bytes.as_ptr().add(at)) }))
    }
}

impl Deref for Input<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

/// Sixteen bytes. Masks have one bit a byte, the first byte in the lowest bit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane(Bytes16);

impl Lane {
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

    /// The first eight bytes and the last eight, as numbers with the first byte lowest.
    #[inline(always)]
    pub(super) fn halves(self) -> [u64; 2] {
        self.0.halves()
    }

    /// Where `0` to `9` stand.
    #[inline(always)]
    pub(super) fn digits(self) -> u32 {
        self.0.digits()
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
                    assert_eq!(fast.halves(), plain.halves(), "{bytes:?}");
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
            assert_eq!(Input::of(&bytes[..len]).lane(at).is_some(), there, "{at} of {len}");
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
                let (first, second) = (Lane::splat(b','), Lane::of(b"ABCDEFGHIJKLMNOP"));
                out.two((first, round % 18), (second, keep));
                expected.extend_from_slice(&[b','; 16][..(round % 18).min(16)]);
                expected.extend_from_slice(&b"ABCDEFGHIJKLMNOP"[..keep.min(16)]);
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
