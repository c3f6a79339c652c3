//! What became of the open runs.

use std::collections::BTreeMap;

use outport_aws::JOBS_AT_A_TIME;
use outport_core::batch::{RunState, Seen, Step, step};
use outport_core::timing::millis;
use outport_core::{Fault, code};
use outport_store::batch_runs::{self, Run};

use super::Foreman;

impl Foreman<'_> {
    /// Asks Batch about all of them.
    pub(super) async fn look(&mut self, requests_left: &mut usize) -> Result<(), Fault> {
        let open = batch_runs::open(&self.engine.store).await.map_err(|e| e.fault())?;
        self.refused.retain(|run| open.iter().any(|open| open.id == *run));
        let (known, unknown): (Vec<Run>, Vec<Run>) = open.into_iter().partition(|run| run.job.is_some());
        for run in &unknown {
            if *requests_left == 0 || self.engine.is_stopping() {
                break;
            }
            if self.find(run).await? {
                *requests_left -= 1;
            }
        }
        for runs in known.chunks(JOBS_AT_A_TIME) {
            let ids: Vec<String> = runs.iter().filter_map(|run| run.job.clone()).collect();
            let mut seen = self.workforce.batch.describe(&ids).await?;
            for run in runs {
                self.settle(run, &mut seen).await?;
            }
        }
        Ok(())
    }

    /// A run without a job: its request was refused, its answer is lost, or whoever decided on it died before the request. Whether
    /// it was submitted (again).
    async fn find(&mut self, run: &Run) -> Result<bool, Fault> {
        if !self.refused.contains(&run.id) {
            if run.waited < millis(self.engine.timing.submit_doubt) {
                return Ok(false);
            }
            let queue = &self.workforce.jobs.of(run.kind).queue;
            // The oldest, should there be several: the others find nothing to do.
            if let Some(job) = self.workforce.batch.named(queue, &run.name).await?.into_iter().next() {
                tracing::info!(
                    run = run.name,
                    job = job.id,
                    "found the job of a request whose answer was lost"
                );
                let recorded = batch_runs::submitted(&self.engine.store, run.id, &job.id).await;
                return recorded.map(|()| false).map_err(|e| e.fault());
            }
        }
        self.submit(run).await.map(|()| true)
    }

    async fn settle(&mut self, run: &Run, seen: &mut BTreeMap<String, Seen>) -> Result<(), Fault> {
        let Some(job) = &run.job else { return Ok(()) };
        let patience = self.workforce.jobs.patience;
        let store = &self.engine.store;
        match step(seen.remove(job).unwrap_or(Seen::Unknown), run.waited, patience) {
            Step::Is(state) if state == run.state => Ok(()),
            Step::Is(state) => batch_runs::stands(store, run.id, state).await.map_err(|e| e.fault()),
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
                self.workforce.batch.terminate(job, &reason).await?;
                let message = format!("the worker {} was given up: {reason}", run.name);
                self.has_failed(run, RunState::Lost, Fault::new(&code::BATCH_NO_MACHINE, message)).await
            }
        }
    }
}
