//! Folders as buckets: a bucket is a folder below the root, a key is a relative path in it.
//!
//! Symbolic links below the root are neither followed nor listed. Folders that become empty stay; S3 has none to
//! compare with.

pub(crate) mod beneath;
mod leftovers;
mod listing;
pub(crate) mod part;
pub(crate) mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use outport_core::{Fault, Millis, code};
use rustix::fs::{self, AtFlags, Mode};
use rustix::io::Errno;

use self::beneath::{descend, is_absent, open_bucket, open_root};
use self::part::{Part, Publish};
use self::reading::{check_expected, info_of, open_file, path_of, pieces};
use self::writing::FolderWriter;
use crate::blocking::blocking;
use crate::fault::{shown_path, store_fault};
use crate::key::{Place, check_bucket};
use crate::object::{Expected, Listed, ObjectInfo, ObjectReader, ObjectWriter, Objects};

/// Buckets as folders below one root. Cheap to clone.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use outport_objects::{Expected, FolderStore, Objects};
/// let root = tempfile::tempdir().unwrap();
/// let store = FolderStore::open(root.path()).await?;
/// store.make_bucket("inbox").await?;
/// let mut writer = store.create("inbox", "claims/a.json").await?;
/// writer.write("{}".into()).await?;
/// let stored = writer.finish().await?;
/// assert_eq!(stored.size_bytes, 2);
/// let mut reader = store.open("inbox", "claims/a.json", Expected { version: None, etag: stored.etag }).await?;
/// assert_eq!(reader.next().await?.unwrap(), "{}");
/// # Ok::<(), outport_core::Fault>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct FolderStore {
    root: Arc<Path>,
}

impl FolderStore {
    /// A store over an existing folder.
    ///
    /// # Errors
    /// `object.store_failed` when the root is not a folder that can be read.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, Fault> {
        let root = root.into();
        blocking(move || {
            let root = std::path::absolute(&root)
                .map_err(|error| store_fault("could not open the buckets folder", &root, error))?;
            open_root(&root)?;
            Ok(Self { root: root.into() })
        })
        .await
    }

    /// The folder that holds the buckets, as an absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes a bucket, unless it is there.
    ///
    /// # Errors
    /// `intake.bucket_missing` when the name cannot be a bucket or something else has it, `object.store_full`,
    /// `object.store_failed`.
    pub async fn make_bucket(&self, bucket: &str) -> Result<(), Fault> {
        check_bucket(bucket)?;
        let (root, bucket) = (self.root.clone(), bucket.to_owned());
        blocking(move || {
            let folder = open_root(&root)?;
            match fs::mkdirat(&folder, &bucket, Mode::from_raw_mode(0o777)) {
                Ok(()) => fs::fsync(&folder),
                Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(errno),
            }
            .map_err(|errno| store_fault("could not make bucket", &root.join(&bucket), errno))?;
            open_bucket(&root, &bucket).map(drop)
        })
        .await
    }

    /// Starts to write an object that replaces, in one step, the one that has the key.
    ///
    /// # Errors
    /// As [`Objects::create`], without `object.exists`.
    pub async fn replace(&self, bucket: &str, key: &str) -> Result<Box<dyn ObjectWriter>, Fault> {
        self.start(bucket, key, Publish::Replacing).await
    }

    /// Removes temp files older than an hour whose writers are dead, and says how many there were. It visits every
    /// folder, so the engine calls it once at its start; a writer that lives, in this or another process, keeps its
    /// file by a lock on it.
    ///
    /// # Errors
    /// `object.store_failed`.
    pub async fn clear_leftovers(&self, now: Millis) -> Result<usize, Fault> {
        let root = self.root.clone();
        blocking(move || leftovers::clear(&root, now)).await
    }

    async fn start(&self, bucket: &str, key: &str, publish: Publish) -> Result<Box<dyn ObjectWriter>, Fault> {
        let (root, place) = (self.root.clone(), Place::new(bucket, key)?);
        let name = place.to_string();
        let part = blocking(move || Part::start(&root, &place, publish)).await?;
        Ok(Box::new(FolderWriter::new(part, name)))
    }
}

#[async_trait]
impl Objects for FolderStore {
    async fn head(&self, bucket: &str, key: &str) -> Result<Option<ObjectInfo>, Fault> {
        let (root, place) = (self.root.clone(), Place::new(bucket, key)?);
        blocking(move || {
            let bucket = open_bucket(&root, place.bucket())?;
            let stat = descend(bucket, place.folders())
                .and_then(|folder| fs::statat(folder, place.name(), AtFlags::SYMLINK_NOFOLLOW));
            match stat {
                Ok(stat) if is_file(&stat) => Ok(Some(info_of(&stat))),
                Ok(_) => Ok(None),
                Err(errno) if is_absent(errno) => Ok(None),
                Err(errno) => Err(store_fault("could not look at", &path_of(&root, &place), errno)),
            }
        })
        .await
    }

    async fn open(&self, bucket: &str, key: &str, expected: Expected) -> Result<ObjectReader, Fault> {
        let (root, place) = (self.root.clone(), Place::new(bucket, key)?);
        blocking(move || {
            let Some((file, stat)) = open_file(&root, &place)? else {
                let path = shown_path(&path_of(&root, &place));
                return Err(Fault::new(
                    &code::ARTIFACT_MISSING,
                    format!("could not read {path}: there is no such file"),
                ));
            };
            let info = info_of(&stat);
            check_expected(&info, &expected, &place)?;
            let pieces = pieces(file, info.etag.clone(), &root, &place);
            Ok(ObjectReader::new(place.to_string(), info, pieces))
        })
        .await
    }

    async fn create(&self, bucket: &str, key: &str) -> Result<Box<dyn ObjectWriter>, Fault> {
        self.start(bucket, key, Publish::IfAbsent).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, Result<Listed, Fault>> {
        listing::list(self.root.to_path_buf(), bucket.to_owned(), prefix.to_owned())
    }

    async fn delete(&self, bucket: &str, key: &str) -> Result<(), Fault> {
        let (root, place) = (self.root.clone(), Place::new(bucket, key)?);
        blocking(move || {
            let failed = |errno| store_fault("could not delete", &path_of(&root, &place), errno);
            let folder = match descend(open_bucket(&root, place.bucket())?, place.folders()) {
                Err(errno) if is_absent(errno) => return Ok(()),
                other => other.map_err(failed)?,
            };
            match fs::statat(&folder, place.name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if is_file(&stat) => {}
                // A folder or a link is no object.
                Ok(_) | Err(Errno::NOENT) => return Ok(()),
                Err(errno) => return Err(failed(errno)),
            }
            match fs::unlinkat(&folder, place.name(), AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(()),
                other => other.and_then(|()| fs::fsync(&folder)).map_err(failed),
            }
        })
        .await
    }
}

fn is_file(stat: &fs::Stat) -> bool {
    fs::FileType::from_raw_mode(stat.st_mode).is_file()
}
