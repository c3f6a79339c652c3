//! A partner that is down costs its deliveries nothing but time.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{FolderWatch, Partner, Site};
use serde_json::Value;

use super::{LARGE, binary, on_both, text, wait_for_half_a_file};

on_both!(a_server_that_is_down, a_connection_that_breaks_in_the_middle);

/// Enough tries for the breaker to open (five in a row).
const TRIES: i64 = 6;

fn a_server_that_is_down(site: Site) {
    let mut server = need!(OpenSsh::start(Config::default()));
    let watch = FolderWatch::start(server.folder(), [("1.txt", b"1".as_slice()), ("2.txt", b"2".as_slice())]);
    server.stop().unwrap();
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    site.put("1.txt", "1").unwrap();
    let delivery = site
        .wait_for_delivery("1.txt", "acme/sftp", 600, |d| {
            d["attempts"].as_i64() >= Some(TRIES) && d["state"] == "retrying"
        })
        .unwrap();
    assert_eq!(text(&delivery, "/fault_code"), "endpoint.refused", "{delivery:#}");
    assert!(text(&delivery, "/fault").contains("\nhint: "), "{delivery:#}");
    assert_uncharged(&delivery);
    let endpoint = site.wait_for_endpoint("acme/sftp", 600, |e| e["blocked_reason"] == "breaker").unwrap();
    assert!(endpoint["strikes"].as_i64() >= Some(5) && endpoint["failing_since"].is_i64(), "{endpoint:#}");

    server.start_again().unwrap();
    site.put("2.txt", "2").unwrap();
    for key in ["1.txt", "2.txt"] {
        let delivery = site.wait_for_state(key, "acme/sftp", "delivered", 1800).unwrap();
        assert!(delivery["fault"].is_null(), "{delivery:#}");
        assert_uncharged(&delivery);
    }
    let endpoint = site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(
        (text(&endpoint, "/health"), endpoint["strikes"].as_i64()),
        ("closed", Some(0)),
        "{endpoint:#}"
    );
    assert!(endpoint["blocked_reason"].is_null() && endpoint["failing_since"].is_null(), "{endpoint:#}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}

fn a_connection_that_breaks_in_the_middle(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    let content = binary(LARGE, 11);
    let watch = FolderWatch::start(server.folder(), [("large.bin", content.as_slice())]);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    site.put("large.bin", &content).unwrap();
    wait_for_half_a_file(&server, "large.bin", site.limit(30));
    server.cut_connections().unwrap();
    let delivery = site.wait_for_state("large.bin", "acme/sftp", "delivered", 120).unwrap();
    let attempts = delivery["attempt"].as_array().unwrap();
    let broken = attempts.iter().find(|a| a["code"] == "endpoint.reset");
    let broken = broken.unwrap_or_else(|| panic!("it was sent before the connection broke: {delivery:#}"));
    let sent = broken["bytes_sent"].as_u64().unwrap();
    assert!(text(broken, "/stage") == "uploading" && sent < LARGE as u64, "{broken:#}");
    assert_uncharged(&delivery);
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    // Nothing but the file: the half that the first try left there is cleared away.
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}

/// No try but the one that delivered is charged.
fn assert_uncharged(delivery: &Value) {
    let attempts = delivery["attempt"].as_array().unwrap();
    let charged = attempts.iter().filter(|a| a["charged"] == true && a["outcome"] != "delivered").count();
    assert_eq!(charged, 0, "{delivery:#}");
}
