//! Where objects lie: all in folders of this machine, or all in S3.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use outport_aws::{S3Store, SdkConfig};
use outport_core::{Fault, code};
use outport_objects::{Expected, FolderStore, Objects};
use outport_store::Store;

use crate::config::{Config, Roots};

/// The bucket of a folder store that holds snapshots of arrived files.
pub const ORIGINALS: &str = "originals";
/// Where the outputs of transforms lie: a bucket of a folder store, a prefix in S3.
const OUTPUTS: &str = "outputs";
/// The name in the artifact store that says which ledger it belongs to.
const LEDGER: &str = "LEDGER";

/// Arrived objects and artifacts.
pub enum Storage {
    /// In folders.
    Folders(Folders),
    /// In S3.
    S3(S3),
}

/// Two folder stores. Cheap to clone.
#[derive(Clone)]
pub struct Folders {
    pub buckets: FolderStore,
    /// Snapshots of what arrived, and outputs.
    pub artifacts: FolderStore,
}

/// Buckets of S3. What arrived is read where it arrived; outputs lie in a bucket of their own.
pub struct S3 {
    pub store: S3Store,
    bucket: String,
    /// Begins each key there: empty, or with a slash at its end.
    prefix: String,
}

impl Storage {
    /// Opens it; `aws` is how AWS is reached, if it lies there.
    pub async fn open(config: &Config, aws: Option<&SdkConfig>) -> Result<Self, Fault> {
        match (config.roots()?, aws) {
            (Roots::S3 { bucket, prefix }, Some(aws)) => {
                let store = S3Store::new(aws, config.aws().s3());
                // A bucket that is not there is a mistake, to be told at once; all other trouble may be over soon.
                match store.find_bucket(&bucket).await {
                    Err(fault) if fault.code == &code::INTAKE_BUCKET_MISSING => return Err(fault),
                    Err(fault) => tracing::warn!(code = fault.code.name, hint = fault.hint(), "{fault}"),
                    Ok(()) => {}
                }
                Ok(Self::S3(S3 { store, bucket, prefix }))
            }
            (Roots::S3 { .. }, None) => {
                Err(Fault::new(&code::CONFIG_INVALID, "buckets lie in S3, and AWS is not configured"))
            }
            (Roots::Folders { buckets, artifacts }, _) => {
                Folders::open(buckets, artifacts).await.map(Self::Folders)
            }
        }
    }

    /// The folders, where it is these.
    pub fn folders(&self) -> Option<&Folders> {
        match self {
            Self::Folders(folders) => Some(folders),
            Self::S3(_) => None,
        }
    }

    /// S3, where it is that.
    pub fn s3(&self) -> Option<&S3> {
        match self {
            Self::Folders(_) => None,
            Self::S3(s3) => Some(s3),
        }
    }

    /// What reads and writes artifacts.
    pub fn artifacts(&self) -> &dyn Objects {
        match self {
            Self::Folders(folders) => &folders.artifacts,
            Self::S3(s3) => &s3.store,
        }
    }

    /// Bucket and key of an output.
    pub fn output(&self, name: &str) -> (String, String) {
        match self {
            Self::Folders(_) => (OUTPUTS.to_owned(), name.to_owned()),
            Self::S3(s3) => (s3.bucket.clone(), s3.key(&format!("{OUTPUTS}/{name}"))),
        }
    }

    /// Buckets and prefixes that hold artifacts and nothing else: what is nobody's there may be collected.
    pub fn own_places(&self) -> Vec<(String, String)> {
        match self {
            Self::Folders(_) => [ORIGINALS, OUTPUTS].map(|bucket| (bucket.to_owned(), String::new())).into(),
            Self::S3(s3) => vec![(s3.bucket.clone(), s3.key(&format!("{OUTPUTS}/")))],
        }
    }

    /// Whether what arrived is copied, so that the copy is ours to remove. In S3 it stays where it arrived.
    pub fn keeps_originals(&self) -> bool {
        matches!(self, Self::Folders(_))
    }

    /// Whether the artifact store is this ledger's. The first ledger that opens a store writes its id into it; with another
    /// database (a restored, moved or empty one) nothing may be collected there.
    pub async fn is_of(&self, ledger: &Store) -> Result<bool, Fault> {
        let id = outport_store::artifacts::ledger_id(ledger).await.map_err(|e| e.fault())?.to_string();
        match self {
            Self::Folders(folders) => is_folder_of(folders.artifacts.root(), &id),
            Self::S3(s3) => s3.is_of(&id).await,
        }
    }

    /// Where the buckets are, for people.
    pub fn shown(&self) -> String {
        match self {
            Self::Folders(folders) => folders.buckets.root().display().to_string(),
            Self::S3(_) => "s3://".to_owned(),
        }
    }
}

impl Folders {
    async fn open(buckets: PathBuf, artifacts: PathBuf) -> Result<Self, Fault> {
        let buckets = open_folder(buckets).await?;
        let artifacts = open_folder(artifacts).await?;
        make_private(artifacts.root())?;
        for folder in [&buckets, &artifacts] {
            // Temporary files of dead writers; what lives is younger.
            let removed = folder.clear_leftovers(jiff::Timestamp::now().as_millisecond()).await?;
            if removed > 0 {
                tracing::info!(removed, folder = %folder.root().display(), "removed what dead writers left");
            }
        }
        artifacts.make_bucket(ORIGINALS).await?;
        artifacts.make_bucket(OUTPUTS).await?;
        Ok(Self { buckets, artifacts })
    }
}

impl S3 {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn is_of(&self, id: &str) -> Result<bool, Fault> {
        let key = self.key(LEDGER);
        // Twice: somebody else may write it between our look and our write.
        for _ in 0..2 {
            match self.store.open(&self.bucket, &key, Expected::any()).await {
                Ok(mut reader) => {
                    let mut text = Vec::new();
                    while let Some(piece) = reader.next().await? {
                        text.extend_from_slice(&piece);
                    }
                    return Ok(String::from_utf8_lossy(&text).trim() == id);
                }
                Err(fault) if fault.code == &code::ARTIFACT_MISSING => {}
                Err(fault) => return Err(fault),
            }
            let mut writer = self.store.create(&self.bucket, &key).await?;
            writer.write(Bytes::from(format!("{id}\n"))).await?;
            match writer.finish().await {
                Ok(_) => return Ok(true),
                Err(fault) if fault.code == &code::OBJECT_EXISTS => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(false)
    }
}

fn is_folder_of(root: &Path, id: &str) -> Result<bool, Fault> {
    let path = root.join(LEDGER);
    let failed = |error: std::io::Error| {
        Fault::new(&code::IO_FAILED, format!("could not use {}: {error}", path.display()))
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim() == id),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::write(&path, format!("{id}\n")).map_err(failed)?;
            Ok(true)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Artifacts are other people's data: nobody but this user reads them.
fn make_private(folder: &Path) -> Result<(), Fault> {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(|error| {
        let message = format!("could not make the folder {} private: {error}", folder.display());
        Fault::new(&code::IO_FAILED, message)
    })
}

async fn open_folder(root: PathBuf) -> Result<FolderStore, Fault> {
    std::fs::create_dir_all(&root).map_err(|error| {
        Fault::new(&code::IO_FAILED, format!("could not make the folder {}: {error}", root.display()))
    })?;
    FolderStore::open(root).await
}
