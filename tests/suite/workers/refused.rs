//! Settings and commands that cannot work.

use outport_tests::need;
use outport_tests::site::{Site, Up};

use super::Yard;

#[test]
fn workers_elsewhere_need_a_database_that_they_can_reach() {
    let site = need!(Site::on_sqlite()).with("OUTPORT_EXECUTOR_SEND", "batch");
    let refused = site.outport(["up"]).run().unwrap();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("executor.send is batch, and the database is a file"), "{refused:?}");
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    let site = need!(Site::on_postgres());
    for (settings, words) in [
        (vec![("OUTPORT_EXECUTOR_TRANSFORM", "somewhere")], "none of local, batch, hybrid"),
        (vec![("OUTPORT_BATCH_TIMEOUT", "30s")], "Batch takes no shorter one than 60s"),
        (vec![("OUTPORT_BATCH_TIMEOUT", "2m")], "it must be longer than batch.worker_for"),
        (vec![("OUTPORT_BATCH_MAX_WORKERS", "0")], "must be at least 1"),
        (vec![("OUTPORT_EXECUTOR_LOCAL_MIB", "2048")], "must not be larger than batch.single_mib"),
        (vec![("OUTPORT_EXECUTOR_SEND", "hybrid")], "batch.send_queue is not set"),
        (
            vec![("OUTPORT_EXECUTOR_SEND", "hybrid"), ("OUTPORT_BATCH_SEND_QUEUE", "q")],
            "batch.send_job is not set",
        ),
    ] {
        let mut call = site.outport(["up"]);
        for (name, value) in &settings {
            call = call.env(name, value);
        }
        let refused = call.env("AWS_EC2_METADATA_DISABLED", "true").run().unwrap();
        assert_eq!(refused.code, Some(1), "{settings:?} {refused:?}");
        assert!(refused.stderr.contains(words), "{settings:?} {refused:?}");
        assert!(refused.stderr.contains("config.invalid"), "{settings:?} {refused:?}");
    }
}

#[test]
fn a_job_queue_that_is_not_there_is_told_before_and_while() {
    let yard = need!(Yard::new("batch", "local", &[]));
    let asked = |queue: &str| {
        let check = yard.site.outport(["config", "check", "--online"]);
        check.env("OUTPORT_BATCH_TRANSFORM_QUEUE", queue).run().unwrap()
    };
    assert!(asked("transform-queue").stdout.contains("ok       batch.transform_queue"));
    let missing = asked("nowhere");
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stdout.contains("aws.not_found"), "{missing:?}");
    assert!(asked("").stdout.contains("it is not set"));

    yard.site.put("a.ndjson", "{\"a\":1}\n").unwrap();
    let wrong = yard.site.outport(["up"]).env("OUTPORT_BATCH_TRANSFORM_JOB", "nowhere");
    let mut up = Up::start(wrong).unwrap();
    up.wait_for_log("aws.not_found", yard.site.limit(120)).unwrap();
    assert!(up.stop(yard.site.limit(30)).unwrap().success());
}

#[test]
fn ids_of_another_kind_are_refused() {
    let site = need!(Site::on_sqlite());
    for arguments in [
        ["worker", "transform", "--only", "dlv_01kb2f4pj7e8t9v6w3x5y1z0ab"],
        ["worker", "send", "--only", "trf_01kb2f4pj7e8t9v6w3x5y1z0ab"],
        ["worker", "send", "--for", "soon"],
    ] {
        let refused = site.outport(arguments).run().unwrap();
        assert_eq!(refused.code, Some(2), "{arguments:?} {refused:?}");
    }
}
