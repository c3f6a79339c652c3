//! Writes an object: a small one in one request, a large one in parts.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use outport_core::{Fault, code};
use outport_objects::{ObjectWriter, Stored};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::act::{Act, Place};
use super::parts::part_bytes;
use super::upload::Upload;
use super::{Shared, bare};
use crate::failure::Failure;

/// Metadata (`x-amz-meta-...`) that says whose write an object is: when the answer to a write was lost, the next try finds
/// the object there, and this tells whether it is our own.
pub(super) const MARK: &str = "outport-write";

/// A writer into S3.
pub(super) struct S3Writer {
    target: Target,
    hash: Sha256,
    size_bytes: u64,
    /// What no part holds yet: never more than one part.
    buffer: Vec<u8>,
    upload: Option<Upload>,
    parts: usize,
    /// Set while a part is handed over, and for good after a fault: a future that is dropped in the middle has lost bytes.
    broken: bool,
}

/// What is written where, for all requests of one write.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) shared: Arc<Shared>,
    pub(super) place: Place,
    pub(super) mark: String,
    pub(super) publish: Publish,
}

/// What becomes of an object that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Publish {
    /// It stays, and the write fails.
    IfAbsent,
    /// The write takes its place; with versions it stays as an older one.
    Replacing,
}

impl S3Writer {
    pub(super) fn new(shared: Arc<Shared>, place: Place, publish: Publish) -> Self {
        let target = Target { shared, place, mark: Uuid::new_v4().simple().to_string(), publish };
        Self {
            target,
            hash: Sha256::new(),
            size_bytes: 0,
            buffer: Vec::new(),
            upload: None,
            parts: 0,
            broken: false,
        }
    }

    /// Hands over the full buffer as a part.
    async fn send_part(&mut self) -> Result<(), Fault> {
        self.broken = true;
        self.parts += 1;
        let next = Vec::with_capacity(part_bytes(self.parts + 1));
        let part = std::mem::replace(&mut self.buffer, next).into();
        let upload = self.upload.get_or_insert_with(|| Upload::start(self.target.clone()));
        upload.part(part).await?;
        self.broken = false;
        Ok(())
    }

    fn check(&self) -> Result<(), Fault> {
        if !self.broken {
            return Ok(());
        }
        let message =
            format!("could not write {}: an earlier write of it failed or was given up", self.target.place);
        Err(Fault::new(&code::OBJECT_STORE_FAILED, message))
    }
}

#[async_trait]
impl ObjectWriter for S3Writer {
    async fn write(&mut self, mut piece: Bytes) -> Result<(), Fault> {
        self.check()?;
        self.hash.update(&piece);
        self.size_bytes += piece.len() as u64;
        loop {
            let room = part_bytes(self.parts + 1) - self.buffer.len();
            if piece.len() <= room {
                self.buffer.extend_from_slice(&piece);
                return Ok(());
            }
            // Only now a part: an object of just one goes in one request.
            self.buffer.extend_from_slice(&piece.split_to(room));
            self.send_part().await?;
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored, Fault> {
        self.check()?;
        let last: Bytes = std::mem::take(&mut self.buffer).into();
        let etag = match self.upload.take() {
            None => self.target.put(last).await?,
            Some(upload) => upload.finish(last).await?,
        };
        let sha256 = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Stored { size_bytes: self.size_bytes, sha256, etag })
    }

    async fn abort(mut self: Box<Self>) -> Result<(), Fault> {
        match self.upload.take() {
            None => Ok(()),
            Some(upload) => upload.abort().await,
        }
    }
}

impl Target {
    /// Writes the whole object with one request, if the key is free. Gives its etag.
    async fn put(&self, content: Bytes) -> Result<Option<String>, Fault> {
        let request = self.shared.client.put_object().bucket(&self.place.bucket).key(&self.place.key);
        let request = request.set_if_none_match(self.if_none_match()).metadata(MARK, &self.mark);
        let request = request.body(ByteStream::from(content));
        match request.send().await {
            Ok(stored) => Ok(stored.e_tag().map(bare)),
            Err(error) => {
                let failure = Failure::of(&error);
                self.already_written(&failure).await.ok_or_else(|| self.fault(&failure))
            }
        }
    }

    /// The etag, if it was this write that made the object: an earlier try arrived, and only its answer was lost.
    pub(super) async fn already_written(&self, failure: &Failure) -> Option<Option<String>> {
        // 412: the key is taken. 404: the upload is finished, so there is none of that id.
        if !matches!(failure.status(), Some(404 | 412)) {
            return None;
        }
        let found = self.shared.look(&self.place).await.ok()??;
        let is_ours = found.metadata().and_then(|all| all.get(MARK)) == Some(&self.mark);
        is_ours.then(|| found.e_tag().map(bare))
    }

    /// The condition of the request that makes the object visible.
    pub(super) fn if_none_match(&self) -> Option<String> {
        (self.publish == Publish::IfAbsent).then(|| "*".to_owned())
    }

    pub(super) fn fault(&self, failure: &Failure) -> Fault {
        self.shared.fault(Act::Write, &self.place, failure)
    }
}
