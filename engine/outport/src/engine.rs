//! What the roles of one process share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outport_aws::{SdkConfig, Topic};
use outport_core::timing::millis;
use outport_core::{EndpointId, Fault, Timing, WorkerId};
use outport_objects::Objects;
use outport_store::notices::Notices;
use outport_store::writer::Writer;
use outport_store::{Dialect, Store};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::{Config, Retention, Roots, Workers};
use crate::data_folder::{self, FolderLock};
use crate::executor::Executors;
use crate::metrics::Metrics;
use crate::roles::sender::LateEnds;
use crate::roles::{QueueIntake, TOPIC, Throttles, Workforce, after_failure};
use crate::secrets::Secrets;
use crate::storage::Storage;
use crate::webhook::{self, Webhook};

/// One process of Outport.
pub struct Engine {
    pub store: Store,
    pub storage: Storage,
    /// Where events of buckets in S3 come from.
    pub intake: Option<QueueIntake>,
    pub secrets: Secrets,
    pub timing: Timing,
    pub horizon: Duration,
    /// How often buckets of S3 are compared with the ledger.
    pub reconcile: Option<Duration>,
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
    pub topic: Option<Topic>,
    /// Under which name figures go into the log; `None`: they do not.
    pub metrics_namespace: Option<String>,
    /// Who does the work of each kind.
    pub executors: Executors,
    /// Batch, where this process starts workers.
    pub batch: Option<Workforce>,
    closing: AtomicBool,
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
    /// Batch says that a worker's job changed.
    pub batch: Notify,
}

impl Engine {
    /// Opens database and folders. Embedded (SQLite): takes the folder's lock, migrates, and frees what dead
    /// predecessors held. `timing`: of the configuration, perhaps changed.
    pub async fn open(config: &Config, timing: Timing) -> Result<Arc<Self>, Fault> {
        let url = config.database();
        // With PostgreSQL several processes may share the buckets folder; the database keeps them apart.
        let lock = match url.strip_prefix("sqlite:") {
            Some(database) => Some(data_folder::lock(config.data(), Path::new(database))?),
            None => None,
        };
        let webhook = Webhook::of(&config.notify)?;
        let notices =
            Notices { targets: notifier_targets(&webhook, config), gather_ms: millis(timing.gather) };
        let store = open_store(&url).await?.with_notices(notices);
        if store.dialect() == Dialect::Sqlite {
            store.migrate().await.map_err(|e| e.fault())?;
        }
        store.require_schema().await.map_err(|e| e.fault())?;
        let aws = aws_of(config).await?;
        let storage = Storage::open(config, aws.as_ref()).await?;
        let intake = storage.s3().and(aws.as_ref()).and_then(|aws| QueueIntake::of(config, aws));
        let topic = aws.as_ref().and_then(|aws| topic_of(config, aws));
        let batch = aws.as_ref().and_then(|aws| Workforce::of(config, aws));
        // In S3 only the maintainer may look, and does so before it removes anything.
        if storage.folders().is_some() && !storage.is_of(&store).await? {
            tracing::warn!("the artifact store belongs to another database: nothing in it will be collected");
        }
        let metrics = Arc::new(Metrics::default());
        let worker = WorkerId::from_uuid(Uuid::now_v7());
        let writer = Writer::start(store.clone(), worker, timing.clone(), after_failure);
        Ok(Arc::new(Self {
            store,
            storage,
            intake,
            secrets: Secrets::new(config.aws().access()),
            timing,
            horizon: config.horizon(),
            reconcile: config.reconcile(),
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
            topic,
            metrics_namespace: config.metrics_namespace(),
            executors: config.executors(),
            batch,
            closing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stop_bell: Notify::new(),
            lock,
        }))
    }

    /// The artifact store behind its trait.
    pub fn artifacts(&self) -> &dyn Objects {
        self.storage.artifacts()
    }

    /// Tells workers to claim nothing more. What they have may take as long as it takes.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.stop_bell.notify_waiters();
    }

    /// Whether workers claim nothing more: [`close`](Self::close) or [`stop`](Self::stop) was called.
    pub fn is_closed(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || self.is_stopping()
    }

    /// Returns when workers are to claim nothing more.
    pub async fn closed(&self) {
        self.until(Self::is_closed).await;
    }

    /// Tells every role to claim nothing more, and to be done soon.
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
        self.until(Self::is_stopping).await;
    }

    async fn until(&self, is_so: fn(&Self) -> bool) {
        loop {
            let bell = self.stop_bell.notified();
            tokio::pin!(bell);
            // Registered before the look: a stop between look and wait is not missed.
            bell.as_mut().enable();
            if is_so(self) {
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

/// The names of those who are told, as the ledger has them.
fn notifier_targets(webhook: &Option<Webhook>, config: &Config) -> Vec<String> {
    let topic = (!config.notify.topic.is_empty()).then_some(TOPIC);
    webhook.iter().map(|_| webhook::TARGET).chain(topic).map(str::to_owned).collect()
}

/// Only who needs AWS looks for a region and a role.
async fn aws_of(config: &Config) -> Result<Option<SdkConfig>, Fault> {
    let needs_aws = matches!(config.roots()?, Roots::S3 { .. })
        || !config.notify.topic.is_empty()
        || config.executors().of_batch().next().is_some();
    Ok(if needs_aws { Some(outport_aws::load(&config.aws().access()).await) } else { None })
}

fn topic_of(config: &Config, aws: &SdkConfig) -> Option<Topic> {
    Some(config.notify.topic.as_str()).filter(|arn| !arn.is_empty()).map(|arn| Topic::new(aws, arn))
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
