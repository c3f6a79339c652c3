//! A strict AWS Batch: it refuses what Batch refuses, and does what moto does not: throttles, loses answers, tries again on another
//! host, numbers the children of arrays, leaves jobs RUNNABLE, and takes hosts away. A job's container is a process of
//! this machine. It speaks the REST protocol of Batch, as far as Outport does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::scripted::{Reply, Request, Scripted, Then};
use crate::child::{Child, Stream};
use crate::process::Outport;

/// Requests of one second that Batch takes from an account.
const A_SECOND: usize = 50;

/// No worker of a test takes longer.
const LONGEST: Duration = Duration::from_secs(300);

/// Tries of a job: the job definition of deploy/ says so too.
const ATTEMPTS: u32 = 3;

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Every n-th submission is refused: too many.
    pub throttle_each: Option<u64>,
    /// So many submissions are taken, and their answers lost.
    pub lose_answers: u32,
    /// The job queue is disabled.
    pub disabled: bool,
    /// Whoever asks may not submit.
    pub denied: bool,
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
    /// An idle one, whose containers are what `container` makes of their command.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(container: impl Fn(&[String]) -> Outport + Send + Sync + 'static) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), container: Box::new(container) });
        let of_server = shared.clone();
        let server = Scripted::start(move |request| answer(&of_server, request))?;
        Ok(Self { server, shared })
    }

    /// Where it is: for `AWS_ENDPOINT_URL_BATCH`.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
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

fn answer(shared: &Arc<Shared>, request: &Request) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    if shared.locked().faults.down {
        return error(500, "ServerException", "scripted");
    }
    match request.target.as_str() {
        "/v1/submitjob" => submit(shared, body, request.body.len()),
        "/v1/describejobs" => describe(&shared.locked(), &body),
        "/v1/listjobs" => list(&shared.locked(), &body),
        "/v1/terminatejob" => terminate(&mut shared.locked(), &body),
        _ => error(404, "ClientException", "no such operation"),
    }
}

fn submit(shared: &Arc<Shared>, body: Value, size: usize) -> Reply {
    let mut state = shared.locked();
    state.submissions += 1;
    let now = Instant::now();
    state.recent.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
    state.recent.push(now);
    let throttled = state.faults.throttle_each.is_some_and(|n| state.submissions.is_multiple_of(n));
    if throttled || state.recent.len() > A_SECOND {
        return error(429, "TooManyRequestsException", "Too Many Requests");
    }
    if state.faults.denied {
        return error(
            403,
            "AccessDeniedException",
            "User: x is not authorized to perform: batch:SubmitJob on resource: y",
        );
    }
    if state.faults.disabled {
        return error(400, "ClientException", "JobQueue is disabled");
    }
    if let Some(problem) = problem(&body, size) {
        state.refused.push(problem.clone());
        return error(400, "ClientException", &problem);
    }
    let number = state.jobs.len();
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let job = Job {
        request: body.clone(),
        status: "RUNNABLE",
        attempts: Vec::new(),
        reason: None,
        log: String::new(),
        children: Vec::new(),
        created_at: i64::try_from(number).unwrap_or(0),
        terminated: false,
    };
    let size = body["arrayProperties"]["size"].as_u64().unwrap_or(0);
    let mut parent = job.clone();
    for child in 0..size {
        let name = format!("{id}:{child}");
        parent.children.push(name.clone());
        state.jobs.insert(name, job.clone());
    }
    if size > 0 {
        parent.status = "PENDING";
    }
    let containers = if size > 0 { parent.children.clone() } else { vec![id.clone()] };
    state.jobs.insert(id.clone(), parent);
    for (index, container) in containers.into_iter().enumerate() {
        let shared = shared.clone();
        let array = (size > 0).then_some(index);
        std::thread::spawn(move || run(&shared, &container, array));
    }
    if state.faults.lose_answers > 0 {
        state.faults.lose_answers -= 1;
        return Reply::none(Then::Close);
    }
    ok(&json!({"jobId": id, "jobName": body["jobName"], "jobArn": format!("arn:aws:batch:::job/{id}")}))
}

/// What Batch would refuse (service limits, and the reference of SubmitJob).
fn problem(body: &Value, size: usize) -> Option<String> {
    let name = body["jobName"].as_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let tags = body["tags"].as_object().cloned().unwrap_or_default();
    let array = body["arrayProperties"]["size"].as_u64();
    let timeout = body["timeout"]["attemptDurationSeconds"].as_u64();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let problem = if !starts || name.len() > 128 || !name.chars().all(plain) {
        "jobName"
    } else if !text("jobQueue").ends_with("-queue") {
        "JobQueue not found"
    } else if !text("jobDefinition").ends_with("-job") {
        "JobDefinition not found"
    } else if array.is_some_and(|size| !(2..=10_000).contains(&size)) {
        "array size must be between 2 and 10000"
    } else if timeout.is_some_and(|seconds| seconds < 60) {
        "timeout must be at least 60 seconds"
    } else if tags.len() > 50
        || tags.iter().any(|(key, value)| key.len() > 128 || value.as_str().is_none_or(|v| v.len() > 256))
    {
        "tags"
    } else if size > 30 * 1024 {
        "payload"
    } else {
        return None;
    };
    Some(format!("{problem}: {body}"))
}

/// A job's life, attempt by attempt.
fn run(shared: &Shared, id: &str, array: Option<usize>) {
    for attempt in 1..=ATTEMPTS {
        while shared.locked().faults.no_machines && !is_terminated(shared, id) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if is_terminated(shared, id) {
            return end(shared, id, "FAILED", "terminated");
        }
        if shared.locked().faults.no_image {
            with(shared, id, |job| job.attempts.push(None));
            continue;
        }
        let command = shared.locked().jobs.get(id).map(Job::command).unwrap_or_default();
        with(shared, id, |job| job.status = "RUNNING");
        let mut outport = (shared.container)(&command)
            .env("AWS_BATCH_JOB_ID", id)
            .env("AWS_BATCH_JOB_ATTEMPT", attempt.to_string());
        if let Some(index) = array {
            outport = outport.env("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string());
        }
        let Ok(mut container) = outport.start() else {
            return end(shared, id, "FAILED", "CannotStartContainerError");
        };
        match live(shared, id, &mut container) {
            Some(code) => {
                with(shared, id, |job| job.attempts.push(Some(code)));
                // evaluateOnExit of the job definition: only what is the infrastructure's fault is tried again.
                return if code == 0 {
                    end(shared, id, "SUCCEEDED", "Essential container in task exited")
                } else {
                    end(shared, id, "FAILED", "Essential container in task exited")
                };
            }
            None if is_terminated(shared, id) => return end(shared, id, "FAILED", "terminated"),
            None => with(shared, id, |job| {
                job.attempts.push(None);
                job.status = "RUNNABLE";
            }),
        }
    }
    let no_image = shared.locked().faults.no_image;
    end(shared, id, "FAILED", if no_image { "CannotPullContainerError" } else { "Host EC2 terminated" });
}

/// Waits for the container's end; `None`: it was lost with its host, or terminated.
fn live(shared: &Shared, id: &str, container: &mut Child) -> Option<i32> {
    let began = Instant::now();
    let code = loop {
        let log = container.printed(Stream::Err);
        let lost = {
            let mut state = shared.locked();
            // As soon as it has something in its hands.
            let takes = state.faults.terminate_hosts > 0 && log.contains("the worker begins");
            if takes {
                state.faults.terminate_hosts -= 1;
            }
            takes
        };
        if lost {
            // A moment for the work to begin; a host goes at any time.
            std::thread::sleep(Duration::from_millis(150));
        }
        if lost || is_terminated(shared, id) || began.elapsed() > LONGEST {
            container.kill().ok();
            break None;
        }
        if let Ok(status) = container.wait(Duration::from_millis(20)) {
            break Some(status.code().unwrap_or(137));
        }
    };
    let log = container.printed(Stream::Err);
    with(shared, id, |job| job.log.push_str(&log));
    code
}

fn is_terminated(shared: &Shared, id: &str) -> bool {
    let state = shared.locked();
    let of = |id: &str| state.jobs.get(id).is_some_and(|job| job.terminated);
    of(id) || id.split_once(':').is_some_and(|(parent, _)| of(parent))
}

fn with(shared: &Shared, id: &str, change: impl FnOnce(&mut Job)) {
    if let Some(job) = shared.locked().jobs.get_mut(id) {
        change(job);
    }
}

fn end(shared: &Shared, id: &str, status: &'static str, reason: &'static str) {
    with(shared, id, |job| (job.status, job.reason) = (status, Some(reason)));
    let Some((parent, _)) = id.split_once(':') else { return };
    let mut state = shared.locked();
    let children: Vec<&'static str> = state
        .jobs
        .get(parent)
        .map(|parent| parent.children.clone())
        .unwrap_or_default()
        .iter()
        .filter_map(|child| state.jobs.get(child))
        .map(|child| if child.is_over() { child.status } else { "" })
        .collect();
    if !children.contains(&"") {
        let all = if children.contains(&"FAILED") { "FAILED" } else { "SUCCEEDED" };
        if let Some(parent) = state.jobs.get_mut(parent) {
            parent.status = all;
        }
    }
}

fn describe(state: &State, body: &Value) -> Reply {
    let ids: Vec<&str> = body["jobs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if ids.is_empty() || ids.len() > 100 {
        return error(400, "ClientException", "jobs must have 1 to 100 items");
    }
    let known = ids.iter().filter_map(|id| Some((*id, state.jobs.get(*id)?)));
    let shown = known.filter(|(_, job)| !(state.faults.forget && job.is_over())).map(|(id, job)| {
        let mut shown = json!({
            "jobId": id, "jobName": job.request["jobName"], "jobQueue": job.request["jobQueue"],
            "jobDefinition": job.request["jobDefinition"], "status": job.status, "statusReason": job.reason,
            "startedAt": 1, "container": {"exitCode": job.attempts.last().copied().flatten()},
        });
        if !job.children.is_empty() {
            let count = |status: &str| {
                let of = |child: &String| state.jobs.get(child).is_some_and(|child| child.status == status);
                job.children.iter().filter(|child| of(child)).count()
            };
            let summary: BTreeMap<&str, usize> =
                ["RUNNABLE", "RUNNING", "SUCCEEDED", "FAILED"].map(|status| (status, count(status))).into();
            shown["arrayProperties"] = json!({"size": job.children.len(), "statusSummary": summary});
        }
        shown
    });
    ok(&json!({"jobs": shown.collect::<Vec<_>>()}))
}

/// By default only those that run; with a filter by name in any state, and no children of arrays.
fn list(state: &State, body: &Value) -> Reply {
    let filter = &body["filters"][0];
    let by_name = filter["name"] == "JOB_NAME";
    let wanted = |job: &Job| {
        let name = &job.request["jobName"];
        let named = filter["values"].as_array().is_some_and(|values| values.contains(name));
        job.request["jobQueue"] == body["jobQueue"] && if by_name { named } else { job.status == "RUNNING" }
    };
    if !body["jobQueue"].as_str().unwrap_or_default().ends_with("-queue") {
        return error(400, "ClientException", "JobQueue does not exist");
    }
    let summaries: Vec<Value> = state
        .jobs
        .iter()
        .filter(|(id, job)| !id.contains(':') && wanted(job))
        .map(|(id, job)| {
            json!({"jobId": id, "jobName": job.request["jobName"], "status": job.status, "createdAt": job.created_at})
        })
        .collect();
    ok(&json!({ "jobSummaryList": summaries }))
}

fn terminate(state: &mut State, body: &Value) -> Reply {
    let Some(job) = state.jobs.get_mut(body["jobId"].as_str().unwrap_or_default()) else {
        return error(400, "ClientException", "no such job");
    };
    job.terminated = true;
    ok(&json!({}))
}

fn ok(body: &Value) -> Reply {
    Reply::new(200, body.to_string()).with("content-type", "application/json")
}

fn error(status: u16, code: &'static str, message: &str) -> Reply {
    Reply::new(status, json!({ "message": message }).to_string())
        .with("content-type", "application/json")
        .with("x-amzn-errortype", code)
}
