//! The sender's loop, over a server in memory: claim, push, fence, rename, finish, as many at a time as there are places.
//!
//! It follows `engine/outport/src/roles/sender.rs` and the pacemaker step by step, because the cost of a claim depends on
//! how many places are free when it is made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use async_trait::async_trait;
use outport_core::upload::UploadPlan;
use outport_core::{Fault, RemoteName, WorkerId, code};
use outport_send::memory::MemoryServer;
use outport_send::pool::{Pool, PoolSettings};
use outport_send::source::BytesSource;
use outport_send::{
    ConnectFault, Connector, Fence, Outcome, Remote, RenameIntent, Stage, Stop, Target, Upload, deliver,
};
use outport_store::claim_sends::{self, ClaimedSend, EndpointRow, FinalSeen, FullLanes, Limits};
use outport_store::finish_send::{End, Finished, Receipt, Report};
use outport_store::next_work::next_work;
use outport_store::rescue::{Which, rescue};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bed::Bed;
use crate::world::{CONTENT, DEAD_HOST};
use crate::writes::Writes;

/// As the sender's.
const LANES_PER_CLAIM: u32 = 16;
const REFILL: Duration = Duration::from_millis(10);
/// As the pacemaker's.
const COALESCE: Duration = Duration::from_millis(5);
/// A run that stands still for this long has lost something.
const STUCK: Duration = Duration::from_secs(60);

/// Everybody's servers in one: all partners live here, but the dead one.
#[derive(Debug, Clone, Default)]
pub struct Partners(MemoryServer);

impl Partners {
    /// Every name that a rename gave, as often as it did.
    pub fn renames(&self) -> Vec<(String, u64)> {
        self.0.renames()
    }
}

#[async_trait]
impl Connector for Partners {
    async fn connect(&self, target: &Target) -> Result<Arc<dyn Remote>, ConnectFault> {
        if target.host == DEAD_HOST {
            let fault =
                Fault::new(&code::ENDPOINT_REFUSED, format!("could not connect to {}", target.place()));
            return Err(ConnectFault { stage: Stage::Connecting, fault });
        }
        self.0.connect(target).await
    }
}

/// How fast a run was.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Deliveries a second, without warm-up and drain.
    pub per_s: f64,
    /// Statements per delivery, BEGIN and COMMIT included.
    pub statements: f64,
    /// Deliveries that a claim got on average, when it got some.
    pub per_claim: f64,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_s, statements, per_claim } = self;
        write!(f, "{per_s:.0}/s, {statements:.1} statements a delivery, {per_claim:.1} deliveries a claim")
    }
}

/// A worker.
pub struct Courier<'a> {
    bed: &'a Bed,
    worker: WorkerId,
    places: u32,
    shared: Arc<Shared>,
}

/// What the attempts of one worker share.
struct Shared {
    pool: Pool,
    writes: Writes,
    delivered: AtomicU64,
    /// Attempts that lost their lease, or whose end could not be recorded: the first one's reason.
    broken: std::sync::Mutex<Option<String>>,
    full: FullLanes,
    /// As the engine's bells of these names.
    ask: Notify,
    send: Notify,
}

impl<'a> Courier<'a> {
    /// A worker on `bed` with so many places.
    pub fn new(bed: &'a Bed, partners: &Partners, places: u32) -> Self {
        let shared = Shared {
            pool: Pool::new(Arc::new(partners.clone()), PoolSettings::default()),
            writes: Writes::new(&bed.store, &bed.timing),
            delivered: AtomicU64::new(0),
            broken: std::sync::Mutex::new(None),
            full: FullLanes::default(),
            ask: Notify::new(),
            send: Notify::new(),
        };
        Self { bed, worker: WorkerId::from_uuid(Uuid::now_v7()), places, shared: Arc::new(shared) }
    }

    /// Works until `count` deliveries are delivered, and measures the middle: from a tenth of them to nine tenths.
    pub async fn deliver(&self, count: u64) -> Result<Pace> {
        let room = Arc::new(Semaphore::new(self.places as usize));
        let mut running = JoinSet::new();
        let (first, last) = (count / 10, count * 9 / 10);
        let (mut begin, mut end) = (None, None);
        let (mut claims, mut claimed) = (0_u32, 0_usize);
        let mut moved = (0, Instant::now());
        loop {
            while running.try_join_next().is_some() {}
            let done = self.shared.delivered.load(Ordering::Relaxed);
            let now = Mark { at: Instant::now(), done, statements: self.bed.store.statements() };
            begin = begin.or_else(|| (done >= first).then_some(now));
            end = end.or_else(|| (done >= last).then_some(now));
            if done >= count {
                break;
            }
            if moved.0 != done {
                moved = (done, Instant::now());
            }
            ensure!(moved.1.elapsed() < STUCK, "{done} of {count} delivered, and none more for {STUCK:?}");
            if let Some(broken) = self.shared.broken() {
                bail!("{broken}");
            }
            if room.available_permits() == 0 {
                running.join_next().await;
                continue;
            }
            drop(tokio::time::timeout(REFILL, room.acquire_many(self.places.div_ceil(4))).await);
            let free = u32::try_from(room.available_permits())?;
            let limits =
                Limits { lanes: LANES_PER_CLAIM, deliveries: free, per_lane: (self.places * 3 / 4).max(1) };
            let (store, timing, again) = (&self.bed.store, &self.bed.timing, self.shared.full.take_again());
            let claim = claim_sends::claim_again(store, self.worker, limits, &again, None, timing).await?;
            self.shared.full.learn(claim.full);
            if claim.sends.is_empty() {
                self.wait_for_work(count).await?;
                continue;
            }
            claims += 1;
            claimed += claim.sends.len();
            for send in claim.sends {
                let Some(endpoint) = claim.endpoints.get(&send.endpoint_id).cloned() else { continue };
                let connections = claim.seats.get(&send.endpoint_id).copied().unwrap_or(1);
                let permit = room.clone().acquire_owned().await?;
                let shared = self.shared.clone();
                running.spawn(async move {
                    attempt(&shared, &endpoint, connections, &send).await;
                    drop(permit);
                    if shared.full.ended(send.endpoint_id) {
                        shared.send.notify_one();
                    } else {
                        shared.ask.notify_one();
                    }
                });
            }
        }
        while running.join_next().await.is_some() {}
        if let Some(broken) = self.shared.broken() {
            bail!("{broken}");
        }
        // As a process that ends: its seats would keep the next worker from the lanes until they expire, a minute later.
        rescue(&self.bed.store, Which::OfWorker(self.worker), &self.bed.timing).await?;
        let (Some(begin), Some(end)) = (begin, end) else { bail!("nothing was delivered") };
        self.shared.delivered.store(0, Ordering::Relaxed);
        let delivered = (end.done - begin.done) as f64;
        Ok(Pace {
            per_s: delivered / end.at.duration_since(begin.at).as_secs_f64(),
            statements: (end.statements - begin.statements) as f64 / delivered,
            per_claim: claimed as f64 / f64::from(claims.max(1)),
        })
    }

    /// As the pacemaker: a bell or the time of a full lane, five milliseconds for more bells, one question. Ends when
    /// there is work, or when all `count` are done.
    async fn wait_for_work(&self, count: u64) -> Result<()> {
        loop {
            tokio::select! {
                () = self.shared.send.notified() => return Ok(()),
                () = self.shared.ask.notified() => tokio::time::sleep(COALESCE).await,
                () = tokio::time::sleep(self.bed.timing.lane_full) => {}
            }
            let all_done = self.shared.delivered.load(Ordering::Relaxed) >= count;
            if all_done || self.shared.broken().is_some() || next_work(&self.bed.store).await?.send_is_due() {
                return Ok(());
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    done: u64,
    statements: u64,
}

impl Shared {
    fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn break_with(&self, what: String) {
        self.broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(what);
    }
}

async fn attempt(shared: &Shared, endpoint: &EndpointRow, connections: u32, send: &ClaimedSend) {
    let started = Instant::now();
    let Ok(name) = RemoteName::new(send.remote_name.clone()) else {
        return shared.break_with(format!("{} is no remote name", send.remote_name));
    };
    let planned =
        Upload::planned(UploadPlan::default(), &name, send.delivery_id, send.attempt, &send.unfinished);
    let mut upload = match planned {
        Ok(upload) => upload,
        Err(fault) => return shared.break_with(fault.to_string()),
    };
    let temp_path = upload.temp_path.clone();
    upload.sha256 = send.artifact.sha256.as_deref().and_then(|hex| hex.parse().ok());
    let fence = LeaseFence { writes: &shared.writes, send };
    let mut source = BytesSource::new(CONTENT);
    let outcome =
        deliver(&shared.pool, &target(endpoint), connections as usize, &upload, &mut source, &fence).await;
    let end = match outcome {
        Outcome::Delivered(receipt) => End::Delivered(Receipt {
            remote_final: receipt.remote_final,
            size_bytes: receipt.size_bytes,
            sha256: receipt.sha256.to_string(),
            peer_identity: receipt.peer.proof(),
            agreed: receipt.peer.agreed,
            confirmed_by: receipt.confirmed_by.as_str(),
            fresh_login: receipt.fresh_login,
        }),
        Outcome::Failed { fault, stage, bytes_sent } if endpoint.host == DEAD_HOST => {
            End::Fault { fault, stage, bytes_sent }
        }
        other => return shared.break_with(format!("{} ended as {other:?}", send.delivery_id)),
    };
    let delivered = matches!(end, End::Delivered(_));
    let report = Report {
        delivery_id: send.delivery_id,
        endpoint_id: send.endpoint_id,
        lease: send.lease,
        secret_version: Some("v1".into()),
        remote_temp: temp_path,
        duration_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
        possible_duplicate: false,
        end,
    };
    match shared.writes.finish(report).await {
        Ok(Finished::Recorded { .. }) if delivered => {
            shared.delivered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Finished::Recorded { .. }) => {}
        other => shared.break_with(format!("{} was not recorded: {other:?}", send.delivery_id)),
    }
}

/// Secrets are not resolved: the servers in memory ask for none.
fn target(endpoint: &EndpointRow) -> Target {
    let (place, label) = ((endpoint.host.clone(), endpoint.port), endpoint.label.clone());
    Target {
        endpoint: endpoint.endpoint_id.to_string(),
        revision: endpoint.revision.to_string(),
        ..Target::new(label, place, endpoint.username.clone(), Vec::new())
    }
}

/// A run is shorter than a lease: the lease is the database's to judge.
struct LeaseFence<'a> {
    writes: &'a Writes,
    send: &'a ClaimedSend,
}

#[async_trait]
impl Fence for LeaseFence<'_> {
    fn check(&self) -> Result<(), Stop> {
        Ok(())
    }

    async fn enter_renaming(&self, intent: &RenameIntent) -> Result<(), Stop> {
        let row = claim_sends::RenameIntent {
            step: intent.step,
            final_path: None,
            temp_path: intent.temp_path.clone(),
            possible_duplicate: intent.possible_duplicate,
            final_before: intent
                .before
                .as_ref()
                .map(|seen| FinalSeen { size_bytes: seen.size_bytes, mtime_s: seen.mtime_s }),
        };
        match self.writes.enter_renaming(self.send.delivery_id, self.send.lease, row).await {
            Ok(true) => Ok(()),
            _ => Err(Stop::LeaseLost),
        }
    }
}
