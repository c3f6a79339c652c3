//! A proxy in front of PostgreSQL that knows what is said: it cuts a connection just before a COMMIT or just before its
//! answer, stands still, or is away for a while, and counts what is tried meanwhile.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Where the connection of the next COMMIT ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never hears of it and rolls back.
    BeforeCommit,
    /// The server has committed; its answer is lost.
    BeforeTheAnswer,
}

/// What the proxy does with its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Through,
    Frozen,
    Away,
}

/// A listener on loopback that passes everything on to a server. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    /// Its own, so that a test that blocks does not block it.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    mode: watch::Sender<Mode>,
    next: Mutex<Option<Cut>>,
    cuts: AtomicU64,
    asked: AtomicU64,
}

impl Proxy {
    /// Starts one in front of the server in `url` (`postgres://user:password@127.0.0.1:port/name`).
    ///
    /// # Errors
    /// If the URL has no address of that form, or nothing can be listened on.
    pub fn before(url: &str) -> anyhow::Result<Self> {
        let (user, rest) = url.rsplit_once('@').context("a database URL without a user")?;
        let (server, name) = rest.split_once('/').context("a database URL without a database")?;
        let server: SocketAddr = server.parse().context("a database URL without an address and a port")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        // Not by the runtime: the caller may be in one of its own.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("listening on loopback")?;
        listener.set_nonblocking(true)?;
        let url = format!("{user}@{}/{name}", listener.local_addr()?);
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared {
            server,
            mode: watch::Sender::new(Mode::Through),
            next: Mutex::new(None),
            cuts: AtomicU64::new(0),
            asked: AtomicU64::new(0),
        });
        runtime.spawn(listen(listener, shared.clone()));
        Ok(Self { url, shared, runtime: Some(runtime) })
    }

    /// The URL of the database, through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts the connection of the next COMMIT, once.
    pub fn cut(&self, at: Cut) {
        *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// How many connections were cut at a COMMIT.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Ends every connection, and every new one at once.
    pub fn go_away(&self) {
        self.shared.mode.send_replace(Mode::Away);
    }

    /// Passes nothing on any more, and closes nothing.
    pub fn freeze(&self) {
        self.shared.mode.send_replace(Mode::Frozen);
    }

    /// Passes everything on again.
    pub fn come_back(&self) {
        self.shared.mode.send_replace(Mode::Through);
    }

    /// Connections and statements that clients have begun since the proxy started.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Dropped where it may not wait: in a runtime of the caller's.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    // An error of one connection is that client's to tell.
    while let Ok((client, _)) = listener.accept().await {
        shared.asked.fetch_add(1, Ordering::SeqCst);
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut mode = shared.mode.subscribe();
            tokio::select! {
                _ = pass(&shared, client) => {}
                _ = mode.wait_for(|mode| *mode == Mode::Away) => {}
            }
        });
    }
}

/// One connection, until either side or a cut ends it.
async fn pass(shared: &Shared, mut client: TcpStream) -> std::io::Result<()> {
    wait_while_frozen(shared).await;
    let mut server = TcpStream::connect(shared.server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let startup = startup(&mut client).await?;
    server.write_all(&startup).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let hide_answer = AtomicBool::new(false);
    tokio::select! {
        ended = statements(shared, from_client, to_server, &hide_answer) => ended,
        ended = answers(shared, from_server, to_client, &hide_answer) => ended,
    }
}

/// The first message. A client that asks for encryption is told that there is none: SSLRequest and GSSENCRequest are 8
/// bytes with these codes (PostgreSQL protocol 3.0, "Message Formats").
async fn startup(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];
    loop {
        let length = client.read_u32().await?;
        let mut message = length.to_be_bytes().to_vec();
        message.resize(length.clamp(8, 10_000) as usize, 0);
        client.read_exact(&mut message[4..]).await?;
        let code = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
        if !ENCRYPTION.contains(&code) {
            return Ok(message);
        }
        client.write_all(b"N").await?;
    }
}

/// One message: its type, a length that counts itself, and the rest.
async fn message(from: &mut OwnedReadHalf) -> std::io::Result<Vec<u8>> {
    let kind = from.read_u8().await?;
    let length = from.read_u32().await?;
    let mut message = vec![kind];
    message.extend(length.to_be_bytes());
    message.resize(1 + length.max(4) as usize, 0);
    from.read_exact(&mut message[5..]).await?;
    Ok(message)
}

async fn statements(
    shared: &Shared,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    hide_answer: &AtomicBool,
) -> std::io::Result<()> {
    loop {
        let message = message(&mut from).await?;
        // Query and Execute.
        if matches!(message[0], b'Q' | b'E') {
            shared.asked.fetch_add(1, Ordering::SeqCst);
        }
        wait_while_frozen(shared).await;
        if message[0] == b'Q' && message[5..].starts_with(b"COMMIT") {
            let cut = shared.next.lock().unwrap_or_else(PoisonError::into_inner).take();
            if cut.is_some() {
                shared.cuts.fetch_add(1, Ordering::SeqCst);
            }
            match cut {
                Some(Cut::BeforeCommit) => return Ok(()),
                Some(Cut::BeforeTheAnswer) => hide_answer.store(true, Ordering::SeqCst),
                None => {}
            }
        }
        to.write_all(&message).await?;
    }
}

async fn answers(
    shared: &Shared,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    hide_answer: &AtomicBool,
) -> std::io::Result<()> {
    loop {
        let message = message(&mut from).await?;
        // CommandComplete of the COMMIT: it is done, and nobody hears of it.
        if message[0] == b'C' && hide_answer.load(Ordering::SeqCst) {
            return Ok(());
        }
        wait_while_frozen(shared).await;
        to.write_all(&message).await?;
    }
}

async fn wait_while_frozen(shared: &Shared) {
    // The sender lives as long as its connections: an error is not possible.
    shared.mode.subscribe().wait_for(|mode| *mode != Mode::Frozen).await.ok();
}
