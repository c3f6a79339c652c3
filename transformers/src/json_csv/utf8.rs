//! Cutting arbitrary chunks into pieces that end between characters and are known to be UTF-8 (RFC 3629).

/// What stands after the good front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    End,
    /// The first bytes of a character whose rest has not come yet.
    Part,
    /// Bytes that are no UTF-8, whatever follows.
    Bad,
}

/// How many bytes at the front are whole characters, and what comes after them.
pub(super) fn front(bytes: &[u8]) -> (usize, After) {
    match std::str::from_utf8(bytes) {
        Ok(_) => (bytes.len(), After::End),
        Err(error) if error.error_len().is_none() => (error.valid_up_to(), After::Part),
        Err(error) => (error.valid_up_to(), After::Bad),
    }
}

/// The first bytes of a character that a chunk's end has cut: at most 3, since the longest character has 4.
#[derive(Debug, Default)]
pub(super) struct Cut {
    bytes: [u8; 4],
    len: usize,
}

impl Cut {
    /// Keeps the cut character's first bytes until the next chunk comes.
    pub(super) fn hold(&mut self, part: &[u8]) {
        self.bytes[..part.len()].copy_from_slice(part);
        self.len = part.len();
    }

    /// How many bytes are kept.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether a character waits for its rest.
    pub(super) fn is_open(&self) -> bool {
        self.len > 0
    }

    /// Adds the next byte. `Ok(None)`: still incomplete. `Ok(Some)`: the whole character, no longer held.
    /// `Err(())`: this is no character.
    pub(super) fn add(&mut self, byte: u8) -> Result<Option<([u8; 4], usize)>, ()> {
        self.bytes[self.len] = byte;
        self.len += 1;
        match front(&self.bytes[..self.len]).1 {
            After::End => {
                let whole = (self.bytes, self.len);
                self.len = 0;
                Ok(Some(whole))
            }
            After::Part => Ok(None),
            After::Bad => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_is_what_is_whole() {
        let cases: [(&[u8], usize, After); 8] = [
            (b"", 0, After::End),
            (b"abc", 3, After::End),
            ("aé€😀".as_bytes(), 10, After::End),
            (b"a\xc3", 1, After::Part),
            (b"a\xf0\x9f\x98", 1, After::Part),
            (b"a\xff", 1, After::Bad),
            (b"a\xc0\x80", 1, After::Bad),     // overlong
            (b"a\xed\xa0\x80", 1, After::Bad), // an encoded surrogate
        ];
        for (bytes, good, after) in cases {
            assert_eq!(front(bytes), (good, after), "{bytes:?}");
        }
    }

    #[test]
    fn a_cut_character_is_put_together() {
        for character in ["é", "€", "😀"] {
            let bytes = character.as_bytes();
            for at in 1..bytes.len() {
                let mut cut = Cut::default();
                cut.hold(&bytes[..at]);
                assert!(cut.is_open());
                for byte in &bytes[at..bytes.len() - 1] {
                    assert_eq!(cut.add(*byte), Ok(None));
                }
                let (whole, len) = cut.add(bytes[bytes.len() - 1]).unwrap().unwrap();
                assert_eq!(&whole[..len], bytes);
                assert!(!cut.is_open());
            }
        }
        let mut cut = Cut::default();
        cut.hold(b"\xe2\x82");
        assert_eq!(cut.add(b'"'), Err(()));
    }
}
