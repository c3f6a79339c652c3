//! Which version of an object a file is: the third part of its identity (bucket, key, version).

use std::fmt;

/// How many characters of the content's sha256 name a version in a folder: 128 bits.
const HASH_PREFIX: usize = 32;

/// The version of an object, by which duplicate events are recognised: the version id itself, `etag:` and the etag on a
/// bucket without versions, or `fs:` and the beginning of the content's sha256 in a folder. Never the sequencer: a
/// listing has none, and the vendor's texts disagree on how two of them compare.
///
/// ```
/// use outport_core::version::version_of;
/// let text = |id, etag, hash| version_of(id, etag, hash).map(|v| v.to_string());
/// assert_eq!(text(Some("3HL4kqt"), Some("9b2c"), None).as_deref(), Some("3HL4kqt"));
/// assert_eq!(text(None, Some("\"9b2c\""), None).as_deref(), Some("etag:9b2c"));
/// assert_eq!(text(None, None, None), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileVersion(String);

impl FileVersion {
    /// A version as it stands in the database.
    pub fn stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version that these facts name, the strongest first: version id, etag (with or without its quotes), sha256 of the
/// content in hexadecimal. `None` when there is none of them: then the object must be looked at (HEAD) first.
///
/// The version id `null` of a bucket whose versioning is suspended names no version: every overwrite gets it again.
pub fn version_of(
    version_id: Option<&str>,
    etag: Option<&str>,
    content_sha256: Option<&str>,
) -> Option<FileVersion> {
    let given = |text: Option<&str>| text.map(str::to_owned).filter(|t| !t.is_empty());
    if let Some(id) = given(version_id).filter(|id| id != "null") {
        return Some(FileVersion(id));
    }
    if let Some(etag) = given(etag.map(unquoted)) {
        return Some(FileVersion(format!("etag:{etag}")));
    }
    let hash = given(content_sha256)?;
    Some(FileVersion(format!("fs:{}", hash.chars().take(HASH_PREFIX).collect::<String>())))
}

/// An etag without the quotes that HTTP puts around it (RFC 9110, section 8.8.3) and events leave out.
pub fn unquoted(etag: &str) -> &str {
    etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_fact_names_the_version() {
        const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let cases = [
            (Some("v1"), Some("e"), Some(HASH), Some("v1")),
            (Some(""), Some("e"), None, Some("etag:e")),
            (Some("null"), Some("e"), None, Some("etag:e")),
            (Some("null"), None, None, None),
            (None, Some("\"0-2\""), None, Some("etag:0-2")),
            (None, Some("\"\""), None, None),
            (None, Some("\""), None, Some("etag:\"")),
            (None, None, Some(HASH), Some("fs:9f86d081884c7d659a2feaa0c55ad015")),
            (None, Some(""), Some("ab"), Some("fs:ab")),
            (None, None, Some(""), None),
            (None, None, None, None),
        ];
        for (id, etag, hash, want) in cases {
            assert_eq!(version_of(id, etag, hash), want.map(FileVersion::stored), "{id:?} {etag:?} {hash:?}");
        }
    }
}
