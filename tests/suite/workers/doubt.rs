//! A request whose answer was lost, and hints that come twice, late or never.

use std::time::{Duration, Instant};

use outport_tests::servers::fake_batch::Faults;
use outport_tests::servers::fake_queue::FakeQueue;
use outport_tests::site::{Site, Up};
use outport_tests::{invariants, need};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use super::{Yard, records};
use crate::aws::until;

#[test]
fn a_lost_answer_is_looked_for_by_name() {
    let yard = need!(Yard::new("batch", "batch", &[]));
    yard.batch.set(Faults { lose_answers: 2, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(1, 600).unwrap();
    // The worker did its work before anybody knew its number.
    up.wait_for_log("found the job of a request whose answer was lost", yard.site.limit(120)).unwrap();
    yard.close(up, &["a.ndjson"]);
}

#[test]
fn an_answer_without_an_id_is_looked_for_by_name_too() {
    let yard = need!(Yard::new("batch", "local", &[]));
    yard.batch.set(Faults { no_ids: 1, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(1, 600).unwrap();
    up.wait_for_log("found the job of a request whose answer was lost", yard.site.limit(120)).unwrap();
    until(&yard.site, "its end is not seen", || yard.runs()[0]["state"] == "succeeded");
    yard.close(up, &["a.ndjson"]);
}

#[test]
fn each_request_without_an_answer_has_its_minute() {
    // The minute is 6 s here; a failed round is followed by the next one after some 2 s, whatever the scale.
    let yard = need!(Yard::new("batch", "local", &[("OUTPORT_TIMING_SCALE", "0.1")]));
    yard.batch.set(Faults { lose_requests: 2, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(1, 600).unwrap();
    let (asked, searched) = (yard.batch.asked("submitjob"), yard.batch.asked("listjobs"));
    assert_eq!((asked.len(), searched.len()), (3, 2), "{}", up.log());
    for (asked, searched) in asked.iter().zip(&searched) {
        let waited = searched.duration_since(*asked);
        assert!(waited >= Duration::from_secs(4), "looked for after {waited:?}");
    }
    yard.close(up, &["a.ndjson"]);
}

#[test]
fn who_may_not_look_for_jobs_is_told_and_the_work_is_done() {
    let yard = need!(Yard::new("batch", "batch", &[]));
    yard.batch.set(Faults { lose_answers: 1, no_machines: true, no_list: true, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    let line = up.wait_for_log("aws.access_denied", yard.site.limit(300)).unwrap();
    assert!(line.contains("allow batch:ListJobs"), "{line}");
    let problems = yard.site.json(["problems"]).unwrap().to_string();
    assert!(problems.contains("aws.access_denied"), "{problems}");
    let runs = yard.runs();
    assert_eq!((&runs[0]["state"], &runs[0]["job"]), (&json!("lost"), &json!(null)), "{runs:#?}");
    yard.batch.set(Faults { no_list: true, ..Faults::default() });
    yard.site.wait_for_all(1, 600).unwrap();
    yard.close(up, &[]);
}

#[test]
fn a_crash_after_the_request_asks_nobody_twice() {
    let yard = need!(Yard::new("batch", "local", &[]));
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let mut killed = Up::start(yard.site.outport(["up"]).env("OUTPORT_CRASH_AT", "after_submit")).unwrap();
    assert!(killed.wait(yard.site.limit(120)).unwrap().code().is_none(), "{}", killed.log());
    let before = yard.batch.jobs().len();
    assert_eq!(before, 1);
    let runs = yard.runs();
    assert_eq!((runs.len(), &runs[0]["state"], &runs[0]["job"]), (1, &json!("intent"), &json!(null)));
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(1, 600).unwrap();
    up.wait_for_log("found the job of a request whose answer was lost", yard.site.limit(180)).unwrap();
    yard.close(up, &[]);
    let name = runs[0]["name"].clone();
    assert_eq!(yard.batch.jobs().iter().filter(|job| job.request["jobName"] == name).count(), 1);
}

/// A process has a run that Batch did not take. Another one gets the duty, sends that run, and is gone before it said so; then
/// the first one has the duty again, and never saw that it was another's.
#[test]
fn what_was_not_sent_is_looked_for_once_another_had_the_duty() {
    let yard = need!(Yard::new("batch", "local", &[]));
    yard.batch.set(Faults { throttle_each: Some(1), ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    up.wait_for_log("aws.throttled", yard.site.limit(120)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (connection, tx) = runtime.block_on(async {
        let connection = invariants::connect(&yard.site.database_url()).await.unwrap();
        let tx = connection.begin().await.unwrap();
        tx.execute_unprepared("SELECT 1 FROM duty WHERE name = 'batch' FOR UPDATE").await.unwrap();
        (connection, tx)
    });
    // At the begin of its next round it waits for that row, so it asks Batch for nothing.
    until(&yard.site, "no round begins", || {
        let waits = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event_type = 'Lock' AND query LIKE '%INTO duty%'";
        yard.site.count(waits).unwrap() > 0
    });
    yard.batch.set(Faults::default());
    let name = yard.runs()[0]["name"].clone();
    assert_eq!((yard.runs().len(), yard.batch.jobs().len()), (1, 0), "{:#?}", yard.runs());
    yard.batch
        .take(&json!({"jobName": name, "jobQueue": "transform-queue", "jobDefinition": "transform-job",
        "containerOverrides": {"command": ["worker", "transform"]}}));
    runtime.block_on(async {
        let another =
            "UPDATE duty SET holder = gen_random_uuid(), epoch = epoch + 1, until = 0 WHERE name = 'batch'";
        tx.execute_unprepared(another).await.unwrap();
        tx.commit().await.unwrap();
        connection.close().await.unwrap();
    });
    until(&yard.site, "nobody knows its job", || yard.runs()[0]["job"].is_string());
    let jobs = yard.batch.jobs();
    assert_eq!(jobs.iter().filter(|job| job.request["jobName"] == name).count(), 1, "{jobs:#?}");
    assert!(up.log().contains("found the job of a request whose answer was lost"), "{}", up.log());
    yard.site.wait_for_all(1, 600).unwrap();
    yard.close(up, &["a.ndjson"]);
}

/// A change as EventBridge tells it.
fn change(name: &str, status: &str) -> String {
    json!({"detail-type": "Batch Job State Change", "source": "aws.batch",
        "detail": {"jobName": name, "jobId": "x", "status": status}})
    .to_string()
}

#[test]
fn hints_only_ring() {
    let queue = need!(FakeQueue::start());
    let (url, endpoint) = (queue.url(), queue.endpoint());
    let more = [("OUTPORT_BATCH_EVENTS", url.as_str()), ("AWS_ENDPOINT_URL_SQS", endpoint.as_str())];
    let yard = need!(Yard::new("batch", "batch", &more));
    // An end before its beginning, twice; of a job that nobody knows; of somebody else's; and no hint at all.
    for body in [
        change("outport-send-1", "SUCCEEDED"),
        change("outport-send-1", "SUCCEEDED"),
        change("outport-send-1", "SUBMITTED"),
        change("somebody-elses", "FAILED"),
        "not a hint".to_owned(),
    ] {
        queue.say(move || body.clone());
    }
    let up = yard.site.up().unwrap();
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    yard.site.wait_for_all(1, 600).unwrap();
    // Four are done with; what cannot be read is left for the dead letters.
    let deadline = Instant::now() + yard.site.limit(60);
    while queue.len() > 1 {
        assert!(Instant::now() < deadline, "{} left", queue.len());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(yard.runs().iter().all(|run| run["fault_code"].is_null()), "{:#?}", yard.runs());
    yard.close(up, &[]);
}

#[test]
fn a_hint_is_followed_at_once() {
    let queue = need!(FakeQueue::start());
    let (url, endpoint) = (queue.url(), queue.endpoint());
    let more = [("OUTPORT_BATCH_EVENTS", url.as_str()), ("AWS_ENDPOINT_URL_SQS", endpoint.as_str())];
    // Rounds are 10 s apart: nothing else would look in between.
    let site = need!(Site::on_postgres()).in_real_time();
    let yard = need!(Yard::on(site, "batch", "local", &more));
    // A job that is over as soon as Batch has it, and waits for the hint to be found out.
    yard.batch.set(Faults { no_image: true, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    let deadline = Instant::now() + yard.site.limit(60);
    while yard.batch.jobs().first().is_none_or(|job| job.status != "FAILED") {
        assert!(Instant::now() < deadline, "{}", up.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    // It was asked for at the end of a round: the next one is 10 s away. The queue is looked at all the time and answers
    // at once, a hint is one notice, and a round of one run a few statements: 3 s are for a busy machine.
    let name = yard.batch.jobs()[0].request["jobName"].as_str().unwrap().to_owned();
    queue.say(move || change(&name, "FAILED"));
    up.wait_for_log("batch.worker_failed", Duration::from_secs(3)).unwrap();
    yard.batch.set(Faults::default());
    yard.site.wait_for_all(1, 600).unwrap();
    yard.close(up, &["a.ndjson"]);
}

#[test]
fn rounds_that_hints_ring_keep_their_distance() {
    let queue = need!(FakeQueue::start());
    let (url, endpoint) = (queue.url(), queue.endpoint());
    let more = [("OUTPORT_BATCH_EVENTS", url.as_str()), ("AWS_ENDPOINT_URL_SQS", endpoint.as_str())];
    // Rounds are 10 s apart, and 1 s where hints ring.
    let site = need!(Site::on_postgres()).in_real_time();
    let yard = need!(Yard::on(site, "batch", "local", &more));
    yard.batch.set(Faults { no_machines: true, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    until(&yard.site, "nobody was asked for", || yard.runs().iter().any(|run| run["state"] == "submitted"));
    let name = yard.batch.jobs()[0].request["jobName"].as_str().unwrap().to_owned();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) || yard.batch.asked("describejobs").len() < 4 {
        assert!(began.elapsed() < yard.site.limit(60), "no hint rings: {}", up.log());
        let name = name.clone();
        queue.say(move || change(&name, "RUNNABLE"));
        std::thread::sleep(Duration::from_millis(50));
    }
    // There is one run: a round looks once.
    let looks = yard.batch.asked("describejobs");
    let least = looks.windows(2).map(|two| two[1].duration_since(two[0])).min().unwrap();
    assert!(least >= Duration::from_secs(1), "{least:?} between two of {} looks", looks.len());
    yard.batch.set(Faults::default());
    yard.site.wait_for_all(1, 600).unwrap();
    yard.close(up, &["a.ndjson"]);
}
