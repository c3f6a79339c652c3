//! Where the bytes come from.

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;

/// The content of one artifact or local file, in order, once.
#[async_trait]
pub trait Source: Send {
    /// The next piece; `None` at the end. Pieces of 256 KiB suit the wire; empty ones are allowed.
    ///
    /// # Errors
    /// Why it cannot be read on.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault>;

    /// How many bytes all pieces are to have together. A stream that ends earlier or goes on is not sent.
    fn size_bytes(&self) -> u64;
}

/// Bytes in memory, in pieces of the given size: for tests and small generated files.
#[derive(Debug, Clone)]
pub struct BytesSource {
    rest: Bytes,
    size_bytes: u64,
    piece: usize,
}

impl BytesSource {
    /// A source of these bytes.
    pub fn new(content: impl Into<Bytes>) -> Self {
        Self::in_pieces(content, 256 * 1024)
    }

    /// The same in pieces of at most `piece` bytes (at least one).
    pub fn in_pieces(content: impl Into<Bytes>, piece: usize) -> Self {
        let rest = content.into();
        Self { size_bytes: rest.len() as u64, rest, piece: piece.max(1) }
    }

    /// A source that announces another size than it has, as a damaged artifact does.
    #[must_use]
    pub fn announcing(mut self, size_bytes: u64) -> Self {
        self.size_bytes = size_bytes;
        self
    }
}

#[async_trait]
impl Source for BytesSource {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let size = self.piece.min(self.rest.len());
        Ok(Some(self.rest.split_to(size)))
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}
