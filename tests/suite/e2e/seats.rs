//! Connections that a process may hold, and gives back.

use std::time::{Duration, Instant};

use outport_tests::need;
use outport_tests::servers::delay::Delay;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::set;
use outport_tests::site::{BUCKET, Partner, Site};

/// An idle connection is closed after 30 s, and looked for every 10 s. One process sends all the while, one file at a time, so
/// that it never finds nothing to do.
#[test]
fn are_given_back_under_load() {
    need!(set::full());
    let site = need!(Site::on_postgres()).with("OUTPORT_WORKERS_SENDS", "1");
    let server = need!(OpenSsh::start(Config::default()));
    let far = need!(Delay::before(server.address(), Duration::from_millis(80)));
    let mut busy = Partner::at("busy", &server).prefix("busy_");
    busy.address = far.address();
    site.apply(&[Partner::at("quiet", &server).prefix("quiet_")]).unwrap();
    let mut up = site.up().unwrap();
    site.put("first.bin", "x").unwrap();
    site.wait_for_state("first.bin", "quiet/sftp", "delivered", 10).unwrap();
    let seats = || {
        site.count(
            "SELECT count(*) AS n FROM seat s JOIN endpoint e ON e.id = s.endpoint_id \
             JOIN subscriber b ON b.id = e.subscriber_id WHERE b.code = 'quiet'",
        )
        .unwrap()
    };
    assert_eq!(seats(), 1);
    // From now on only the other one gets files, hundreds of them: more than two minutes of work.
    site.apply(&[busy]).unwrap();
    for n in 0..400 {
        let bucket = site.data().join("buckets").join(BUCKET);
        std::fs::write(bucket.join(".new"), "y").unwrap();
        std::fs::rename(bucket.join(".new"), bucket.join(format!("f{n}.bin"))).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(75);
    while seats() > 0 {
        let waiting = site.count("SELECT count(*) AS n FROM send_job WHERE lease_id IS NULL").unwrap();
        assert!(waiting > 0, "the process had nothing to do: this proves nothing");
        assert!(
            Instant::now() < deadline,
            "the seat of an endpoint without files is kept; {waiting} files wait"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(up.stop(site.limit(30)).unwrap().success(), "{}", up.log());
}
