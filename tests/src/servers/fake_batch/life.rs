//! The life of a job: its attempts, each a container that ends by itself, is terminated, or is lost with its host.

use std::time::{Duration, Instant};

use super::{Job, Shared};
use crate::child::{Child, Stream};

/// No worker of a test takes longer.
const LONGEST: Duration = Duration::from_secs(300);

/// Tries of a job: the job definition of deploy/ says so too.
const ATTEMPTS: u32 = 3;

/// A job's life, attempt by attempt.
pub(super) fn run(shared: &Shared, id: &str, array: Option<usize>) {
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
