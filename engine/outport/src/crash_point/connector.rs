//! A decorator over the connections to partners, with the crash points that lie inside an upload.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;
use outport_send::{
    ConnectFault, Connector, FileAttributes, Introduction, Offers, Opening, PeerIdentity, Remote,
    RemoteError, RemoteFile, RemoteReader, RemoteStat, RenameWith, Sha256Sum, Target,
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
    async fn create(&self, path: &str, opening: Opening) -> Result<Box<dyn RemoteFile>, Fault> {
        Ok(Box::new(Watched(self.0.create(path, opening).await?)))
    }

    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        self.0.stat(path).await
    }

    async fn find(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        self.0.find(path).await
    }

    async fn make_folder(&self, path: &str) -> Result<(), Fault> {
        self.0.make_folder(path).await
    }

    async fn remove_folder(&self, path: &str) -> Result<(), Fault> {
        self.0.remove_folder(path).await
    }

    async fn read(&self, path: &str) -> Result<Box<dyn RemoteReader>, Fault> {
        self.0.read(path).await
    }

    async fn checksum(&self, path: &str) -> Result<Sha256Sum, Fault> {
        self.0.checksum(path).await
    }

    fn offers(&self) -> Offers {
        self.0.offers()
    }

    async fn rename(&self, from: &str, to: &str, with: RenameWith) -> Result<(), RemoteError> {
        reached(Point::BeforeRename);
        self.0.rename(from, to, with).await?;
        reached(Point::AfterRename);
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        self.0.remove(path).await
    }

    fn introduction(&self) -> Introduction {
        self.0.introduction()
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

    async fn stat(&mut self) -> Result<RemoteStat, Fault> {
        self.0.stat().await
    }

    async fn set(&mut self, attributes: FileAttributes) -> Result<(), Fault> {
        self.0.set(attributes).await
    }

    async fn sync(&mut self) -> Result<(), Fault> {
        self.0.sync().await
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
