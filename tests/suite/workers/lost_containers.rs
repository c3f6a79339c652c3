//! Containers that end before their work does.

use outport_tests::need;
use outport_tests::servers::fake_batch::Faults;

use super::{Yard, records};

#[test]
fn work_of_a_lost_host_is_done_by_the_next() {
    let yard = need!(Yard::new("batch", "batch", &[]));
    yard.batch.set(Faults { terminate_hosts: 4, ..Faults::default() });
    for n in 0..6 {
        yard.site.put(&format!("f{n}.ndjson"), records(3_000_000)).unwrap();
    }
    let mut up = yard.site.up().unwrap();
    yard.site.wait_for_all(6, 900).unwrap();
    let lost = yard.batch.jobs().iter().flat_map(|job| job.attempts.clone()).filter(Option::is_none).count();
    assert!(lost >= 2, "hosts were lost: {:?}", yard.batch.jobs());
    assert_eq!(up.stop(yard.site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    let mut sizes: Vec<u64> = std::fs::read_dir(yard.server.folder())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    sizes.dedup();
    assert_eq!(sizes.len(), 1, "all whole, and nothing else: {sizes:?}");
    yard.assert_clean(&[]);
}

#[test]
fn an_output_that_was_not_recorded_is_made_again() {
    // The container is killed between the upload of its output and the record of it.
    let yard = need!(Yard::new("local", "local", &[]));
    yard.site.put("a.ndjson", records(100_000)).unwrap();
    let mut up = yard.site.outport(["up", "--roles", "dispatcher"]).start().unwrap();
    let transform = wait_for_transform(&yard);
    let worker = ["worker", "transform", "--only", transform.as_str()];
    let killed = yard.site.outport(worker).env("OUTPORT_CRASH_AT", "after_transform").run().unwrap();
    assert_eq!(killed.code, None, "{killed:?}");
    let made = |state: &str| {
        yard.site.count(&format!("SELECT count(*) AS n FROM artifact WHERE role = '{state}'")).unwrap()
    };
    assert_eq!(made("output"), 0, "nobody sees half of it");
    // Its lease runs out; the next one does it whole.
    let second = until_it_took_something(&yard, &worker);
    assert!(second.contains("transform succeeded"), "{second}");
    assert_eq!(made("output"), 1);
    up.stop(yard.site.limit(30)).unwrap();
    yard.assert_clean(&[]);
}

#[test]
fn two_containers_for_one_transform_make_one_output() {
    let yard = need!(Yard::new("local", "local", &[]));
    yard.site.put("a.ndjson", records(20_000_000)).unwrap();
    let mut up = yard.site.outport(["up", "--roles", "dispatcher"]).start().unwrap();
    let transform = wait_for_transform(&yard);
    let worker = ["worker", "transform", "--only", transform.as_str()];
    let mut two = [(); 2].map(|()| yard.site.outport(worker).start().unwrap());
    let mut succeeded = 0;
    for worker in &mut two {
        assert!(worker.wait(yard.site.limit(120)).unwrap().success());
        succeeded += worker.printed(outport_tests::child::Stream::Err).matches("transform succeeded").count();
    }
    assert_eq!(succeeded, 1);
    assert_eq!(yard.site.count("SELECT count(*) AS n FROM artifact WHERE role = 'output'").unwrap(), 1);
    up.stop(yard.site.limit(30)).unwrap();
    yard.assert_clean(&[]);
}

/// The id of the only transform, once there is one.
fn wait_for_transform(yard: &Yard) -> String {
    let deadline = std::time::Instant::now() + yard.site.limit(60);
    loop {
        let transforms = yard.site.json(["transform", "list"]).unwrap();
        if let Some(id) = transforms[0]["id"].as_str() {
            return id.to_owned();
        }
        assert!(std::time::Instant::now() < deadline, "no transform");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// What a worker logged that had something to do. Until the lease of a dead one is over, it finds nothing.
fn until_it_took_something(yard: &Yard, worker: &[&str; 4]) -> String {
    let deadline = std::time::Instant::now() + yard.site.limit(300);
    loop {
        let ended = yard.site.outport(*worker).run().unwrap();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        if !ended.stderr.contains("\"taken\":0") {
            return ended.stderr;
        }
        assert!(std::time::Instant::now() < deadline, "{ended:?}");
    }
}
