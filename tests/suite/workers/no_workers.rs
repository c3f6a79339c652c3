//! Batch that cannot, or does not want to.

use outport_tests::need;
use outport_tests::process::Outport;
use outport_tests::servers::fake_batch::Faults;
use outport_tests::site::Up;
use serde_json::json;

use super::{Yard, done, records};
use crate::aws::until;

#[test]
fn what_no_machine_is_found_for_is_given_up_and_done_by_the_service() {
    // Long enough for a round of the Foreman on a busy machine: who has waited so long without having asked does the work itself.
    let more = [("OUTPORT_EXECUTOR_LOCAL_MIB", "1"), ("OUTPORT_BATCH_PATIENCE", "15s")];
    let yard = need!(Yard::new("hybrid", "hybrid", &more));
    yard.batch.set(Faults { no_machines: true, ..Faults::default() });
    let up = yard.site.up().unwrap();
    yard.site.put("large.ndjson", records(1_500_000)).unwrap();
    yard.site.wait_for_all(1, 600).unwrap();
    assert_eq!(done(&up.log()), (1, 1), "hybrid: the service took over");
    up.wait_for_log("batch.no_machine", yard.site.limit(120)).unwrap();
    let runs = yard.runs();
    let given_up = runs.iter().find(|run| run["fault_code"] == "batch.no_machine");
    let given_up = given_up.unwrap_or_else(|| panic!("{runs:#?}"));
    assert_eq!(given_up["state"], "lost");
    assert!(up.counter("outport_worker_runs_failed_total").unwrap() >= 1);
    // Not endlessly more of them: nothing is due any more.
    assert!(runs.len() < 10, "{runs:#?}");
    yard.close(up, &[]);
}

#[test]
fn too_many_requests_are_asked_again() {
    let yard = need!(Yard::new("batch", "batch", &[]));
    yard.batch.set(Faults { throttle_each: Some(2), ..Faults::default() });
    for n in 0..5 {
        yard.site.put(&format!("f{n}.ndjson"), records(1_000)).unwrap();
    }
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(5, 600).unwrap();
    assert!(up.log().contains("aws.throttled"), "{}", up.log());
    assert!(yard.runs().iter().all(|run| run["fault_code"].is_null()), "{:#?}", yard.runs());
    yard.close(up, &[]);
}

#[test]
fn an_image_that_cannot_be_pulled_is_told_and_tried_less_and_less_often() {
    let yard = need!(Yard::new("batch", "local", &[]));
    yard.batch.set(Faults { no_image: true, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    let failed = up.wait_for_log("CannotPull", yard.site.limit(120)).unwrap();
    assert!(failed.contains("batch.worker_failed"), "{failed}");
    let problems = yard.site.json(["problems"]).unwrap().to_string();
    assert!(problems.contains("batch.worker_failed"), "{problems}");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(yard.runs().len() <= 2, "each waits longer than the one before: {:#?}", yard.runs());
    // Mended: the next one does the work, and nobody has to say so.
    yard.batch.set(Faults::default());
    yard.site.wait_for_all(1, 600).unwrap();
    yard.close(up, &[]);
}

#[test]
fn a_queue_that_takes_nothing_is_told_with_what_is_missing() {
    let yard = need!(Yard::new("batch", "local", &[]));
    yard.batch.set(Faults { denied: true, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    let line = up.wait_for_log("aws.access_denied", yard.site.limit(120)).unwrap();
    assert!(line.contains("allow batch:SubmitJob"), "{line}");
    yard.batch.set(Faults { disabled: true, ..Faults::default() });
    up.wait_for_log("JobQueue is disabled", yard.site.limit(120)).unwrap();
    let problems = yard.site.json(["problems"]).unwrap().to_string();
    assert!(problems.contains("JobQueue is disabled"), "{problems}");
    assert!(yard.runs().iter().all(|run| run["state"] == "failed"), "nothing in doubt: {:#?}", yard.runs());
    yard.batch.set(Faults::default());
    yard.site.wait_for_all(1, 600).unwrap();
    yard.close(up, &[]);
}

#[test]
fn a_job_that_batch_forgot_is_over() {
    let yard = need!(Yard::new("batch", "local", &[]));
    yard.batch.set(Faults { forget: true, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(1, 600).unwrap();
    up.wait_for_log("batch.job_unknown", yard.site.limit(300)).unwrap();
    assert_eq!(yard.runs()[0]["state"], json!("lost"));
    yard.close(up, &[]);
}

#[test]
fn a_wrong_file_fails_once_and_its_worker_does_not() {
    let yard = need!(Yard::new("batch", "batch", &[]));
    yard.site.put("wrong.ndjson", "{\"a\":1}\n{\"a\":").unwrap();
    yard.site.put("good.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    let deliveries = yard.site.wait_for_settled(2, 600).unwrap();
    let of = |key: &str| deliveries.iter().find(|d| d["key"] == key).unwrap();
    assert_eq!(
        (&of("wrong.ndjson")["state"], &of("good.ndjson")["state"]),
        (&json!("failed"), &json!("delivered"))
    );
    let transforms = yard.site.json(["transform", "list", "--state", "failed"]).unwrap();
    assert_eq!(transforms[0]["attempts"], 1, "{transforms:#}");
    assert!(yard.runs().iter().all(|run| run["fault_code"].is_null()), "{:#?}", yard.runs());
    yard.close(up, &[]);
}

#[test]
fn a_service_that_is_down_costs_a_request_now_and_then() {
    let yard = need!(Yard::new("batch", "local", &[]));
    yard.batch.set(Faults { down: true, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let up = yard.site.up().unwrap();
    up.wait_for_log("aws.request_failed", yard.site.limit(120)).unwrap();
    yard.batch.set(Faults::default());
    yard.site.wait_for_all(1, 600).unwrap();
    yard.close(up, &[]);
}

#[test]
fn workers_are_let_go_when_the_service_does_their_work_again() {
    let yard = need!(Yard::new("batch", "batch", &[]));
    yard.batch.set(Faults { no_machines: true, ..Faults::default() });
    yard.site.put("a.ndjson", records(1_000)).unwrap();
    let mut with_batch = yard.site.up().unwrap();
    until(&yard.site, "nobody was asked for", || yard.runs().iter().any(|run| run["state"] == "submitted"));
    assert_eq!(with_batch.stop(yard.site.limit(30)).unwrap().code(), Some(0), "{}", with_batch.log());
    // Transforms first: its workers are let go by the holder of the duty, who still starts others.
    let local = |call: Outport, kind: &str| call.env(&format!("OUTPORT_EXECUTOR_{kind}"), "local");
    let mut half = Up::start(local(yard.site.outport(["up"]), "TRANSFORM")).unwrap();
    let of = |kind: &str| yard.runs().into_iter().filter(|run| run["kind"] == kind).collect::<Vec<_>>();
    until(&yard.site, "the worker is still waited for", || {
        of("transform").iter().all(|run| run["state"] == "lost")
    });
    until(&yard.site, "nobody was asked for", || of("send").iter().any(|run| run["state"] == "submitted"));
    assert_eq!(half.stop(yard.site.limit(30)).unwrap().code(), Some(0), "{}", half.log());
    let up = Up::start(local(local(yard.site.outport(["up"]), "TRANSFORM"), "SEND")).unwrap();
    yard.site.wait_for_all(1, 60).unwrap();
    until(&yard.site, "the worker is still waited for", || {
        of("send").iter().all(|run| run["state"] == "lost")
    });
    for run in yard.runs() {
        assert_eq!(run["fault_code"], "batch.let_go", "{run:#}");
    }
    assert_eq!(yard.site.json(["problems"]).unwrap(), json!([]));
    yard.batch.set(Faults::default());
    yard.close(up, &[]);
}

/// Another process had the duty meanwhile, and did by Batch what this one does itself.
#[test]
fn workers_are_let_go_again_once_another_had_the_duty() {
    let yard = need!(Yard::new("local", "batch", &[]));
    let left_behind = |name: &str| {
        format!(
            "INSERT INTO batch_run (id, name, kind, mode, state, intent_at) VALUES (gen_random_uuid(), '{name}', \
             'transform', 'drain', 'intent', CAST(extract(epoch FROM now()) * 1000 AS bigint));"
        )
    };
    let is_let_go =
        |name: &str| yard.runs().iter().any(|run| run["name"] == name && run["fault_code"] == "batch.let_go");
    yard.site.sql(&left_behind("outport-transform-1")).unwrap();
    let up = yard.site.up().unwrap();
    until(&yard.site, "the worker is still waited for", || is_let_go("outport-transform-1"));
    let another =
        "UPDATE duty SET holder = gen_random_uuid(), epoch = epoch + 1, until = 0 WHERE name = 'batch';";
    yard.site.sql(&format!("{another} {}", left_behind("outport-transform-2"))).unwrap();
    until(&yard.site, "the worker is still waited for", || is_let_go("outport-transform-2"));
    yard.close(up, &[]);
}
