//! Compressed as the first bytes say.

use outport_core::Fault;

use super::{Gzip, Zstd};
use crate::codec::before::Inward;

/// Looks at the first bytes and does what they ask for.
#[derive(Default)]
pub(in crate::codec) struct Sniffed {
    /// The bytes that were looked at, until they say enough.
    front: Vec<u8>,
    found: Option<Found>,
}

enum Found {
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
    Plain,
}

/// What a front says.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    Gzip,
    Zstd,
    None,
    /// Too short to say.
    Open,
}

/// RFC 1952 section 2.3.1; RFC 8878 sections 3.1.1 and 3.1.2 (a skippable frame may come first, and pzstd writes one). No text
/// begins so: each has a byte that is a control character or not UTF-8.
fn mark(front: &[u8]) -> Mark {
    match front {
        [0x1f, 0x8b, ..] => Mark::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Mark::Zstd,
        [] | [0x1f] => Mark::Open,
        [0x28] | [0x28, 0xb5] | [0x28, 0xb5, 0x2f] => Mark::Open,
        [0x50..=0x5f] | [0x50..=0x5f, 0x2a] | [0x50..=0x5f, 0x2a, 0x4d] => Mark::Open,
        _ => Mark::None,
    }
}

impl Sniffed {
    /// Settles on what was found; the front is its first input.
    fn settle(&mut self, mark: Mark, out: &mut Vec<u8>) -> Result<(), Fault> {
        let front = std::mem::take(&mut self.front);
        let found = self.found.insert(match mark {
            Mark::Gzip => Found::Gzip(Box::new(Gzip::new())),
            Mark::Zstd => Found::Zstd(Box::new(Zstd::new())),
            Mark::None | Mark::Open => Found::Plain,
        });
        // Four bytes at most, which are taken at once: they are a mark, or go on as they are.
        match found {
            Found::Gzip(gzip) => gzip.take(&front, out).map(drop),
            Found::Zstd(zstd) => zstd.take(&front, out).map(drop),
            Found::Plain => {
                out.extend_from_slice(&front);
                Ok(())
            }
        }
    }
}

impl Inward for Sniffed {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn is_idle(&self) -> bool {
        matches!(self.found, Some(Found::Plain))
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        match &mut self.found {
            Some(Found::Gzip(gzip)) => gzip.take(input, out),
            Some(Found::Zstd(zstd)) => zstd.take(input, out),
            Some(Found::Plain) => Ok(0),
            None => {
                let mut taken = 0;
                while taken < input.len() && self.found.is_none() {
                    self.front.push(input[taken]);
                    taken += 1;
                    match mark(&self.front) {
                        Mark::Open => {}
                        mark => self.settle(mark, out)?,
                    }
                }
                Ok(taken)
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.found.is_none() {
            self.settle(Mark::None, out)?;
        }
        match &mut self.found {
            Some(Found::Gzip(gzip)) => gzip.end(out),
            Some(Found::Zstd(zstd)) => zstd.end(out),
            Some(Found::Plain) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_says_as_soon_as_it_can() {
        let cases: [(&[u8], Mark); 12] = [
            (b"", Mark::Open),
            (b"\x1f", Mark::Open),
            (b"\x1f\x8b", Mark::Gzip),
            (b"\x1f\x9d", Mark::None),
            (b"(", Mark::Open),
            (b"(\xb5/", Mark::Open),
            (b"(\xb5/\xfd", Mark::Zstd),
            (b"(a", Mark::None),
            (b"P*M", Mark::Open),
            (b"_*M\x18", Mark::Zstd),
            (b"`*M\x18", Mark::None),
            (b"{", Mark::None),
        ];
        for (front, wanted) in cases {
            assert_eq!(mark(front), wanted, "{}", front.escape_ascii());
        }
    }
}
