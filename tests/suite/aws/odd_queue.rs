//! A queue that throttles, fails, is slow, deletes by halves; and one that is very long.

use std::time::Duration;

use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::fake_queue::{FakeQueue, Faults};
use outport_tests::set::{self, Set, set};
use outport_tests::site::{BUCKET, Site};
use outport_tests::usage::memory_mib;

use super::until;
use crate::e2e::on_both;

on_both!(one_that_misbehaves_loses_nothing, a_long_one_needs_no_memory, while_the_database_does_not_get_on);

/// The event of an object that nobody looks at: it tells everything.
fn event(n: usize) -> impl Fn() -> String + Send + Sync + 'static {
    move || {
        format!(
            r#"{{"Records":[{{"eventVersion":"2.4","eventName":"ObjectCreated:Put","eventTime":"2026-01-02T03:04:05.678Z",
            "s3":{{"bucket":{{"name":"{BUCKET}"}},"object":{{"key":"f/{n}.txt","size":7,"eTag":"e{n}","versionId":"v{n}"}}}}}}]}}"#
        )
    }
}

fn on(queue: &FakeQueue, cloud: &Cloud, site: Site) -> Site {
    let site = cloud.settings(site).with("OUTPORT_INTAKE_QUEUE", &queue.url());
    site.with("AWS_ENDPOINT_URL_SQS", &queue.endpoint())
}

fn recorded(site: &Site) -> usize {
    site.count("SELECT count(*) AS n FROM file").unwrap()
}

fn one_that_misbehaves_loses_nothing(site: Site) {
    const MESSAGES: usize = 400;
    let cloud = need!(Cloud::start());
    let queue = FakeQueue::start().unwrap();
    for n in 0..MESSAGES {
        queue.say(event(n));
    }
    let site = on(&queue, &cloud, site);
    queue.set(Faults { throttle_each: Some(7), keep_one_each: Some(3), ..Faults::default() });
    let mut up = site.up().unwrap();
    until(&site, "half of the messages are not recorded", || recorded(&site) >= MESSAGES / 2);
    queue.set(Faults { down: true, ..Faults::default() });
    std::thread::sleep(Duration::from_secs(2));
    let before = queue.requests();
    std::thread::sleep(Duration::from_secs(4));
    // Four pollers, the SDK's three tries each, then waits from 2 s on.
    assert!(queue.requests() - before <= 4 * 3 * 4, "{} requests in 4 s", queue.requests() - before);
    queue.set(Faults { slow: Duration::from_secs(1), keep_one_each: Some(2), ..Faults::default() });
    until(&site, "the queue is not empty", || queue.is_empty());
    assert_eq!(recorded(&site), MESSAGES);
    assert!(queue.again() > 0, "some were not deleted at first");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn a_long_one_needs_no_memory(site: Site) {
    let messages = if set() == Set::Full { 100_000 } else { 4_000 };
    let cloud = need!(Cloud::start());
    let queue = FakeQueue::start().unwrap();
    for n in 0..messages {
        queue.say(event(n));
    }
    let site = on(&queue, &cloud, site);
    let mut up = site.up().unwrap();
    until(&site, "a tenth of the messages is not recorded", || queue.len() < messages * 9 / 10);
    let early = memory_mib(up.pid(), "VmRSS").unwrap();
    until(&site, "the queue is not empty", || queue.is_empty());
    let peak = memory_mib(up.pid(), "VmHWM").unwrap();
    assert_eq!(recorded(&site), messages);
    assert!(peak < 80.0 && peak < early + 20.0, "{early} MiB early, {peak} MiB at most");
    set::tell(&format!("{messages} messages: {early:.0} MiB after a tenth of them, {peak:.0} MiB at most"));
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}

/// Messages stay in our hands for as long as that takes, and are recorded then.
fn while_the_database_does_not_get_on(site: Site) {
    let cloud = need!(Cloud::start());
    let queue = FakeQueue::start().unwrap();
    let site = on(&queue, &cloud, site);
    let mut up = site.up().unwrap();
    let lock = site.hold_files().unwrap();
    for n in 0..20 {
        queue.say(event(n));
    }
    // Longer than a message is hidden for (60 s by the real clock): it must have been renewed.
    std::thread::sleep(Duration::from_secs(60).mul_f64(site.scale()) + Duration::from_secs(5));
    assert_eq!(queue.len(), 20);
    assert_eq!(queue.again(), 0, "nobody else got them");
    drop(lock);
    until(&site, "the queue is not empty", || queue.is_empty());
    assert_eq!(recorded(&site), 20);
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}
