//! The built binary against a stand-in for AWS: objects in S3, their events on a queue.

mod bad_access;
mod dead_letters;
mod delivered;
mod events;
mod figures;
mod missed;
mod notices;
mod odd_queue;
mod second_stand_in;
mod secrets;

use std::time::{Duration, Instant};

use outport_tests::servers::cloud::Cloud;
use outport_tests::site::Site;

/// Waits until the queue is empty: everything in it is recorded.
pub(crate) fn drained(cloud: &Cloud, site: &Site) {
    until(site, "the queue is not empty", || cloud.messages(cloud.queue()).unwrap() == 0);
}

/// Looks until it is so.
pub(crate) fn until(site: &Site, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + site.limit(300);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
