//! What became of the open runs.

use std::collections::BTreeMap;

use outport_aws::JOBS_AT_A_TIME;
use outport_core::batch::{RunState, Seen, Step, Waits, step};
use outport_core::timing::millis;
use outport_core::{Fault, code};
use outport_store::batch_runs::{self, Run};

use super::Foreman;

impl Foreman<'_> {
    /// Asks Batch about all of them.
    pub(super) async fn look(&mut self, requests_left: &mut usize) -> Result<(), Fault> {
        let open = batch_runs::open(&self.engine.store).await.map_err(|e| e.fault())?;
        self.unsent.retain(|run| open.iter().any(|open| open.id == *run));
        let (known, unknown): (Vec<Run>, Vec<Run>) = open.into_iter().partition(|run| run.job.is_some());
        for runs in known.chunks(JOBS_AT_A_TIME) {
            let ids: Vec<String> = runs.iter().filter_map(|run| run.job.clone()).collect();
            let mut seen = self.workforce.batch.describe(&ids).await?;
            for run in runs {
                self.settle(run, &mut seen).await?;
            }
        }
        for run in &unknown {
            if *requests_left == 0 || self.engine.is_stopping() {
                break;
            }
            if self.find(run).await? {
                *requests_left -= 1;
            }
        }
        Ok(())
    }

    /// A run without a job: its request was refused, its answer is lost, or whoever decided on it died before the request. Whether
    /// it was submitted (again).
    async fn find(&mut self, run: &Run) -> Result<bool, Fault> {
        if !self.unsent.contains(&run.id) {
            if run.stood < millis(self.engine.timing.submit_doubt) {
                return Ok(false);
            }
            let queue = &self.workforce.jobs.of(run.kind).queue;
            let named = match self.workforce.batch.named(queue, &run.name).await {
                Ok(named) => named,
                // One worker too many finds nothing to do. A run in doubt for ever would hold up all others.
                Err(fault) if is_of_one(&fault) => {
                    return self.has_failed(run, RunState::Lost, fault).await.map(|()| false);
                }
                Err(fault) => return Err(fault),
            };
            // The oldest, should there be several: the others find nothing to do.
            if let Some(job) = named.into_iter().next() {
                tracing::info!(
                    run = run.name,
                    job = job.id,
                    "found the job of a request whose answer was lost"
                );
                let recorded = batch_runs::submitted(&self.engine.store, run.id, &job.id).await;
                return recorded.map(|()| false).map_err(|e| e.fault());
            }
        }
        // The minute of doubt begins anew, for whoever has the duty then.
        batch_runs::asks_again(&self.engine.store, run.id).await.map_err(|e| e.fault())?;
        self.submit(run).await.map(|()| true)
    }

    async fn settle(&mut self, run: &Run, seen: &mut BTreeMap<String, Seen>) -> Result<(), Fault> {
        let Some(job) = &run.job else { return Ok(()) };
        let waits = Waits { machine: self.workforce.jobs.patience, known: self.engine.timing.submit_doubt };
        let store = &self.engine.store;
        match step(seen.remove(job).unwrap_or(Seen::Unknown), run.state, run.stood, waits) {
            Step::Is(state, left) if (state, left) == (run.state, run.left) => Ok(()),
            Step::Is(state, left) => {
                batch_runs::stands(store, run.id, state, left).await.map_err(|e| e.fault())
            }
            Step::Over(RunState::Failed, reason) => {
                let reason = reason.unwrap_or_default();
                let message = format!("the worker {} ended badly: {reason}", run.name);
                self.has_failed(run, RunState::Failed, Fault::new(&code::BATCH_WORKER_FAILED, message)).await
            }
            Step::Over(RunState::Lost, _) => {
                let message = format!("Batch does not know the job {job} of the worker {}", run.name);
                self.has_failed(run, RunState::Lost, Fault::new(&code::BATCH_JOB_UNKNOWN, message)).await
            }
            Step::Over(state, _) => {
                tracing::info!(run = run.name, state = state.as_str(), "a worker of Batch is done");
                batch_runs::over(store, run.id, state, None).await.map(|_| ()).map_err(|e| e.fault())
            }
            Step::GiveUp(reason) => {
                match self.workforce.batch.terminate(job, &reason).await {
                    // Should it start after all, it finds what is due, or nothing.
                    Err(fault) if is_of_one(&fault) => {
                        tracing::warn!(
                            run = run.name,
                            code = fault.code.name,
                            hint = fault.hint(),
                            "{fault}"
                        );
                    }
                    told => told?,
                }
                let message = format!("the worker {} was given up: {reason}", run.name);
                self.has_failed(run, RunState::Lost, Fault::new(&code::BATCH_NO_MACHINE, message)).await
            }
        }
    }
}

/// Whether it is about this one request; others may do better. What is not (Batch is busy, or cannot be reached) ends the round.
fn is_of_one(fault: &Fault) -> bool {
    [&code::AWS_ACCESS_DENIED, &code::AWS_NOT_FOUND].contains(&fault.code)
}
