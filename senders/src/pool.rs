//! Connections per endpoint, shared by many files: a login costs more than most files.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use outport_core::{Fault, code};
use tokio::sync::watch;

use crate::outcome::Stage;
use crate::remote::{ConnectFault, Connector, Remote};
use crate::target::Target;

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
    /// Numbers the connections, to find the one whose file has ended.
    next: u64,
}

struct Connection {
    number: u64,
    remote: Arc<dyn Remote>,
    files: usize,
    since: Instant,
    idle_since: Instant,
}

/// One login under way, for every file that waits for it.
struct Flight {
    result: watch::Sender<Option<Result<(), ConnectFault>>>,
    reported: AtomicBool,
}

/// What a file does next.
enum Next {
    Use(PooledRemote),
    WaitFor(Arc<Flight>),
    Connect(Arc<Flight>),
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

    /// A place on a connection to `target`: an open one that has room, else a new one while there are fewer than
    /// `max_connections`, else it waits for room. While a login is under way everyone waits for that one.
    ///
    /// # Errors
    /// Why the connection could not be made. All files that waited for the same login get the same fault; all but one
    /// get it marked as [shared](outport_core::Fault::as_shared).
    pub async fn get(&self, target: &Target, max_connections: usize) -> Result<PooledRemote, ConnectFault> {
        let mut changes = self.inner.changes.subscribe();
        let mut waited_for_login = false;
        loop {
            changes.mark_unchanged();
            let next = self.inner.next(target, max_connections.max(1));
            let flight = match next {
                Next::Use(mut remote) => {
                    remote.fresh = waited_for_login;
                    return Ok(remote);
                }
                Next::WaitForRoom => {
                    // The sender lives as long as the pool that we are called on.
                    drop(changes.changed().await);
                    continue;
                }
                Next::WaitFor(flight) => flight,
                Next::Connect(flight) => {
                    // A task of its own: a file that is cancelled must not take the login of the others with it.
                    tokio::spawn(connect(Arc::clone(&self.inner), target.clone(), Arc::clone(&flight)));
                    flight
                }
            };
            flight.wait().await?;
            waited_for_login = true;
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

    fn next(self: &Arc<Self>, target: &Target, max_connections: usize) -> Next {
        let mut endpoints = self.endpoints();
        let endpoint = endpoints.entry(target.endpoint.clone()).or_default();
        if endpoint.revision != target.revision {
            endpoint.revision.clone_from(&target.revision);
            endpoint.retire(|_| true);
            // Files that wait for the older login learn its result; the new revision makes its own.
            endpoint.connecting = None;
        }
        endpoint.retire(|connection| connection.since.elapsed() > self.settings.max_age);
        let unused = endpoint.take_unused();
        if !unused.is_empty() {
            tokio::spawn(close_all(unused));
        }
        endpoint.open.retain(|connection| connection.remote.alive());
        endpoint.leaving.retain(|connection| connection.remote.alive());
        let room = |c: &&mut Connection| c.files < self.settings.files_per_connection;
        if let Some(connection) = endpoint.open.iter_mut().filter(room).min_by_key(|c| c.files) {
            connection.files += 1;
            let (remote, number) = (Arc::clone(&connection.remote), connection.number);
            return Next::Use(PooledRemote {
                remote,
                number,
                endpoint: target.endpoint.clone(),
                pool: Arc::downgrade(self),
                fresh: false,
            });
        }
        if let Some(flight) = &endpoint.connecting {
            return Next::WaitFor(Arc::clone(flight));
        }
        if endpoint.open.len() + endpoint.leaving.len() >= max_connections {
            return Next::WaitForRoom;
        }
        let flight = Arc::new(Flight { result: watch::Sender::new(None), reported: AtomicBool::new(false) });
        endpoint.connecting = Some(Arc::clone(&flight));
        Next::Connect(flight)
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
            files: 0,
            since: now,
            idle_since: now,
        });
        endpoint.next += 1;
        None
    }

    fn give_back(&self, name: &str, number: u64) {
        let mut unused = Vec::new();
        if let Some(endpoint) = self.endpoints().get_mut(name) {
            for connection in endpoint.open.iter_mut().chain(&mut endpoint.leaving) {
                if connection.number == number {
                    connection.files = connection.files.saturating_sub(1);
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
            std::mem::take(&mut self.leaving).into_iter().partition(|c| c.files == 0);
        self.leaving = leaving;
        unused.into_iter().map(|connection| connection.remote).collect()
    }
}

impl Flight {
    async fn wait(&self) -> Result<(), ConnectFault> {
        let mut result = self.result.subscribe();
        let landed = result.wait_for(Option::is_some).await.ok().and_then(|result| result.clone());
        match landed {
            Some(Err(failed)) if self.reported.swap(true, Ordering::SeqCst) => {
                Err(ConnectFault { fault: failed.fault.as_shared(), ..failed })
            }
            Some(result) => result,
            None => Ok(()),
        }
    }
}

/// Sees to it that a login under way ends for those who wait, even when it ends by a bug.
struct Landing {
    inner: Arc<Inner>,
    target: Target,
    flight: Arc<Flight>,
    outcome: Option<Result<(), ConnectFault>>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            let message = format!("the login to {} ended by a bug", self.target.place());
            Err(ConnectFault { stage: Stage::Connecting, fault: Fault::new(&code::ENGINE_PANIC, message) })
        });
        // Only after a bug is there still something to clear.
        self.inner.admit(&self.target, &self.flight, None);
        self.flight.result.send_replace(Some(outcome));
        self.inner.changed();
    }
}

async fn connect(inner: Arc<Inner>, target: Target, flight: Arc<Flight>) {
    let connector = Arc::clone(&inner.connector);
    let mut landing = Landing { inner, target, flight, outcome: None };
    match connector.connect(&landing.target).await {
        Ok(remote) => {
            let outdated = landing.inner.admit(&landing.target, &landing.flight, Some(remote));
            landing.outcome = Some(Ok(()));
            drop(landing);
            if let Some(remote) = outdated {
                remote.close().await;
            }
        }
        Err(failed) => landing.outcome = Some(Err(failed)),
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
            endpoint.retire(|connection| connection.files == 0 && connection.idle_since.elapsed() >= idle);
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
            inner.give_back(&self.endpoint, self.number);
        }
    }
}

#[cfg(test)]
mod tests;
