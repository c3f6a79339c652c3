//! SHA-256 sums as a type of their own, so that no other 32 bytes are taken for one.

use std::fmt;
use std::str::FromStr;

use sha2::Digest;

/// A SHA-256 sum; its text form is 64 lower-case hex digits.
///
/// ```
/// use outport_send::Sha256Sum;
/// let sum = Sha256Sum::of(b"abc");
/// assert_eq!(sum.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// assert_eq!(sum.to_string().parse(), Ok(sum));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Sum([u8; 32]);

impl Sha256Sum {
    /// The sum of these bytes.
    pub fn of(content: &[u8]) -> Self {
        Self(sha2::Sha256::digest(content).into())
    }

    /// A sum that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sha256 sum is 64 hex digits")]
pub struct Sha256SumError;

impl FromStr for Sha256Sum {
    type Err = Sha256SumError;

    fn from_str(text: &str) -> Result<Self, Sha256SumError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(Sha256SumError);
        }
        let mut sum = [0u8; 32];
        for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(sum))
    }
}

fn nibble(digit: u8) -> Result<u8, Sha256SumError> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(Sha256SumError)
}

/// A sum in the making, and the count of its bytes.
#[derive(Default)]
pub(crate) struct Hasher {
    state: sha2::Sha256,
    size_bytes: u64,
}

impl Hasher {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.state.update(piece);
        self.size_bytes += piece.len() as u64;
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn finish(self) -> Sha256Sum {
        Sha256Sum(self.state.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_sum_is_refused() {
        for text in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert_eq!(text.parse::<Sha256Sum>(), Err(Sha256SumError), "{text}");
        }
    }

    #[test]
    fn pieces_make_the_same_sum_as_the_whole() {
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"");
        hasher.update(b"bc");
        assert_eq!(hasher.size_bytes(), 3);
        assert_eq!(hasher.finish(), Sha256Sum::of(b"abc"));
    }
}
