//! Every kind of message, twice, in any order, and after a crash.

use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{BUCKET, Partner, Site};
use serde_json::{Value, json};

use super::drained;
use crate::e2e::on_both;

on_both!(
    one_object_by_every_envelope_is_one_file,
    what_is_no_arrival_is_done_and_counted,
    what_is_still_growing_arrives_once,
    a_crash_between_record_and_delete_changes_nothing,
    an_object_that_is_gone_ends_with_its_reason,
);

fn s3_event(key: &str, version: Option<&str>, etag: &str, size: usize) -> Value {
    let mut object = json!({"key": key, "size": size, "eTag": etag});
    if let Some(version) = version {
        object["versionId"] = version.into();
    }
    json!({"Records": [{
        "eventVersion": "2.4", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-02T03:04:05.678Z", "s3": {"bucket": {"name": BUCKET}, "object": object}
    }]})
}

fn bridge(source: &str, name: &str, detail: Value) -> Value {
    json!({"version": "0", "id": "eb", "source": source, "detail-type": name,
           "time": "2026-01-02T03:04:05Z", "detail": detail})
}

/// The etag of a small object: the MD5 of its content, as S3 has it.
fn etag(cloud: &Cloud, key: &str) -> String {
    let told = cloud.wait(cloud.s3.head_object().bucket(BUCKET).key(key).send()).unwrap();
    told.e_tag().unwrap().trim_matches('"').to_owned()
}

fn one_object_by_every_envelope_is_one_file(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let version = cloud.upload("a b.txt", b"content").unwrap().unwrap();
    let etag = etag(&cloud, "a b.txt");
    let plain = s3_event("a+b.txt", Some(&version), &etag, 7);
    let object = json!({"bucket": {"name": BUCKET}, "object":
        {"key": "a b.txt", "size": 7, "etag": etag, "version-id": version}});
    let transfer = json!({"status-code": "COMPLETED", "protocol": "SFTP", "bytes": 7,
        "file-path": format!("/{BUCKET}/a b.txt"), "username": "acme"});
    let bodies = [
        plain.clone(),
        s3_event("a%20b.txt", None, &etag, 7),
        json!({"Type": "Notification", "MessageId": "m", "Message": plain.to_string()}),
        bridge("aws.s3", "Object Created", object),
        bridge("aws.transfer", "SFTP Server File Upload Completed", transfer),
        plain,
    ];
    for body in &bodies {
        cloud.say(&body.to_string()).unwrap();
    }
    let mut up = site.up().unwrap();
    drained(&cloud, &site);
    site.wait_for_state("a b.txt", "acme/sftp", "delivered", 0).unwrap();
    let files = site.json(["file", "list"]).unwrap();
    assert_eq!(files.as_array().unwrap().len(), 1, "{files:#}");
    assert_eq!(files[0]["version"], version, "{files:#}");
    let shown = site.json(["file", "show", files[0]["id"].as_str().unwrap()]).unwrap();
    // Each message, and the one that moto sent; on a busy machine one may come twice.
    assert!(shown["events"].as_array().unwrap().len() > bodies.len(), "{shown:#}");
    assert_eq!(site.deliveries().unwrap().len(), 1);
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn what_is_no_arrival_is_done_and_counted(site: Site) {
    let cloud = need!(Cloud::start());
    // Real durations: no message becomes visible a second time on a busy machine, and is counted twice.
    let site = cloud.settings(site).in_real_time();
    let removed = json!({"Records": [{"eventVersion": "2.4", "eventName": "ObjectRemoved:Delete"}]});
    let future = json!({"Records": [{"eventVersion": "3.0", "eventName": "ObjectCreated:Put"}]});
    let broken = bridge("aws.transfer", "SFTP Server File Upload Failed", json!({"file-path": "/in/a"}));
    let unfinished = s3_event("claims/a.json.part", Some("v"), "e", 1);
    let folder = s3_event("claims/", Some("v"), "e", 0);
    for body in [&removed, &future, &broken, &unfinished, &folder, &json!({"Records": []})] {
        cloud.say(&body.to_string()).unwrap();
    }
    let mut up = site.up().unwrap();
    drained(&cloud, &site);
    let counted = |why: &str| up.counter(&format!("outport_intake_ignored_total{{why=\"{why}\"}}")).unwrap();
    // `test_event` is moto's own, from when the notification was set up.
    for why in ["removed", "unknown_version", "other_event", "unfinished", "test_event"] {
        assert_eq!(counted(why), 1, "{why}");
    }
    let files = site.json(["file", "list"]).unwrap();
    assert_eq!(files.as_array().unwrap().len(), 1, "{files:#}");
    assert_eq!(
        files[0]["state"], "rejected",
        "a key that cannot be a file is kept with its reason: {files:#}"
    );
    assert_eq!(cloud.messages(cloud.dead_letters()).unwrap(), 0);
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}

fn what_is_still_growing_arrives_once(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site).with("OUTPORT_INTAKE_SETTLE", "4s");
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    for n in 1..=5 {
        cloud.upload("grows.txt", "x".repeat(n).as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    drained(&cloud, &site);
    site.wait_for_all(1, 60).unwrap();
    assert_eq!(std::fs::read(server.folder().join("grows.txt")).unwrap(), b"xxxxx");
    let overwritten = up.counter("outport_intake_ignored_total{why=\"overwritten\"}").unwrap();
    assert_eq!(overwritten, 4, "{}", up.log());
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}

fn a_crash_between_record_and_delete_changes_nothing(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    for n in 0..30 {
        cloud.upload(&format!("{n}.txt"), format!("file {n}").as_bytes()).unwrap();
    }
    let mut dies = site.outport(["up"]).env("OUTPORT_CRASH_AT", "after_dispatch").start().unwrap();
    let ended = dies.wait(site.limit(60)).unwrap();
    assert_eq!(ended.code(), None, "killed: {ended:?}");
    assert!(cloud.messages(cloud.queue()).unwrap() > 0, "nothing was deleted");
    let mut up = site.up().unwrap();
    drained(&cloud, &site);
    site.wait_for_all(30, 60).unwrap();
    assert!(up.counter("outport_files_duplicate_total").unwrap() > 0, "what was recorded came again");
    for n in 0..30 {
        let content = std::fs::read(server.folder().join(format!("{n}.txt"))).unwrap();
        assert_eq!(content, format!("file {n}").as_bytes());
    }
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn an_object_that_is_gone_ends_with_its_reason(site: Site) {
    let cloud = need!(Cloud::without_versions());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    cloud.upload("gone.txt", b"soon gone").unwrap();
    cloud.upload("changed.txt", b"old").unwrap();
    cloud.wait(cloud.s3.delete_object().bucket(BUCKET).key("gone.txt").send()).unwrap();
    cloud.upload("changed.txt", b"new").unwrap();
    let mut up = site.up().unwrap();
    drained(&cloud, &site);
    let gone = site.wait_for_state("gone.txt", "acme/sftp", "failed", 0).unwrap();
    assert_eq!(gone["fault_code"], "artifact.missing", "{gone:#}");
    assert_eq!(gone["attempt"].as_array().unwrap().len(), 1, "no storm of tries: {gone:#}");
    let deliveries = site.wait_for_settled(3, 60).unwrap();
    let changed =
        |state: &str| deliveries.iter().filter(|d| d["key"] == "changed.txt" && d["state"] == state).count();
    // The old one is gone; where the new one was faster, nobody looks for it any more.
    assert_eq!(changed("delivered"), 1, "{deliveries:#?}");
    assert_eq!(changed("failed") + changed("cancelled"), 1, "{deliveries:#?}");
    assert_eq!(std::fs::read(server.folder().join("changed.txt")).unwrap(), b"new");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}
