//! The intake of folders: which files have arrived, and a snapshot of each.
//!
//! The watcher is a hint, the sweep is the truth. See [`arrivals`] for when a file counts as arrived.

pub mod arrivals;
mod hints;
mod memo;
mod signature;
mod snapshot;
mod spot;
#[cfg(test)]
mod tests;
mod ticket;
mod waiting;
mod walk;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outport_core::{Fault, Millis};
use tokio::sync::{Notify, mpsc};

pub use self::signature::Signature;
#[cfg(test)]
pub(crate) use self::signature::{Look, look};
pub use self::snapshot::{Snapshot, snapshot};
pub use self::spot::waits;
use self::ticket::Ticket;
use self::watch::Watch;
use crate::FolderStore;

/// Says of a bucket since when files in it are arrivals: max(the oldest rule's start, now - horizon), in milliseconds
/// since 1970. Asked on a blocking thread, at every sweep and for every new folder.
pub type Since = Arc<dyn Fn(&str) -> Millis + Send + Sync>;

/// How a file came to our notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// By an event of the watcher.
    Watch,
    /// By a sweep.
    Sweep,
}

/// A file with a name that cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadKey {
    /// What can be shown of it; what is not UTF-8 is replaced.
    pub lossy: String,
    /// Why not (`intake.bad_key`).
    pub fault: Fault,
}

/// A file that has arrived. Dropped without [`done`](Self::done), it is reported again by the next sweep.
#[derive(Debug)]
pub struct Arrived {
    /// The bucket: the name of the folder below the buckets folder.
    pub bucket: String,
    /// The key, or why there can be none. A bad key is reported like a file, so that somebody sees it.
    pub key: Result<String, BadKey>,
    /// Where it stands, absolute.
    pub path: PathBuf,
    /// What it looked like when it counted as arrived; the snapshot must show the same.
    pub signature: Signature,
    /// How it was found.
    pub how: How,
    ticket: Ticket,
}

impl Arrived {
    /// It is dealt with: not reported again unless it changes.
    pub fn done(self) {
        self.ticket.done();
    }

    /// It changed while it was taken in: wait until it is quiet and report it again, without waiting for a sweep.
    pub fn look_again(self) {
        self.ticket.look_again();
    }
}

/// How to watch.
#[derive(Clone)]
pub struct Settings {
    /// A closed or found file counts as arrived when it has not changed for this long.
    pub quiet: Duration,
    /// Time from the start of one sweep to the next.
    pub sweep: Duration,
    /// How far back sweeps, and looks into new folders, go.
    pub since: Since,
}

/// A running intake. Dropped, it stops.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::{sync::Arc, time::Duration};
/// use outport_objects::{FolderStore, intake::{Intake, Settings}};
/// let buckets = tempfile::tempdir().unwrap();
/// std::fs::create_dir(buckets.path().join("inbox")).unwrap();
/// std::fs::write(buckets.path().join("inbox/claims.json"), "{}").unwrap();
/// let store = FolderStore::open(buckets.path()).await?;
/// let quiet = Duration::from_millis(50);
/// let mut intake = Intake::start(&store, Settings { quiet, sweep: Duration::from_secs(1), since: Arc::new(|_| 0) });
/// let arrived = intake.next().await.unwrap();
/// assert_eq!((arrived.bucket.as_str(), arrived.key.as_deref()), ("inbox", Ok("claims.json")));
/// arrived.done();
/// intake.stop().await;
/// # Ok::<(), outport_core::Fault>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Intake {
    arrived: mpsc::Receiver<Arrived>,
    sweep_now: Arc<Notify>,
    sweeps: tokio::sync::watch::Receiver<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl Intake {
    /// Watches the buckets of a store and sweeps them, once at the start and then regularly. Where the kernel gives no
    /// watcher, the sweeps find everything, later. Must be called within a tokio runtime.
    pub fn start(buckets: &FolderStore, settings: Settings) -> Self {
        let sweep_now = Arc::new(Notify::new());
        let (watch, arrived, sweeps) = Watch::new(buckets.root().into(), settings, sweep_now.clone());
        Self { arrived, sweep_now, sweeps, task: tokio::spawn(watch.run()) }
    }

    /// The next file that has arrived. Takes no more from the folders while nobody calls it. `None` only after the
    /// intake ended by a bug.
    pub async fn next(&mut self) -> Option<Arrived> {
        self.arrived.recv().await
    }

    /// The next files that have arrived, in the order of their arrival: at least one, and those that are ready, at most
    /// `most`. None only after the intake ended by a bug. Dropped, it loses nothing.
    pub async fn next_ones(&mut self, most: usize) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        self.arrived.recv_many(&mut arrived, most).await;
        arrived
    }

    /// Sweeps as soon as possible.
    pub fn sweep_now(&self) {
        self.sweep_now.notify_one();
    }

    /// How many sweeps have ended: a figure that stands still tells that the folders cannot be read.
    pub fn sweeps(&self) -> tokio::sync::watch::Receiver<u64> {
        self.sweeps.clone()
    }

    /// Stops, and returns when it has stopped. What was reported and not acknowledged is reported after a restart.
    pub async fn stop(self) {
        drop(self.arrived);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the intake of folders ended by a bug");
        }
    }
}
