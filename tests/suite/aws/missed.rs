//! What no event told is found by comparing the bucket with the ledger.

use aws_sdk_s3::types::{Tag, Tagging};
use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{BUCKET, Partner, Site, Up, definitions};

use super::{drained, until};
use crate::e2e::on_both;

on_both!(by_hand_first_shown_then_started, by_the_sweep, a_bucket_that_is_not_there_costs_no_other_a_listing);

/// Marks what a broken upload left behind, as the workflow of deploy/outport.yaml does.
fn mark_partial(cloud: &Cloud, key: &str) {
    let tag = Tag::builder().key("outport:upload").value("partial").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    cloud.wait(cloud.s3.put_object_tagging().bucket(BUCKET).key(key).tagging(tagging).send()).unwrap();
}

fn by_hand_first_shown_then_started(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    cloud.upload("in/told.txt", b"told").unwrap();
    site.wait_for_state("in/told.txt", "acme/sftp", "delivered", 0).unwrap();
    drained(&cloud, &site);
    cloud.notify(false).unwrap();
    for n in 0..3 {
        cloud.upload("in/lost.txt", format!("version {n}").as_bytes()).unwrap();
    }
    cloud.upload("in/broken.txt", b"half of").unwrap();
    mark_partial(&cloud, "in/broken.txt");
    cloud.upload("in/growing.part", b"half of").unwrap();
    cloud.upload("elsewhere/lost.txt", b"x").unwrap();

    let place = format!("s3://{BUCKET}/in/");
    let plan = site.json(["reconcile", &place, "--since", "1h"]).unwrap();
    let number = |name: &str| plan[name].as_u64().unwrap();
    assert_eq!(
        (number("listed"), number("known"), number("left_out"), number("missed")),
        (6, 1, 2, 3),
        "{plan:#}"
    );
    assert_eq!(plan["files"].as_array().unwrap().len(), 3);
    assert_eq!(site.deliveries().unwrap().len(), 1, "only shown");
    let started = site.json(["reconcile", &place, "--since", "1h", "--start"]).unwrap();
    assert_eq!(started["started"]["routed"], 3, "{started:#}");
    site.wait_for_settled(4, 60).unwrap();
    assert_eq!(std::fs::read(server.folder().join("lost.txt")).unwrap(), b"version 2", "the newest on top");
    let again = site.json(["reconcile", &place, "--since", "1h", "--start"]).unwrap();
    assert_eq!((&again["missed"], &again["known"]), (&0.into(), &4.into()), "{again:#}");
    // What is older than asked for is left alone.
    let later =
        site.json(["reconcile", &format!("s3://{BUCKET}"), "--since", "2100-01-01T00:00:00Z"]).unwrap();
    assert_eq!((&later["missed"], &later["other_time"]), (&0.into(), &7.into()), "{later:#}");
    for (arguments, code, word) in [
        (["reconcile", BUCKET, "--since", "1h"], 2, "s3://BUCKET"),
        (["reconcile", "s3://", "--since", "1h"], 2, "s3://BUCKET"),
        (["reconcile", "s3://nowhere", "--since", "1h"], 1, "intake.bucket_missing"),
        (["reconcile", "s3://inbound", "--since", "2026-01-02T03:04:05"], 2, "hint: "),
    ] {
        let refused = site.outport(arguments).run().unwrap();
        assert_eq!(refused.code, Some(code), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains(word), "{arguments:?}: {refused:?}");
    }
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn by_the_sweep(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site).with("OUTPORT_INTAKE_RECONCILE", "1s");
    cloud.notify(false).unwrap();
    cloud.upload("older-than-its-rule.txt", b"old").unwrap();
    // S3 keeps whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut up = site.up().unwrap();
    cloud.upload("lost.txt", b"nobody was told").unwrap();
    // The grace for an event that is still on its way is five minutes.
    site.wait_for_state("lost.txt", "acme/sftp", "delivered", 300).unwrap();
    assert!(up.log().contains("found files that no event had told of"), "{}", up.log());
    assert_eq!(up.counter("outport_files_missed_total").unwrap(), 1);
    assert!(site.delivery("older-than-its-rule.txt", "acme/sftp").unwrap().is_none());
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

/// A bucket that a rule watches, and that nobody made.
const GONE: &str = "gone";

fn a_bucket_that_is_not_there_costs_no_other_a_listing(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    // A failed bucket is tried again after 10 min: 3 s on this clock. The hours in between are real ones.
    let site =
        cloud.settings(site).with("OUTPORT_INTAKE_RECONCILE", "1h").with("OUTPORT_TIMING_SCALE", "0.005");
    let rule =
        format!("[[file_group]]\nname = \"others\"\nrule = [{{ bucket = \"{GONE}\", key = \"**\" }}]\n");
    let file = site.write("both.toml", definitions(&[Partner::at("acme", &server)]) + &rule).unwrap();
    site.done(["apply", file.to_str().unwrap()]).unwrap();
    let mut up = Up::start(site.outport(["up", "--roles", "maintainer"])).unwrap();
    let told = |bucket: &str, word: &str| {
        let bucket = format!("\"bucket\":\"{bucket}\"");
        up.log().lines().filter(|line| line.contains(&bucket) && line.contains(word)).count()
    };
    until(&site, "the missing bucket is not tried again", || told(GONE, "intake.bucket_missing") >= 3);
    assert_eq!(told(BUCKET, "compared with the ledger"), 1, "{}", up.log());
    cloud.wait(cloud.s3.create_bucket().bucket(GONE).send()).unwrap();
    until(&site, "the bucket that is there now is not compared", || {
        told(GONE, "compared with the ledger") == 1
    });
    assert_eq!(told(BUCKET, "compared with the ledger"), 1, "{}", up.log());
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}
