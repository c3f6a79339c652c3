//! The asynchronous side of [`Part`].

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::{Fault, code};

use super::part::Part;
use crate::blocking::blocking;
use crate::object::{ObjectWriter, Stored};

/// A writer into a folder. `None` while a piece is on its way, and for good after a fault: a future that is dropped in
/// the middle of a write takes the part along, and the blocking thread removes it.
pub(super) struct FolderWriter {
    part: Option<Part>,
    name: String,
}

impl FolderWriter {
    pub(super) fn new(part: Part, name: String) -> Self {
        Self { part: Some(part), name }
    }

    fn take(&mut self) -> Result<Part, Fault> {
        self.part.take().ok_or_else(|| {
            let message =
                format!("could not write {}: an earlier write of it failed or was given up", self.name);
            Fault::new(&code::OBJECT_STORE_FAILED, message)
        })
    }
}

#[async_trait]
impl ObjectWriter for FolderWriter {
    async fn write(&mut self, piece: Bytes) -> Result<(), Fault> {
        let mut part = self.take()?;
        let part = blocking(move || part.append(&piece).map(|()| part)).await?;
        self.part = Some(part);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored, Fault> {
        let part = self.take()?;
        blocking(move || part.publish()).await
    }

    async fn abort(mut self: Box<Self>) -> Result<(), Fault> {
        match self.part.take() {
            Some(part) => blocking(move || part.discard()).await,
            None => Ok(()),
        }
    }
}
