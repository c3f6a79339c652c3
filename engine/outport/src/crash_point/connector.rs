//! A decorator over the connections to partners, with the crash points that lie inside an upload.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;
use outport_send::{
    ConnectFault, Connector, PeerIdentity, Remote, RemoteError, RemoteFile, RemoteStat, Target,
};

use super::{Point, armed, reached};

pub(super) fn wrapped(inner: Arc<dyn Connector>) -> Arc<dyn Connector> {
    if armed::is_armed() { Arc::new(Watched(inner)) } else { inner }
}

/// Whatever is watched for the points it reaches.
struct Watched<T>(T);

#[async_trait]
impl Connector for Watched<Arc<dyn Connector>> {
    async fn connect(&self, target: &Target) -> Result<Arc<dyn Remote>, ConnectFault> {
        let remote = self.0.connect(target).await?;
        reached(Point::AfterConnect);
        Ok(Arc::new(Watched(remote)))
    }
}

#[async_trait]
impl Remote for Watched<Arc<dyn Remote>> {
    async fn create(&self, path: &str) -> Result<Box<dyn RemoteFile>, Fault> {
        Ok(Box::new(Watched(self.0.create(path).await?)))
    }

    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        self.0.stat(path).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), RemoteError> {
        reached(Point::BeforeRename);
        self.0.rename(from, to).await?;
        reached(Point::AfterRename);
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        self.0.remove(path).await
    }

    fn identity(&self) -> PeerIdentity {
        self.0.identity()
    }

    fn alive(&self) -> bool {
        self.0.alive()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

#[async_trait]
impl RemoteFile for Watched<Box<dyn RemoteFile>> {
    async fn write(&mut self, piece: Bytes) -> Result<(), Fault> {
        if self.0.acknowledged() > 0 {
            reached(Point::MidUpload);
        }
        self.0.write(piece).await
    }

    async fn close(self: Box<Self>) -> Result<(), RemoteError> {
        self.0.close().await?;
        reached(Point::AfterUpload);
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        self.0.acknowledged()
    }
}
