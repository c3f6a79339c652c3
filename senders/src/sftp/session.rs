//! One SFTP channel, shared by many files: requests go out as they come, answers find their asker by id.
//!
//! Two tasks, because one that waits for room to send could not read, and the SSH session stops reading the network when
//! nobody takes its messages. Only the writer task sends, so that dropping a caller's future in the middle never
//! leaves half a packet on the wire.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use outport_core::{Fault, code};
use tokio::sync::{mpsc, oneshot, watch};

use super::wire::{ClientPacket, Reply, Request, ServerPacket, VERSION, WireError, take_packet, write_head};
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

/// Requests that may wait for the writer; with 255 KiB each, 4 MiB.
const QUEUE: usize = 16;

struct Waiting {
    asker: oneshot::Sender<Result<Reply, Lost>>,
    /// When it went out; `None` while it is queued. Time in our own queue is not the server's.
    sent: Option<Instant>,
}

/// The connection ended without an answer.
#[derive(Debug, Clone, Copy)]
struct Lost {
    was_sent: bool,
}

struct State {
    waiting: HashMap<u32, Waiting>,
    next_id: u32,
    last_heard: Instant,
    end: Option<Fault>,
}

struct Shared {
    state: Mutex<State>,
    /// Whether some file already got the fault of the end; the others get it marked as shared.
    reported: AtomicBool,
    ended: watch::Sender<bool>,
    line: Arc<dyn Line>,
    timeouts: Timeouts,
}

/// See the module.
pub(crate) struct Session {
    queue: mpsc::Sender<Packet>,
    shared: Arc<Shared>,
}

/// A packet on its way to the writer, in pieces that are not copied together.
struct Packet {
    id: u32,
    parts: Vec<Bytes>,
}

/// The right to one answer.
pub(crate) struct Ticket {
    answer: oneshot::Receiver<Result<Reply, Lost>>,
    shared: Arc<Shared>,
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
        let extensions = agree(&mut incoming, &mut outgoing, &mut received, &*line).await?;
        let state = State { waiting: HashMap::new(), next_id: 0, last_heard: Instant::now(), end: None };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            reported: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            line,
            timeouts,
        });
        let (queue, queued) = mpsc::channel(QUEUE);
        tokio::spawn(write(outgoing, queued, Arc::clone(&shared)));
        tokio::spawn(read(incoming, received, queue.downgrade(), Arc::clone(&shared)));
        Ok((Self { queue, shared }, extensions))
    }

    pub(crate) fn alive(&self) -> bool {
        self.shared.state().end.is_none()
    }

    /// Returns when the session has ended.
    pub(crate) async fn ended(&self) {
        self.shared.wait_for_end().await;
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Reply, RemoteError> {
        self.submit(request).await?.reply().await
    }

    /// Sends a request; its answer is taken later.
    pub(crate) async fn submit(&self, request: &Request) -> Result<Ticket, RemoteError> {
        submit(&self.queue, &self.shared, |id| vec![request.encode(id)]).await
    }

    /// Sends a WRITE whose data is these parts together; its answer is taken later.
    pub(crate) async fn submit_write(
        &self,
        handle: &[u8],
        offset: u64,
        data: Vec<Bytes>,
    ) -> Result<Ticket, RemoteError> {
        let size: usize = data.iter().map(Bytes::len).sum();
        submit(&self.queue, &self.shared, |id| {
            let head = write_head(id, handle, offset, u32::try_from(size).unwrap_or(u32::MAX));
            std::iter::once(head).chain(data).collect()
        })
        .await
    }
}

async fn submit(
    queue: &mpsc::Sender<Packet>,
    shared: &Arc<Shared>,
    parts: impl FnOnce(u32) -> Vec<Bytes>,
) -> Result<Ticket, RemoteError> {
    // Room first, number second: a caller that is dropped while it waits for room leaves no request behind that would
    // be waited for.
    let room = tokio::select! {
        room = queue.reserve() => room.ok(),
        () = shared.wait_for_end() => None,
    };
    let Some(room) = room else {
        shared.wait_for_end().await;
        return Err(RemoteError::Refused(shared.fault()));
    };
    let Some((id, answer)) = shared.register() else { return Err(RemoteError::Refused(shared.fault())) };
    room.send(Packet { id, parts: parts(id) });
    Ok(Ticket { answer, shared: Arc::clone(shared) })
}

impl Ticket {
    /// The answer, or how it was lost.
    pub(crate) async fn reply(self) -> Result<Reply, RemoteError> {
        match self.answer.await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(Lost { was_sent: false })) => Err(RemoteError::Refused(self.shared.fault())),
            Ok(Err(Lost { was_sent: true })) | Err(_) => {
                self.shared.wait_for_end().await;
                Err(RemoteError::Ambiguous(self.shared.fault()))
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self) -> Option<(u32, oneshot::Receiver<Result<Reply, Lost>>)> {
        let mut state = self.state();
        if state.end.is_some() {
            return None;
        }
        if state.waiting.is_empty() {
            state.last_heard = Instant::now();
        }
        let mut id = state.next_id;
        // After 2^32 requests numbers come round; one that is still waited for is skipped.
        while state.waiting.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        state.next_id = id.wrapping_add(1);
        let (asker, answer) = oneshot::channel();
        state.waiting.insert(id, Waiting { asker, sent: None });
        Some((id, answer))
    }

    fn is_sending(&self, id: u32) {
        if let Some(waiting) = self.state().waiting.get_mut(&id) {
            waiting.sent = Some(Instant::now());
        }
    }

    fn heard(&self) {
        self.state().last_heard = Instant::now();
    }

    /// Hands an answer to its asker. A handle that nobody waits for any more comes back: it has to be closed.
    fn answer(&self, id: u32, reply: Reply) -> Result<Option<Bytes>, u32> {
        let Some(waiting) = self.state().waiting.remove(&id) else { return Err(id) };
        match waiting.asker.send(Ok(reply)) {
            Err(Ok(Reply::Handle(handle))) => Ok(Some(handle)),
            _ => Ok(None),
        }
    }

    /// What has waited too long, if anything.
    fn overdue(&self, now: Instant) -> Option<Fault> {
        let state = self.state();
        if state.waiting.is_empty() {
            return None;
        }
        let silent = now.saturating_duration_since(state.last_heard);
        let oldest = state
            .waiting
            .values()
            .filter_map(|w| w.sent)
            .map(|sent| now.saturating_duration_since(sent))
            .max();
        let place = self.line.place();
        if silent > self.timeouts.progress {
            let message = format!(
                "the connection to {place} was given up: no answer for {:.1} s",
                silent.as_secs_f64()
            );
            return Some(Fault::new(&code::ENDPOINT_TIMEOUT, message));
        }
        let oldest = oldest.filter(|age| *age > self.timeouts.request)?;
        let message = format!(
            "the connection to {place} was given up: one request had no answer for {:.1} s",
            oldest.as_secs_f64()
        );
        Some(Fault::new(&code::ENDPOINT_TIMEOUT, message))
    }

    fn end(&self, fault: Fault) {
        let mut state = self.state();
        state.end.get_or_insert(fault);
        let waiting: Vec<Waiting> = state.waiting.drain().map(|(_, waiting)| waiting).collect();
        drop(state);
        self.line.hang_up();
        self.ended.send_replace(true);
        for one in waiting {
            // A failure here means that the asker has gone as well.
            drop(one.asker.send(Err(Lost { was_sent: one.sent.is_some() })));
        }
    }

    async fn wait_for_end(&self) {
        // The sender lives in this very struct, so waiting cannot fail.
        drop(self.ended.subscribe().wait_for(|ended| *ended).await);
    }

    /// The fault of the end; for all but the first who asks, marked as shared.
    fn fault(&self) -> Fault {
        let end = self.state().end.clone().unwrap_or_else(|| self.line.why_ended());
        if self.reported.swap(true, Ordering::SeqCst) { end.as_shared() } else { end }
    }
}

async fn write(mut outgoing: impl Outgoing, mut queued: mpsc::Receiver<Packet>, shared: Arc<Shared>) {
    while let Some(packet) = queued.recv().await {
        shared.is_sending(packet.id);
        for part in packet.parts {
            let sent = tokio::select! {
                sent = outgoing.send(part) => sent,
                () = shared.wait_for_end() => false,
            };
            if !sent {
                return;
            }
        }
    }
}

async fn read(
    mut incoming: impl Incoming,
    mut received: BytesMut,
    queue: mpsc::WeakSender<Packet>,
    shared: Arc<Shared>,
) {
    let _guard = EndGuard(Arc::clone(&shared));
    // Often enough that a limit is overstepped by an eighth at most.
    let look = (shared.timeouts.progress.min(shared.timeouts.request) / 8).max(Duration::from_millis(5));
    let mut clock = tokio::time::interval(look);
    let fault = loop {
        let heard = tokio::select! {
            heard = incoming.hear() => heard,
            _ = clock.tick() => {
                match shared.overdue(Instant::now()) {
                    Some(fault) => break fault,
                    None => continue,
                }
            }
        };
        match heard {
            Heard::Data(bytes) => received.extend_from_slice(&bytes),
            Heard::Window => {
                shared.heard();
                continue;
            }
            Heard::Complaint(text) => {
                tracing::debug!(
                    endpoint = shared.line.place(),
                    "the server's error stream: {:?}",
                    String::from_utf8_lossy(&text)
                );
                continue;
            }
            Heard::End => break shared.line.why_ended(),
        }
        shared.heard();
        if let Err(fault) = take_answers(&mut received, &queue, &shared) {
            break fault;
        }
    };
    shared.end(fault);
}

/// Nobody waits for ever, even if the reading task ends by a bug.
struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        let message = format!("the task that reads from {} ended by itself", self.0.line.place());
        self.0.end(Fault::new(&code::ENGINE_PANIC, message));
    }
}

/// Hands out every whole answer that was received.
fn take_answers(
    received: &mut BytesMut,
    queue: &mpsc::WeakSender<Packet>,
    shared: &Arc<Shared>,
) -> Result<(), Fault> {
    let broken = |problem: &dyn std::fmt::Display| protocol_fault(shared.line.place(), problem);
    while let Some(packet) = take_packet(received).map_err(|error| broken(&error))? {
        match ServerPacket::decode(packet).map_err(|error| broken(&error))? {
            ServerPacket::Version { .. } => return Err(broken(&"a second VERSION came")),
            ServerPacket::Reply { id, reply } => match shared.answer(id, reply) {
                Ok(None) => {}
                Ok(Some(handle)) => close_orphan(handle, queue.clone(), Arc::clone(shared)),
                Err(id) => {
                    return Err(broken(&format!("an answer came to request {id}, which nobody asked")));
                }
            },
        }
    }
    Ok(())
}

/// Closes a file whose opener has gone before the handle came, so that the server does not keep it open.
fn close_orphan(handle: Bytes, queue: mpsc::WeakSender<Packet>, shared: Arc<Shared>) {
    let Some(queue) = queue.upgrade() else { return };
    tokio::spawn(async move {
        let close = Request::Close { handle };
        if let Err(error) = submit(&queue, &shared, |id| vec![close.encode(id)]).await {
            tracing::debug!("a file without an owner was not closed: {error}");
        }
    });
}

fn protocol_fault(place: &str, problem: &dyn std::fmt::Display) -> Fault {
    Fault::new(&code::SFTP_PROTOCOL, format!("could not understand {place}: {problem}"))
}

/// INIT and VERSION (section 4). The names of the extensions come back.
async fn agree(
    incoming: &mut impl Incoming,
    outgoing: &mut impl Outgoing,
    received: &mut BytesMut,
    line: &dyn Line,
) -> Result<Vec<String>, Fault> {
    let place = line.place();
    if !outgoing.send(ClientPacket::Init { version: VERSION }.encode()).await {
        return Err(line.why_ended());
    }
    let mut complaints = BytesMut::new();
    let packet = loop {
        if let Some(packet) =
            take_packet(received).map_err(|error: WireError| protocol_fault(place, &error))?
        {
            break packet;
        }
        match incoming.hear().await {
            Heard::Data(bytes) => received.extend_from_slice(&bytes),
            Heard::Window => {}
            Heard::Complaint(text) => {
                let room = 200usize.saturating_sub(complaints.len()).min(text.len());
                complaints.extend_from_slice(&text[..room]);
            }
            Heard::End => return Err(no_sftp(line, &complaints)),
        }
    };
    match ServerPacket::decode(packet).map_err(|error| protocol_fault(place, &error))? {
        ServerPacket::Version { version: VERSION, extensions } => {
            Ok(extensions.into_iter().map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect())
        }
        ServerPacket::Version { version, .. } => {
            Err(protocol_fault(place, &format!("it speaks SFTP version {version}, {VERSION} was asked for")))
        }
        ServerPacket::Reply { .. } => Err(protocol_fault(place, &"it did not begin with its version")),
    }
}

/// The channel ended before the server said its version. A broken connection is one thing, a server that cannot start
/// its SFTP program another.
fn no_sftp(line: &dyn Line, complaints: &[u8]) -> Fault {
    let ended = line.why_ended();
    if ended.code != &code::SFTP_SUBSYSTEM_MISSING || complaints.is_empty() {
        return ended;
    }
    let words: String =
        String::from_utf8_lossy(complaints).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Fault { message: format!("{}; it said {:?}", ended.message, words.trim()), ..ended }
}

#[cfg(test)]
mod tests;
