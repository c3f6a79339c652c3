//! The REST protocol of Batch: what is asked, and what Batch would refuse.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Job, Shared, State, life};
use crate::servers::scripted::{Reply, Request, Then};

/// Requests of one second that Batch takes from an account.
const A_SECOND: usize = 50;

pub(super) fn answer(shared: &Arc<Shared>, request: &Request) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let what = request.target.rsplit('/').next().unwrap_or_default().to_owned();
    shared.locked().asked.push((what, Instant::now()));
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

pub(super) fn submit(shared: &Arc<Shared>, body: Value, size: usize) -> Reply {
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
        return denied("batch:SubmitJob");
    }
    if state.faults.disabled {
        return error(400, "ClientException", "JobQueue is disabled");
    }
    if let Some(problem) = problem(&body, size) {
        state.refused.push(problem.clone());
        return error(400, "ClientException", &problem);
    }
    if state.faults.lose_requests > 0 {
        state.faults.lose_requests -= 1;
        return Reply::none(Then::Close);
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
        std::thread::spawn(move || life::run(&shared, &container, array));
    }
    if state.faults.lose_answers > 0 {
        state.faults.lose_answers -= 1;
        return Reply::none(Then::Close);
    }
    if state.faults.no_ids > 0 {
        state.faults.no_ids -= 1;
        return ok(&json!({"jobName": body["jobName"]}));
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
    if state.faults.no_list {
        return denied("batch:ListJobs");
    }
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

fn denied(action: &str) -> Reply {
    let message = format!("User: x is not authorized to perform: {action} on resource: y");
    error(403, "AccessDeniedException", &message)
}

fn ok(body: &Value) -> Reply {
    Reply::new(200, body.to_string()).with("content-type", "application/json")
}

fn error(status: u16, code: &'static str, message: &str) -> Reply {
    Reply::new(status, json!({ "message": message }).to_string())
        .with("content-type", "application/json")
        .with("x-amzn-errortype", code)
}
