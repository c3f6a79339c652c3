//! From a [`Target`] to a logged-in connection: DNS, TCP, key exchange, host key, login, SFTP.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::{Fault, code};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::time::timeout;

use super::client::SftpRemote;
use super::clock;
use super::login::{Method, log_in};
use super::peer::{Peer, Watcher, cause, error_code};
use super::reach::reach;
use super::second_channel::SecondChannel;
use super::session::{Heard, Incoming, Line, Outgoing, Session};
use crate::outcome::Stage;
use crate::remote::{ConnectFault, Connector, Remote};
use crate::target::Target;

/// Makes SFTP connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct SftpConnector;

#[async_trait]
impl Connector for SftpConnector {
    async fn connect(&self, target: &Target) -> Result<Arc<dyn Remote>, ConnectFault> {
        let started = Instant::now();
        let at = |stage: Stage| move |fault: Fault| ConnectFault { stage, fault };
        // What is wrong with our own secrets shows before anything is sent.
        let methods = Method::all(target, clock::now()).map_err(at(Stage::Authenticating))?;
        let (mut ssh, peer) = reach(target).await.map_err(at(Stage::Connecting))?;
        let ready = async {
            log_in(&mut ssh, target, methods, &peer).await?;
            let ssh = Arc::new(ssh);
            let (session, extensions) = start_sftp(&ssh, target, &peer).await?;
            Ok((session, extensions, ssh))
        };
        let (session, extensions, ssh) = timeout(target.timeouts.login, ready)
            .await
            .unwrap_or_else(|_| Err(too_slow(target, "log in to", target.timeouts.login)))
            .map_err(at(Stage::Authenticating))?;
        let second = SecondChannel::new(target, &ssh, &peer);
        let preparing = SftpRemote::prepare(session, &extensions, second, ssh, peer);
        let remote = timeout(target.timeouts.login, preparing)
            .await
            .unwrap_or_else(|_| Err(too_slow(target, "learn the limits of", target.timeouts.login)))
            .map_err(at(Stage::Authenticating))?;
        tracing::debug!(endpoint = %target.label, duration_ms = started.elapsed().as_millis(), "connected");
        Ok(Arc::new(remote))
    }
}

/// The server did not do something in time.
pub(super) fn too_slow(target: &Target, doing: &str, limit: std::time::Duration) -> Fault {
    let message =
        format!("could not {doing} {}: no answer within {:.1} s", target.place(), limit.as_secs_f64());
    Fault::new(&code::ENDPOINT_TIMEOUT, message)
}

/// Opens a channel, starts the SFTP subsystem on it, and agrees on the version.
pub(super) async fn start_sftp(
    ssh: &Arc<Handle<Watcher>>,
    target: &Target,
    peer: &Arc<Peer>,
) -> Result<(Session, Vec<String>), Fault> {
    let channel = ssh.channel_open_session().await.map_err(|error| channel_fault(target, peer, &error))?;
    let (mut reading, writing) = ask_for_sftp(channel, target, peer).await?;
    // What comes before the answer is of no matter; what comes after is the session's.
    loop {
        match reading.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure) => return Err(missing(target, "the server refused the subsystem")),
            Some(ChannelMsg::Close | ChannelMsg::Eof) | None => {
                return Err(peer
                    .end()
                    .map_or_else(|| missing(target, "the server closed the channel"), |_| peer.why_ended()));
            }
            Some(_) => {}
        }
    }
    let line: Arc<dyn Line> = Arc::clone(peer) as Arc<dyn Line>;
    let writing = Writing { ssh: Arc::clone(ssh), id: writing.id(), _half: writing };
    Session::start(Reading(reading), writing, line, target.timeouts).await
}

/// The library returns from the request at once, even when the server will refuse it; the answer is a message.
async fn ask_for_sftp(
    channel: Channel<Msg>,
    target: &Target,
    peer: &Peer,
) -> Result<(ChannelReadHalf, ChannelWriteHalf<Msg>), Fault> {
    channel.request_subsystem(true, "sftp").await.map_err(|error| channel_fault(target, peer, &error))?;
    Ok(channel.split())
}

fn missing(target: &Target, problem: &str) -> Fault {
    Fault::new(
        &code::SFTP_SUBSYSTEM_MISSING,
        format!("could not start SFTP on {}: {problem}", target.place()),
    )
}

fn channel_fault(target: &Target, peer: &Peer, error: &russh::Error) -> Fault {
    let (code, cause) = match error {
        russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
            (&code::SFTP_SUBSYSTEM_MISSING, "the server allows no session".to_owned())
        }
        russh::Error::ChannelOpenFailure(ChannelOpenFailure::ResourceShortage) => {
            (&code::ENDPOINT_BUSY, "the server is short of resources".to_owned())
        }
        // OpenSSH's word for more sessions than MaxSessions.
        russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => {
            (&code::ENDPOINT_BUSY, "the server opens no session for us now".to_owned())
        }
        error => peer.end().unwrap_or_else(|| (error_code(error), cause(error))),
    };
    Fault::new(code, format!("could not start SFTP on {}: {cause}", target.place()))
}

struct Reading(ChannelReadHalf);

#[async_trait]
impl Incoming for Reading {
    async fn hear(&mut self) -> Heard {
        loop {
            return match self.0.wait().await {
                Some(ChannelMsg::Data { data }) => Heard::Data(data),
                Some(ChannelMsg::ExtendedData { data, .. }) => Heard::Complaint(data),
                Some(ChannelMsg::WindowAdjusted { .. }) => Heard::Window,
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => Heard::End,
                Some(_) => continue,
            };
        }
    }
}

/// Sends through the handle of the SSH session, which slices nothing and copies nothing; window and packet sizes are
/// then the session's work, and its mailbox of ten is the back-pressure.
struct Writing {
    ssh: Arc<Handle<Watcher>>,
    id: ChannelId,
    _half: ChannelWriteHalf<Msg>,
}

#[async_trait]
impl Outgoing for Writing {
    async fn send(&mut self, bytes: Bytes) -> bool {
        self.ssh.data(self.id, bytes).await.is_ok()
    }
}
