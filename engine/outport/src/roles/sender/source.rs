//! An artifact as the source of a push.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;
use outport_objects::ObjectReader;
use outport_send::Source;

use super::throttle::Throttle;

pub struct Artifact {
    pub reader: ObjectReader,
    pub throttle: Option<Arc<Throttle>>,
}

#[async_trait]
impl Source for Artifact {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let piece = self.reader.next().await?;
        if let (Some(throttle), Some(piece)) = (&self.throttle, &piece) {
            throttle.pass(piece.len()).await;
        }
        Ok(piece)
    }

    fn size_bytes(&self) -> u64 {
        self.reader.size_bytes()
    }
}
