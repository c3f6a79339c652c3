//! Jobs of AWS Batch: submitted once each, found again by their names, and asked about.
//!
//! SubmitJob has no token that would make a second try harmless, and names need not be unique. So it is never tried again here:
//! whoever gets no answer looks for the name.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_batch::Client;
use aws_sdk_batch::types::{
    ArrayProperties, ContainerOverrides, JobDetail, JobStatus, JobTimeout, KeyValuesPair,
};
use outport_core::batch::Seen;
use outport_core::{Fault, code};

use crate::failure::Failure;
use crate::service::{Call, fault_of};

/// Jobs that one question may name (Batch).
pub const JOBS_AT_A_TIME: usize = 100;

/// AWS Batch.
#[derive(Debug, Clone)]
pub struct Batch {
    client: Client,
}

/// One job to be started. No secret and no file name belongs into it: whoever may look at jobs sees all of this.
#[derive(Debug, Clone)]
pub struct JobRequest<'a> {
    /// Unique: letters, digits, `-` and `_`, at most 128.
    pub name: &'a str,
    /// Name or ARN of the job queue.
    pub queue: &'a str,
    /// Name or ARN of the job definition.
    pub definition: &'a str,
    /// Arguments of the container's entry point.
    pub command: Vec<String>,
    /// Children of an array; 1: no array.
    pub size: u32,
    /// After this long Batch ends it, attempt by attempt; at least 60 s.
    pub timeout: Duration,
    /// For people and bills.
    pub tags: BTreeMap<&'static str, String>,
}

/// A job that has the name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedJob {
    /// Batch's id.
    pub id: String,
    /// When it was submitted, by Batch's clock.
    pub created_at: Option<i64>,
}

/// Why there is no id of a job.
#[derive(Debug)]
pub enum Unsubmitted {
    /// Batch refused it: there is no such job.
    Refused(Fault),
    /// Nobody answered, or the service had trouble of its own: there may be one.
    InDoubt(Fault),
}

impl Batch {
    /// Asks nothing yet.
    pub fn new(aws: &SdkConfig) -> Self {
        Self { client: Client::new(aws) }
    }

    /// Submits the job, by one request; its id.
    ///
    /// # Errors
    /// `aws.*`.
    pub async fn submit(&self, job: &JobRequest<'_>) -> Result<String, Unsubmitted> {
        let overrides = ContainerOverrides::builder().set_command(Some(job.command.clone())).build();
        let timeout = i32::try_from(job.timeout.as_secs()).unwrap_or(i32::MAX).max(60);
        let array = (job.size > 1)
            .then(|| ArrayProperties::builder().size(i32::try_from(job.size).unwrap_or(i32::MAX)).build());
        let tags: HashMap<String, String> =
            job.tags.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let request = self
            .client
            .submit_job()
            .job_name(job.name)
            .job_queue(job.queue)
            .job_definition(job.definition)
            .container_overrides(overrides)
            .set_array_properties(array)
            .timeout(JobTimeout::builder().attempt_duration_seconds(timeout).build())
            .set_tags(Some(tags))
            .propagate_tags(true);
        let once = aws_sdk_batch::config::Builder::new().retry_config(RetryConfig::disabled());
        let submitted = request.customize().config_override(once).send().await.map_err(|error| {
            let failure = Failure::of(&error);
            let queue = format!("the job queue {}", job.queue);
            let fault = fault("submit a job to", &queue, "batch:SubmitJob", &failure);
            match failure {
                Failure::Answer(answer) if answer.status < 500 => Unsubmitted::Refused(fault),
                // Before anything was sent.
                Failure::NoCredentials(_) => Unsubmitted::Refused(fault),
                _ => Unsubmitted::InDoubt(fault),
            }
        })?;
        // An answer without an id is no answer: the name tells whether there is a job.
        submitted.job_id.filter(|id| !id.is_empty()).ok_or_else(|| {
            let message =
                format!("could not submit a job to the job queue {}: the answer names no job", job.queue);
            Unsubmitted::InDoubt(Fault::new(&code::AWS_REQUEST_FAILED, message))
        })
    }

    /// Jobs of the queue with this name, in whatever state, the oldest first.
    ///
    /// # Errors
    /// `aws.*`.
    pub async fn named(&self, queue: &str, name: &str) -> Result<Vec<NamedJob>, Fault> {
        let filter = KeyValuesPair::builder().name("JOB_NAME").values(name).build();
        // A filter by name looks at jobs in every state.
        let listed =
            self.client.list_jobs().job_queue(queue).filters(filter).send().await.map_err(|error| {
                fault(
                    "look for a job in",
                    &format!("the job queue {queue}"),
                    "batch:ListJobs",
                    &Failure::of(&error),
                )
            })?;
        let mut jobs: Vec<NamedJob> = listed
            .job_summary_list()
            .iter()
            .filter(|job| job.job_name() == Some(name))
            .filter_map(|job| Some(NamedJob { id: job.job_id()?.to_owned(), created_at: job.created_at() }))
            .collect();
        jobs.sort_by_key(|job| job.created_at);
        Ok(jobs)
    }

    /// What Batch says of up to a hundred jobs, by id; those that it does not know are missing.
    ///
    /// # Errors
    /// `aws.*`.
    pub async fn describe(&self, ids: &[String]) -> Result<BTreeMap<String, Seen>, Fault> {
        let asked =
            self.client.describe_jobs().set_jobs(Some(ids.to_vec())).send().await.map_err(|error| {
                fault("ask about", "its jobs", "batch:DescribeJobs", &Failure::of(&error))
            })?;
        Ok(asked.jobs().iter().filter_map(|job| Some((job.job_id()?.to_owned(), seen(job)))).collect())
    }

    /// Tells Batch to give a job up, whatever its state.
    ///
    /// # Errors
    /// `aws.*`.
    pub async fn terminate(&self, id: &str, reason: &str) -> Result<(), Fault> {
        let told = self.client.terminate_job().job_id(id).reason(reason).send().await;
        told.map(|_| ()).map_err(|error| {
            fault("give up", &format!("the job {id}"), "batch:TerminateJob", &Failure::of(&error))
        })
    }
}

fn seen(job: &JobDetail) -> Seen {
    match job.status() {
        Some(JobStatus::Succeeded) => Seen::Succeeded,
        Some(JobStatus::Failed) => Seen::Failed(reason(job)),
        Some(JobStatus::Running) => Seen::Running(None),
        // An array is PENDING while its children run.
        Some(JobStatus::Pending) => children(job).unwrap_or(Seen::Waiting(None)),
        _ => Seen::Waiting(None),
    }
}

/// Of an array whose children began. Those that are over are nobody's workers any more, also while the others wait.
fn children(job: &JobDetail) -> Option<Seen> {
    let array = job.array_properties()?;
    let summary = array.status_summary()?;
    let number = |status: &str| summary.get(status).copied().unwrap_or(0);
    let (running, over) = (number("RUNNING"), number("SUCCEEDED") + number("FAILED"));
    let left = u32::try_from(array.size()? - over).ok()?;
    match (running, over) {
        (0, 0) => None,
        (0, _) => Some(Seen::Waiting(Some(left))),
        _ => Some(Seen::Running(Some(left))),
    }
}

/// Batch's words: of the job, of its container, and the exit code.
fn reason(job: &JobDetail) -> String {
    let container = job.container();
    let mut words: Vec<String> = [job.status_reason(), container.and_then(|c| c.reason())]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    words.extend(container.and_then(|c| c.exit_code()).map(|code| format!("exit code {code}")));
    if words.is_empty() { "no reason given".to_owned() } else { words.join("; ") }
}

fn fault(verb: &'static str, object: &str, action: &'static str, failure: &Failure) -> Fault {
    fault_of(Call { verb, object, action }, failure)
}

#[cfg(test)]
mod tests {
    use aws_sdk_batch::types::ArrayPropertiesDetail;

    use super::*;

    #[test]
    fn children_that_are_over_are_nobodys_workers() {
        for (statuses, want) in [
            (vec![], Seen::Waiting(None)),
            (vec![("RUNNABLE", 5)], Seen::Waiting(None)),
            (vec![("RUNNABLE", 3), ("RUNNING", 2)], Seen::Running(Some(5))),
            (vec![("RUNNING", 2), ("SUCCEEDED", 2), ("FAILED", 1)], Seen::Running(Some(2))),
            (vec![("RUNNABLE", 1), ("STARTING", 1), ("SUCCEEDED", 3)], Seen::Waiting(Some(2))),
            (vec![("RUNNABLE", 4), ("FAILED", 1)], Seen::Waiting(Some(4))),
        ] {
            let summary = statuses.iter().map(|(status, n)| ((*status).to_owned(), *n)).collect();
            let array = ArrayPropertiesDetail::builder().size(5).set_status_summary(Some(summary)).build();
            let job = JobDetail::builder().status(JobStatus::Pending).array_properties(array).build();
            assert_eq!(seen(&job), want, "{statuses:?}");
        }
        let array = JobDetail::builder().status(JobStatus::Pending).build();
        assert_eq!(seen(&array), Seen::Waiting(None), "nothing is said of its children");
    }
}
