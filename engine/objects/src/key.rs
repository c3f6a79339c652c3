//! Which texts can name a bucket and a key, so that a key is always one file below the bucket's folder.

use outport_core::{Fault, code};

use crate::fault::shown;

/// Longest key in bytes: S3's limit, so that a bucket can move there.
pub const KEY_BYTES: usize = 1024;
/// Longest segment in bytes: NAME_MAX of every Linux file system.
pub const SEGMENT_BYTES: usize = 255;

const TEMP_START: &str = ".outport-";
const TEMP_END: &str = ".part";

/// Whether a file name is one of our own unfinished files. They are never objects.
pub(crate) fn is_temp(name: &[u8]) -> bool {
    name.starts_with(TEMP_START.as_bytes()) && name.ends_with(TEMP_END.as_bytes())
}

/// The name of an unfinished file; `unique` is anything that no other writer has.
pub(crate) fn temp_name(unique: &str) -> String {
    format!("{TEMP_START}{unique}{TEMP_END}")
}

/// A bucket and a key that were found fit for the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    bucket: String,
    key: String,
}

impl Place {
    /// Checks both names.
    pub(crate) fn new(bucket: &str, key: &str) -> Result<Self, Fault> {
        check_bucket(bucket)?;
        check_key(key)?;
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The folders between the bucket and the file.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        self.key.rsplit_once('/').into_iter().flat_map(|(folders, _)| folders.split('/'))
    }

    /// The last segment.
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or(&self.key)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", shown(&self.bucket), shown(&self.key))
    }
}

/// Whether a text can name a bucket: one plain folder name that does not begin with a dot.
///
/// # Errors
/// `intake.bucket_missing`.
pub fn check_bucket(bucket: &str) -> Result<(), Fault> {
    let problem = match segment_problem(bucket) {
        Some(problem) => problem,
        None if bucket.contains('/') => "it has a slash",
        None if bucket.starts_with('.') => "it begins with a dot",
        None => return Ok(()),
    };
    let message = format!("bucket \"{}\" cannot be a folder: {problem}", shown(bucket));
    Err(Fault::new(&code::INTAKE_BUCKET_MISSING, message).with_hint("correct the bucket name"))
}

/// Whether a text can be the key of a file below a bucket's folder.
///
/// ```
/// use outport_objects::key::check_key;
/// assert!(check_key("claims/acme 1+1/ü.json").is_ok());
/// assert!(check_key("../etc/passwd").is_err());
/// ```
///
/// # Errors
/// `intake.bad_key`, saying what is wrong with it.
pub fn check_key(key: &str) -> Result<(), Fault> {
    let problem = if key.len() > KEY_BYTES {
        Some("it is longer than 1,024 bytes")
    } else if is_temp(key.rsplit('/').next().unwrap_or(key).as_bytes()) {
        Some("names like .outport-*.part are Outport's own")
    } else {
        key.split('/').find_map(segment_problem)
    };
    match problem {
        None => Ok(()),
        Some(problem) => {
            let start: String = key.chars().take(120).collect();
            let dots = if start.len() < key.len() { "..." } else { "" };
            let message = format!("key \"{}{dots}\" cannot be a file: {problem}", shown(&start));
            Err(Fault::new(&code::INTAKE_BAD_KEY, message))
        }
    }
}

fn segment_problem(segment: &str) -> Option<&'static str> {
    match segment {
        "" => Some("a segment is empty"),
        "." | ".." => Some("a segment is . or .."),
        _ if segment.len() > SEGMENT_BYTES => Some("a segment is longer than 255 bytes"),
        _ if segment.contains('\0') => Some("it has a NUL character"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_that_are_files_below_the_bucket_and_keys_that_are_not() {
        let long = "x".repeat(255);
        let too_long = "x".repeat(256);
        let deep = ["a"; 512].join("/");
        let too_deep = ["a"; 513].join("/");
        let good =
            ["a", "a/b", "a b+c%20/ü", "..a", "a..", "...", ".hidden", "a\\..\\b", &long, &deep, "a\nb"];
        for key in good {
            assert!(check_key(key).is_ok(), "{key:?}");
        }
        let bad = [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a/..",
            "a\0b",
            &too_long,
            &too_deep,
            ".outport-1.part",
            "a/.outport-1.part",
        ];
        for key in bad {
            let fault = check_key(key).unwrap_err();
            assert_eq!(fault.code, &code::INTAKE_BAD_KEY, "{key:?}");
            assert!(!fault.message.contains('\0') && fault.message.len() < 1000);
        }
    }

    #[test]
    fn buckets() {
        for bucket in ["inbox", "in box", "a.b-c_1"] {
            assert!(check_bucket(bucket).is_ok(), "{bucket:?}");
        }
        for bucket in ["", ".", "..", ".hidden", "a/b", "a\0"] {
            assert_eq!(check_bucket(bucket).unwrap_err().code, &code::INTAKE_BUCKET_MISSING, "{bucket:?}");
        }
    }

    proptest! {
        #[test]
        fn a_good_key_is_its_folders_and_its_name(key in "[a.ü /]{1,12}") {
            if let Ok(place) = Place::new("b", &key) {
                let mut segments: Vec<&str> = place.folders().collect();
                segments.push(place.name());
                prop_assert_eq!(segments.join("/"), key);
            }
        }
    }
}
