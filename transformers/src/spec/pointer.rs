//! Where a value stands: JSON Pointers (RFC 6901), and those that start at the exploded element.

use std::fmt;

/// A place inside a record, or inside the exploded element.
///
/// `/a/b` counts from the record, `./a/b` from the element that `explode` made a row of; `""` and `.` are the
/// whole of it. Each key is decoded already (`~1` is `/`, `~0` is `~`). A key that meets an array is the
/// index of an element (RFC 6901 section 4: `0`, or digits without a leading zero).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    relative: bool,
    keys: Vec<String>,
}

impl Path {
    /// Reads a pointer.
    ///
    /// # Errors
    /// Why it is none, as the end of a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (relative, pointer) = match text.strip_prefix('.') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Some(pointer) = pointer.strip_prefix('/') else {
            return match pointer {
                "" => Ok(Self { relative, keys: Vec::new() }),
                _ => Err("a JSON Pointer starts with a slash"),
            };
        };
        let keys = pointer.split('/').map(decode).collect::<Result<_, _>>()?;
        Ok(Self { relative, keys })
    }

    /// Whether it counts from the exploded element and not from the record.
    pub fn is_relative(&self) -> bool {
        self.relative
    }

    /// The keys from the outside in; none for the whole record or element.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

fn decode(key: &str) -> Result<String, &'static str> {
    let mut decoded = String::with_capacity(key.len());
    let mut letters = key.chars();
    while let Some(letter) = letters.next() {
        decoded.push(match letter {
            '~' => match letters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("`~` stands in it without 0 or 1 after it"),
            },
            other => other,
        });
    }
    Ok(decoded)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.relative {
            f.write_str(".")?;
        }
        // `~` first: the other way round, the `~` of `~1` would be escaped again (RFC 6901 section 4).
        self.keys.iter().try_for_each(|key| write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The examples of RFC 6901 section 5, and ours.
    #[test]
    fn pointers_are_read() {
        let cases: [(&str, bool, &[&str]); 12] = [
            ("", false, &[]),
            ("/foo", false, &["foo"]),
            ("/foo/0", false, &["foo", "0"]),
            ("/", false, &[""]),
            ("/a~1b", false, &["a/b"]),
            ("/c%d", false, &["c%d"]),
            ("/i\\j", false, &["i\\j"]),
            ("/ ", false, &[" "]),
            ("/m~0n", false, &["m~n"]),
            ("/~01", false, &["~1"]),
            ("./code", true, &["code"]),
            (".", true, &[]),
        ];
        for (text, relative, keys) in cases {
            let path = Path::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(path.is_relative(), relative, "{text}");
            assert_eq!(path.keys(), keys, "{text}");
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["foo", "$.foo", "/a~", "/a~2b", ".foo", "..", "#/foo"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            relative: bool, keys in proptest::collection::vec("[~/.01a é]{0,4}", 0..4),
        ) {
            let path = Path { relative, keys };
            prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
        }
    }
}
