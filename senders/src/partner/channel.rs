//! One SFTP channel of the partner's server: packets in, answers out.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf};

use super::folder_service::FolderService;
use crate::sftp::wire::{ClientPacket, take_packet};

/// A client that asks on and on without taking the answers is cut off at this much.
const UNREAD_BYTES: usize = 16 * 1024 * 1024;

/// Serves until the client ends it or sends what is no SFTP. The exit status goes out before the close: OpenSSH's clients
/// report a failure without it.
pub(super) async fn serve(channel: Channel<Msg>, service: FolderService) {
    let (reading, writing) = channel.split();
    let mut input = Input { reading, received: BytesMut::new(), end: None };
    let mut service = Some(service);
    let exit_status = loop {
        let Some(packets) = input.whole_packets() else { break 1 };
        if packets.is_empty() {
            match input.end {
                Some(End::Finished) => break 0,
                Some(End::Gone) => return,
                None => input.read().await,
            }
            continue;
        }
        // All that came together is worked off together, in order, away from the runtime's threads.
        let Some(mut working) = service.take() else { break 1 };
        let worked = tokio::task::spawn_blocking(move || {
            let answers: Vec<Bytes> =
                packets.into_iter().map(|packet| working.answer(packet).encode()).collect();
            (working, answers)
        });
        let Ok((back, answers)) = worked.await else { break 1 };
        service = Some(back);
        for answer in answers {
            let mut sending = pin!(writing.data_bytes(answer));
            // Reading goes on while the answer waits for the client's window: the SSH session would otherwise stop at
            // the first message that nobody takes, and never see the window open.
            let sent = loop {
                tokio::select! {
                    sent = &mut sending => break sent.is_ok(),
                    () = input.read(), if input.end.is_none() => {
                        if input.received.len() > UNREAD_BYTES {
                            break false;
                        }
                    }
                }
            };
            if !sent {
                return;
            }
        }
    };
    for sent in [writing.exit_status(exit_status).await, writing.eof().await, writing.close().await] {
        if let Err(error) = sent {
            tracing::debug!("the client was gone before the goodbye: {error}");
            return;
        }
    }
}

enum End {
    /// It sends nothing more, but takes answers.
    Finished,
    /// It is gone.
    Gone,
}

struct Input {
    reading: ChannelReadHalf,
    received: BytesMut,
    end: Option<End>,
}

impl Input {
    /// Takes one message of the channel; a dropped call loses none.
    async fn read(&mut self) {
        match self.reading.wait().await {
            Some(ChannelMsg::Data { data }) => self.received.extend_from_slice(&data),
            Some(ChannelMsg::Eof) => self.end = Some(End::Finished),
            Some(ChannelMsg::Close) | None => self.end = Some(End::Gone),
            Some(_) => {}
        }
    }

    /// What came whole so far; `None`: the client does not speak SFTP.
    fn whole_packets(&mut self) -> Option<Vec<ClientPacket>> {
        let mut packets = Vec::new();
        loop {
            match take_packet(&mut self.received) {
                Ok(Some(packet)) => packets.push(ClientPacket::decode(packet).ok()?),
                Ok(None) => return Some(packets),
                Err(error) => {
                    tracing::debug!("a client sent what is no SFTP: {error}");
                    return None;
                }
            }
        }
    }
}
