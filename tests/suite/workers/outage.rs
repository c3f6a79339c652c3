//! A partner that is down while nobody but workers of Batch sends.

use outport_tests::need;
use serde_json::json;

use super::Yard;
use crate::aws::until;

/// Each of them fails once before any is tried again, and the fifth failure in a row opens the breaker.
const FILES: usize = 6;

#[test]
fn a_partner_that_is_back_gets_a_worker_again() {
    let mut yard = need!(Yard::new("local", "batch", &[]));
    yard.server.stop().unwrap();
    for n in 0..FILES {
        yard.site.put(&format!("f{n}.txt"), "content").unwrap();
    }
    let mut up = yard.site.up().unwrap();
    yard.site.wait_for_endpoint("acme/sftp", 1_800, |e| e["blocked_reason"] == "breaker").unwrap();
    // Whoever is still at work would find the partner by itself: all of them end before it is back.
    assert_eq!(up.stop(yard.site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    until(&yard.site, "a worker does not end", || {
        yard.batch.jobs().iter().all(|job| ["SUCCEEDED", "FAILED"].contains(&job.status))
    });
    let lane = yard.site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(lane["health"], json!("open"), "{lane:#}");
    let before = yard.batch.jobs().len();
    yard.server.start_again().unwrap();
    let up = yard.site.up().unwrap();
    yard.site.wait_for_all(FILES, 1_800).unwrap();
    assert!(yard.batch.jobs().len() > before, "a new worker sent them");
    let lane = yard.site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(lane["health"], json!("closed"), "{lane:#}");
    yard.close(up, &["f0.txt"]);
}
