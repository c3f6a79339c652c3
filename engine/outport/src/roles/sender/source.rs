//! An artifact as the source of a push.

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;
use outport_objects::ObjectReader;
use outport_send::Source;

pub struct Artifact(pub ObjectReader);

#[async_trait]
impl Source for Artifact {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        self.0.next().await
    }

    fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }
}
