//! From a run that was decided on to a job of Batch.

use std::collections::BTreeMap;

use outport_aws::{JobRequest, Unsubmitted};
use outport_core::batch::{RunMode, RunState, WorkKind};
use outport_core::settings::Span;
use outport_core::{DeliveryId, Fault, TransformId, code};
use outport_store::batch_runs::{self, Run};

use super::{BETWEEN_REQUESTS, Foreman};
use crate::crash_point::{self, Point};

impl Foreman<'_> {
    /// Submits the run once. Without an answer it stays as it is, to be looked for by its name.
    ///
    /// # Errors
    /// Those of the database; and those of Batch that hold for every run: it is busy or cannot be reached.
    pub(super) async fn submit(&mut self, run: &Run) -> Result<(), Fault> {
        let store = &self.engine.store;
        self.unsent.remove(&run.id);
        let submitted = self.workforce.batch.submit(&self.request(run)).await;
        tokio::time::sleep(BETWEEN_REQUESTS).await;
        match submitted {
            Ok(job) => {
                crash_point::reached(Point::AfterSubmit);
                batch_runs::submitted(store, run.id, &job).await.map_err(|e| e.fault())?;
                let (name, workers, mode) = (&run.name, run.size, run.mode.as_str());
                tracing::info!(run = name, job, workers, mode, "asked Batch for workers");
                Ok(())
            }
            // The same one goes out again in the next round.
            Err(Unsubmitted::Refused(fault)) if fault.code == &code::AWS_THROTTLED => {
                self.unsent.insert(run.id);
                Err(fault)
            }
            Err(Unsubmitted::Refused(fault)) => self.has_failed(run, RunState::Failed, fault).await,
            Err(Unsubmitted::InDoubt(fault)) => Err(fault),
        }
    }

    /// Records the bad end of a run, and says it. The next one is asked for later and later.
    pub(super) async fn has_failed(&mut self, run: &Run, state: RunState, fault: Fault) -> Result<(), Fault> {
        let was_open = batch_runs::over(&self.engine.store, run.id, state, Some(&fault)).await;
        if was_open.map_err(|e| e.fault())? {
            self.engine.metrics.worker_runs_failed.inc();
            let (name, hint) = (&run.name, fault.hint());
            tracing::error!(run = name, code = fault.code.name, hint, "{fault}");
        }
        Ok(())
    }

    /// The job of a run. Ids only: whoever may look at jobs sees all of it.
    fn request<'a>(&'a self, run: &'a Run) -> JobRequest<'a> {
        let (jobs, kind) = (&self.workforce.jobs, run.kind);
        let span = Span(jobs.worker_for).to_string().replace(' ', "");
        let mut command = vec!["worker".to_owned(), kind.to_string(), "--for".to_owned(), span];
        let mut tags = BTreeMap::from([
            ("outport:run", run.name.clone()),
            ("outport:kind", kind.to_string()),
            ("outport:mode", run.mode.to_string()),
        ]);
        if let Some(only) = run.only {
            let only = match kind {
                WorkKind::Transform => TransformId::from_uuid(only).to_string(),
                WorkKind::Send => DeliveryId::from_uuid(only).to_string(),
            };
            command.extend(["--only".to_owned(), only.clone()]);
            tags.insert("outport:only", only);
        }
        JobRequest {
            name: &run.name,
            queue: &jobs.of(kind).queue,
            definition: &jobs.of(kind).definition,
            command,
            size: run.size,
            timeout: if run.mode == RunMode::Single { jobs.single_timeout } else { jobs.timeout },
            tags,
        }
    }
}
