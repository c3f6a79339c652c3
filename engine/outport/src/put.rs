//! `outport put`: a local file becomes an object, whole or not at all.

use std::path::Path;

use bytes::Bytes;
use indicatif::ProgressBar;
use outport_aws::S3Store;
use outport_core::{Fault, ObjectKey, code};
use outport_objects::{FolderStore, ObjectWriter, PIECE_BYTES, Stored, intake};
use tokio::io::AsyncReadExt;

use crate::config::{Config, Roots};

/// Where people put files.
pub enum Buckets {
    Folders(FolderStore),
    S3(S3Store),
}

impl Buckets {
    /// The configured ones.
    pub async fn open(config: &Config) -> Result<Self, Fault> {
        Ok(match config.roots()? {
            Roots::Folders { buckets, .. } => Self::Folders(FolderStore::open(buckets).await?),
            Roots::S3 { .. } => {
                let aws = outport_aws::load(&config.aws().access()).await;
                Self::S3(S3Store::new(&aws, config.aws().s3()))
            }
        })
    }

    async fn replace(&self, bucket: &str, key: &str) -> Result<Box<dyn ObjectWriter>, Fault> {
        match self {
            Self::Folders(folders) => folders.replace(bucket, key).await,
            Self::S3(s3) => s3.replace(bucket, key).await,
        }
    }
}

/// Bucket and key of `s3://bucket/key`.
pub fn parse_url(url: &str) -> Result<(String, ObjectKey), Fault> {
    let wrong = |why: &str| {
        Fault::new(&code::USAGE, format!("{url:?} is no object: {why}")).with_hint("write s3://BUCKET/KEY")
    };
    let rest = url.strip_prefix("s3://").ok_or_else(|| wrong("it does not begin with s3://"))?;
    let (bucket, key) = rest.split_once('/').ok_or_else(|| wrong("it has no key"))?;
    if bucket.is_empty() {
        return Err(wrong("it has no bucket"));
    }
    let key = ObjectKey::new(key).map_err(|error| {
        Fault::from(error).with_hint(
            "choose another key: no empty, `.` or `..` segment, no control character, 1,024 bytes at most",
        )
    })?;
    Ok((bucket.to_owned(), key))
}

/// A key that the intake leaves alone would be put, and nobody would ever get it.
fn will_be_taken_in(key: &ObjectKey) -> Result<(), Fault> {
    let hidden = key.parent().is_some_and(|folders| folders.split('/').any(|folder| folder.starts_with('.')));
    if !hidden && !intake::waits(key.file_name().as_ref()) {
        return Ok(());
    }
    let message = format!("could not put {:?}: it would never be sent", key.as_str());
    Err(Fault::new(&code::INTAKE_BAD_KEY, message).with_hint(
        "choose another name: .*, *.part, *.tmp and *.filepart are unfinished uploads, and folders .* are not looked into",
    ))
}

/// Copies `file` into the bucket, whole or not at all, in the place of whatever is there. `progress` grows by bytes.
pub async fn put(
    buckets: &Buckets,
    file: &Path,
    bucket: &str,
    key: &ObjectKey,
    progress: &ProgressBar,
) -> Result<Stored, Fault> {
    will_be_taken_in(key)?;
    let failed = |error: &std::io::Error| {
        Fault::new(&code::IO_FAILED, format!("could not read {}: {error}", file.display()))
    };
    let meta = tokio::fs::metadata(file).await.map_err(|e| failed(&e))?;
    if !meta.is_file() {
        return Err(Fault::new(
            &code::IO_FAILED,
            format!("could not put {}: it is not a file", file.display()),
        ));
    }
    progress.set_length(meta.len());
    let mut source = tokio::fs::File::open(file).await.map_err(|e| failed(&e))?;
    let mut writer = buckets.replace(bucket, key.as_str()).await?;
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let read = source.read(&mut buffer).await.map_err(|e| failed(&e))?;
        if read == 0 {
            return writer.finish().await;
        }
        writer.write(Bytes::copy_from_slice(&buffer[..read])).await?;
        progress.inc(read as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_urls() {
        let (bucket, key) = parse_url("s3://in/claims/a b+c ü.json").unwrap();
        assert_eq!((bucket.as_str(), key.as_str()), ("in", "claims/a b+c ü.json"));
        for bad in ["in/a", "s3://in", "s3:///a", "s3://in/", "s3://in/../a", "s3://in/a//b"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
