//! Which bucket and key a path below the buckets folder is, and which names are not for us yet.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use outport_core::{Fault, code};

use super::BadKey;
use crate::fault::shown;
use crate::key::{check_bucket, check_key};

/// Whether a file with this name waits until it is renamed: `.*`, `*.part`, `*.tmp`, `*.filepart` are what upload
/// programs call a file that is not whole.
///
/// ```
/// use outport_objects::intake::waits;
/// assert!(waits("claims.json.part".as_ref()) && !waits("claims.json".as_ref()));
/// ```
pub fn waits(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b".") || [".part", ".tmp", ".filepart"].iter().any(|end| name.ends_with(end.as_bytes()))
}

/// Whether nothing below a folder with this name is looked at.
pub(super) fn hides(folder: &OsStr) -> bool {
    folder.as_bytes().starts_with(b".")
}

/// Where a path lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// The buckets folder itself.
    Root,
    /// A bucket's folder, or a file beside the buckets.
    Bucket(String),
    /// Below a bucket's folder.
    Below { bucket: String, key: Result<String, BadKey> },
    /// Not below the buckets folder, below a hidden folder, or below one that cannot be a bucket.
    Elsewhere,
}

impl Spot {
    /// Takes a path apart. Says nothing about what stands there.
    pub(super) fn of(root: &Path, path: &Path) -> Self {
        let Ok(relative) = path.strip_prefix(root) else { return Self::Elsewhere };
        let mut segments = Vec::new();
        for component in relative.components() {
            let Component::Normal(segment) = component else { return Self::Elsewhere };
            segments.push(segment);
        }
        let Some((bucket, below)) = segments.split_first() else { return Self::Root };
        let Some(bucket) = bucket.to_str().filter(|bucket| check_bucket(bucket).is_ok()) else {
            return Self::Elsewhere;
        };
        let bucket = bucket.to_owned();
        match below.split_last() {
            None => Self::Bucket(bucket),
            Some((_, folders)) if folders.iter().any(|folder| hides(folder)) => Self::Elsewhere,
            Some(_) => Self::Below { key: key_of(&bucket, below), bucket },
        }
    }
}

fn key_of(bucket: &str, segments: &[&OsStr]) -> Result<String, BadKey> {
    let bytes = segments.join(OsStr::new("/"));
    let lossy = bytes.to_string_lossy().into_owned();
    let fault = match bytes.to_str() {
        Some(key) => match check_key(key) {
            Ok(()) => return Ok(key.to_owned()),
            Err(fault) => fault,
        },
        None => {
            let message = format!(
                "file \"{}\" in bucket {bucket} cannot have a key: its name is not UTF-8",
                shown(&lossy)
            );
            Fault::new(&code::INTAKE_BAD_KEY, message).with_hint("rename the file; then it is taken in")
        }
    };
    Err(BadKey { lossy, fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_wait() {
        for name in [".a", ".", "a.part", "a.json.tmp", "a.filepart", ".part", ".outport-1.part"] {
            assert!(waits(OsStr::new(name)), "{name}");
        }
        for name in ["a", "a.json", "part", "a.part.json", "a.tmp2", "tmp", "a.", "a.TMP"] {
            assert!(!waits(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_path_is_a_bucket_and_a_key() {
        let of = |path: &str| Spot::of(Path::new("/data/buckets"), Path::new(path));
        let below = |bucket: &str, key: &str| Spot::Below { bucket: bucket.into(), key: Ok(key.into()) };
        assert_eq!(of("/data/buckets/inbox/claims/a b+c.json"), below("inbox", "claims/a b+c.json"));
        assert_eq!(of("/data/buckets/inbox/.a"), below("inbox", ".a"));
        assert_eq!(of("/data/buckets"), Spot::Root);
        assert_eq!(of("/data/buckets/inbox"), Spot::Bucket("inbox".into()));
        for elsewhere in [
            "/data",
            "/other/inbox/a",
            "/data/buckets/../a/b",
            "/data/buckets/.git/a",
            "/data/buckets/b/.d/a",
        ] {
            assert_eq!(of(elsewhere), Spot::Elsewhere, "{elsewhere}");
        }
    }

    #[test]
    fn a_name_that_is_not_text_is_reported_with_what_can_be_shown() {
        let path = Path::new("/b/inbox").join(OsStr::from_bytes(b"caf\xe9.json"));
        let Spot::Below { bucket, key: Err(bad) } = Spot::of(Path::new("/b"), &path) else {
            panic!("{path:?}")
        };
        assert_eq!((bucket.as_str(), bad.lossy.as_str()), ("inbox", "caf\u{fffd}.json"));
        assert_eq!(bad.fault.code, &code::INTAKE_BAD_KEY);
        let long = Path::new("/b/inbox").join("a/".repeat(600)).join("x");
        assert!(matches!(Spot::of(Path::new("/b"), &long), Spot::Below { key: Err(_), .. }));
    }
}
