//! SIGTERM: running work ends or is given back, and the next start completes it.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{FolderWatch, Partner, Site, is_temp_name};
use serde_json::Value;

use super::{LARGE, binary, names, on_both, wait_for, wait_for_half_a_file};

on_both!(work_in_flight_is_finished, work_that_hangs_is_given_back_and_done_after_the_restart);

fn watch(server: &OpenSsh, files: &[(String, Vec<u8>)]) -> FolderWatch {
    FolderWatch::start(server.folder(), files.iter().map(|(n, c)| (n.as_str(), c.as_slice())))
}

fn work_in_flight_is_finished(site: Site) {
    // In real time: a drain of 30 s is long enough for all of this, however busy the machine is.
    let site = site.in_real_time();
    let server = need!(OpenSsh::start(Config::default()));
    let files: Vec<_> = (0..12).map(|n| (format!("{n:02}.bin"), binary(1_000_000 + n, n as u32))).collect();
    let watch = watch(&server, &files);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    for (name, content) in &files {
        site.put(name, content).unwrap();
    }
    let mut up = site.up().unwrap();
    up.wait_for_log("\"message\":\"delivered\"", site.limit(30)).unwrap();
    assert_eq!(up.stop(site.limit(60)).unwrap().code(), Some(0), "{}", up.log());
    for delivery in assert_all_settled_or_waiting(&site, &server) {
        let detail = site.json(["delivery", "show", delivery["id"].as_str().unwrap()]).unwrap();
        let attempts = detail["attempt"].as_array().unwrap();
        assert!(attempts.iter().all(|a| a["outcome"] == "delivered"), "an attempt was cut off: {detail:#}");
    }
    assert_eq!(names(&server).iter().filter(|name| is_temp_name(name)).count(), 0);

    let mut up = site.up().unwrap();
    site.wait_for_all(files.len(), 60).unwrap();
    assert_eq!(up.stop(site.limit(60)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}

fn work_that_hangs_is_given_back_and_done_after_the_restart(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    let mut files =
        vec![("first.txt".to_owned(), b"first".to_vec()), ("large.bin".to_owned(), binary(LARGE, 7))];
    files.extend((0..3).map(|n| (format!("{n}.txt"), vec![b'0' + n])));
    let watch = watch(&server, &files);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    let (head, tail) = files.split_at(2);
    for (name, content) in head {
        site.put(name, content).unwrap();
        // The first one is to be through before the second one begins: a new lane carries one file at a time.
        if name == "first.txt" {
            site.wait_for_state(name, "acme/sftp", "delivered", 60).unwrap();
        }
    }
    wait_for_half_a_file(&server, "large.bin", site.limit(30));
    // From here on the server answers nothing, as a machine does that is swapping.
    server.freeze().unwrap();
    assert!(!server.folder().join("large.bin").exists(), "it was sent before the server froze");
    for (name, content) in tail {
        site.put(name, content).unwrap();
    }
    for (name, _) in &files[1..] {
        site.wait_for_state(name, "acme/sftp", "sending", 30).unwrap();
    }
    assert_eq!(up.stop(site.limit(60)).unwrap().code(), Some(0), "{}", up.log());
    let left = assert_all_settled_or_waiting(&site, &server);
    assert_eq!(left.iter().filter(|d| d["state"] != "delivered").count(), files.len() - 1, "{left:#?}");

    server.thaw().unwrap();
    wait_for(site.limit(30), "sessions go on after their client is gone", || server.sessions() == 0);
    let mut up = site.up().unwrap();
    site.wait_for_all(files.len(), 600).unwrap();
    assert_eq!(up.stop(site.limit(60)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}

/// After the end of `up`: no delivery is in anybody's hands, none was charged for the stop, none is gone.
fn assert_all_settled_or_waiting(site: &Site, server: &OpenSsh) -> Vec<Value> {
    site.assert_invariants().unwrap();
    let deliveries = site.deliveries().unwrap();
    let delivered = deliveries.iter().filter(|d| d["state"] == "delivered").count();
    assert!(delivered > 0, "{deliveries:#?}");
    for delivery in &deliveries {
        let state = delivery["state"].as_str().unwrap();
        assert!(["delivered", "queued", "retrying"].contains(&state), "{delivery:#}");
        assert_eq!(delivery["charged"], i32::from(state == "delivered"), "{delivery:#}");
    }
    let whole = names(server).into_iter().filter(|name| !is_temp_name(name)).count();
    assert_eq!(whole, delivered, "receipts and files differ: {deliveries:#?}");
    deliveries
}
