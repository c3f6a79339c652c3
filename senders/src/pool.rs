//! Connections per endpoint, shared by many files: a login costs more than most files.

mod choice;
mod flight;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use outport_core::Fault;
use tokio::sync::watch;

use self::choice::{Choice, LARGE_BYTES, Load, choose};
use self::flight::{Flight, connect};
use crate::remote::{ConnectFault, Connector, Remote};
use crate::target::Target;

/// After a connection that would have been nice to have was refused, files share for so long before another is tried: a
/// partner who allows one session must not see a refused login for every large file.
const SHARE: Duration = Duration::from_secs(600);

/// The pool's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Files on one connection at the same time. Measured: 16 to 64 in flight give four times the files per second.
    pub files_per_connection: usize,
    /// A connection without a file is closed after this long; partners count idle logins too.
    pub idle: Duration,
    /// A connection takes no new file after this long.
    pub max_age: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { files_per_connection: 32, idle: Duration::from_secs(30), max_age: Duration::from_secs(3600) }
    }
}

/// Connections to any number of endpoints. Clones share them.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    connector: Arc<dyn Connector>,
    settings: PoolSettings,
    endpoints: Mutex<HashMap<String, Endpoint>>,
    /// Counts every change that may let a waiting file on: a place freed, a connection gone.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Endpoint {
    revision: String,
    open: Vec<Connection>,
    /// Of an older revision, or too old: they finish their files.
    leaving: Vec<Connection>,
    connecting: Option<Arc<Flight>>,
    /// Until when files share what there is.
    sharing: Option<Instant>,
    /// Numbers the connections, to find the one whose file has ended.
    next: u64,
}

struct Connection {
    number: u64,
    remote: Arc<dyn Remote>,
    load: Load,
    since: Instant,
    idle_since: Instant,
}

/// What a file does next.
enum Next {
    Use(PooledRemote),
    /// `can_share`: there is room on an open connection, should the login fail.
    WaitFor {
        flight: Arc<Flight>,
        can_share: bool,
    },
    WaitForRoom,
}

impl Pool {
    /// An empty pool. It needs a tokio runtime: idle connections are closed by a task of its own.
    pub fn new(connector: Arc<dyn Connector>, settings: PoolSettings) -> Self {
        let inner = Arc::new(Inner {
            connector,
            settings,
            endpoints: Mutex::new(HashMap::new()),
            changes: watch::Sender::new(0),
        });
        tokio::spawn(sweep(Arc::downgrade(&inner), settings.idle));
        Self { inner }
    }

    /// A place on a connection to `target` for a file of that size: an open one that has room, else a new one while there
    /// are fewer than `max_connections`, else it waits for room. While a login is under way everyone waits for that one.
    ///
    /// A file of 64 MiB or more gets a connection without other files where there may be one, and smaller ones stay
    /// clear of it: they would wait behind its data. Where another connection is refused they share.
    ///
    /// # Errors
    /// Why the connection could not be made. All files that waited for the same login get the same fault; all but one
    /// get it marked as [shared](outport_core::Fault::as_shared).
    pub async fn get(
        &self,
        target: &Target,
        max_connections: usize,
        size_bytes: u64,
    ) -> Result<PooledRemote, ConnectFault> {
        self.get_among(target, max_connections, size_bytes, self.inner.settings.files_per_connection).await
    }

    /// The same on a connection that has no other file meanwhile: for servers that have one open file at a time.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_alone(
        &self,
        target: &Target,
        max_connections: usize,
        size_bytes: u64,
    ) -> Result<PooledRemote, ConnectFault> {
        self.get_among(target, max_connections, size_bytes, 1).await
    }

    async fn get_among(
        &self,
        target: &Target,
        max_connections: usize,
        size_bytes: u64,
        room: usize,
    ) -> Result<PooledRemote, ConnectFault> {
        let mut changes = self.inner.changes.subscribe();
        let mut waited_for_login = false;
        loop {
            changes.mark_unchanged();
            match self.inner.next(target, max_connections.max(1), size_bytes >= LARGE_BYTES, room) {
                Next::Use(mut remote) => {
                    remote.fresh = waited_for_login;
                    return Ok(remote);
                }
                // The sender lives as long as the pool that we are called on.
                Next::WaitForRoom => drop(changes.changed().await),
                Next::WaitFor { flight, can_share } => match flight.wait().await {
                    Ok(()) => waited_for_login = true,
                    Err(failed) if can_share => self.inner.share(target, &failed.fault),
                    Err(failed) => return Err(failed),
                },
            }
        }
    }

    /// How many connections there are per endpoint, idle ones and logins under way included: what counts against a
    /// partner's limit.
    pub fn connections(&self) -> Vec<(String, usize)> {
        let endpoints = self.inner.endpoints();
        let count = |e: &Endpoint| e.open.len() + e.leaving.len() + usize::from(e.connecting.is_some());
        endpoints
            .iter()
            .map(|(name, endpoint)| (name.clone(), count(endpoint)))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    /// Closes every connection that has no file, and lets the others take no further one.
    pub async fn close(&self) {
        let mut idle = Vec::new();
        for endpoint in self.inner.endpoints().values_mut() {
            endpoint.retire(|_| true);
            idle.extend(endpoint.take_unused());
        }
        close_all(idle).await;
    }
}

impl Inner {
    fn endpoints(&self) -> MutexGuard<'_, HashMap<String, Endpoint>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(self: &Arc<Self>, target: &Target, max_connections: usize, is_large: bool, room: usize) -> Next {
        let mut endpoints = self.endpoints();
        let endpoint = endpoints.entry(target.endpoint.clone()).or_default();
        if endpoint.revision != target.revision {
            endpoint.revision.clone_from(&target.revision);
            endpoint.retire(|_| true);
            // Files that wait for the older login learn its result; the new revision makes its own.
            endpoint.connecting = None;
            endpoint.sharing = None;
        }
        endpoint.retire(|connection| connection.since.elapsed() > self.settings.max_age);
        let unused = endpoint.take_unused();
        if !unused.is_empty() {
            tokio::spawn(close_all(unused));
        }
        endpoint.open.retain(|connection| connection.remote.alive());
        endpoint.leaving.retain(|connection| connection.remote.alive());
        let loads: Vec<Load> = endpoint.open.iter().map(|connection| connection.load).collect();
        let may_connect =
            endpoint.connecting.is_some() || endpoint.open.len() + endpoint.leaving.len() < max_connections;
        let can_share = match choose(&loads, is_large, room, may_connect) {
            Choice::Use(at) => return self.take(endpoint, target, at, is_large),
            Choice::ConnectOrUse(at) if endpoint.sharing.is_some_and(|until| Instant::now() < until) => {
                return self.take(endpoint, target, at, is_large);
            }
            Choice::ConnectOrUse(_) => true,
            Choice::Connect => false,
            Choice::Wait => return Next::WaitForRoom,
        };
        let flight = match &endpoint.connecting {
            Some(flight) => Arc::clone(flight),
            None => {
                let flight = Arc::<Flight>::default();
                endpoint.connecting = Some(Arc::clone(&flight));
                // A task of its own: a file that is cancelled must not take the login of the others with it.
                tokio::spawn(connect(Arc::clone(self), target.clone(), Arc::clone(&flight)));
                flight
            }
        };
        Next::WaitFor { flight, can_share }
    }

    fn take(self: &Arc<Self>, endpoint: &mut Endpoint, target: &Target, at: usize, is_large: bool) -> Next {
        let connection = &mut endpoint.open[at];
        connection.load.files += 1;
        connection.load.large += usize::from(is_large);
        Next::Use(PooledRemote {
            remote: Arc::clone(&connection.remote),
            number: connection.number,
            is_large,
            endpoint: target.endpoint.clone(),
            pool: Arc::downgrade(self),
            fresh: false,
        })
    }

    /// One more connection was refused, and the file can do without it.
    fn share(&self, target: &Target, fault: &Fault) {
        tracing::info!(
            endpoint = %target.label,
            fault.code = fault.code.name,
            "another connection for large files was refused, they share: {fault}"
        );
        if let Some(endpoint) = self.endpoints().get_mut(&target.endpoint) {
            endpoint.sharing = Some(Instant::now() + SHARE);
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Puts a new connection into its endpoint. `Err` gives it back: the endpoint's revision has moved on.
    fn admit(
        &self,
        target: &Target,
        flight: &Arc<Flight>,
        remote: Option<Arc<dyn Remote>>,
    ) -> Option<Arc<dyn Remote>> {
        let mut endpoints = self.endpoints();
        let endpoint = endpoints.entry(target.endpoint.clone()).or_default();
        if endpoint.connecting.as_ref().is_some_and(|current| Arc::ptr_eq(current, flight)) {
            endpoint.connecting = None;
        }
        let remote = remote?;
        if endpoint.revision != target.revision {
            return Some(remote);
        }
        let now = Instant::now();
        endpoint.open.push(Connection {
            number: endpoint.next,
            remote,
            load: Load::default(),
            since: now,
            idle_since: now,
        });
        endpoint.next += 1;
        None
    }

    fn give_back(&self, name: &str, number: u64, is_large: bool) {
        let mut unused = Vec::new();
        if let Some(endpoint) = self.endpoints().get_mut(name) {
            for connection in endpoint.open.iter_mut().chain(&mut endpoint.leaving) {
                if connection.number == number {
                    let load = &mut connection.load;
                    load.files = load.files.saturating_sub(1);
                    load.large = load.large.saturating_sub(usize::from(is_large));
                    connection.idle_since = Instant::now();
                }
            }
            unused = endpoint.take_unused();
        }
        if !unused.is_empty() {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(close_all(unused))),
                Err(_) => drop(unused),
            }
        }
        self.changed();
    }
}

impl Endpoint {
    /// Lets those connections take no further file.
    fn retire(&mut self, is_due: impl Fn(&Connection) -> bool) {
        let (leaving, open) =
            std::mem::take(&mut self.open).into_iter().partition(|connection| is_due(connection));
        self.open = open;
        let mut leaving: Vec<Connection> = leaving;
        self.leaving.append(&mut leaving);
    }

    /// Takes out the connections that nobody will use again.
    fn take_unused(&mut self) -> Vec<Arc<dyn Remote>> {
        let (unused, leaving): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.leaving).into_iter().partition(|c| c.load.files == 0);
        self.leaving = leaving;
        unused.into_iter().map(|connection| connection.remote).collect()
    }
}

async fn close_all(remotes: Vec<Arc<dyn Remote>>) {
    for remote in remotes {
        remote.close().await;
    }
}

/// Closes what is idle or dead, until the pool is gone.
async fn sweep(pool: Weak<Inner>, idle: Duration) {
    let mut clock = tokio::time::interval((idle / 4).max(Duration::from_millis(10)));
    loop {
        clock.tick().await;
        let Some(inner) = pool.upgrade() else { return };
        let mut unused = Vec::new();
        inner.endpoints().retain(|_, endpoint| {
            endpoint
                .retire(|connection| connection.load.files == 0 && connection.idle_since.elapsed() >= idle);
            endpoint.open.retain(|connection| connection.remote.alive());
            unused.extend(endpoint.take_unused());
            !endpoint.open.is_empty() || !endpoint.leaving.is_empty() || endpoint.connecting.is_some()
        });
        if !unused.is_empty() {
            close_all(unused).await;
            inner.changed();
        }
    }
}

/// A place on a pooled connection, given back when dropped.
pub struct PooledRemote {
    remote: Arc<dyn Remote>,
    number: u64,
    is_large: bool,
    endpoint: String,
    pool: Weak<Inner>,
    fresh: bool,
}

impl PooledRemote {
    /// Whether this file waited for the login of a new connection.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }
}

impl Deref for PooledRemote {
    type Target = dyn Remote;

    fn deref(&self) -> &Self::Target {
        &*self.remote
    }
}

impl std::fmt::Debug for PooledRemote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PooledRemote")
            .field("endpoint", &self.endpoint)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Drop for PooledRemote {
    fn drop(&mut self) {
        if let Some(inner) = self.pool.upgrade() {
            inner.give_back(&self.endpoint, self.number, self.is_large);
        }
    }
}

#[cfg(test)]
mod tests;
