//! `outport why`: the story of a file, also of what did not happen.

use super::{done, has_line};
use crate::bad_input::site::{Site, refused};

#[test]
fn a_delivered_file_has_its_receipt_and_its_sightings() {
    let site = Site::new();
    let _up = site.up();
    site.upload("a.txt", "content");
    let delivery = site.settled("a.txt", 1).remove(0);
    let told = site.run(&["why", "a.txt"]);
    let lines = done(&told);
    has_line(lines, &["fil_", "s3://in/a.txt", "7 bytes"]);
    has_line(lines, &["seen by "]);
    has_line(lines, &["the rule ** of file group plain took it"]);
    has_line(
        lines,
        &["acme-plain to acme/sftp as inbox/a.txt", delivery["id"].as_str().unwrap(), "delivered 20"],
    );
    has_line(lines, &["attempt 1", "delivered inbox/a.txt, 7 bytes, sha256", "confirmed by reply"]);
    // By id, by place, by key: the same story.
    let id = delivery["file"].as_str().unwrap();
    for name in [id, "s3://in/a.txt"] {
        assert_eq!(done(&site.run(&["why", name])), lines);
    }
    assert_eq!(done(&site.run(&["why", "a.txt", "acme"])), lines);
    refused(&site.run(&["why", "a.txt", "nix"]), 1, "usage.not_found", "outport subscription list");
    let read = site.json(&["why", "a.txt"]);
    assert_eq!(
        (read["file"]["key"].as_str(), read["deliveries"][0]["state"].as_str()),
        (Some("a.txt"), Some("delivered"))
    );
    assert_eq!(read["told"].as_array().unwrap().len(), lines.lines().count());
}

#[test]
fn a_disabled_subscription_and_a_rule_that_came_later_are_named() {
    let site = Site::new().set("OUTPORT_ACTOR", "ann");
    done(&site.run(&["subscription", "disable", "acme-plain", "--reason", "no contract"]));
    let _up = site.up();
    site.upload("a.txt", "content");
    site.recorded("a.txt");
    let told = site.run(&["why", "s3://in/a.txt"]);
    has_line(done(&told), &["recorded as unrouted"]);
    has_line(&told.stdout, &["acme-plain: no delivery", "was disabled by operator:ann at 20", "no contract"]);
    let told = site.run(&["why", "s3://in/a.txt", "acme"]);
    has_line(done(&told), &["acme gets nothing of this file"]);

    // Without the rule that takes everything, another bucket's file finds none; then it is added.
    std::fs::create_dir(site.data().join("buckets/elsewhere")).unwrap();
    std::fs::write(site.folder().join("x"), "content").unwrap();
    done(&site.run(&["put", "x", "s3://elsewhere/Claims/b.txt"]));
    site.recorded("Claims/b.txt");
    let told = site.run(&["why", "Claims/b.txt"]);
    has_line(done(&told), &["no rule of bucket elsewhere took it"]);
    has_line(&told.stdout, &["** of file group plain would take the key in bucket in"]);
    let with_rule = |pattern: &str| {
        let text = site.definitions(site.partner().address()).replace(
            "name = \"plain\"\nrule = [{",
            &format!("name = \"plain\"\nrule = [{{ bucket = \"elsewhere\", key = \"{pattern}\" }}, {{"),
        );
        std::fs::write(site.folder().join("partners.toml"), text).unwrap();
        done(&site.run(&["apply", "partners.toml"]));
    };
    with_rule("claims/*.txt");
    let told = site.run(&["why", "Claims/b.txt"]);
    has_line(done(&told), &["claims/*.txt of file group plain differs only in upper and lower case"]);
    with_rule("Claims/*.txt");
    let told = site.run(&["why", "Claims/b.txt"]);
    has_line(done(&told), &["Claims/*.txt of file group plain takes it now: it was applied later"]);
    has_line(&told.stdout, &["outport replay plan --reprocess --id fil_"]);
}

#[test]
fn a_failed_transform_a_held_delivery_and_a_paused_lane_are_told() {
    let site = Site::new().set("OUTPORT_ACTOR", "ann");
    done(&site.run(&["endpoint", "pause", "acme/sftp", "--reason", "their maintenance"]));
    let _up = site.up();
    site.upload("bad.json", "{");
    site.upload("a.txt", "content");
    site.settled("bad.json", 1);
    site.recorded("a.txt");
    let told = site.run(&["why", "bad.json"]);
    has_line(done(&told), &["transform trf_", "to-csv@1: failed 20"]);
    has_line(&told.stdout, &["[json.truncated]"]);
    has_line(&told.stdout, &["acme-records to acme/sftp", "failed 20"]);

    let told = site.run(&["why", "a.txt"]);
    has_line(done(&told), &["queued, next try 20"]);
    has_line(
        &told.stdout,
        &["its lane takes nothing now: paused by operator:ann since 20", "their maintenance"],
    );
    let id =
        site.deliveries().iter().find(|d| d["key"] == "a.txt").unwrap()["id"].as_str().unwrap().to_owned();
    done(&site.run(&["delivery", "hold", &id, "--reason", "wait for\u{1b}[31m the call"]));
    let told = site.run(&["why", "a.txt"]);
    has_line(done(&told), &["acme-plain to acme/sftp", "held (`outport delivery release", &id]);
    has_line(&told.stdout, &["held by operator:ann: wait for\\u{1b}[31m the call"]);
    assert!(!told.stdout.contains('\u{1b}'));
}

#[test]
fn a_rejected_name_is_told_and_harmless_and_an_unseen_one_has_a_hint() {
    let site = Site::new();
    {
        let _up = site.up();
        site.upload("red\u{1b}[31m.txt", "content");
        site.recorded("red\u{1b}[31m.txt");
    }
    let told = site.run(&["why", "red\u{1b}[31m.txt"]);
    has_line(done(&told), &["recorded as rejected"]);
    has_line(&told.stdout, &["[route.bad_key]"]);
    assert!(!told.stdout.contains('\u{1b}'));
    let unseen = site.run(&["why", "s3://in/never.txt"]);
    refused(&unseen, 1, "usage.not_found", "the rule ** of file group plain would take it in bucket in");
    let unseen = site.run(&["why", "s3://elsewhere/never\u{1b}.txt"]);
    refused(&unseen, 1, "usage.not_found", "can be no file");
    assert!(!unseen.stderr.contains('\u{1b}'));
    refused(&site.run(&["why", "s3://elsewhere/never.txt"]), 1, "usage.not_found", "no rule would take it");
    refused(&site.run(&["why", "fil_01h455vb4pex5vsknk084sn02q"]), 1, "usage.not_found", "outport file list");
}
