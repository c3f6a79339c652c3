//! Objects in S3, or in a store that speaks its protocol.

mod act;
mod fault;
mod listing;
mod parts;
mod reading;
mod settings;
mod upload;
mod versions;
mod writing;

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::BucketVersioningStatus;
use futures_util::stream::BoxStream;
use outport_core::{Fault, Millis, code};
use outport_objects::key::{check_bucket, check_key};
use outport_objects::{Expected, Listed, ObjectInfo, ObjectReader, ObjectWriter, Objects};
use tokio::sync::Semaphore;

use self::act::{Act, Place};
use self::fault::fault_of;
pub use self::settings::{Checksums, S3Settings};
pub use self::versions::ListedVersion;
use self::writing::{Publish, S3Writer};
use crate::failure::Failure;

/// Buckets in S3. Cheap to clone.
///
/// ```no_run
/// # async fn run() -> Result<(), outport_core::Fault> {
/// use outport_aws::{Access, S3Settings, S3Store};
/// use outport_objects::{Expected, Objects};
/// let aws = outport_aws::load(&Access { region: Some("eu-central-1".into()), ..Access::default() }).await;
/// let store = S3Store::new(&aws, S3Settings::default());
/// let expected = Expected { version: Some("3sL4kqtJlcpXroDTDmJ".into()), etag: None };
/// let mut reader = store.open("inbound", "claims/a.json", expected).await?;
/// while let Some(piece) = reader.next().await? {
///     println!("{} bytes", piece.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct S3Store {
    shared: Arc<Shared>,
}

/// What a store's readers and writers have in common.
#[derive(Debug)]
struct Shared {
    client: Client,
    settings: S3Settings,
    /// See [`S3Settings::ranges_shared`].
    ahead: Arc<Semaphore>,
    /// Buckets that were seen: an answer to HEAD does not say whether the key or the bucket is missing.
    known: Mutex<HashSet<String>>,
}

impl S3Store {
    /// A store over one configuration of AWS ([`load`](crate::load)). Asks nothing of S3 yet.
    pub fn new(aws: &SdkConfig, settings: S3Settings) -> Self {
        let own_endpoint = aws.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let (sent, compared) = match settings.checksums {
            Checksums::WhenSupported => {
                (RequestChecksumCalculation::WhenSupported, ResponseChecksumValidation::WhenSupported)
            }
            Checksums::WhenRequired => {
                (RequestChecksumCalculation::WhenRequired, ResponseChecksumValidation::WhenRequired)
            }
        };
        let config = aws_sdk_s3::config::Builder::from(aws)
            .force_path_style(settings.path_style.unwrap_or(own_endpoint))
            .request_checksum_calculation(sent)
            .response_checksum_validation(compared)
            .build();
        let ahead = Arc::new(Semaphore::new(settings.ranges_shared));
        let client = Client::from_conf(config);
        Self { shared: Arc::new(Shared { client, settings, ahead, known: Mutex::default() }) }
    }

    /// Starts to write an object in the place of whatever is there: for people who upload, never for artifacts.
    ///
    /// # Errors
    /// Those of [`create`](Objects::create) without `object.exists`.
    pub async fn replace(&self, bucket: &str, key: &str) -> Result<Box<dyn ObjectWriter>, Fault> {
        self.start(bucket, key, Publish::Replacing).await
    }

    /// Makes sure that the bucket is there; that we may not look is no error.
    ///
    /// # Errors
    /// `intake.bucket_missing`, `aws.*`.
    pub async fn find_bucket(&self, bucket: &str) -> Result<(), Fault> {
        self.shared.find_bucket(bucket).await
    }

    /// Makes sure that the bucket may be listed, which tells a missing object from a forbidden one.
    ///
    /// # Errors
    /// `intake.bucket_missing`, `aws.access_denied` without `s3:ListBucket`, `aws.*`.
    pub async fn may_list(&self, bucket: &str) -> Result<(), Fault> {
        let listed = self.shared.client.list_objects_v2().bucket(bucket).max_keys(1).send().await;
        listed
            .map(|_| ())
            .map_err(|error| self.shared.fault(Act::List, &Place::new(bucket, ""), &Failure::of(&error)))
    }

    /// Whether the bucket keeps versions now; `None`: it gives an answer that is not S3's (moto 5.2 does).
    ///
    /// # Errors
    /// `aws.access_denied` without `s3:GetBucketVersioning`, `aws.*`.
    pub async fn is_versioned(&self, bucket: &str) -> Result<Option<bool>, Fault> {
        match self.shared.client.get_bucket_versioning().bucket(bucket).send().await {
            Ok(told) => Ok(Some(told.status() == Some(&BucketVersioningStatus::Enabled))),
            Err(error) => match Failure::of(&error) {
                failure if failure.status() == Some(200) => Ok(None),
                failure => Err(self.shared.fault(Act::FindVersioning, &Place::new(bucket, ""), &failure)),
            },
        }
    }

    async fn start(&self, bucket: &str, key: &str, publish: Publish) -> Result<Box<dyn ObjectWriter>, Fault> {
        let place = checked(bucket, key)?;
        self.shared.find_bucket(bucket).await?;
        Ok(Box::new(S3Writer::new(self.shared.clone(), place, publish)))
    }
}

#[async_trait]
impl Objects for S3Store {
    async fn head(&self, bucket: &str, key: &str) -> Result<Option<ObjectInfo>, Fault> {
        let place = checked(bucket, key)?;
        match self.shared.look(&place).await? {
            Some(found) => Ok(Some(info_of_head(&found))),
            None => self.shared.find_bucket(bucket).await.map(|()| None),
        }
    }

    async fn open(&self, bucket: &str, key: &str, expected: Expected) -> Result<ObjectReader, Fault> {
        reading::open(self.shared.clone(), checked(bucket, key)?, expected).await
    }

    async fn create(&self, bucket: &str, key: &str) -> Result<Box<dyn ObjectWriter>, Fault> {
        self.start(bucket, key, Publish::IfAbsent).await
    }

    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, Result<Listed, Fault>> {
        listing::list(self.shared.clone(), Place::new(bucket, prefix))
    }

    async fn delete(&self, bucket: &str, key: &str) -> Result<(), Fault> {
        let place = checked(bucket, key)?;
        let request = self.shared.client.delete_object().bucket(bucket).key(key);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => match Failure::of(&error) {
                // S3 itself does not mind; some stores do.
                failure if failure.code() == Some("NoSuchKey") => Ok(()),
                failure => Err(self.shared.fault(Act::Delete, &place, &failure)),
            },
        }
    }
}

impl Shared {
    /// HeadObject; `None` when there is no such object (or no such bucket).
    async fn look(&self, place: &Place) -> Result<Option<HeadObjectOutput>, Fault> {
        match self.client.head_object().bucket(&place.bucket).key(&place.key).send().await {
            Ok(found) => Ok(Some(found)),
            Err(error) => match Failure::of(&error) {
                failure if failure.status() == Some(404) => Ok(None),
                failure => {
                    let spoken = self.client.get_object().bucket(&place.bucket).key(&place.key);
                    let spoken = spoken.range("bytes=0-0").send().await;
                    Err(self.fault(Act::Look, place, &with_reason(failure, spoken)))
                }
            },
        }
    }

    /// Makes sure that the bucket is there. Asked once for each bucket: one that is deleted later is told by the
    /// requests after.
    async fn find_bucket(&self, bucket: &str) -> Result<(), Fault> {
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(bucket) {
            return Ok(());
        }
        if let Err(error) = self.client.head_bucket().bucket(bucket).send().await {
            let failure = Failure::of(&error);
            // 403 is an answer too: a bucket that we may not list. What we may do in it, the next request tells.
            if failure.status() != Some(403) {
                let spoken = self.client.list_objects_v2().bucket(bucket).max_keys(1).send().await;
                let failure = with_reason(failure, spoken);
                return Err(self.fault(Act::FindBucket, &Place::new(bucket, ""), &failure));
            }
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.to_owned());
        Ok(())
    }

    /// The fault of a request, from what it says.
    fn fault(&self, act: Act, place: &Place, failure: &Failure) -> Fault {
        let fault = fault_of(act, place, failure);
        if fault.code == &code::INTAKE_BUCKET_MISSING {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&place.bucket);
        }
        fault
    }
}

/// An answer to HEAD has no body, and so no reason. The same asked by GET tells it; if that succeeds, or fails
/// otherwise, the first failure stays.
fn with_reason<T, E>(silent: Failure, spoken: Result<T, SdkError<E>>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match (silent, spoken) {
        (Failure::Answer(silent), Err(error)) if silent.code.is_none() || silent.message.is_none() => {
            match Failure::of(&error) {
                Failure::Answer(spoken) if spoken.status == silent.status => Failure::Answer(spoken),
                _ => Failure::Answer(silent),
            }
        }
        (silent, _) => silent,
    }
}

/// The same names as in a folder, so that a bucket can move either way.
fn checked(bucket: &str, key: &str) -> Result<Place, Fault> {
    check_bucket(bucket)?;
    check_key(key)?;
    Ok(Place::new(bucket, key))
}

fn info_of_head(found: &HeadObjectOutput) -> ObjectInfo {
    ObjectInfo {
        size_bytes: size_of(found.content_length()),
        version: found.version_id().map(str::to_owned),
        etag: found.e_tag().map(bare),
        modified_at: millis(found.last_modified()),
    }
}

/// An entity tag without its quotes.
fn bare(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

/// An entity tag for If-Match.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn size_of(length: Option<i64>) -> u64 {
    length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
}

fn millis(time: Option<&DateTime>) -> Millis {
    time.and_then(|time| time.to_millis().ok()).unwrap_or(0)
}
