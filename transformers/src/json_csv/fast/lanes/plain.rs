//! The same without vector instructions: what other machines run, and what the tests hold the others against.

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
    pub(super) fn halves(self) -> [u64; 2] {
        [0, 8].map(|from| u64::from_le_bytes(std::array::from_fn(|place| self.0[from + place])))
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
