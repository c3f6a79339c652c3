//! `outport worker` without Batch.

use outport_tests::child::Stream;
use outport_tests::need;
use outport_tests::servers::delay::Delay;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site, Up};

use super::records;

#[test]
fn a_worker_that_finds_nothing_ends() {
    let site = need!(Site::on_postgres());
    for kind in ["transform", "send"] {
        let ended = site.outport(["worker", kind]).run().unwrap();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("the worker is done"), "{ended:?}");
    }
}

#[test]
fn one_machine_can_be_drained_by_hand() {
    let server = need!(OpenSsh::start(Config::default()));
    let site = need!(Site::on_sqlite());
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    for n in 0..3 {
        site.put(&format!("f{n}.ndjson"), records(1_000)).unwrap();
    }
    let mut dispatcher = Up::start(site.outport(["up", "--roles", "dispatcher"])).unwrap();
    let deadline = std::time::Instant::now() + site.limit(60);
    while site.deliveries().unwrap().len() < 3 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // The folder belongs to one process at a time.
    let busy = site.outport(["worker", "send"]).run().unwrap();
    assert_eq!(busy.code, Some(1), "{busy:?}");
    assert!(dispatcher.stop(site.limit(30)).unwrap().success());
    let transforms = site.done(["worker", "transform"]).unwrap();
    assert!(transforms.stderr.contains("\"taken\":3"), "{transforms:?}");
    let sends = site.done(["worker", "send"]).unwrap();
    assert!(sends.stderr.contains("\"taken\":3"), "{sends:?}");
    site.wait_for_all(3, 30).unwrap();
    site.assert_invariants().unwrap();
}

#[test]
fn the_end_of_its_time_is_no_reason_to_stop_in_the_middle() {
    let (site, _server, _far) = need!(half_a_delivery());
    // Its time is over at once; the upload takes seconds.
    let mut worker = site.outport(["worker", "send", "--for", "1s"]).start().unwrap();
    let ended = worker.wait(site.limit(120)).unwrap();
    assert!(ended.success(), "{}", worker.printed(Stream::Err));
    site.wait_for_all(1, 10).unwrap();
    site.assert_invariants().unwrap();
}

#[test]
fn sigterm_gives_back_what_cannot_be_finished() {
    let (site, _server, far) = need!(half_a_delivery());
    let mut worker = site.outport(["worker", "send"]).start().unwrap();
    let deadline = std::time::Instant::now() + site.limit(60);
    while site.deliveries().unwrap()[0]["state"] != "sending" {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    far.stall();
    let ended = worker.stop(site.limit(120)).unwrap();
    assert!(ended.success(), "{}", worker.printed(Stream::Err));
    let given_back = site.deliveries().unwrap();
    assert_eq!(given_back[0]["state"], "retrying", "{given_back:?}");
    far.go_on();
    site.done(["worker", "send"]).unwrap();
    site.wait_for_all(1, 30).unwrap();
    site.assert_invariants().unwrap();
}

/// A delivery of 40 MB that is due, to a server half a second away.
fn half_a_delivery() -> anyhow::Result<(Site, OpenSsh, Delay)> {
    let server = OpenSsh::start(Config::default())?;
    let far = Delay::before(server.address(), std::time::Duration::from_millis(100))?;
    let site = Site::on_postgres()?;
    let mut partner = Partner::at("acme", &server);
    partner.address = far.address();
    site.apply(&[partner])?;
    site.put("large.bin", crate::e2e::binary(40_000_000, 1))?;
    let mut dispatcher = Up::start(site.outport(["up", "--roles", "dispatcher"]))?;
    let deadline = std::time::Instant::now() + site.limit(60);
    while site.deliveries()?.is_empty() {
        anyhow::ensure!(std::time::Instant::now() < deadline, "no delivery");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    dispatcher.stop(site.limit(30))?;
    Ok((site, server, far))
}
