//! A lock that keeps everybody from recording files: a database that is there and does not get on.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use anyhow::Context;
use sea_orm::{ConnectionTrait, DbBackend, TransactionTrait};

use crate::invariants;

/// The lock, until it is dropped.
#[derive(Debug)]
pub struct HeldFiles {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl HeldFiles {
    pub(super) fn take(url: &str) -> anyhow::Result<Self> {
        let (end, ended) = channel::<()>();
        let (tell, told) = channel();
        let url = url.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let connection = invariants::connect(&url).await?;
                let tx = connection.begin().await?;
                let lock = match connection.get_database_backend() {
                    DbBackend::Postgres => "LOCK TABLE file IN ACCESS EXCLUSIVE MODE",
                    // SQLite locks the whole file for whoever writes, even if nothing changes.
                    _ => "UPDATE file SET size_bytes = size_bytes WHERE id IS NULL",
                };
                tx.execute_unprepared(lock).await?;
                tell.send(())?;
                // Ends when the other side goes.
                ended.recv().unwrap_or_default();
                tx.rollback().await?;
                connection.close().await?;
                Ok(())
            })
        });
        told.recv().context("the lock cannot be had")?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for HeldFiles {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(Ok(())) => {}
                other => eprintln!("the lock ended like this: {other:?}"),
            }
        }
    }
}
