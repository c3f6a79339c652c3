//! The key of an object, decoded and known to be the name of a file.

use std::fmt;

use crate::fault::{Fault, code};

/// The longest key: 1,024 bytes of UTF-8, S3's own limit.
pub const MAX_KEY_BYTES: usize = 1024;

/// An object key that can be a file: decoded text, 1 to 1,024 bytes, segments divided by `/`, none of them empty, `.`
/// or `..`, no control characters. Compared byte by byte; Unicode normal forms are different keys, as they are in S3.
///
/// ```
/// use outport_core::ObjectKey;
/// let key = ObjectKey::new("claims/acme/batch.tar.gz")?;
/// assert_eq!((key.file_name(), key.stem(), key.ext()), ("batch.tar.gz", "batch.tar", "gz"));
/// assert_eq!(key.parent(), Some("claims/acme"));
/// assert!(ObjectKey::new("claims/../secrets").is_err());
/// # Ok::<(), outport_core::key::KeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Takes a decoded key.
    ///
    /// # Errors
    /// When the key cannot be a file; [`KeyError`] turns into a [`Fault`] with the code `route.bad_key`.
    pub fn new(key: impl Into<String>) -> Result<Self, KeyError> {
        let key = key.into();
        match problem(&key) {
            None => Ok(Self(key)),
            Some(problem) => Err(KeyError { key, problem }),
        }
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The folders before the last segment, without a slash at the end; `None` when there are none.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// The file name without its extension and the dot before it; the whole name when [`ext`](Self::ext) is empty.
    pub fn stem(&self) -> &str {
        split_ext(self.file_name()).0
    }

    /// What stands after the last dot of the file name; empty for `README`, `.profile` and `odd.`.
    pub fn ext(&self) -> &str {
        split_ext(self.file_name()).1
    }
}

/// Dots at either end of a name do not begin an extension, so that `stem` is never empty, `.` or `..`, and `stem.ext` (or
/// `stem` alone) always gives the name back.
fn split_ext(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, ext)) if !stem.bytes().all(|b| b == b'.') && !ext.is_empty() => (stem, ext),
        _ => (name, ""),
    }
}

fn problem(key: &str) -> Option<KeyProblem> {
    if key.is_empty() {
        return Some(KeyProblem::Empty);
    }
    if key.len() > MAX_KEY_BYTES {
        return Some(KeyProblem::TooLong(key.len()));
    }
    if key.chars().any(char::is_control) {
        return Some(KeyProblem::ControlCharacter);
    }
    if key.ends_with('/') {
        return Some(KeyProblem::TrailingSlash);
    }
    key.split('/').find_map(|segment| match segment {
        "" => Some(KeyProblem::EmptySegment),
        "." | ".." => Some(KeyProblem::DotSegment),
        _ => None,
    })
}

/// What keeps a text from being an [`ObjectKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// No characters at all.
    #[error("it is empty")]
    Empty,
    /// More than [`MAX_KEY_BYTES`]; holds the length.
    #[error("it has {0} bytes, more than {MAX_KEY_BYTES}")]
    TooLong(usize),
    /// C0, DEL or C1.
    #[error("it has a control character")]
    ControlCharacter,
    /// The key of a "folder" object.
    #[error("it ends with a slash")]
    TrailingSlash,
    /// `a//b`, or a slash in front.
    #[error("it has an empty segment")]
    EmptySegment,
    /// `.` or `..` as a segment.
    #[error("it has a segment `.` or `..`")]
    DotSegment,
    /// A percent sign of an encoded key without two hexadecimal digits after it.
    #[error("its percent-encoding is broken")]
    Encoding,
    /// The decoded bytes are not text.
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// A key that cannot be a file, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError {
    /// The key as it came.
    pub key: String,
    /// Why it cannot be a file.
    pub problem: KeyProblem,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key {:?} cannot be a file: {}", Shown(&self.key), self.problem)
    }
}
impl std::error::Error for KeyError {}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        Fault::new(&code::ROUTE_BAD_KEY, error.to_string())
    }
}

/// A text from outside for a message: quoted, controls and invisible characters escaped, cut at 200 characters.
pub(crate) struct Shown<'a>(pub &'a str);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(200) {
            None => write!(f, "{:?}", self.0),
            Some((cut, _)) => write!(f, "{:?}...", &self.0[..cut]),
        }
    }
}

impl TryFrom<&str> for ObjectKey {
    type Error = KeyError;
    fn try_from(key: &str) -> Result<Self, KeyError> {
        Self::new(key)
    }
}
impl TryFrom<String> for ObjectKey {
    type Error = KeyError;
    fn try_from(key: String) -> Result<Self, KeyError> {
        Self::new(key)
    }
}
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl AsRef<str> for ObjectKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_falls_into_parent_name_stem_and_extension() {
        let cases = [
            ("a.json", None, "a.json", "a", "json"),
            ("in/a b+c.csv", Some("in"), "a b+c.csv", "a b+c", "csv"),
            ("x/y/batch.tar.gz", Some("x/y"), "batch.tar.gz", "batch.tar", "gz"),
            ("v1.2/README", Some("v1.2"), "README", "README", ""),
            (".profile", None, ".profile", ".profile", ""),
            (".profile.json", None, ".profile.json", ".profile", "json"),
            ("odd.", None, "odd.", "odd.", ""),
            ("..odd", None, "..odd", "..odd", ""),
            ("...", None, "...", "...", ""),
            (" ", None, " ", " ", ""),
            ("a\\b.txt", None, "a\\b.txt", "a\\b", "txt"),
            ("ä/é\u{301}.ö", Some("ä"), "é\u{301}.ö", "é\u{301}", "ö"),
        ];
        for (text, parent, name, stem, ext) in cases {
            let key = ObjectKey::new(text).unwrap();
            assert_eq!(key.as_str(), text);
            assert_eq!(
                (key.parent(), key.file_name(), key.stem(), key.ext()),
                (parent, name, stem, ext),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_key_that_cannot_be_a_file_is_refused_by_name() {
        let long = "x".repeat(1025);
        let cases = [
            ("", KeyProblem::Empty),
            ("/", KeyProblem::TrailingSlash),
            ("folder/", KeyProblem::TrailingSlash),
            ("/absolute", KeyProblem::EmptySegment),
            ("a//b", KeyProblem::EmptySegment),
            (".", KeyProblem::DotSegment),
            ("..", KeyProblem::DotSegment),
            ("a/../b", KeyProblem::DotSegment),
            ("a/./b", KeyProblem::DotSegment),
            ("a/..", KeyProblem::DotSegment),
            ("a\0b", KeyProblem::ControlCharacter),
            ("a\nb", KeyProblem::ControlCharacter),
            ("a\u{7f}b", KeyProblem::ControlCharacter),
            ("a\u{9b}b", KeyProblem::ControlCharacter),
            (long.as_str(), KeyProblem::TooLong(1025)),
        ];
        for (text, want) in cases {
            assert_eq!(ObjectKey::new(text).unwrap_err().problem, want, "{text:?}");
        }
        assert!(ObjectKey::new("x".repeat(1024)).is_ok());
        // The limit is bytes: 513 characters of two bytes are too many.
        assert!(ObjectKey::new("é".repeat(512)).is_ok());
        assert!(ObjectKey::new("é".repeat(513)).is_err());
    }

    #[test]
    fn the_fault_is_one_line_and_escaped() {
        let fault = Fault::from(ObjectKey::new("a\n\u{1b}[31m\u{202e}/").unwrap_err());
        assert_eq!(fault.code, &code::ROUTE_BAD_KEY);
        assert_eq!(
            fault.message,
            r#"the key "a\n\u{1b}[31m\u{202e}/" cannot be a file: it has a control character"#
        );
        let long = Fault::from(ObjectKey::new("é".repeat(5000)).unwrap_err());
        assert!(long.message.len() < 500, "{}", long.message.len());
    }

    proptest! {
        #[test]
        fn stem_and_extension_give_the_name_back(text in r"[a-c./]{1,12}") {
            if let Ok(key) = ObjectKey::new(text) {
                prop_assert!(!["", ".", ".."].contains(&key.stem()));
                let name = match key.ext() { "" => key.stem().to_owned(), ext => format!("{}.{ext}", key.stem()) };
                prop_assert_eq!(&name, key.file_name());
                let whole = match key.parent() { None => name, Some(parent) => format!("{parent}/{name}") };
                prop_assert_eq!(whole.as_str(), key.as_str());
            }
        }

        #[test]
        fn any_text_is_a_key_or_a_fault(text in any::<String>()) {
            match ObjectKey::new(text.as_str()) {
                Ok(key) => prop_assert_eq!(key.as_str(), text.as_str()),
                Err(error) => prop_assert!(!Fault::from(error).message.chars().any(char::is_control)),
            }
        }
    }
}
