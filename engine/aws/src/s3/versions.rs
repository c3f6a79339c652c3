//! Every version of every object below a prefix: what a sweep compares with the ledger.

use std::collections::VecDeque;
use std::sync::Arc;

use aws_sdk_s3::types::{EncodingType, ObjectVersion};
use futures_util::stream::{self, BoxStream, StreamExt};
use outport_core::{Fault, Millis, code};
use outport_objects::key::check_bucket;

use super::act::{Act, Place};
use super::listing::decoded;
use super::{S3Store, Shared, bare, millis, size_of};
use crate::failure::Failure;

/// One version of an object; removals are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The whole key.
    pub key: String,
    /// The version id; `None` in a bucket without versions.
    pub version: Option<String>,
    /// Entity tag without quotes.
    pub etag: Option<String>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// When it was written.
    pub modified_at: Millis,
    /// Whether it is what one gets without asking for a version.
    pub is_latest: bool,
}

impl S3Store {
    /// Every version below `prefix`: keys in the order of their bytes, the newest version of a key first. It holds one
    /// page, 1,000 versions at most.
    ///
    /// # Errors
    /// In the stream: `aws.access_denied` without `s3:ListBucketVersions`, and those of a listing.
    pub fn versions(&self, bucket: &str, prefix: &str) -> BoxStream<'static, Result<ListedVersion, Fault>> {
        let walk = Walk {
            shared: self.shared.clone(),
            place: Place::new(bucket, prefix),
            page: VecDeque::new(),
            is_encoded: false,
            next: Next::First,
        };
        stream::try_unfold(walk, Walk::step).boxed()
    }

    /// The newest version of an object that has this etag; `None` when there is none (any more).
    ///
    /// # Errors
    /// Those of [`versions`](Self::versions).
    pub async fn version_with(
        &self,
        bucket: &str,
        key: &str,
        etag: &str,
    ) -> Result<Option<ListedVersion>, Fault> {
        let mut versions = self.versions(bucket, key);
        while let Some(version) = versions.next().await.transpose()? {
            if version.key != key {
                // Longer keys come after all versions of this one.
                break;
            }
            if version.etag.as_deref() == Some(etag) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// The value of one tag of one version.
    ///
    /// # Errors
    /// `aws.access_denied` without `s3:GetObjectTagging` (`s3:GetObjectVersionTagging` with a version), `aws.*`.
    pub async fn tag(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        name: &str,
    ) -> Result<Option<String>, Fault> {
        let request = self.shared.client.get_object_tagging().bucket(bucket).key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        let tags = request.send().await.map_err(|error| {
            let act = if version.is_some() { Act::ReadVersionTags } else { Act::ReadTags };
            self.shared.fault(act, &Place::new(bucket, key), &Failure::of(&error))
        })?;
        Ok(tags.tag_set().iter().find(|tag| tag.key() == name).map(|tag| tag.value().to_owned()))
    }
}

enum Next {
    First,
    After { key: Option<String>, version: Option<String> },
    End,
}

struct Walk {
    shared: Arc<Shared>,
    place: Place,
    page: VecDeque<ObjectVersion>,
    is_encoded: bool,
    next: Next,
}

impl Walk {
    async fn step(mut self) -> Result<Option<(ListedVersion, Self)>, Fault> {
        loop {
            if let Some(version) = self.page.pop_front() {
                let listed = self.listed(version)?;
                return Ok(Some((listed, self)));
            }
            let (key, version) = match std::mem::replace(&mut self.next, Next::End) {
                Next::First => (None, None),
                Next::After { key, version } => (key, version),
                Next::End => return Ok(None),
            };
            self.load(key, version).await?;
        }
    }

    async fn load(&mut self, key: Option<String>, version: Option<String>) -> Result<(), Fault> {
        check_bucket(&self.place.bucket)?;
        let request = self.shared.client.list_object_versions().bucket(&self.place.bucket);
        let request = request.prefix(&self.place.key).encoding_type(EncodingType::Url);
        let page = request
            .set_key_marker(key)
            .set_version_id_marker(version)
            .send()
            .await
            .map_err(|error| self.shared.fault(Act::ListVersions, &self.place, &Failure::of(&error)))?;
        self.is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        if page.is_truncated() == Some(true) {
            let key =
                page.next_key_marker().ok_or_else(|| self.wrong("a page that goes on does not say where"))?;
            let key = if self.is_encoded { decoded(key) } else { Some(key.to_owned()) };
            self.next = Next::After { key, version: page.next_version_id_marker().map(str::to_owned) };
        }
        self.page = page.versions.unwrap_or_default().into();
        Ok(())
    }

    fn listed(&self, listed: ObjectVersion) -> Result<ListedVersion, Fault> {
        let key = listed.key().unwrap_or_default();
        let key = if self.is_encoded { decoded(key) } else { Some(key.to_owned()) };
        Ok(ListedVersion {
            key: key.ok_or_else(|| self.wrong("a key is not text"))?,
            version: listed.version_id().filter(|id| *id != "null").map(str::to_owned),
            etag: listed.e_tag().map(bare),
            size_bytes: size_of(listed.size()),
            modified_at: millis(listed.last_modified()),
            is_latest: listed.is_latest() == Some(true),
        })
    }

    fn wrong(&self, what: &str) -> Fault {
        Fault::new(
            &code::OBJECT_STORE_FAILED,
            format!("could not list the versions of {}: {what}", self.place),
        )
        .with_hint("the store does not list versions as S3 does")
    }
}
