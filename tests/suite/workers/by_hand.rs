//! `outport worker` without Batch.

use std::time::{Duration, Instant};

use outport_tests::child::Stream;
use outport_tests::process::Outport;
use outport_tests::servers::delay::Delay;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site, Up};
use outport_tests::{need, set};
use serde_json::{Value, json};

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
fn the_first_line_of_a_log_says_whose_container_it_is() {
    let site = need!(Site::on_sqlite());
    let first = |call: Outport| -> Value {
        let ended = call.run().unwrap();
        let line = ended.stderr.lines().next().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    };
    let child = |call: Outport| {
        call.env("AWS_BATCH_JOB_ID", "b1c2:7")
            .env("AWS_BATCH_JOB_ATTEMPT", "2")
            .env("AWS_BATCH_JOB_ARRAY_INDEX", "7")
    };
    let told = |line: &Value| [&line["job"], &line["attempt"], &line["array_index"]].map(Value::clone);
    let line = first(child(site.outport(["worker", "send"])));
    assert_eq!(told(&line), [json!("b1c2:7"), json!("2"), json!("7")], "{line}");
    // Also of one that comes to nothing.
    let line =
        first(child(site.outport(["worker", "send"]).env("OUTPORT_DATABASE", "postgres://127.0.0.1:1/x")));
    assert_eq!(told(&line), [json!("b1c2:7"), json!("2"), json!("7")], "{line}");
    let line = first(site.outport(["worker", "send"]).env("AWS_BATCH_JOB_ID", "b1c2"));
    assert_eq!(told(&line), [json!("b1c2"), json!(null), json!(null)], "{line}");
    let line = first(site.outport(["worker", "send"]));
    assert_eq!(told(&line), [json!(null), json!(null), json!(null)], "{line}");
}

#[test]
fn one_machine_can_be_drained_by_hand() {
    let server = need!(OpenSsh::start(Config::default()));
    let site = need!(Site::on_sqlite());
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    for n in 0..3 {
        site.put(&format!("f{n}.ndjson"), records(1_000)).unwrap();
    }
    dispatched(&site, 3).unwrap();
    let mut dispatcher = Up::start(site.outport(["up", "--roles", "dispatcher"])).unwrap();
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

/// Opening a connection takes most of a second here. Who gave its seat away meanwhile would let another process open one more
/// than the partner allows.
#[test]
fn a_seat_is_kept_while_its_connection_is_opened() {
    let (site, _server, _far) = need!(half_a_delivery());
    let mut worker = site.outport(["worker", "send", "--for", "1s"]).start().unwrap();
    let (mut with_seat, mut without) = (0, 0);
    let deadline = Instant::now() + site.limit(120);
    loop {
        // One statement, so that both are of one moment.
        let sql = "SELECT 10 * (SELECT count(*) FROM send_job WHERE lease_id IS NOT NULL) \
                   + (SELECT count(*) FROM seat) AS n";
        match site.count(sql).unwrap() {
            0 | 1 if with_seat + without > 0 => break,
            11 => with_seat += 1,
            10 => without += 1,
            _ => {}
        }
        assert!(Instant::now() < deadline, "{}", worker.printed(Stream::Err));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(without, 0, "sent without a seat, beside {with_seat} looks with one");
    assert!(with_seat > 5, "seen {with_seat} times while it was sent");
    assert!(worker.wait(site.limit(60)).unwrap().success(), "{}", worker.printed(Stream::Err));
    site.wait_for_all(1, 10).unwrap();
}

#[test]
fn sigterm_gives_back_what_cannot_be_finished() {
    let (site, _server, far) = need!(half_a_delivery());
    let mut worker = site.outport(["worker", "send"]).start().unwrap();
    let deadline = Instant::now() + site.limit(60);
    while site.deliveries().unwrap()[0]["state"] != "sending" {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
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

/// An idle connection is closed after 30 s, and looked for every 10 s.
#[test]
fn a_worker_whose_time_is_over_gives_back_what_others_could_use() {
    need!(set::full());
    let server = need!(OpenSsh::start(Config::default()));
    let site = need!(Site::on_postgres());
    let slow = "[subscriber.endpoint.settings]\nmax_bytes_per_second = 400000";
    site.apply(&[
        Partner::at("slow", &server).prefix("slow_").with(slow),
        Partner::at("quick", &server).prefix("quick_"),
    ])
    .unwrap();
    site.put("large.bin", crate::e2e::binary(36_000_000, 1)).unwrap();
    need!(dispatched(&site, 2));
    let mut worker = site.outport(["worker", "send", "--for", "1s"]).start().unwrap();
    site.wait_for_state("large.bin", "quick/sftp", "delivered", 0).unwrap();
    let seats = |of: &str| {
        let sql = format!(
            "SELECT count(*) AS n FROM seat s JOIN endpoint e ON e.id = s.endpoint_id \
             JOIN subscriber b ON b.id = e.subscriber_id WHERE b.code = '{of}'"
        );
        site.count(&sql).unwrap()
    };
    assert_eq!((seats("quick"), seats("slow")), (1, 1), "{}", worker.printed(Stream::Err));
    let deadline = Instant::now() + Duration::from_secs(60);
    while seats("quick") > 0 {
        assert!(Instant::now() < deadline, "kept for as long as the other partner's file takes");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(seats("slow"), 1, "it is at work there");
    assert!(worker.wait(Duration::from_secs(120)).unwrap().success(), "{}", worker.printed(Stream::Err));
    site.wait_for_all(2, 10).unwrap();
    site.assert_invariants().unwrap();
}

/// A delivery of 40 MB that is due, to a server half a second away.
fn half_a_delivery() -> anyhow::Result<(Site, OpenSsh, Delay)> {
    let server = OpenSsh::start(Config::default())?;
    let far = Delay::before(server.address(), Duration::from_millis(100))?;
    let site = Site::on_postgres()?;
    let mut partner = Partner::at("acme", &server);
    partner.address = far.address();
    site.apply(&[partner])?;
    site.put("large.bin", crate::e2e::binary(40_000_000, 1))?;
    dispatched(&site, 1)?;
    Ok((site, server, far))
}

/// Takes in what is there, and sends nothing.
fn dispatched(site: &Site, deliveries: usize) -> anyhow::Result<()> {
    let mut dispatcher = Up::start(site.outport(["up", "--roles", "dispatcher"]))?;
    let deadline = Instant::now() + site.limit(60);
    while site.deliveries()?.len() < deliveries {
        anyhow::ensure!(Instant::now() < deadline, "too few deliveries");
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::ensure!(dispatcher.stop(site.limit(30))?.success(), "{}", dispatcher.log());
    Ok(())
}
