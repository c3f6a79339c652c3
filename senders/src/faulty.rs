//! A decorator that makes any [`Remote`] fail where a test wants it to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::{Fault, code};

use crate::remote::{
    FileAttributes, Introduction, Offers, Opening, PeerIdentity, Remote, RemoteError, RemoteFile,
    RemoteReader, RemoteStat, RenameWith,
};
use crate::sha256::Sha256Sum;

/// A step of the upload protocol that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// [`Remote::create`].
    Create,
    /// [`RemoteFile::write`].
    Write,
    /// [`RemoteFile::close`].
    Close,
    /// [`Remote::stat`].
    Stat,
    /// [`Remote::rename`].
    Rename,
    /// [`Remote::remove`].
    Remove,
    /// [`Remote::find`].
    Find,
    /// [`Remote::make_folder`].
    MakeFolder,
    /// [`Remote::read`].
    Read,
    /// [`Remote::checksum`].
    Checksum,
    /// [`RemoteFile::stat`].
    Fstat,
    /// [`RemoteFile::set`].
    Set,
    /// [`RemoteFile::sync`].
    Sync,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 13] = [
        Self::Create,
        Self::Write,
        Self::Close,
        Self::Stat,
        Self::Rename,
        Self::Remove,
        Self::Find,
        Self::MakeFolder,
        Self::Read,
        Self::Checksum,
        Self::Fstat,
        Self::Set,
        Self::Sync,
    ];
}

/// How it fails.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// The server refuses; the connection stays.
    Refuse(Fault),
    /// The connection breaks before the request goes out.
    Break,
    /// The server does it, then the connection breaks before the answer.
    BreakAfter,
    /// The server does it and the answer is lost; the connection stays.
    LoseReply,
    /// The request and its answer are lost; the connection stays.
    LoseRequest,
    /// The server says yes and does not do it.
    Lie,
}

/// A remote with troubles planned for the n-th call of a step, counted from 1 over all files.
pub struct Faulty<R> {
    inner: R,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    plan: Vec<(Step, usize, Trouble)>,
    calls: Mutex<BTreeMap<Step, usize>>,
    broken: AtomicBool,
}

impl State {
    fn next(&self, step: Step) -> Result<Option<Trouble>, Fault> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(reset());
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry(step).or_default();
        *count += 1;
        Ok(self
            .plan
            .iter()
            .find(|(planned, nth, _)| *planned == step && nth == count)
            .map(|(_, _, t)| t.clone()))
    }

    fn break_off(&self) -> Fault {
        self.broken.store(true, Ordering::SeqCst);
        reset()
    }

    /// Runs `call` with whatever is planned for it; `yes` is what a lying server answers.
    async fn run<T>(
        &self,
        step: Step,
        yes: T,
        call: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        match self.next(step).map_err(RemoteError::Refused)? {
            None => call.await,
            Some(Trouble::Refuse(fault)) => Err(RemoteError::Refused(fault)),
            Some(Trouble::Break) => Err(RemoteError::Refused(self.break_off())),
            Some(Trouble::BreakAfter) => {
                call.await?;
                Err(RemoteError::Ambiguous(self.break_off()))
            }
            Some(Trouble::LoseReply) => {
                call.await?;
                Err(RemoteError::Ambiguous(lost()))
            }
            Some(Trouble::LoseRequest) => Err(RemoteError::Ambiguous(lost())),
            Some(Trouble::Lie) => Ok(yes),
        }
    }
}

impl State {
    /// The same for what has no answer that could be lost in a way that matters.
    async fn ask<T>(
        &self,
        step: Step,
        yes: T,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let call = async { call.await.map_err(RemoteError::Refused) };
        self.run(step, yes, call).await.map_err(RemoteError::into_fault)
    }
}

fn reset() -> Fault {
    Fault::new(&code::ENDPOINT_RESET, "the connection to faulty broke off")
}

fn lost() -> Fault {
    Fault::new(&code::ENDPOINT_TIMEOUT, "faulty did not answer")
}

impl<R: Remote> Faulty<R> {
    /// `inner` with these troubles.
    pub fn new(inner: R, plan: Vec<(Step, usize, Trouble)>) -> Self {
        Self { inner, state: Arc::new(State { plan, ..State::default() }) }
    }

    /// How often a step was called.
    pub fn calls(&self, step: Step) -> usize {
        self.state.calls.lock().unwrap_or_else(PoisonError::into_inner).get(&step).copied().unwrap_or(0)
    }
}

#[async_trait]
impl<R: Remote> Remote for Faulty<R> {
    async fn create(&self, path: &str, opening: Opening) -> Result<Box<dyn RemoteFile>, Fault> {
        let nothing: Box<dyn RemoteFile> = Box::new(Nothing);
        let call = async { self.inner.create(path, opening).await.map_err(RemoteError::Refused) };
        let file = self.state.run(Step::Create, nothing, call).await.map_err(RemoteError::into_fault)?;
        Ok(Box::new(FaultyFile { inner: file, state: Arc::clone(&self.state) }))
    }

    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        let call = async { self.inner.stat(path).await.map_err(RemoteError::Refused) };
        self.state.run(Step::Stat, None, call).await.map_err(RemoteError::into_fault)
    }

    async fn find(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        self.state.ask(Step::Find, None, self.inner.find(path)).await
    }

    async fn rename(&self, from: &str, to: &str, with: RenameWith) -> Result<(), RemoteError> {
        self.state.run(Step::Rename, (), self.inner.rename(from, to, with)).await
    }

    async fn make_folder(&self, path: &str) -> Result<(), Fault> {
        self.state.ask(Step::MakeFolder, (), self.inner.make_folder(path)).await
    }

    async fn remove_folder(&self, path: &str) -> Result<(), Fault> {
        self.state.ask(Step::Remove, (), self.inner.remove_folder(path)).await
    }

    async fn read(&self, path: &str) -> Result<Box<dyn RemoteReader>, Fault> {
        let nothing: Box<dyn RemoteReader> = Box::new(Nothing);
        self.state.ask(Step::Read, nothing, self.inner.read(path)).await
    }

    async fn checksum(&self, path: &str) -> Result<Sha256Sum, Fault> {
        self.state.ask(Step::Checksum, Sha256Sum::of(b"a lie"), self.inner.checksum(path)).await
    }

    fn offers(&self) -> Offers {
        self.inner.offers()
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        let call = async { self.inner.remove(path).await.map_err(RemoteError::Refused) };
        self.state.run(Step::Remove, (), call).await.map_err(RemoteError::into_fault)
    }

    fn introduction(&self) -> Introduction {
        self.inner.introduction()
    }

    fn identity(&self) -> PeerIdentity {
        self.inner.identity()
    }

    fn alive(&self) -> bool {
        !self.state.broken.load(Ordering::SeqCst) && self.inner.alive()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

struct FaultyFile {
    inner: Box<dyn RemoteFile>,
    state: Arc<State>,
}

#[async_trait]
impl RemoteFile for FaultyFile {
    async fn write(&mut self, piece: Bytes) -> Result<(), Fault> {
        let call = async { self.inner.write(piece).await.map_err(RemoteError::Refused) };
        self.state.run(Step::Write, (), call).await.map_err(RemoteError::into_fault)
    }

    async fn stat(&mut self) -> Result<RemoteStat, Fault> {
        let lie = RemoteStat { size_bytes: Some(1), mtime_s: None, is_folder: false };
        let state = Arc::clone(&self.state);
        state.ask(Step::Fstat, lie, self.inner.stat()).await
    }

    async fn set(&mut self, attributes: FileAttributes) -> Result<(), Fault> {
        let state = Arc::clone(&self.state);
        state.ask(Step::Set, (), self.inner.set(attributes)).await
    }

    async fn sync(&mut self) -> Result<(), Fault> {
        let state = Arc::clone(&self.state);
        state.ask(Step::Sync, (), self.inner.sync()).await
    }

    async fn close(self: Box<Self>) -> Result<(), RemoteError> {
        let Self { inner, state } = *self;
        state.run(Step::Close, (), inner.close()).await
    }

    fn acknowledged(&self) -> u64 {
        self.inner.acknowledged()
    }
}

/// A file that a lying server claims to have opened.
struct Nothing;

#[async_trait]
impl RemoteFile for Nothing {
    async fn write(&mut self, _piece: Bytes) -> Result<(), Fault> {
        Ok(())
    }

    async fn stat(&mut self) -> Result<RemoteStat, Fault> {
        Ok(RemoteStat { size_bytes: Some(0), mtime_s: None, is_folder: false })
    }

    async fn set(&mut self, _attributes: FileAttributes) -> Result<(), Fault> {
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), RemoteError> {
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        0
    }
}

#[async_trait]
impl RemoteReader for Nothing {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(None)
    }
}
