//! The roles of a process, and running them together.

pub mod arrival;
mod dispatcher;
mod leases;
mod maintainer;
mod notifier;
mod pacemaker;
pub mod sender;
mod transformer;
pub mod worker;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use outport_core::{Fault, code};
use outport_store::rescue::{self, Which};
use outport_store::{StoreError, workers};
use tokio::task::JoinSet;

use crate::engine::Engine;
pub use dispatcher::QueueIntake;
use leases::Leases;
pub use maintainer::Workforce;
pub use notifier::TOPIC;
pub use sender::Throttles;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Takes arrivals in and records what is owed.
    Dispatcher,
    /// Runs transforms.
    Transformer,
    /// Pushes files.
    Sender,
    /// Keeps lanes true, lifts blocks whose secret changed, and tells people.
    Maintainer,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Dispatcher, Self::Transformer, Self::Sender, Self::Maintainer];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Dispatcher => "dispatcher",
            Self::Transformer => "transformer",
            Self::Sender => "sender",
            Self::Maintainer => "maintainer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            format!("{text:?} is no role; the roles are dispatcher, transformer, sender, maintainer")
        })
    }
}

/// Runs `roles` until the engine is told to stop, then drains: running work may end until the deadline, the rest is
/// given back uncharged. [`begin`] comes first.
pub async fn run(engine: Arc<Engine>, roles: BTreeSet<Role>) -> Result<(), Fault> {
    let leases = Arc::new(Leases::new(&engine.timing));
    let mut tasks = Tasks::new();
    if roles.contains(&Role::Dispatcher) {
        let engine = engine.clone();
        tasks.spawn(async move { ("dispatcher", dispatcher::run(engine).await) });
    }
    if roles.contains(&Role::Transformer) {
        match engine.executors.transforms_of_service() {
            Some(wanted) => {
                let (engine, leases) = (engine.clone(), leases.clone());
                tasks.spawn(async move { ("transformer", transformer::run(engine, leases, wanted).await) });
            }
            None => tracing::info!("transforms are left to workers of Batch (executor.transform)"),
        }
    }
    if roles.contains(&Role::Sender) {
        match engine.executors.sends_of_service() {
            Some(wanted) => {
                let (engine, leases) = (engine.clone(), leases.clone());
                tasks.spawn(async move { ("sender", sender::run(engine, leases, wanted).await) });
            }
            None => tracing::info!("deliveries are left to workers of Batch (executor.send)"),
        }
    }
    if roles.contains(&Role::Maintainer) {
        let maintained = engine.clone();
        tasks.spawn(async move { ("maintainer", maintainer::run(maintained).await) });
        let engine = engine.clone();
        tasks.spawn(async move { ("notifier", notifier::run(engine).await) });
    }
    if tasks.is_empty() {
        // All of its roles are left to Batch: it stays, healthy, until it is told to stop.
        let engine = engine.clone();
        tasks.spawn(async move {
            ("nothing", {
                engine.stopped().await;
                Ok(())
            })
        });
    }
    supervise(engine, leases, tasks).await
}

/// The roles of a process, each under its name.
type Tasks = JoinSet<(&'static str, Result<(), Fault>)>;

/// Runs `tasks` until they end, with the heartbeat and the pacemaker; then gives back what is still held.
async fn supervise(engine: Arc<Engine>, leases: Arc<Leases>, mut tasks: Tasks) -> Result<(), Fault> {
    let mut heart = tokio::spawn(leases::beat(engine.clone(), leases));
    let mut pace = tokio::spawn(pacemaker::run(engine.clone()));
    // A role ends only when the engine stops, or by a fault that no retry mends: then all of them stop.
    let mut outcome = Ok(());
    let bug =
        |what: &dyn fmt::Display| Fault::new(&code::ENGINE_PANIC, format!("a task ended by a bug: {what}"));
    loop {
        let ended = tokio::select! {
            ended = tasks.join_next() => ended,
            // Without these two nothing is renewed and nothing is woken: better to stop and be started again.
            ended = &mut heart, if !heart.is_finished() => {
                outcome = Err(bug(&format!("the heartbeat: {ended:?}")));
                engine.stop();
                continue;
            }
            ended = &mut pace, if !pace.is_finished() => {
                // When the engine stops it ends as it should.
                if ended.is_err() || !engine.is_stopping() {
                    outcome = Err(bug(&format!("the pacemaker: {ended:?}")));
                    engine.stop();
                }
                continue;
            }
        };
        let Some(ended) = ended else { break };
        let ended = match ended {
            Ok((name, Err(fault))) => {
                tracing::error!(role = name, code = fault.code.name, "{fault}");
                Err(fault)
            }
            Ok((_, Ok(()))) => Ok(()),
            Err(panic) => Err(bug(&panic)),
        };
        engine.stop();
        outcome = outcome.and(ended);
    }
    heart.abort();
    pace.abort();
    free_all(&engine, Which::OfWorker(engine.worker)).await.map_err(|e| e.fault())?;
    workers::deregister(&engine.store, engine.worker).await.map_err(|e| e.fault())?;
    outcome
}

/// Waits for running work: for as long as it takes, but once the engine stops only until the deadline. Whether it ended.
async fn drained<T: 'static>(engine: &Engine, running: &mut JoinSet<T>) -> bool {
    let too_late = async {
        engine.stopped().await;
        tokio::time::sleep(engine.timing.drain).await;
    };
    tokio::select! {
        () = async { while running.join_next().await.is_some() {} } => true,
        () = too_late => false,
    }
}

/// Frees what dead predecessors held and enters this process into the registry. Tried again while the database is busy or
/// away: another program may hold the file for a minute, and an engine that starts in that minute must not give up.
pub async fn begin(engine: &Engine, roles: &str) -> Result<(), Fault> {
    let mut failures = 0;
    loop {
        match begin_once(engine, roles).await {
            Ok(()) => return Ok(()),
            Err(error) if (error.is_transient() || error.is_outage()) && !engine.is_stopping() => {
                failures += 1;
                let fault = error.fault();
                tracing::warn!(code = fault.code.name, "{fault}");
                engine.pause(after_failure(failures)).await;
            }
            Err(error) => return Err(error.fault()),
        }
    }
}

async fn begin_once(engine: &Engine, roles: &str) -> Result<(), StoreError> {
    if engine.lock.is_some() {
        // We hold the folder's lock: whoever holds a lease in there is dead.
        free_all(engine, Which::All).await?;
    }
    workers::register(&engine.store, engine.worker, &host(), env!("CARGO_PKG_VERSION"), roles).await
}

async fn free_all(engine: &Engine, which: Which) -> Result<(), StoreError> {
    loop {
        let freed = rescue::rescue(&engine.store, which, &engine.timing).await?;
        engine.metrics.rescued.inc_by(freed.sends + freed.transforms);
        if freed == rescue::Freed::default() {
            return Ok(());
        }
        tracing::info!(
            sends = freed.sends,
            transforms = freed.transforms,
            "freed work without a living worker"
        );
    }
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".into(), |h| h.trim().to_owned())
}

/// How long to wait after the n-th failure in a row of a loop: every loop ends in a wait on all paths, so that a
/// database that is down costs at most a statement a second.
pub fn after_failure(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(4)).mul_f64(rand::random_range(0.75..1.25))
}
