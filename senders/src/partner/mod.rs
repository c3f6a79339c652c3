//! A partner's SFTP server inside the process: for `outport demo` and for tests. It serves one folder to one user.
//!
//! It is a real server over SSH, not a stand-in: OpenSSH's `sftp` works with it. Paths never lead out of its folder, and
//! it makes neither symbolic links nor shows where they lead.

mod channel;
mod folder_service;
mod jail;
mod ssh;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use outport_core::{Fault, code};
use russh::keys::ssh_key::{HashAlg, LineEnding};
use russh::keys::{Algorithm, PrivateKey, PublicKey, key::safe_rng};
use russh::{MethodKind, MethodSet, server};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::plug::Plug;
use crate::secret::Secret;
use crate::target::HostKeyPin;

/// What a [`Partner`] serves, to whom.
#[derive(Debug, Clone)]
pub struct PartnerConfig {
    /// The folder that it serves; it has to exist.
    pub root: PathBuf,
    /// Where it listens. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The user name.
    pub user: String,
    /// The password, if one may be used.
    pub password: Option<Secret>,
    /// The public key, if one may be used, as a line of an `authorized_keys` file without options.
    pub authorized_key: Option<String>,
    /// The host key in OpenSSH format; `None` makes a new one. [`Partner::host_key`] gives it, to survive a restart.
    pub host_key: Option<Secret>,
}

impl PartnerConfig {
    /// Serves `root` to `user` on a free loopback port; a password or a key is still to be set.
    pub fn new(root: impl Into<PathBuf>, user: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            user: user.into(),
            password: None,
            authorized_key: None,
            host_key: None,
        }
    }

    /// The same with a password.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Secret::new(password));
        self
    }
}

/// Counts for tests.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    connections: AtomicUsize,
    logins_tried: AtomicUsize,
    channels: AtomicUsize,
}

impl Counts {
    pub(crate) fn login_tried(&self) {
        self.logins_tried.fetch_add(1, Ordering::SeqCst);
    }
    pub(crate) fn channel_opened(&self) {
        self.channels.fetch_add(1, Ordering::SeqCst);
    }
}

/// A running server. Dropping it ends it, connections included.
#[derive(Debug)]
pub struct Partner {
    address: SocketAddr,
    fingerprint: HostKeyPin,
    host_key: Secret,
    accepting: JoinHandle<()>,
    plugs: Plugs,
    counts: Arc<Counts>,
}

type Plugs = Arc<Mutex<Vec<Weak<Plug>>>>;

impl Partner {
    /// Starts to listen.
    ///
    /// # Errors
    /// `config.invalid` for a folder or key that cannot be used, `local.io_failed` when the port cannot be.
    pub async fn start(config: PartnerConfig) -> Result<Self, Fault> {
        let root = jail::Jail::new(&config.root).map_err(|error| {
            Fault::new(&code::CONFIG_INVALID, format!("could not serve {}: {error}", config.root.display()))
        })?;
        let key = host_key(config.host_key.as_ref())?;
        let authorized_key = config.authorized_key.as_deref().map(authorized).transpose()?;
        let listening = |error: io::Error| {
            Fault::new(&code::IO_FAILED, format!("could not listen on {}: {error}", config.listen))
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let counts = Arc::new(Counts::default());
        let plugs = Plugs::default();
        let door = ssh::Door {
            root,
            user: config.user,
            password: config.password,
            authorized_key,
            counts: Arc::clone(&counts),
        };
        let fingerprint = HostKeyPin::from(key.fingerprint(HashAlg::Sha256));
        let host_key =
            key.to_openssh(LineEnding::LF).map(|text| Secret::new(text.as_str())).map_err(|error| {
                Fault::new(&code::CONFIG_INVALID, format!("could not write the host key: {error}"))
            })?;
        let settings = Arc::new(settings(key, &door));
        let accepting = tokio::spawn(accept(listener, settings, Arc::new(door), Arc::clone(&plugs)));
        Ok(Self { address, fingerprint, host_key, accepting, plugs, counts })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The fingerprint of its host key.
    pub fn fingerprint(&self) -> HostKeyPin {
        self.fingerprint
    }

    /// Its host key in OpenSSH format.
    pub fn host_key(&self) -> &Secret {
        &self.host_key
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// How many logins were tried so far, whatever became of them.
    pub fn logins_tried(&self) -> usize {
        self.counts.logins_tried.load(Ordering::SeqCst)
    }

    /// How many SFTP channels were opened so far, on all connections.
    pub fn channels(&self) -> usize {
        self.counts.channels.load(Ordering::SeqCst)
    }

    /// Ends it as a power cut would: no goodbye, every connection gone, the port closed when it returns.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // The task is aborted, so all it can say is that it was.
        if let Err(error) = (&mut self.accepting).await
            && error.is_panic()
        {
            tracing::error!("the partner's server ended by a bug: {error}");
        }
        self.cut();
    }

    /// Cuts every connection and goes on listening.
    pub fn cut(&self) {
        for plug in self.plugs.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(plug) = plug.upgrade() {
                plug.pull();
            }
        }
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

fn host_key(given: Option<&Secret>) -> Result<PrivateKey, Fault> {
    let made = match given {
        Some(text) => PrivateKey::from_openssh(text.expose()),
        None => PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519),
    };
    made.map_err(|error| {
        Fault::new(&code::CONFIG_INVALID, format!("could not use the partner's host key: {error}"))
    })
}

fn authorized(line: &str) -> Result<PublicKey, Fault> {
    PublicKey::from_openssh(line.trim()).map_err(|error| {
        Fault::new(&code::CONFIG_INVALID, format!("could not read the authorized key: {error}"))
    })
}

fn settings(key: PrivateKey, door: &ssh::Door) -> server::Config {
    let mut methods = MethodSet::empty();
    if door.authorized_key.is_some() {
        methods.push(MethodKind::PublicKey);
    }
    if door.password.is_some() {
        methods.push(MethodKind::Password);
    }
    server::Config {
        methods,
        keys: vec![key],
        // The clients' first question is what may be tried; no reason to make them wait for the answer.
        auth_rejection_time: Duration::from_millis(300),
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 6,
        nodelay: true,
        ..server::Config::default()
    }
}

async fn accept(listener: TcpListener, settings: Arc<server::Config>, door: Arc<ssh::Door>, plugs: Plugs) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                door.counts.connections.fetch_add(1, Ordering::SeqCst);
                tracing::debug!(partner.client = %from, "a client connected");
                if let Err(error) = serve(stream, &settings, &door, &plugs) {
                    tracing::debug!(partner.client = %from, "the connection ended at once: {error}");
                }
            }
            Err(error) => {
                // Out of descriptors, usually. Without a pause this loop would take the whole core.
                tracing::warn!("the partner's server cannot take a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn serve(
    stream: TcpStream,
    settings: &Arc<server::Config>,
    door: &Arc<ssh::Door>,
    plugs: &Plugs,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (stream, plug) = Plug::of(stream)?;
    let plug = Arc::new(plug);
    let mut plugs = plugs.lock().unwrap_or_else(PoisonError::into_inner);
    plugs.retain(|plug| plug.strong_count() > 0);
    plugs.push(Arc::downgrade(&plug));
    drop(plugs);
    let (settings, visitor) = (Arc::clone(settings), ssh::Visitor::new(Arc::clone(door)));
    tokio::spawn(async move {
        let ended = match server::run_stream(settings, stream, visitor).await {
            Ok(session) => session.await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::debug!("a client's connection ended: {error}");
        }
        drop(plug);
    });
    Ok(())
}
