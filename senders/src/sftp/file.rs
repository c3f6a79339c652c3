//! A file being written: pieces of the server's size, many in flight, each one answered for.

mod second;

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use outport_core::Fault;

use self::second::Second;
use super::classify::Operation;
use super::connection::{Connection, shown};
use super::session::{Session, Ticket};
use super::wire::{Attrs, Reply, Request, Status, extended, extension};
use crate::remote::{FileAttributes, RemoteError, RemoteFile, RemoteStat};

/// At most this many unanswered writes of one file on one channel; 4 MiB where a write has 32 KiB. How many bytes may be
/// unanswered is the channel's limit, for all its files together.
const IN_FLIGHT: usize = 128;
/// A write of more parts than this is copied together: a source of tiny pieces would cost one message each.
const PARTS: usize = 8;

pub(super) struct SftpFile {
    connection: Arc<Connection>,
    path: String,
    /// Where it is open; nowhere once closed.
    handles: Vec<Open>,
    second: Second,
    /// What does not fill a write yet, uncopied.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    offset: u64,
    in_flight: VecDeque<Write>,
    acknowledged: u64,
    /// After a refusal nothing more is written.
    has_failed: bool,
}

/// The file on one channel.
struct Open {
    session: Arc<Session>,
    handle: Bytes,
}

/// A write without an answer.
struct Write {
    ticket: Ticket,
    size: usize,
}

impl SftpFile {
    /// `at`: where the first byte goes.
    pub(super) fn new(connection: Arc<Connection>, path: String, handle: Bytes, at: u64) -> Self {
        let first = Open { session: Arc::clone(&connection.session), handle };
        Self {
            connection,
            path,
            handles: vec![first],
            second: Second::default(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            offset: at,
            in_flight: VecDeque::new(),
            acknowledged: 0,
            has_failed: false,
        }
    }

    /// Sends the first `size` kept bytes as one write, on the channel that has least to do.
    async fn send(&mut self, size: usize) -> Result<(), Fault> {
        self.handles.extend(self.second.look(&self.connection, &self.path, self.offset).await);
        // What is answered is read at once: after a refusal nothing more goes out.
        while self.in_flight.len() >= IN_FLIGHT * self.handles.len()
            || self.in_flight.front().is_some_and(|write| write.ticket.is_answered())
        {
            self.settle_one().await?;
        }
        // What is answered counts at once, also behind a write that is not.
        let freest = self.handles.iter().max_by_key(|open| open.session.room_left());
        let Some(open) = freest else { return Ok(()) };
        let (session, handle) = (Arc::clone(&open.session), open.handle.clone());
        let parts = self.take(size);
        let ticket =
            session.submit_write(&handle, self.offset, parts).await.map_err(RemoteError::into_fault)?;
        self.offset += size as u64;
        self.in_flight.push_back(Write { ticket, size });
        Ok(())
    }

    /// Takes `size` bytes off the front of what is kept.
    fn take(&mut self, size: usize) -> Vec<Bytes> {
        let mut parts = Vec::new();
        let mut missing = size.min(self.kept_bytes);
        self.kept_bytes -= missing;
        while missing > 0 {
            let Some(mut first) = self.kept.pop_front() else { break };
            if first.len() > missing {
                let rest = first.split_off(missing);
                self.kept.push_front(rest);
            }
            missing -= first.len();
            parts.push(first);
        }
        if parts.len() <= PARTS {
            return parts;
        }
        let mut whole = BytesMut::with_capacity(size);
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        vec![whole.freeze()]
    }

    /// Waits for the oldest unanswered write.
    async fn settle_one(&mut self) -> Result<(), Fault> {
        let Some(Write { ticket, size }) = self.in_flight.pop_front() else { return Ok(()) };
        let reply = ticket.reply().await.map_err(RemoteError::into_fault)?;
        match reply {
            Reply::Status(Status { code: Status::OK, .. }) => {
                self.acknowledged += size as u64;
                Ok(())
            }
            Reply::Status(status) => {
                Err(self.connection.refusal(Operation::Write, &self.path, &status).await)
            }
            other => Err(self.connection.senseless(Operation::Write, &self.path, &other)),
        }
    }

    async fn write_kept(&mut self, all: bool) -> Result<(), Fault> {
        let size = self.connection.write_bytes;
        while self.kept_bytes >= size {
            self.send(size).await?;
        }
        if all && self.kept_bytes > 0 {
            self.send(self.kept_bytes).await?;
        }
        Ok(())
    }

    /// Waits until the server has every byte, and gives the handle of a file of which all went well.
    async fn settled(&mut self) -> Result<Bytes, Fault> {
        let settled = async {
            self.write_kept(true).await?;
            while !self.in_flight.is_empty() {
                self.settle_one().await?;
            }
            Ok(())
        };
        let settled: Result<(), Fault> = settled.await;
        self.has_failed |= settled.is_err();
        settled?;
        self.handles.first().map(|open| open.handle.clone()).ok_or_else(|| {
            let message = format!("could not go on with {:?}: it is closed", self.path);
            Fault::new(&outport_core::code::REMOTE_FAILURE, message)
        })
    }

    /// Asks something about the open file that is answered with a status.
    async fn ask_about(&mut self, operation: Operation, request: Request) -> Result<(), Fault> {
        match self.connection.session.ask(&request).await.map_err(RemoteError::into_fault)? {
            Reply::Status(Status { code: Status::OK, .. }) => Ok(()),
            Reply::Status(status) => Err(self.connection.refusal(operation, &self.path, &status).await),
            other => Err(self.connection.senseless(operation, &self.path, &other)),
        }
    }

    /// Sends what is left and the close right behind it: requests about one handle are handled in order (section 6.1).
    async fn finish(&mut self) -> Result<(), RemoteError> {
        let written = if self.has_failed { Ok(()) } else { self.write_kept(true).await };
        let mut handles = std::mem::take(&mut self.handles);
        handles.extend(self.second.end().await);
        let mut closing = Vec::with_capacity(handles.len());
        for Open { session, handle, .. } in handles {
            closing.push(session.submit(&Request::Close { handle }).await?);
        }
        written.map_err(RemoteError::Refused)?;
        if self.has_failed {
            self.in_flight.clear();
        }
        while !self.in_flight.is_empty() {
            self.settle_one().await.map_err(RemoteError::Refused)?;
        }
        for ticket in closing {
            self.closed(ticket.reply().await?).await?;
        }
        Ok(())
    }

    async fn closed(&self, reply: Reply) -> Result<(), RemoteError> {
        match reply {
            Reply::Status(Status { code: Status::OK, .. }) => Ok(()),
            Reply::Status(status) => Err(RemoteError::Refused(
                self.connection.refusal(Operation::Close, &self.path, &status).await,
            )),
            other => {
                Err(RemoteError::Ambiguous(self.connection.senseless(Operation::Close, &self.path, &other)))
            }
        }
    }
}

#[async_trait]
impl RemoteFile for SftpFile {
    async fn write(&mut self, piece: Bytes) -> Result<(), Fault> {
        if !piece.is_empty() {
            self.kept_bytes += piece.len();
            self.kept.push_back(piece);
        }
        let written = self.write_kept(false).await;
        self.has_failed |= written.is_err();
        written
    }

    async fn stat(&mut self) -> Result<RemoteStat, Fault> {
        let handle = self.settled().await?;
        match self
            .connection
            .session
            .ask(&Request::Fstat { handle })
            .await
            .map_err(RemoteError::into_fault)?
        {
            Reply::Attrs(attrs) => Ok(shown(&attrs)),
            Reply::Status(status) => Err(self.connection.refusal(Operation::Stat, &self.path, &status).await),
            other => Err(self.connection.senseless(Operation::Stat, &self.path, &other)),
        }
    }

    async fn set(&mut self, attributes: FileAttributes) -> Result<(), Fault> {
        let handle = self.settled().await?;
        let times = attributes.mtime_s.map(|modified| (modified, modified));
        let attrs = Attrs { permissions: attributes.mode, times, ..Attrs::default() };
        self.ask_about(Operation::SetAttributes, Request::Fsetstat { handle, attrs }).await
    }

    async fn sync(&mut self) -> Result<(), Fault> {
        let handle = self.settled().await?;
        self.ask_about(Operation::Sync, extended(extension::FSYNC, &[&handle])).await
    }

    async fn close(mut self: Box<Self>) -> Result<(), RemoteError> {
        self.finish().await
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
}

impl Drop for SftpFile {
    /// A push that was dropped in the middle leaves no file open on the server.
    fn drop(&mut self) {
        let handles = std::mem::take(&mut self.handles);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if handles.is_empty() || !self.connection.session.alive() {
            return;
        }
        let (connection, mut second) = (Arc::clone(&self.connection), std::mem::take(&mut self.second));
        runtime.spawn(async move {
            for Open { session, handle, .. } in handles.into_iter().chain(second.end().await) {
                if let Err(error) = session.ask(&Request::Close { handle }).await {
                    tracing::debug!(
                        endpoint = connection.place(),
                        "a file that was given up was not closed: {error}"
                    );
                }
            }
        });
    }
}
