//! Workers that Batch starts: how many there should be, and what became of those that were asked for.
//!
//! One process does it for all. A run is a row before it is a job: whoever dies in between leaves a name, and Batch is asked
//! for it before anything is submitted again.

mod hints;
mod let_go;
mod look;
mod submit;

use std::collections::BTreeSet;
use std::time::Duration;

use outport_aws::{Batch, Queue, SdkConfig};
use outport_core::batch::{Executor, WorkKind, may_ask, requests, workers_wanted};
use outport_core::{Fault, code};
use outport_store::batch_runs::{self, Run};
use outport_store::duty::{self, Duty};
use uuid::Uuid;

use crate::config::{Config, Jobs};
use crate::engine::Engine;
use crate::executor::Executors;
use crate::roles::after_failure;

/// Requests of one round. Batch takes 50 a second from the whole account, and rounds are 10 s apart.
const REQUESTS_A_ROUND: usize = 40;

/// Rounds in the time of one, however often hints ring: one a second. The children of an array of 10,000 ring some 40,000 times, and
/// each round asks Batch once for each hundred open runs; it takes 50 requests a second from the whole account.
const HINTED_ROUNDS: u32 = 10;

/// What it takes to start workers.
pub struct Workforce {
    batch: Batch,
    jobs: Jobs,
    /// Batch's state changes.
    events: Option<Queue>,
}

impl Workforce {
    /// `None`: this process's own workers do everything.
    pub fn of(config: &Config, aws: &SdkConfig) -> Option<Self> {
        config.executors().of_batch().next()?;
        let jobs = config.jobs();
        let events = jobs.events.as_ref().map(|url| Queue::new(aws, url));
        Some(Self { batch: Batch::new(aws), jobs, events })
    }

    /// Whether everything that it takes is set.
    fn check(&self, executors: &Executors) -> Result<(), Fault> {
        for (kind, executor) in executors.of_batch() {
            let job = self.jobs.of(kind);
            for (what, value) in [("queue", &job.queue), ("job", &job.definition)] {
                if value.is_empty() {
                    let message =
                        format!("executor.{kind} is {executor}, and batch.{kind}_{what} is not set");
                    return Err(Fault::new(&code::CONFIG_INVALID, message)
                        .with_hint("set the names or ARNs of the job queue and the job definition"));
                }
            }
        }
        Ok(())
    }
}

/// Runs until the engine stops.
pub async fn run(engine: &Engine) -> Result<(), Fault> {
    let Some(workforce) = &engine.batch else {
        let_go::when_nobody_starts_them(engine).await;
        engine.stopped().await;
        return Ok(());
    };
    workforce.check(&engine.executors)?;
    let ((), ()) = tokio::join!(rounds(engine, workforce), hints::run(engine, workforce.events.as_ref()));
    Ok(())
}

async fn rounds(engine: &Engine, workforce: &Workforce) {
    let mut foreman = Foreman { engine, workforce, epoch: None, unsent: BTreeSet::new(), has_let_go: false };
    let mut failures = 0;
    while !engine.is_stopping() {
        let wait = match foreman.round().await {
            Ok(()) => {
                failures = 0;
                engine.timing.scale_workers
            }
            Err(fault) => {
                tracing::warn!(code = fault.code.name, hint = fault.hint(), "{fault}");
                failures += 1;
                after_failure(failures)
            }
        };
        let least = engine.timing.scale_workers / HINTED_ROUNDS;
        engine.pause(least).await;
        tokio::select! {
            () = engine.pause(wait.saturating_sub(least)) => {}
            () = engine.bells.batch.notified(), if failures == 0 => {}
        }
    }
}

/// Whoever holds the duty.
struct Foreman<'a> {
    engine: &'a Engine,
    workforce: &'a Workforce,
    /// Of the duty, when it was last in our hands.
    epoch: Option<i64>,
    /// Runs without a request that Batch may have taken: they need not be looked for.
    unsent: BTreeSet<Uuid>,
    /// Of the kinds that are the service's own.
    has_let_go: bool,
}

impl Foreman<'_> {
    /// Looks at the open runs first: what is known to be over makes room for others.
    async fn round(&mut self) -> Result<(), Fault> {
        let engine = self.engine;
        let term = 3 * engine.timing.scale_workers;
        let held = duty::hold(&engine.store, "batch", engine.worker, term).await.map_err(|e| e.fault())?;
        let Some(duty) = held else { return Ok(()) };
        if self.epoch.replace(duty.epoch()) != Some(duty.epoch()) {
            // Another process had it since, and may have sent what we had not. It need not have been seen: a process that slept
            // for a minute finds the duty free. Nor may it have let go what we had: it may do that work by Batch.
            self.unsent.clear();
            self.has_let_go = false;
        }
        if !self.has_let_go {
            self.has_let_go = let_go::of_service(engine, duty).await?;
        }
        let mut requests_left = REQUESTS_A_ROUND;
        self.look(&mut requests_left).await?;
        for (kind, executor) in engine.executors.of_batch() {
            let runs = self.ask(duty, kind, executor, requests_left).await?;
            requests_left = requests_left.saturating_sub(runs.len());
            // Those that are not reached were never sent: they go out in the next round.
            self.unsent.extend(runs.iter().map(|run| run.id));
            for run in &runs {
                if engine.is_stopping() {
                    return Ok(());
                }
                self.submit(run).await?;
            }
        }
        Ok(())
    }

    /// Decides on more workers of a kind and writes them down.
    async fn ask(
        &self,
        duty: Duty,
        kind: WorkKind,
        executor: Executor,
        requests_left: usize,
    ) -> Result<Vec<Run>, Fault> {
        let (store, sizing) = (&self.engine.store, self.workforce.jobs.of(kind).sizing);
        let asked = async {
            if requests_left == 0 || !may_ask(batch_runs::failures(store, kind).await?) {
                return Ok(Vec::new());
            }
            let backlog = self.engine.executors.backlog(executor);
            let mut workers = batch_runs::workers(store, kind, self.workforce.jobs.worker_for).await?;
            let room = (sizing.max_workers.saturating_sub(workers.all()) as usize).min(requests_left);
            let again = self.engine.timing.submit_doubt;
            let only =
                batch_runs::singles(store, kind, backlog, again, u32::try_from(room).unwrap_or(0)).await?;
            let demand = batch_runs::demand(store, kind, backlog, sizing.enough()).await?;
            workers.finishing += u32::try_from(only.len()).unwrap_or(u32::MAX);
            let mut sizes = requests(workers_wanted(demand, workers, sizing));
            sizes.truncate(requests_left - only.len());
            let mut runs = Vec::new();
            if !only.is_empty() {
                runs.extend(batch_runs::intend_singles(store, duty, kind, &only).await?.unwrap_or_default());
            }
            if !sizes.is_empty() {
                runs.extend(batch_runs::intend(store, duty, kind, &sizes).await?.unwrap_or_default());
            }
            Ok(runs)
        };
        asked.await.map_err(|error: outport_store::StoreError| error.fault())
    }
}

/// A second has room for fifty requests of the whole account: ours take forty at most.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(25);
