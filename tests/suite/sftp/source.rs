//! Sources that a test holds in its hand.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;
use outport_send::Source;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::content;

const PIECE: usize = 261_120;

/// Any number of bytes out of nothing. Every piece has its number in front: one in the wrong place shows.
pub struct Generated {
    block: Vec<u8>,
    size_bytes: u64,
    given: u64,
}

impl Generated {
    /// So many bytes.
    pub fn new(size_bytes: u64) -> Self {
        Self { block: content(PIECE, 17), size_bytes, given: 0 }
    }

    /// The hash of so many bytes.
    pub fn sum(size_bytes: u64) -> [u8; 32] {
        let (mut source, mut hasher) = (Self::new(size_bytes), Sha256::new());
        while let Some(piece) = source.piece() {
            hasher.update(&piece);
        }
        hasher.finalize().into()
    }

    fn piece(&mut self) -> Option<Bytes> {
        let left = usize::try_from(self.size_bytes - self.given).unwrap_or(usize::MAX).min(PIECE);
        if left == 0 {
            return None;
        }
        self.block[..8].copy_from_slice(&self.given.to_be_bytes());
        self.given += left as u64;
        Some(Bytes::copy_from_slice(&self.block[..left]))
    }
}

#[async_trait]
impl Source for Generated {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.piece())
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

/// Gives some bytes, says that it has, and waits before it gives the rest.
pub struct Halting {
    rest: Bytes,
    first: usize,
    size_bytes: u64,
    halted: Option<oneshot::Sender<()>>,
    go_on: Option<oneshot::Receiver<()>>,
}

impl Halting {
    /// The source, what it says, and what it waits for.
    pub fn after(first: usize, content: &[u8]) -> (Self, oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((halted, has_halted), (go, go_on)) = (oneshot::channel(), oneshot::channel());
        let rest = Bytes::copy_from_slice(content);
        let size_bytes = rest.len() as u64;
        (Self { rest, first, size_bytes, halted: Some(halted), go_on: Some(go_on) }, has_halted, go)
    }
}

#[async_trait]
impl Source for Halting {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.first == 0 {
            if let (Some(halted), Some(go_on)) = (self.halted.take(), self.go_on.take()) {
                // A test that has failed waits for nothing, and gives no word.
                halted.send(()).ok();
                go_on.await.ok();
            }
            self.first = self.rest.len();
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let size = self.rest.len().min(PIECE).min(self.first);
        self.first -= size;
        Ok(Some(self.rest.split_to(size)))
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

/// Gives its pieces with a pause before each, as a far object store does.
pub struct Slow {
    pieces: std::vec::IntoIter<(Duration, Bytes)>,
    size_bytes: u64,
}

impl Slow {
    /// A source of these pieces.
    pub fn new(pieces: Vec<(Duration, Bytes)>) -> Self {
        let size_bytes = pieces.iter().map(|(_, piece)| piece.len() as u64).sum();
        Self { pieces: pieces.into_iter(), size_bytes }
    }
}

#[async_trait]
impl Source for Slow {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some((pause, piece)) = self.pieces.next() else { return Ok(None) };
        tokio::time::sleep(pause).await;
        Ok(Some(piece))
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}
