//! A server that is not who it was: nothing is sent, not even a password, and nobody else is held up.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{FolderWatch, Partner, Site};

use super::{log_of_logins, login_requests, names, on_both, text};

/// A well-formed fingerprint of no key.
const NOBODYS: &str = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

on_both!(a_wrong_pin_blocks_the_lane_until_apply, a_changed_key_blocks_the_lane);

fn server() -> anyhow::Result<OpenSsh> {
    OpenSsh::start(Config { lines: log_of_logins(), ..Config::default() })
}

fn a_wrong_pin_blocks_the_lane_until_apply(site: Site) {
    let (suspect, good) = (need!(server()), need!(server()));
    let content = b"statement".as_slice();
    let watch = FolderWatch::start(suspect.folder(), [("1.txt", content), ("2.txt", content)]);
    let beta = Partner::at("beta", &good);
    site.apply(&[Partner::at("acme", &suspect).host_key(NOBODYS), beta.clone()]).unwrap();
    let mut up = site.up().unwrap();
    site.put("1.txt", content).unwrap();
    assert_blocked(&site, "1.txt", NOBODYS, suspect.fingerprint());
    site.wait_for_state("1.txt", "beta/sftp", "delivered", 0).unwrap();

    // What arrives now waits at the one lane, without a try, and goes through at the other.
    site.put("2.txt", content).unwrap();
    site.wait_for_state("2.txt", "beta/sftp", "delivered", 0).unwrap();
    let waiting = site.delivery("2.txt", "acme/sftp").unwrap().unwrap();
    assert_eq!((text(&waiting, "/state"), waiting["attempts"].as_i64()), ("queued", Some(0)), "{waiting:#}");
    assert_eq!((login_requests(&suspect), names(&suspect)), (0, vec![]), "{}", suspect.log());
    assert!(login_requests(&good) > 0, "the log does not show logins: {}", good.log());

    site.apply(&[Partner::at("acme", &suspect), beta]).unwrap();
    for key in ["1.txt", "2.txt"] {
        let delivery = site.wait_for_state(key, "acme/sftp", "delivered", 60).unwrap();
        let attempts = delivery["attempt"].as_array().unwrap();
        assert_eq!(text(attempts.last().unwrap(), "/peer_identity"), suspect.fingerprint());
    }
    let endpoint = site.wait_for_endpoint("acme/sftp", 0, |e| e["blocked_reason"].is_null()).unwrap();
    assert_eq!(endpoint["waiting"], 0, "{endpoint:#}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}

fn a_changed_key_blocks_the_lane(site: Site) {
    let mut server = need!(server());
    let content = b"statement".as_slice();
    let watch = FolderWatch::start(server.folder(), [("1.txt", content), ("2.txt", content)]);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    site.put("1.txt", content).unwrap();
    site.wait_for_state("1.txt", "acme/sftp", "delivered", 0).unwrap();

    let pinned = server.fingerprint().to_owned();
    server.stop().unwrap();
    server.change_host_keys().unwrap();
    server.start_again().unwrap();
    let logins = login_requests(&server);
    site.put("2.txt", content).unwrap();
    assert_blocked(&site, "2.txt", &pinned, server.fingerprint());
    assert_eq!((login_requests(&server), names(&server)), (logins, vec!["1.txt".to_owned()]));

    // The block is in the database: another process knows it, and the same pin again is no news.
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    let mut up = site.up().unwrap();
    assert_blocked(&site, "2.txt", &pinned, server.fingerprint());
    assert_eq!(login_requests(&server), logins);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    site.wait_for_state("2.txt", "acme/sftp", "delivered", 60).unwrap();
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}

fn assert_blocked(site: &Site, key: &str, pinned: &str, shown: &str) {
    let delivery = site
        .wait_for_delivery(key, "acme/sftp", 30, |d| {
            d["fault_code"] == "sftp.hostkey.changed" && d["state"] == "retrying"
        })
        .unwrap();
    let fault = text(&delivery, "/fault");
    assert!(fault.contains(pinned) && fault.contains(shown) && fault.contains("\nhint: "), "{fault}");
    let attempts = delivery["attempt"].as_array().unwrap();
    let told = attempts.iter().filter(|a| a["code"] == "sftp.hostkey.changed").count();
    assert_eq!((told, delivery["charged"].as_i64()), (1, Some(0)), "{delivery:#}");
    let endpoint = site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(text(&endpoint, "/blocked_reason"), "identity", "{endpoint:#}");
    assert!(endpoint["blocked_until"].is_null(), "it opens by itself: {endpoint:#}");
    assert_eq!(text(&endpoint, "/host_keys/0"), pinned, "{endpoint:#}");
    assert_eq!(text(&endpoint, "/seen_identity"), shown, "{endpoint:#}");
}
