//! The webhook, as its receiver sees it.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};

use hmac::{Hmac, KeyInit, Mac};
use outport_tests::servers::webhook::{Answer, Posted, Receiver};
use serde_json::Value;
use sha2::Sha256;

use super::{done, has_line};
use crate::bad_input::site::{LIMIT, Site, refused};

const SECRET: &str = "marker-77-of-a-signing-secret";

/// A site that tells `receiver`, on a faster clock: what is gathered for 10 s is so for half a second.
fn telling(site: Site, receiver: &Receiver) -> Site {
    site.set("OUTPORT_NOTIFY_WEBHOOK", receiver.url())
        .set("OUTPORT_NOTIFY_SECRET", "env:SIGNING_SECRET")
        .set("SIGNING_SECRET", SECRET)
        .set("OUTPORT_TIMING_SCALE", "0.05")
}

/// Fails unless it is signed as docs/OPERATIONS.md says; its payload.
fn verified(post: &Posted) -> Value {
    let signature = post.header("outport-signature");
    let (time, hex) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(&post.body);
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected);
    let age = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() - time.parse::<u64>().unwrap();
    assert!(age < 300, "{age} s old");
    let payload = post.json().unwrap();
    assert_eq!(payload["id"], post.header("outport-delivery"));
    payload
}

/// The events of all posts, each once.
fn events(posts: &[Posted]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let all = posts.iter().flat_map(|post| verified(post)["events"].as_array().unwrap().clone());
    all.filter(|event| seen.insert(event["id"].to_string())).collect()
}

#[test]
fn what_failed_is_posted_signed_until_the_receiver_takes_it() {
    let receiver = Receiver::start(&[Answer::Status(500), Answer::Never, Answer::Status(302)]).unwrap();
    let site = telling(Site::new(), &receiver);
    let up = site.up();
    site.upload("bad.json", "{");
    let failed = site.settled("bad.json", 1).remove(0);
    // 500, no answer within 10 s (half a second here), a redirect; then it is taken.
    let posts = receiver.wait(LIMIT, |posts| posts.len() == 4).unwrap();
    let ids: BTreeSet<&str> = posts.iter().map(|post| post.header("outport-delivery")).collect();
    assert_eq!(ids.len(), 1, "one message, one id");
    assert!(posts.iter().all(|post| post.body == posts[0].body), "the same words");
    assert_eq!(posts[0].request, "POST /hooks/outport?of=test HTTP/1.1");
    assert_eq!(posts[0].header("content-type"), "application/json");
    let events = events(&posts);
    let [event] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!((&event["event"], &event["subject"]["kind"]), (&"failed".into(), &"delivery".into()));
    assert_eq!(
        (&event["subject"]["id"], &event["subject"]["endpoint"]),
        (&failed["id"], &"acme/sftp".into())
    );
    assert_eq!(event["subject"]["object"], "s3://in/bad.json");
    assert_eq!(event["detail"]["code"], "transform.failed");
    let stderr = outport_tests::child::Stream::Err;
    up.wait_for_line(stderr, "people are told", LIMIT).unwrap();
    let log = up.printed(stderr);
    has_line(&log, &["notice", "failed", failed["id"].as_str().unwrap(), "transform.failed"]);
    has_line(&log, &["notify.refused", "answered 500"]);
    has_line(&log, &["notify.unreachable", "did not answer within"]);
    assert!(!log.contains(SECRET) && !log.contains("/hooks/outport"), "{log}");
}

#[test]
fn a_lane_that_opens_and_recovers_is_told_once_each() {
    let receiver = Receiver::start(&[]).unwrap();
    let site = telling(Site::without_definitions(), &receiver);
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = unused.local_addr().unwrap();
    drop(unused);
    site.apply(address);
    let _up = site.up();
    for n in 0..6 {
        site.upload(format!("{n}.txt"), "content");
    }
    let told = |posts: &[Posted], what: &str| events(posts).iter().filter(|e| e["event"] == what).count();
    receiver.wait(LIMIT, |posts| told(posts, "lane_blocked") > 0).unwrap();
    site.apply(site.partner().address());
    site.settled("0.txt", 1);
    // Half a minute: the ten minutes in which it must not fail again.
    let posts = receiver.wait(2 * LIMIT, |posts| told(posts, "lane_recovered") > 0).unwrap();
    let all = events(&posts);
    let names: Vec<&str> = all.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["lane_blocked", "lane_recovered"], "{all:#?}");
    assert_eq!(all[0]["subject"]["endpoint"], "acme/sftp");
    assert_eq!(all[0]["detail"]["reason"], "breaker");
}

#[test]
fn who_is_killed_between_the_post_and_its_record_posts_the_same_again() {
    let receiver = Receiver::start(&[Answer::Never]).unwrap();
    let site = telling(Site::new(), &receiver).set("OUTPORT_LOG_FILE_NAMES", "false");
    let mut up = site.up();
    site.upload("bad.json", "{");
    receiver.wait(LIMIT, |posts| posts.len() == 1).unwrap();
    up.kill().unwrap();
    let up = site.up();
    let posts = receiver.wait(LIMIT, |posts| posts.len() == 2).unwrap();
    assert_eq!(posts[0].header("outport-delivery"), posts[1].header("outport-delivery"));
    assert_eq!(posts[0].body, posts[1].body);
    let stderr = outport_tests::child::Stream::Err;
    up.wait_for_line(stderr, "people are told", LIMIT).unwrap();
    // What logs may not name, others are not told.
    let event = events(&posts).remove(0);
    assert!(event["subject"]["object"].is_null() && event["detail"]["message"].is_null(), "{event:#}");
    assert_eq!(event["detail"]["code"], "transform.failed");
}

#[test]
fn a_webhook_that_cannot_be_used_is_said_at_the_start_without_its_token() {
    for (name, value, why) in [
        ("OUTPORT_NOTIFY_WEBHOOK", "hooks.example/TOKEN", "notify.webhook"),
        ("OUTPORT_NOTIFY_SECRET", "", "notify.secret"),
        ("OUTPORT_NOTIFY_SECRET", "TOKEN", "by reference"),
        ("OUTPORT_NOTIFY_CA", "/nowhere/ca.pem", "notify.ca"),
    ] {
        let site = Site::without_definitions()
            .set("OUTPORT_NOTIFY_WEBHOOK", "https://hooks.example/TOKEN")
            .set("OUTPORT_NOTIFY_SECRET", "env:SIGNING_SECRET")
            .set(name, value);
        let answer = site.run(&["up"]);
        refused(&answer, 1, "config.invalid", "");
        assert!(answer.stderr.contains(why) && !answer.stderr.contains("TOKEN"), "{}", answer.stderr);
    }
    let site = Site::without_definitions()
        .set("OUTPORT_NOTIFY_WEBHOOK", "https://hooks.example/TOKEN")
        .set("OUTPORT_NOTIFY_SECRET", "env:SIGNING_SECRET");
    let check = site.run(&["config", "check"]);
    has_line(done(&check), &["notify.webhook", "https://hooks.example/***"]);
    assert!(!check.stdout.contains("TOKEN"));
}
