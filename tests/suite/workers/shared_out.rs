//! Who does what.

use outport_tests::need;
use serde_json::Value;

use super::{Yard, done, records};
use crate::aws::until;

/// Records of a kilobyte.
const SMALL: usize = 1_000;

#[test]
fn containers_do_everything() {
    let yard = need!(Yard::new("batch", "batch", &[]));
    let mut up = yard.site.up().unwrap();
    for n in 0..20 {
        yard.site.put(&format!("in/file-{n}.ndjson"), records(SMALL)).unwrap();
    }
    yard.site.wait_for_all(20, 600).unwrap();
    assert_eq!(std::fs::read_dir(yard.server.folder()).unwrap().count(), 20);
    assert_eq!(done(&up.log()), (0, 0), "the service did nothing itself");
    let logs: String = yard.batch.jobs().iter().map(|job| job.log.clone()).collect();
    assert!(up.stop(yard.site.limit(30)).unwrap().success(), "{}", up.log());
    // A container that still runs has not handed its log over.
    let (transforms, deliveries) = done(&logs);
    assert!(transforms <= 20 && deliveries <= 20, "{transforms} {deliveries}");
    // From a run to its log: by the id that Batch gave it.
    let with_log = || yard.batch.jobs().into_iter().filter(|job| !job.log.is_empty()).collect::<Vec<_>>();
    until(&yard.site, "no container ended", || !with_log().is_empty());
    let ids: Vec<String> =
        yard.runs().iter().filter_map(|run| run["job"].as_str().map(str::to_owned)).collect();
    for job in with_log() {
        let first: Value = serde_json::from_str(job.log.lines().next().unwrap()).unwrap();
        assert!(ids.iter().any(|id| first["job"] == *id), "{first} {ids:?}");
        assert_eq!(first["attempt"], "1");
    }
    for job in yard.batch.jobs() {
        let command = job.command();
        assert_eq!(command[0], "worker", "{command:?}");
        assert_eq!(job.request["tags"]["outport:run"], job.request["jobName"]);
    }
    yard.assert_clean(&["file-"]);
}

#[test]
fn the_service_does_what_is_small_and_batch_what_is_large() {
    let sizes = [("OUTPORT_EXECUTOR_LOCAL_MIB", "1"), ("OUTPORT_BATCH_SINGLE_MIB", "2")];
    // Nobody helps with small ones, however busy this machine is.
    let yard =
        need!(Yard::new("hybrid", "hybrid", &[sizes[0], sizes[1], ("OUTPORT_EXECUTOR_HELP_AFTER", "1h")]));
    let up = yard.site.up().unwrap();
    yard.site.put("small.ndjson", records(SMALL)).unwrap();
    yard.site.wait_for_all(1, 60).unwrap();
    assert_eq!(done(&up.log()), (1, 1));
    assert_eq!(yard.batch.submissions(), 0, "nothing was asked for");

    // A worker that drains takes it; its output is small, and the service sends that.
    yard.site.put("medium.ndjson", records(1_500_000)).unwrap();
    yard.site.wait_for_all(2, 600).unwrap();
    // One worker of its own for the transform, another for a file that is sent as it is.
    yard.site.put("large.ndjson", records(9_000_000)).unwrap();
    yard.site.put("large.bin", vec![7; 3_000_000]).unwrap();
    let deliveries = yard.site.wait_for_all(4, 600).unwrap();
    let large = std::fs::read(yard.server.folder().join("large.bin")).unwrap();
    assert!(large == [7; 3_000_000]);
    let commands: Vec<Vec<String>> = yard.batch.jobs().iter().map(|job| job.command()).collect();
    let single = |kind: &str, id: &str| {
        commands.iter().any(|command| {
            command[1] == kind
                && command.iter().position(|word| word == "--only").is_some_and(|at| command[at + 1] == id)
        })
    };
    let of = |key: &str| deliveries.iter().find(|d| d["key"] == key).unwrap();
    assert!(single("send", of("large.bin")["id"].as_str().unwrap()), "{commands:?}");
    let transforms = yard.site.json(["transform", "list"]).unwrap();
    let large = transforms.as_array().unwrap().iter().find(|t| t["key"] == "large.ndjson").unwrap();
    assert!(single("transform", large["id"].as_str().unwrap()), "{commands:?} {large:#}");
    let draining = commands.iter().filter(|command| !command.contains(&"--only".to_owned()));
    assert!(draining.clone().all(|command| command[1] == "transform"), "{commands:?}");
    assert!(draining.count() >= 1, "{commands:?}");
    let (transforms, sends) = done(&up.log());
    assert_eq!(transforms, 1, "the service ran the small one only");
    assert!(sends >= 2, "the service sent what is small: {sends}");
    yard.close(up, &["small", "medium", "large"]);
}

#[test]
fn a_surge_is_one_array() {
    // Each transform is worth a worker: thirty of them ask for the eight that there may be, by one request.
    let more = [
        ("OUTPORT_BATCH_TRANSFORMS_PER_WORKER", "1"),
        ("OUTPORT_BATCH_MAX_WORKERS", "8"),
        ("OUTPORT_EXECUTOR_HELP_AFTER", "0s"),
    ];
    let yard = need!(Yard::new("batch", "local", &more));
    for n in 0..30 {
        yard.site.put(&format!("f{n}.ndjson"), records(SMALL)).unwrap();
    }
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(30, 600).unwrap();
    let arrays: Vec<_> = yard.batch.jobs().into_iter().filter(|job| !job.children.is_empty()).collect();
    assert!(!arrays.is_empty(), "{:?}", yard.batch.jobs());
    for array in &arrays {
        assert!((2..=8).contains(&array.children.len()), "{array:?}");
    }
    let open = |runs: &[serde_json::Value]| runs.iter().filter(|run| run["ended_at"].is_null()).count();
    // The children end once they find nothing more.
    let deadline = std::time::Instant::now() + yard.site.limit(120);
    while open(&yard.runs()) > 0 {
        assert!(std::time::Instant::now() < deadline, "{:#?}", yard.runs());
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(yard.runs().iter().all(|run| run["state"] == "succeeded"), "{:#?}", yard.runs());
    yard.close(up, &[]);
}

#[test]
fn helpers_come_when_much_waits() {
    let more = [("OUTPORT_EXECUTOR_HELP_AFTER", "1s"), ("OUTPORT_WORKERS_SENDS", "1")];
    let yard = need!(Yard::new("local", "hybrid", &more));
    // The service sends one file at a time, and this partner takes a second for each.
    let slow = outport_tests::site::Partner::at("slow", &yard.server)
        .prefix("slow_")
        .with("[subscriber.endpoint.settings]\nmax_bytes_per_second = 1000000\nmax_connections = 4");
    yard.site.apply(&[outport_tests::site::Partner::at("acme", &yard.server), slow]).unwrap();
    for n in 0..12 {
        yard.site.put(&format!("f{n}.bin"), vec![n; 1_000_000]).unwrap();
    }
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(24, 600).unwrap();
    let (_, here) = done(&up.log());
    assert!(here < 24, "workers of Batch sent some");
    assert!(yard.batch.jobs().iter().all(|job| job.command()[1] == "send"));
    yard.close(up, &[]);
}
