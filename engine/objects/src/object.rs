//! What an object store can do, whatever is behind it.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use outport_core::{Fault, Millis, code};

/// Largest piece that an [`ObjectReader`] hands out, in bytes. 256 KiB: large enough that the hop to a blocking thread
/// does not show beside the read, small enough that a thousand files in flight fit the memory budget.
pub const PIECE_BYTES: usize = 256 * 1024;

/// Objects in buckets. Every implementation passes the same conformance suite (feature `conformance`).
#[async_trait]
pub trait Objects: Send + Sync {
    /// What is known of an object, or `None` when there is none.
    ///
    /// # Errors
    /// `intake.bucket_missing`, `intake.bad_key`, `object.store_failed`.
    async fn head(&self, bucket: &str, key: &str) -> Result<Option<ObjectInfo>, Fault>;

    /// Opens exactly the object that was recorded.
    ///
    /// # Errors
    /// `artifact.missing` when there is none, `artifact.changed` when it is not the `expected` one, and those of
    /// [`head`](Self::head).
    async fn open(&self, bucket: &str, key: &str, expected: Expected) -> Result<ObjectReader, Fault>;

    /// Starts to write an object that does not exist yet. Nothing is visible under `key` before
    /// [`ObjectWriter::finish`].
    ///
    /// # Errors
    /// `object.exists` (here or at the end), `object.store_full`, `object.store_failed`, `intake.bucket_missing`,
    /// `intake.bad_key`.
    async fn create(&self, bucket: &str, key: &str) -> Result<Box<dyn ObjectWriter>, Fault>;

    /// Every object whose key starts with `prefix`, in the byte order of the keys. Objects that come or go while the
    /// stream is read may or may not be in it; every other one is in it exactly once.
    fn list(&self, bucket: &str, prefix: &str) -> BoxStream<'static, Result<Listed, Fault>>;

    /// Removes an object. That there is none is no error: what was wanted is so.
    ///
    /// # Errors
    /// `intake.bucket_missing`, `intake.bad_key`, `object.store_failed`.
    async fn delete(&self, bucket: &str, key: &str) -> Result<(), Fault>;
}

/// What a store knows of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Version id, where the bucket keeps versions.
    pub version: Option<String>,
    /// Entity tag without quotes: differs when the content differs, as far as the store can tell.
    pub etag: Option<String>,
    /// When the content was last changed.
    pub modified_at: Millis,
}

/// Which object a reader was told about. What is `None` is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The version id that must be read.
    pub version: Option<String>,
    /// The entity tag that the object must have, without quotes.
    pub etag: Option<String>,
}

impl Expected {
    /// Whatever is there now.
    pub fn any() -> Self {
        Self::default()
    }

    /// The object with this entity tag.
    pub fn etag(etag: impl Into<String>) -> Self {
        Self { version: None, etag: Some(etag.into()) }
    }
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The whole key.
    pub key: String,
    /// What is known of the object.
    pub info: ObjectInfo,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hash of the content: 64 lower-case hex digits.
    pub sha256: String,
    /// Entity tag of the new object, for [`Expected::etag`].
    pub etag: Option<String>,
}

/// An object that is being written. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[async_trait]
pub trait ObjectWriter: Send {
    /// Appends a piece of any size.
    ///
    /// # Errors
    /// `object.store_full`, `object.store_failed`; after an error every later call fails too.
    async fn write(&mut self, piece: Bytes) -> Result<(), Fault>;

    /// Makes the object durable and visible, whole, under its key.
    ///
    /// # Errors
    /// `object.exists` when somebody else wrote the key first, `object.store_full`, `object.store_failed`.
    async fn finish(self: Box<Self>) -> Result<Stored, Fault>;

    /// Gives up, and returns when nothing of it is left.
    ///
    /// # Errors
    /// `object.store_failed` when something had to be left behind.
    async fn abort(self: Box<Self>) -> Result<(), Fault>;
}

/// The content of one object, in order, in pieces of at most [`PIECE_BYTES`].
///
/// Yields exactly [`size_bytes`](Self::size_bytes) bytes or a fault, whatever the store behind it does; and after a
/// fault it goes on to give that fault, so that nobody can take a broken end for the end.
pub struct ObjectReader {
    name: String,
    info: ObjectInfo,
    pieces: BoxStream<'static, Result<Bytes, Fault>>,
    read_bytes: u64,
    failed: Option<Fault>,
}

impl ObjectReader {
    /// A reader over a store's pieces. `name` (bucket and key) is for messages.
    pub fn new(name: String, info: ObjectInfo, pieces: BoxStream<'static, Result<Bytes, Fault>>) -> Self {
        Self { name, info, pieces, read_bytes: 0, failed: None }
    }

    /// What is known of the object that is being read.
    pub fn info(&self) -> &ObjectInfo {
        &self.info
    }

    /// Size of the whole object in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.info.size_bytes
    }

    /// The next piece, never an empty one; `None` at the end.
    ///
    /// # Errors
    /// `artifact.changed` when the object changes while it is read, `object.store_failed`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let next = loop {
            match self.pieces.next().await {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) => {
                    self.read_bytes += piece.len() as u64;
                    break if self.read_bytes > self.size_bytes() {
                        Err(self.wrong_size())
                    } else {
                        Ok(Some(piece))
                    };
                }
                Some(Err(fault)) => break Err(fault),
                None => {
                    break if self.read_bytes < self.size_bytes() {
                        Err(self.wrong_size())
                    } else {
                        Ok(None)
                    };
                }
            }
        };
        if let Err(fault) = &next {
            self.failed = Some(fault.clone());
        }
        next
    }

    fn wrong_size(&self) -> Fault {
        let more = if self.read_bytes > self.size_bytes() { "more" } else { "less" };
        let message = format!(
            "could not read {}: it gave {more} than its {} bytes, so it changed while it was read",
            self.name,
            self.size_bytes()
        );
        Fault::new(&code::ARTIFACT_CHANGED, message)
    }
}

impl std::fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectReader")
            .field("name", &self.name)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn reader(size_bytes: u64, pieces: Vec<Result<Bytes, Fault>>) -> ObjectReader {
        let info = ObjectInfo { size_bytes, version: None, etag: None, modified_at: 0 };
        ObjectReader::new("inbox/a".into(), info, stream::iter(pieces).boxed())
    }

    #[tokio::test]
    async fn a_store_that_gives_too_much_or_too_little_is_not_believed() {
        for (size, pieces) in [(3, vec!["ab"]), (3, vec!["ab", "cd"]), (1, vec![])] {
            let mut reader = reader(size, pieces.into_iter().map(|p| Ok(Bytes::from(p))).collect());
            let fault = loop {
                match reader.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("a wrong size was taken for the end"),
                    Err(fault) => break fault,
                }
            };
            assert_eq!(fault.code, &code::ARTIFACT_CHANGED);
            assert_eq!(reader.next().await.unwrap_err(), fault, "a second look must not show an end");
        }
    }

    #[tokio::test]
    async fn empty_pieces_are_no_end_and_faults_stay() {
        let broken = Fault::new(&code::OBJECT_STORE_FAILED, "broken");
        let pieces = vec![Ok(Bytes::new()), Ok(Bytes::from("a")), Err(broken.clone()), Ok(Bytes::from("b"))];
        let mut reader = reader(2, pieces);
        assert_eq!(reader.next().await.unwrap().unwrap(), "a");
        assert_eq!(reader.next().await.unwrap_err(), broken);
        assert_eq!(reader.next().await.unwrap_err(), broken);
    }
}
