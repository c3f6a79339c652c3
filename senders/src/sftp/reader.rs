//! A file being read, and a folder being listed.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::Fault;

use super::classify::Operation;
use super::connection::{Connection, bytes, shown};
use super::diagnose::folder_of;
use super::session::Ticket;
use super::wire::{Attrs, Reply, Request, Status, open_flags};
use crate::remote::{RemoteError, RemoteReader, RemoteStat};

/// Reads that are under way at a time: at 255 KiB each, 2 MiB, which is what OpenSSH's window holds.
const AHEAD: usize = 8;

pub(super) struct SftpReader {
    connection: Arc<Connection>,
    path: String,
    /// `None` once closed.
    handle: Option<Bytes>,
    /// Where the next read begins.
    offset: u64,
    /// Reads under way, with where each began.
    under_way: VecDeque<(Ticket, u64)>,
    is_over: bool,
}

impl SftpReader {
    pub(super) async fn open(connection: &Arc<Connection>, path: &str) -> Result<Self, Fault> {
        let open = Request::Open { path: bytes(path), flags: open_flags::READ, attrs: Attrs::default() };
        let handle = match connection.session.ask(&open).await.map_err(RemoteError::into_fault)? {
            Reply::Handle(handle) => handle,
            Reply::Status(status) => return Err(connection.refusal(Operation::Read, path, &status).await),
            other => return Err(connection.senseless(Operation::Read, path, &other)),
        };
        Ok(Self {
            connection: Arc::clone(connection),
            path: path.to_owned(),
            handle: Some(handle),
            offset: 0,
            under_way: VecDeque::new(),
            is_over: false,
        })
    }

    async fn ask_ahead(&mut self) -> Result<(), Fault> {
        let length = u32::try_from(self.connection.write_bytes).unwrap_or(u32::MAX);
        while self.under_way.len() < AHEAD {
            let Some(handle) = self.handle.clone() else { return Ok(()) };
            let request = Request::Read { handle, offset: self.offset, length };
            let ticket = self.connection.session.submit(&request).await.map_err(RemoteError::into_fault)?;
            self.under_way.push_back((ticket, self.offset));
            self.offset += u64::from(length);
        }
        Ok(())
    }

    async fn end(&mut self) {
        self.is_over = true;
        self.under_way.clear();
        if let Some(handle) = self.handle.take() {
            self.connection.let_go(handle).await;
        }
    }
}

#[async_trait]
impl RemoteReader for SftpReader {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.is_over {
            return Ok(None);
        }
        self.ask_ahead().await?;
        let Some((ticket, at)) = self.under_way.pop_front() else { return Ok(None) };
        match ticket.reply().await.map_err(RemoteError::into_fault)? {
            Reply::Data(data) if !data.is_empty() => {
                let next = at + data.len() as u64;
                let expected = self.under_way.front().map_or(self.offset, |(_, at)| *at);
                // Less than was asked for (section 6.4): what was asked for after it is not what comes next.
                if next != expected {
                    self.under_way.clear();
                    self.offset = next;
                }
                Ok(Some(data))
            }
            Reply::Status(Status { code: Status::EOF, .. }) => {
                self.end().await;
                Ok(None)
            }
            Reply::Status(status) => {
                self.end().await;
                Err(self.connection.refusal(Operation::Read, &self.path, &status).await)
            }
            other => Err(self.connection.senseless(Operation::Read, &self.path, &other)),
        }
    }
}

impl Drop for SftpReader {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.connection.session.alive() {
            let connection = Arc::clone(&self.connection);
            runtime.spawn(async move { connection.let_go(handle).await });
        }
    }
}

impl Connection {
    /// Closes a handle of which nothing is expected any more.
    pub(super) async fn let_go(&self, handle: Bytes) {
        if let Err(error) = self.session.ask(&Request::Close { handle }).await {
            tracing::debug!(endpoint = self.place(), "a handle was not closed: {error}");
        }
    }

    /// What the listing of its folder shows of a file.
    pub(super) async fn find(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        let folder = folder_of(path);
        let file_name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let open = Request::Opendir { path: bytes(folder) };
        let handle = match self.session.ask(&open).await.map_err(RemoteError::into_fault)? {
            Reply::Handle(handle) => handle,
            Reply::Status(Status { code: Status::NO_SUCH_FILE | 10, .. }) => return Ok(None),
            Reply::Status(status) => return Err(self.refusal(Operation::List, folder, &status).await),
            other => return Err(self.senseless(Operation::List, folder, &other)),
        };
        let found = self.find_in(&handle, folder, file_name).await;
        self.let_go(handle).await;
        found
    }

    async fn find_in(
        &self,
        handle: &Bytes,
        folder: &str,
        file_name: &str,
    ) -> Result<Option<RemoteStat>, Fault> {
        loop {
            let request = Request::Readdir { handle: handle.clone() };
            match self.session.ask(&request).await.map_err(RemoteError::into_fault)? {
                Reply::Name(names) if !names.is_empty() => {
                    if let Some(found) = names.iter().find(|entry| entry.name == file_name.as_bytes()) {
                        return Ok(Some(shown(&found.attrs)));
                    }
                }
                Reply::Name(_) | Reply::Status(Status { code: Status::EOF, .. }) => return Ok(None),
                Reply::Status(status) => return Err(self.refusal(Operation::List, folder, &status).await),
                other => return Err(self.senseless(Operation::List, folder, &other)),
            }
        }
    }
}
