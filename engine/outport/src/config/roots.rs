//! Where objects lie.

use std::path::{Path, PathBuf};

use outport_core::{Fault, code};

/// Buckets and artifacts: both in folders, or both in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// A bucket is a folder.
    Folders {
        /// Its sub-folders are the buckets.
        buckets: PathBuf,
        /// The artifact store.
        artifacts: PathBuf,
    },
    /// A bucket is a bucket.
    S3 {
        /// Where Outport keeps what it makes.
        bucket: String,
        /// Begins each key there; empty, or with a slash at its end.
        prefix: String,
    },
}

impl Roots {
    /// Reads `buckets.root` and `artifacts.root`; empty ones are in the data folder.
    ///
    /// # Errors
    /// `config.invalid`.
    pub fn parse(data: &Path, buckets: &str, artifacts: &str) -> Result<Self, Fault> {
        let wrong = |message: String| Err(Fault::new(&code::CONFIG_INVALID, message));
        let Some(rest) = buckets.strip_prefix("s3://") else {
            if artifacts.starts_with("s3://") {
                return wrong(format!(
                    "artifacts.root is {artifacts:?}, and buckets.root is a folder: both lie in S3, or none"
                ));
            }
            let below = |root: &str, name: &str| if root.is_empty() { data.join(name) } else { root.into() };
            return Ok(Self::Folders {
                buckets: below(buckets, "buckets"),
                artifacts: below(artifacts, "artifacts"),
            });
        };
        if !rest.is_empty() {
            return wrong(format!(
                "buckets.root is {buckets:?}; all buckets of S3 are s3://, and rules name theirs"
            ));
        }
        let Some(place) = artifacts.strip_prefix("s3://") else {
            return wrong(format!(
                "artifacts.root is {artifacts:?}, and buckets.root is s3://: write s3://BUCKET"
            ));
        };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_end_matches('/');
        let is_plain = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
        if bucket.is_empty() || (!prefix.is_empty() && !prefix.split('/').all(is_plain)) {
            return wrong(format!(
                "artifacts.root is {artifacts:?}; write s3://BUCKET or s3://BUCKET/PREFIX"
            ));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_by_default_and_s3_for_both_or_none() {
        let parse = |buckets: &str, artifacts: &str| Roots::parse(Path::new("/d"), buckets, artifacts);
        let folders = Roots::Folders { buckets: "/d/buckets".into(), artifacts: "/a".into() };
        assert_eq!(parse("", "/a").unwrap(), folders);
        for (artifacts, prefix) in [("s3://art", ""), ("s3://art/", ""), ("s3://art/x/y/", "x/y/")] {
            assert_eq!(
                parse("s3://", artifacts).unwrap(),
                Roots::S3 { bucket: "art".into(), prefix: prefix.into() }
            );
        }
        for (buckets, artifacts) in [
            ("", "s3://art"),
            ("/b", "s3://art"),
            ("s3://", ""),
            ("s3://", "/a"),
            ("s3://in", "s3://art"),
            ("s3://", "s3://"),
            ("s3://", "s3:///x"),
            ("s3://", "s3://art/../x"),
            ("s3://", "s3://art//x"),
        ] {
            assert_eq!(
                parse(buckets, artifacts).unwrap_err().code,
                &code::CONFIG_INVALID,
                "{buckets} {artifacts}"
            );
        }
    }
}
