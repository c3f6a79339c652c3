//! What the roles of one process share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outport_core::timing::millis;
use outport_core::{EndpointId, Fault, Timing, WorkerId};
use outport_objects::{FolderStore, Objects};
use outport_store::notices::Notices;
use outport_store::writer::Writer;
use outport_store::{Dialect, Store};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::{Config, Retention, Workers};
use crate::data_folder::{self, FolderLock};
use crate::metrics::Metrics;
use crate::roles::sender::LateEnds;
use crate::roles::{Throttles, after_failure};
use crate::webhook::{self, Webhook};

/// The bucket of the artifact store that holds snapshots of arrived files.
pub const ORIGINALS: &str = "originals";
/// The bucket of the artifact store that holds the outputs of transforms.
pub const OUTPUTS: &str = "outputs";

/// One process of Outport.
pub struct Engine {
    pub store: Store,
    pub buckets: FolderStore,
    pub artifacts: FolderStore,
    pub timing: Timing,
    pub horizon: Duration,
    pub workers: Workers,
    pub worker: WorkerId,
    pub file_names: bool,
    pub metrics: Arc<Metrics>,
    /// All writes after a claim.
    pub writer: Writer,
    pub bells: Bells,
    /// For ends that come after their lease.
    pub late: LateEnds,
    /// The version of the secret with which this process was last refused, by endpoint.
    pub refused: Mutex<BTreeMap<EndpointId, String>>,
    /// Speed limits of endpoints.
    pub throttles: Throttles,
    pub retention: Retention,
    /// Where people are told.
    pub webhook: Option<Webhook>,
    stopping: AtomicBool,
    stop_bell: Notify,
    /// Of an embedded engine: nobody else works on this data folder.
    pub lock: Option<FolderLock>,
}

/// Doorbells between the roles of one process. A bell only shortens a wait: what is due is in the database.
#[derive(Default)]
pub struct Bells {
    /// The pacemaker should ask now.
    pub ask: Notify,
    /// A lane may be due.
    pub send: Notify,
    /// A transform may be due.
    pub transform: Notify,
    /// There may be something to tell people.
    pub notice: Notify,
}

impl Engine {
    /// Opens database and folders. Embedded (SQLite): takes the folder's lock, migrates, and frees what dead
    /// predecessors held.
    pub async fn open(config: &Config) -> Result<Arc<Self>, Fault> {
        let url = config.database();
        // With PostgreSQL several processes may share the buckets folder; the database keeps them apart.
        let lock = match url.strip_prefix("sqlite:") {
            Some(database) => Some(data_folder::lock(config.data(), Path::new(database))?),
            None => None,
        };
        let (webhook, timing) = (Webhook::of(&config.notify)?, config.timing());
        let notices = Notices {
            targets: webhook.iter().map(|_| webhook::TARGET.to_owned()).collect(),
            gather_ms: millis(timing.gather),
        };
        let store = open_store(&url).await?.with_notices(notices);
        if store.dialect() == Dialect::Sqlite {
            store.migrate().await.map_err(|e| e.fault())?;
        }
        store.require_schema().await.map_err(|e| e.fault())?;
        let buckets = open_folder(config.buckets()).await?;
        let artifacts = open_folder(config.artifacts()).await?;
        make_private(artifacts.root())?;
        for folder in [&buckets, &artifacts] {
            // Temporary files of dead writers; what lives is younger.
            let removed = folder.clear_leftovers(jiff::Timestamp::now().as_millisecond()).await?;
            if removed > 0 {
                tracing::info!(removed, folder = %folder.root().display(), "removed what dead writers left");
            }
        }
        artifacts.make_bucket(ORIGINALS).await?;
        artifacts.make_bucket(OUTPUTS).await?;
        if !is_own_artifact_store(&store, artifacts.root()).await? {
            tracing::warn!(folder = %artifacts.root().display(),
                "the artifact store belongs to another database: nothing in it will be collected");
        }
        let metrics = Arc::new(Metrics::default());
        let worker = WorkerId::from_uuid(Uuid::now_v7());
        let writer = Writer::start(store.clone(), worker, timing.clone(), after_failure);
        Ok(Arc::new(Self {
            store,
            buckets,
            artifacts,
            timing,
            horizon: config.horizon(),
            workers: config.workers,
            worker,
            writer,
            file_names: config.log.file_names,
            metrics,
            bells: Bells::default(),
            late: LateEnds::default(),
            refused: Mutex::default(),
            throttles: Throttles::default(),
            retention: config.retention(),
            webhook,
            stopping: AtomicBool::new(false),
            stop_bell: Notify::new(),
            lock,
        }))
    }

    /// The artifact store behind its trait.
    pub fn artifacts(&self) -> &dyn Objects {
        &self.artifacts
    }

    /// Tells every role to claim nothing more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.stop_bell.notify_waiters();
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Returns when [`stop`](Self::stop) is called.
    pub async fn stopped(&self) {
        loop {
            let bell = self.stop_bell.notified();
            tokio::pin!(bell);
            // Registered before the look: a stop between look and wait is not missed.
            bell.as_mut().enable();
            if self.is_stopping() {
                return;
            }
            bell.await;
        }
    }

    /// Waits, unless the engine stops first.
    pub async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stopped() => {}
        }
    }

    /// What a log may tell of a fault: messages name files.
    pub fn told<'a>(&self, fault: &'a Fault) -> &'a str {
        if self.file_names { &fault.message } else { fault.code.cause }
    }

    /// A file's key as logs may show it.
    pub fn shown<'a>(&self, key: &'a str) -> &'a str {
        if self.file_names { key } else { "(hidden)" }
    }
}

/// A fault of the artifact store, seen by a worker. A store that is not there (not mounted) is ours to repair, not the
/// file's end.
pub fn ours(fault: Fault) -> Fault {
    if fault.code == &outport_core::code::INTAKE_BUCKET_MISSING {
        return Fault::new(&outport_core::code::OBJECT_STORE_FAILED, fault.message).with_hint(
            "the artifact store is gone or not mounted; bring it back, the work is tried again by itself",
        );
    }
    fault
}

/// Opens the database of a configuration, without touching its schema.
pub async fn open_store(url: &str) -> Result<Store, Fault> {
    if let Some(path) = url.strip_prefix("sqlite:")
        && let Some(folder) = std::path::Path::new(path).parent().filter(|p| !p.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(|error| {
            Fault::new(
                &outport_core::code::IO_FAILED,
                format!("could not make the folder {}: {error}", folder.display()),
            )
        })?;
    }
    Store::open(url).await.map_err(|error| error.fault())
}

/// The name of the file in the artifact store that says which ledger it belongs to.
const LEDGER_FILE: &str = "LEDGER";

/// Whether the artifact store is this ledger's. The first ledger that opens a store writes its id into it; with another
/// database (a restored, moved or empty one) nothing may be collected there.
pub async fn is_own_artifact_store(store: &Store, root: &Path) -> Result<bool, Fault> {
    let id = outport_store::artifacts::ledger_id(store).await.map_err(|e| e.fault())?.to_string();
    let path = root.join(LEDGER_FILE);
    let failed = |error: std::io::Error| {
        Fault::new(&outport_core::code::IO_FAILED, format!("could not use {}: {error}", path.display()))
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim() == id),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::write(&path, format!("{id}\n")).map_err(failed)?;
            Ok(true)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Artifacts are other people's data: nobody but this user reads them.
fn make_private(folder: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(|error| {
        Fault::new(
            &outport_core::code::IO_FAILED,
            format!("could not make the folder {} private: {error}", folder.display()),
        )
    })
}

async fn open_folder(root: std::path::PathBuf) -> Result<FolderStore, Fault> {
    std::fs::create_dir_all(&root).map_err(|error| {
        Fault::new(
            &outport_core::code::IO_FAILED,
            format!("could not make the folder {}: {error}", root.display()),
        )
    })?;
    FolderStore::open(root).await
}
