//! One SFTP channel, shared by many files: requests go out as they come, answers find their asker by id.
//!
//! Two tasks, because one that waits for room to send could not read, and the SSH session stops reading the network when
//! nobody takes its messages. Only the writer task sends, so that dropping a caller's future in the middle never
//! leaves half a packet on the wire.

mod hello;
mod ledger;
mod tasks;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use outport_core::Fault;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use self::ledger::{Answer, Ledger, Lost};
use super::wire::{Reply, Request, write_head};
use crate::remote::RemoteError;
use crate::target::Timeouts;

/// What the channel brings.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Bytes of the server.
    Data(Bytes),
    /// The server made room for more: it is alive, though it answered nothing yet.
    Window,
    /// Text on the error stream: what a server prints when it cannot start SFTP.
    Complaint(Bytes),
    /// The channel or the connection ended.
    End,
}

/// The receiving side of a channel. A dropped call loses nothing.
#[async_trait]
pub(crate) trait Incoming: Send + 'static {
    async fn hear(&mut self) -> Heard;
}

/// The sending side of a channel; waits for room.
#[async_trait]
pub(crate) trait Outgoing: Send + 'static {
    /// `false`: the connection is gone, and the receiving side will tell why.
    async fn send(&mut self, bytes: Bytes) -> bool;
}

/// The connection below: how to end it, and why it ended.
pub(crate) trait Line: Send + Sync + 'static {
    fn hang_up(&self);
    /// The fault that everyone who still waits gets.
    fn why_ended(&self) -> Fault;
    /// `label (host:port)`, for messages.
    fn place(&self) -> &str;
}

/// Requests that may wait for the writer: enough small ones to be sent together. Data is limited by bytes.
const QUEUE: usize = 64;

/// See the module.
pub(crate) struct Session {
    queue: mpsc::Sender<Packet>,
    ledger: Arc<Ledger>,
}

/// A packet on its way to the writer, in pieces that are not copied together.
struct Packet {
    id: u32,
    parts: Vec<Bytes>,
}

/// The right to one answer.
pub(crate) struct Ticket {
    answer: Answer,
    ledger: Arc<Ledger>,
}

impl Session {
    /// Agrees on the version (section 4) and starts the two tasks. Returns the server's extensions as well. The caller
    /// limits the time.
    pub(crate) async fn start(
        mut incoming: impl Incoming,
        mut outgoing: impl Outgoing,
        line: Arc<dyn Line>,
        timeouts: Timeouts,
    ) -> Result<(Self, Vec<String>), Fault> {
        let mut received = BytesMut::new();
        let extensions = hello::agree(&mut incoming, &mut outgoing, &mut received, &*line).await?;
        let ledger = Arc::new(Ledger::new(line, timeouts));
        let (queue, queued) = mpsc::channel(QUEUE);
        tokio::spawn(tasks::write(outgoing, queued, Arc::clone(&ledger)));
        tokio::spawn(tasks::read(incoming, received, queue.downgrade(), Arc::clone(&ledger)));
        Ok((Self { queue, ledger }, extensions))
    }

    pub(crate) fn alive(&self) -> bool {
        self.ledger.alive()
    }

    /// Returns when the session has ended.
    pub(crate) async fn ended(&self) {
        self.ledger.wait_for_end().await;
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Reply, RemoteError> {
        self.submit(request).await?.reply().await
    }

    /// Sends a request; its answer is taken later.
    pub(crate) async fn submit(&self, request: &Request) -> Result<Ticket, RemoteError> {
        submit(&self.queue, &self.ledger, None, |id| vec![request.encode(id)]).await
    }

    /// Bytes of data that may go out now without waiting for an answer.
    pub(crate) fn room_left(&self) -> usize {
        self.ledger.room_left()
    }

    /// Sends a WRITE whose data is these parts together; its answer is taken later. Waits while the connection has its
    /// fill of unanswered data.
    pub(crate) async fn submit_write(
        &self,
        handle: &[u8],
        offset: u64,
        data: Vec<Bytes>,
    ) -> Result<Ticket, RemoteError> {
        let size: usize = data.iter().map(Bytes::len).sum();
        let Some(room) = self.ledger.room(size).await else { return Err(ended(&self.ledger).await) };
        submit(&self.queue, &self.ledger, Some(room), |id| {
            let head = write_head(id, handle, offset, u32::try_from(size).unwrap_or(u32::MAX));
            std::iter::once(head).chain(data).collect()
        })
        .await
    }
}

async fn submit(
    queue: &mpsc::Sender<Packet>,
    ledger: &Arc<Ledger>,
    room: Option<OwnedSemaphorePermit>,
    parts: impl FnOnce(u32) -> Vec<Bytes>,
) -> Result<Ticket, RemoteError> {
    // A place first, a number second: a caller that is dropped while it waits for a place leaves no request behind that
    // would be waited for.
    let place = tokio::select! {
        place = queue.reserve() => place.ok(),
        () = ledger.wait_for_end() => None,
    };
    let Some(place) = place else { return Err(ended(ledger).await) };
    let Some((id, answer)) = ledger.register(room) else { return Err(ended(ledger).await) };
    place.send(Packet { id, parts: parts(id) });
    Ok(Ticket { answer, ledger: Arc::clone(ledger) })
}

/// The request never went out, because the session has ended.
async fn ended(ledger: &Ledger) -> RemoteError {
    ledger.wait_for_end().await;
    RemoteError::Refused(ledger.fault())
}

impl Ticket {
    /// Whether [`Ticket::reply`] returns at once.
    pub(crate) fn is_answered(&self) -> bool {
        !self.answer.is_empty() || self.answer.is_terminated()
    }

    /// The answer, or how it was lost.
    pub(crate) async fn reply(self) -> Result<Reply, RemoteError> {
        match self.answer.await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(Lost { was_sent: false })) => Err(RemoteError::Refused(self.ledger.fault())),
            Ok(Err(Lost { was_sent: true })) | Err(_) => {
                self.ledger.wait_for_end().await;
                Err(RemoteError::Ambiguous(self.ledger.fault()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
