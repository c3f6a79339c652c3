//! The key as S3 notifications write it.

use crate::key::{KeyError, KeyProblem, ObjectKey};

/// Decodes the key of an S3 notification, exactly once: `+` is a space *first*, then percent-decoding. (A plus sign in
/// the key itself comes as `%2B`, a percent sign as `%25`.) EventBridge writes keys raw: they do not go through here.
pub(super) fn decode(raw: &str) -> Result<ObjectKey, KeyError> {
    let fail = |problem| KeyError { key: raw.to_owned(), problem };
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                // Not taken literally: the guess could name another object than the one that arrived.
                _ => return Err(fail(KeyProblem::Encoding)),
            },
            other => other,
        });
    }
    ObjectKey::new(String::from_utf8(bytes).map_err(|_| fail(KeyProblem::NotUtf8))?)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plus_is_a_space_first_and_percent_is_decoded_once() {
        let cases = [
            ("a.json", "a.json"),
            ("in/a+b.csv", "in/a b.csv"),
            ("in%2Fa%20b%2Bc.csv", "in/a b+c.csv"),
            ("in%2fa%2bb", "in/a+b"),
            // Decoded once: what looks encoded in the key stays.
            ("100%2525.txt", "100%25.txt"),
            ("a%252Fb", "a%2Fb"),
            ("a%252Bb", "a%2Bb"),
            // NFC and NFD are two keys.
            ("caf%C3%A9", "caf\u{e9}"),
            ("cafe%CC%81", "cafe\u{301}"),
            ("raw-é", "raw-é"),
            ("q%26a%3D1", "q&a=1"),
            ("%F0%9F%93%84.pdf", "📄.pdf"),
        ];
        for (raw, want) in cases {
            assert_eq!(decode(raw).unwrap().as_str(), want, "{raw:?}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        let cases = [
            ("50%", KeyProblem::Encoding),
            ("50%2", KeyProblem::Encoding),
            ("50%zz", KeyProblem::Encoding),
            ("50%+1", KeyProblem::Encoding),
            ("50%é", KeyProblem::Encoding),
            ("%FF", KeyProblem::NotUtf8),
            ("%C3", KeyProblem::NotUtf8),
            ("%C0%AF", KeyProblem::NotUtf8),
            ("%ED%A0%80", KeyProblem::NotUtf8),
            ("a%00b", KeyProblem::ControlCharacter),
            ("a%0Ab", KeyProblem::ControlCharacter),
            ("folder%2F", KeyProblem::TrailingSlash),
            ("a%2F%2E%2E%2Fb", KeyProblem::DotSegment),
            ("%2Fetc", KeyProblem::EmptySegment),
            ("", KeyProblem::Empty),
        ];
        for (raw, want) in cases {
            assert_eq!(decode(raw).unwrap_err().problem, want, "{raw:?}");
        }
        assert_eq!(decode(&"%61".repeat(1024)).unwrap().as_str().len(), 1024);
        assert_eq!(decode(&"%61".repeat(1025)).unwrap_err().problem, KeyProblem::TooLong(1025));
    }

    /// Form encoding as S3 does it: unreserved bytes as they are, space as `+`, all else `%XX`.
    fn encode(key: &str, slash_too: bool) -> String {
        let mut raw = String::new();
        for byte in key.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
                    raw.push(char::from(byte))
                }
                b'/' if !slash_too => raw.push('/'),
                b' ' => raw.push('+'),
                _ => raw.push_str(&format!("%{byte:02X}")),
            }
        }
        raw
    }

    proptest! {
        // Both ways of writing the slash are seen in the wild (moto encodes it, S3 and MiniStack do not).
        #[test]
        fn decoding_undoes_encoding(key in r"([ -~]|[^\x00-\x1f\x7f-\x9f]){1,40}", slash_too: bool) {
            let Ok(key) = ObjectKey::new(key) else { return Ok(()) };
            prop_assert_eq!(decode(&encode(key.as_str(), slash_too)), Ok(key));
        }

        #[test]
        fn no_text_makes_it_panic(raw in r"([%+/a-f0-9]|\PC){0,40}") {
            if let Ok(key) = decode(&raw) {
                prop_assert!(ObjectKey::new(key.as_str()).is_ok());
            }
        }
    }
}
