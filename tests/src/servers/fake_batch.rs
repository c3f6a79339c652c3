//! A strict AWS Batch: it refuses what Batch refuses, and does what moto does not: throttles, loses answers, tries again on another
//! host, numbers the children of arrays, leaves jobs RUNNABLE, and takes hosts away. A job's container is a process of
//! this machine. It speaks the REST protocol of Batch, as far as Outport does.

mod life;
mod protocol;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

use super::scripted::Scripted;
use crate::process::Outport;
use crate::site::Site;

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Every n-th submission is refused: too many.
    pub throttle_each: Option<u64>,
    /// So many submissions are taken, and their answers lost.
    pub lose_answers: u32,
    /// So many submissions are not taken, and nobody says so.
    pub lose_requests: u32,
    /// So many submissions are taken, and answered without the id of the job.
    pub no_ids: u32,
    /// The job queue is disabled.
    pub disabled: bool,
    /// Whoever asks may not submit.
    pub denied: bool,
    /// Whoever asks may not list jobs.
    pub no_list: bool,
    /// Jobs stay RUNNABLE.
    pub no_machines: bool,
    /// So many containers are lost with their host soon after they began to work.
    pub terminate_hosts: u32,
    /// The image cannot be pulled.
    pub no_image: bool,
    /// Jobs are forgotten once they end.
    pub forget: bool,
    /// Nothing is answered but errors.
    pub down: bool,
}

/// The service. Its threads end with the test program.
#[derive(Clone)]
pub struct FakeBatch {
    server: Scripted,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for FakeBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeBatch").finish_non_exhaustive()
    }
}

struct Shared {
    state: Mutex<State>,
    /// Makes the container's process of a command.
    container: Box<Container>,
}

type Container = dyn Fn(&[String]) -> Outport + Send + Sync;

#[derive(Default)]
struct State {
    faults: Faults,
    jobs: BTreeMap<String, Job>,
    submissions: u64,
    /// What was asked and when, by the last part of its path.
    asked: Vec<(String, Instant)>,
    recent: Vec<Instant>,
    refused: Vec<String>,
}

/// One job, or one child of an array.
#[derive(Debug, Clone)]
pub struct Job {
    /// As it was submitted.
    pub request: Value,
    /// Batch's word.
    pub status: &'static str,
    /// Of each attempt: exit code, if it came to one.
    pub attempts: Vec<Option<i32>>,
    /// Why it ended.
    pub reason: Option<&'static str>,
    /// What its containers logged.
    pub log: String,
    /// The highest number of children that ran, of an array.
    pub children: Vec<String>,
    created_at: i64,
    terminated: bool,
}

impl Job {
    /// The arguments of the container.
    pub fn command(&self) -> Vec<String> {
        let words = self.request["containerOverrides"]["command"].as_array().cloned().unwrap_or_default();
        words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }

    fn is_over(&self) -> bool {
        matches!(self.status, "SUCCEEDED" | "FAILED")
    }
}

impl FakeBatch {
    /// An idle one, and the installation with the settings to use it. Its containers work on that installation as it was set
    /// before.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn of(site: Site) -> anyhow::Result<(Self, Site)> {
        let batch = Self::start(site.container())?;
        let site = site
            .with("AWS_ENDPOINT_URL_BATCH", &batch.endpoint())
            .with("OUTPORT_BATCH_TRANSFORM_QUEUE", "transform-queue")
            .with("OUTPORT_BATCH_TRANSFORM_JOB", "transform-job")
            .with("OUTPORT_BATCH_SEND_QUEUE", "send-queue")
            .with("OUTPORT_BATCH_SEND_JOB", "send-job");
        Ok((batch, site))
    }

    /// An idle one, whose containers are what `container` makes of their command.
    fn start(container: impl Fn(&[String]) -> Outport + Send + Sync + 'static) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), container: Box::new(container) });
        let of_server = shared.clone();
        let server = Scripted::start(move |request| protocol::answer(&of_server, request))?;
        Ok(Self { server, shared })
    }

    /// Where it is: for `AWS_ENDPOINT_URL_BATCH`.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// Takes this job as if another process had asked for it.
    ///
    /// # Panics
    /// If Batch would not take it.
    pub fn take(&self, request: &Value) {
        let before = self.shared.locked().jobs.len();
        protocol::submit(&self.shared, request.clone(), request.to_string().len());
        assert!(self.shared.locked().jobs.len() > before, "{request}");
    }

    /// What goes wrong from now on.
    pub fn set(&self, faults: Faults) {
        self.shared.locked().faults = faults;
    }

    /// All jobs that were ever taken, without the children of arrays, oldest first.
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs: Vec<Job> = self
            .shared
            .locked()
            .jobs
            .iter()
            .filter(|(id, _)| !id.contains(':'))
            .map(|(_, job)| job.clone())
            .collect();
        jobs.sort_by_key(|job| job.created_at);
        jobs
    }

    /// Children of arrays.
    pub fn children(&self) -> Vec<Job> {
        self.shared
            .locked()
            .jobs
            .iter()
            .filter(|(id, _)| id.contains(':'))
            .map(|(_, job)| job.clone())
            .collect()
    }

    /// Requests that Batch would have refused, with its reason.
    pub fn refused(&self) -> Vec<String> {
        self.shared.locked().refused.clone()
    }

    /// When this was asked: `submitjob`, `listjobs`, `describejobs`.
    pub fn asked(&self, what: &str) -> Vec<Instant> {
        let all = &self.shared.locked().asked;
        all.iter().filter(|(asked, _)| asked == what).map(|(_, at)| *at).collect()
    }

    /// Submissions that arrived, refused ones too.
    pub fn submissions(&self) -> u64 {
        self.shared.locked().submissions
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
