//! What a session keeps about its requests: who waits for which answer, since when, and how much data is unanswered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use outport_core::{Fault, code};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::super::wire::Reply;
use super::Line;
use crate::target::Timeouts;

/// Data that one connection may have unanswered, of all its files together: what uploads cost in memory, however large
/// they are and however many. More gains nothing, OpenSSH's window is 2 MiB.
pub(super) const IN_FLIGHT_BYTES: usize = 4 * 1024 * 1024;

/// One request without an answer.
struct Waiting {
    asker: oneshot::Sender<Result<Reply, Lost>>,
    /// When it went out; `None` while it is queued. Time in our own queue is not the server's.
    sent: Option<Instant>,
    /// What its data takes of [`IN_FLIGHT_BYTES`]; free again with the answer, whether anybody reads that or not.
    _room: Option<OwnedSemaphorePermit>,
}

/// The connection ended without an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    pub(super) was_sent: bool,
}

/// Where an answer arrives.
pub(super) type Answer = oneshot::Receiver<Result<Reply, Lost>>;

struct State {
    waiting: HashMap<u32, Waiting>,
    next_id: u32,
    last_heard: Instant,
    end: Option<Fault>,
}

/// See the module.
pub(super) struct Ledger {
    state: Mutex<State>,
    room: Arc<Semaphore>,
    /// Whether some file already got the fault of the end; the others get it marked as shared.
    reported: AtomicBool,
    ended: watch::Sender<bool>,
    pub(super) line: Arc<dyn Line>,
    pub(super) timeouts: Timeouts,
}

impl Ledger {
    pub(super) fn new(line: Arc<dyn Line>, timeouts: Timeouts) -> Self {
        let state = State { waiting: HashMap::new(), next_id: 0, last_heard: Instant::now(), end: None };
        Self {
            state: Mutex::new(state),
            room: Arc::new(Semaphore::new(IN_FLIGHT_BYTES)),
            reported: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            line,
            timeouts,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for so much data, in the order of asking. `None`: the session has ended.
    pub(super) async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        // One that is larger than all the room takes it alone.
        let bytes = u32::try_from(bytes.min(IN_FLIGHT_BYTES)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(bytes).await.ok()
    }

    /// Bytes of data that may go out now without waiting for an answer.
    pub(super) fn room_left(&self) -> usize {
        self.room.available_permits()
    }

    /// Takes a number for a request. `None`: the session has ended.
    pub(super) fn register(&self, room: Option<OwnedSemaphorePermit>) -> Option<(u32, Answer)> {
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
        state.waiting.insert(id, Waiting { asker, sent: None, _room: room });
        Some((id, answer))
    }

    /// From here on the server may have the request.
    pub(super) fn is_sending(&self, id: u32) {
        if let Some(waiting) = self.state().waiting.get_mut(&id) {
            waiting.sent = Some(Instant::now());
        }
    }

    pub(super) fn heard(&self) {
        self.state().last_heard = Instant::now();
    }

    /// Hands an answer to its asker. A handle that nobody waits for any more comes back: it has to be closed.
    pub(super) fn answer(&self, id: u32, reply: Reply) -> Result<Option<Bytes>, u32> {
        let Some(waiting) = self.state().waiting.remove(&id) else { return Err(id) };
        match waiting.asker.send(Ok(reply)) {
            Err(Ok(Reply::Handle(handle))) => Ok(Some(handle)),
            _ => Ok(None),
        }
    }

    /// What has waited too long, if anything.
    pub(super) fn overdue(&self, now: Instant) -> Option<Fault> {
        let state = self.state();
        if state.waiting.is_empty() {
            return None;
        }
        let age = |since: Instant| now.saturating_duration_since(since);
        let silent = age(state.last_heard);
        let oldest = state.waiting.values().filter_map(|waiting| waiting.sent).map(age).max();
        let given_up = |what: &str, time: Duration| {
            let place = self.line.place();
            let message =
                format!("the connection to {place} was given up: {what} for {:.1} s", time.as_secs_f64());
            Fault::new(&code::ENDPOINT_TIMEOUT, message)
        };
        if silent > self.timeouts.progress {
            return Some(given_up("no answer", silent));
        }
        let oldest = oldest.filter(|age| *age > self.timeouts.request)?;
        Some(given_up("one request had no answer", oldest))
    }

    pub(super) fn end(&self, fault: Fault) {
        let mut state = self.state();
        state.end.get_or_insert(fault);
        let waiting: Vec<Waiting> = state.waiting.drain().map(|(_, waiting)| waiting).collect();
        drop(state);
        self.room.close();
        self.line.hang_up();
        self.ended.send_replace(true);
        for one in waiting {
            // A failure here means that the asker has gone as well.
            drop(one.asker.send(Err(Lost { was_sent: one.sent.is_some() })));
        }
    }

    pub(super) fn alive(&self) -> bool {
        self.state().end.is_none()
    }

    pub(super) async fn wait_for_end(&self) {
        // The sender lives in this very struct, so waiting cannot fail.
        drop(self.ended.subscribe().wait_for(|ended| *ended).await);
    }

    /// The fault of the end; for all but the first who asks, marked as shared.
    pub(super) fn fault(&self) -> Fault {
        let end = self.state().end.clone().unwrap_or_else(|| self.line.why_ended());
        if self.reported.swap(true, Ordering::SeqCst) { end.as_shared() } else { end }
    }

    /// Requests without an answer.
    #[cfg(test)]
    pub(super) fn unanswered(&self) -> usize {
        self.state().waiting.len()
    }
}
