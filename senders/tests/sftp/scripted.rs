//! An SSH server whose SFTP answers come from a script.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use outport_send::sftp::wire::{Attrs, ClientPacket, Reply, Request, ServerPacket, Status, take_packet};
use outport_send::{HostKeyPin, Target};
use russh::keys::ssh_key::HashAlg;
use russh::keys::{Algorithm, PrivateKey, key::safe_rng};
use russh::server::{self, Auth, ChannelOpenHandle, Handler, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg, ChannelWriteHalf};
use tokio::net::TcpListener;

use crate::support::{password, target};

/// What the server does after a request.
pub enum Act {
    Answer(Reply),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    Nothing,
    /// Closes the channel.
    Close,
}

pub fn status(code: u32) -> Act {
    Act::Answer(Reply::Status(Status::new(code, "")))
}

type Script = dyn Fn(&Request) -> Act + Send + Sync;

/// How the server behaves beside the script.
#[derive(Clone)]
pub struct Manners {
    pub subsystem: bool,
    /// What it sends as its first packet; `None`: a VERSION with `extensions`.
    pub first: Option<Vec<u8>>,
    pub extensions: Vec<&'static str>,
    pub host_keys: Vec<Algorithm>,
    /// What a channel takes before more is granted, and the largest packet, in bytes.
    pub window: (u32, u32),
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            subsystem: true,
            first: None,
            extensions: vec![],
            host_keys: vec![Algorithm::Ed25519],
            window: (2 * 1024 * 1024, 32 * 1024),
        }
    }
}

pub struct Scripted {
    address: SocketAddr,
    pub pins: Vec<HostKeyPin>,
    pub requests: Arc<Mutex<Vec<Request>>>,
    pub logins: Arc<Mutex<usize>>,
}

impl Scripted {
    pub async fn start(manners: Manners, script: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        let keys: Vec<PrivateKey> = manners
            .host_keys
            .iter()
            .map(|kind| PrivateKey::random(&mut safe_rng(), kind.clone()).unwrap())
            .collect();
        let pins = keys.iter().map(|key| key.fingerprint(HashAlg::Sha256).into()).collect();
        let (window_size, maximum_packet_size) = manners.window;
        let config = Arc::new(server::Config {
            keys,
            nodelay: true,
            window_size,
            maximum_packet_size,
            ..server::Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, logins) = (Arc::default(), Arc::default());
        let visitor = Visitor {
            manners,
            script: Arc::new(script),
            requests: Arc::clone(&requests),
            logins: Arc::clone(&logins),
            channel: None,
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, visitor) = (Arc::clone(&config), visitor.another());
                tokio::spawn(async move {
                    // How the connection ends is the client's business in these tests.
                    if let Ok(session) = server::run_stream(config, stream, visitor).await {
                        drop(session.await);
                    }
                });
            }
        });
        Self { address, pins, requests, logins }
    }

    pub fn target(&self) -> Target {
        Target { host_key_pins: self.pins.clone(), ..target(self.address.port(), vec![password("any")]) }
    }

    pub fn asked(&self, which: impl Fn(&Request) -> bool) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| which(request)).count()
    }
}

struct Visitor {
    manners: Manners,
    script: Arc<Script>,
    requests: Arc<Mutex<Vec<Request>>>,
    logins: Arc<Mutex<usize>>,
    channel: Option<Channel<Msg>>,
}

impl Visitor {
    fn another(&self) -> Self {
        Self {
            manners: self.manners.clone(),
            script: Arc::clone(&self.script),
            requests: Arc::clone(&self.requests),
            logins: Arc::clone(&self.logins),
            channel: None,
        }
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, _user: &str, _password: &str) -> Result<Auth, russh::Error> {
        *self.logins.lock().unwrap() += 1;
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.channel.take() {
            Some(channel) if self.manners.subsystem => {
                session.channel_success(id)?;
                tokio::spawn(serve(channel, self.another()));
            }
            _ => session.channel_failure(id)?,
        }
        Ok(())
    }
}

async fn serve(channel: Channel<Msg>, visitor: Visitor) {
    let (mut reading, writing) = channel.split();
    let mut received = BytesMut::new();
    while let Some(message) = reading.wait().await {
        let ChannelMsg::Data { data } = message else { continue };
        received.extend_from_slice(&data);
        while let Ok(Some(packet)) = take_packet(&mut received) {
            if !answer(ClientPacket::decode(packet).unwrap(), &visitor, &writing).await {
                return;
            }
        }
    }
}

async fn answer(packet: ClientPacket, visitor: &Visitor, writing: &ChannelWriteHalf<Msg>) -> bool {
    let bytes = match packet {
        ClientPacket::Init { .. } => match &visitor.manners.first {
            Some(first) => Bytes::from(first.clone()),
            None => {
                let extensions = visitor.manners.extensions.iter();
                let extensions = extensions
                    .map(|name| (Bytes::from_static(name.as_bytes()), Bytes::from_static(b"1")))
                    .collect();
                ServerPacket::Version { version: 3, extensions }.encode()
            }
        },
        ClientPacket::Request { id, request } => {
            let act = (visitor.script)(&request);
            visitor.requests.lock().unwrap().push(request);
            match act {
                Act::Answer(reply) => ServerPacket::Reply { id, reply }.encode(),
                Act::Raw(bytes) => bytes.into(),
                Act::Nothing => return true,
                Act::Close => {
                    writing.close().await.unwrap();
                    return false;
                }
            }
        }
    };
    writing.data_bytes(bytes).await.is_ok()
}

/// A server on which everything works, without extensions: every file has the size that was written, and a temp file
/// (`.a.part`) is gone once it was renamed.
pub fn friendly(size: u64) -> impl Fn(&Request) -> Act + Send + Sync {
    let renamed = AtomicBool::new(false);
    move |request| match request {
        Request::Open { .. } => {
            renamed.store(false, Ordering::SeqCst);
            Act::Answer(Reply::Handle(Bytes::from_static(b"\xff\0h")))
        }
        Request::Rename { .. } => {
            renamed.store(true, Ordering::SeqCst);
            status(0)
        }
        Request::Stat { path } if path.ends_with(b".part") && renamed.load(Ordering::SeqCst) => status(2),
        Request::Stat { .. } => Act::Answer(Reply::Attrs(Attrs { size: Some(size), ..Attrs::default() })),
        _ => status(0),
    }
}
