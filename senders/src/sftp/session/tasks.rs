//! The two tasks of a session: one sends, one reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use outport_core::{Fault, code};
use tokio::sync::mpsc;

use super::super::wire::{Request, ServerPacket, take_packet};
use super::hello::protocol_fault;
use super::ledger::Ledger;
use super::{Heard, Incoming, Outgoing, Packet, submit};

/// Small packets that wait together go out together, up to this size, which is one SSH packet (RFC 4253 section 6.1):
/// with many small files in flight, each request on its own would cost both sides a packet and a wake-up.
const TOGETHER: usize = 32 * 1024;
/// A part from this size on is not copied to go with others: encrypting it costs more than its packet.
const ALONE: usize = 20 * 1024;

pub(super) async fn write(
    mut outgoing: impl Outgoing,
    mut queued: mpsc::Receiver<Packet>,
    ledger: Arc<Ledger>,
) {
    let mut together = BytesMut::new();
    while let Some(packet) = queued.recv().await {
        let mut next = Some(packet);
        while let Some(packet) = next {
            ledger.is_sending(packet.id);
            for part in packet.parts {
                let is_large = part.len() >= ALONE;
                if (is_large || together.len() + part.len() > TOGETHER)
                    && !send(&mut outgoing, &mut together, &ledger).await
                {
                    return;
                }
                if !is_large {
                    together.extend_from_slice(&part);
                } else if !pass(&mut outgoing, part, &ledger).await {
                    return;
                }
            }
            next = queued.try_recv().ok();
        }
        if !send(&mut outgoing, &mut together, &ledger).await {
            return;
        }
    }
}

/// Sends what was put together. `false`: the session has ended.
async fn send(outgoing: &mut impl Outgoing, together: &mut BytesMut, ledger: &Ledger) -> bool {
    together.is_empty() || pass(outgoing, together.split().freeze(), ledger).await
}

async fn pass(outgoing: &mut impl Outgoing, bytes: Bytes, ledger: &Ledger) -> bool {
    tokio::select! {
        sent = outgoing.send(bytes) => sent,
        () = ledger.wait_for_end() => false,
    }
}

pub(super) async fn read(
    mut incoming: impl Incoming,
    mut received: BytesMut,
    queue: mpsc::WeakSender<Packet>,
    ledger: Arc<Ledger>,
) {
    let _guard = EndGuard(Arc::clone(&ledger));
    // Often enough that a limit is overstepped by an eighth at most.
    let look = (ledger.timeouts.progress.min(ledger.timeouts.request) / 8).max(Duration::from_millis(5));
    let mut clock = tokio::time::interval(look);
    let fault = loop {
        let heard = tokio::select! {
            heard = incoming.hear() => heard,
            _ = clock.tick() => {
                match ledger.overdue(Instant::now()) {
                    Some(fault) => break fault,
                    None => continue,
                }
            }
        };
        match heard {
            Heard::Data(bytes) => received.extend_from_slice(&bytes),
            Heard::Window => {
                ledger.heard();
                continue;
            }
            Heard::Complaint(text) => {
                tracing::debug!(
                    endpoint = ledger.line.place(),
                    "the server's error stream: {:?}",
                    String::from_utf8_lossy(&text)
                );
                continue;
            }
            Heard::End => break ledger.line.why_ended(),
        }
        ledger.heard();
        if let Err(fault) = take_answers(&mut received, &queue, &ledger) {
            break fault;
        }
    };
    ledger.end(fault);
}

/// Nobody waits for ever, even if the reading task ends by a bug.
struct EndGuard(Arc<Ledger>);

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
    ledger: &Arc<Ledger>,
) -> Result<(), Fault> {
    let broken = |problem: &dyn std::fmt::Display| protocol_fault(ledger.line.place(), problem);
    while let Some(packet) = take_packet(received).map_err(|error| broken(&error))? {
        match ServerPacket::decode(packet).map_err(|error| broken(&error))? {
            ServerPacket::Version { .. } => return Err(broken(&"a second VERSION came")),
            ServerPacket::Reply { id, reply } => match ledger.answer(id, reply) {
                Ok(None) => {}
                Ok(Some(handle)) => close_orphan(handle, queue.clone(), Arc::clone(ledger)),
                Err(id) => {
                    return Err(broken(&format!("an answer came to request {id}, which nobody asked")));
                }
            },
        }
    }
    Ok(())
}

/// Closes a file whose opener has gone before the handle came, so that the server does not keep it open.
fn close_orphan(handle: Bytes, queue: mpsc::WeakSender<Packet>, ledger: Arc<Ledger>) {
    let Some(queue) = queue.upgrade() else { return };
    tokio::spawn(async move {
        let close = Request::Close { handle };
        if let Err(error) = submit(&queue, &ledger, None, |id| vec![close.encode(id)]).await {
            tracing::debug!("a file without an owner was not closed: {error}");
        }
    });
}
