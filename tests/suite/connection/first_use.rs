//! An endpoint whose host key nobody has pinned yet, and pins with dates.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site};

#[test]
fn the_first_key_waits_for_an_operator_and_then_stays() {
    let site = need!(Site::on_sqlite());
    let config = Config { lines: vec!["LogLevel DEBUG1".to_owned()], ..Config::default() };
    let server = need!(OpenSsh::start(config));
    let mut partner = Partner::at("acme", &server).with("settings = { first_use = \"ask\" }");
    partner.host_keys.clear();
    site.apply(std::slice::from_ref(&partner)).unwrap();
    let unseen = site.done(["endpoint", "show", "acme/sftp"]).unwrap();
    assert!(unseen.stdout.contains("first use: none was seen yet"), "{}", unseen.stdout);
    let up = site.up().unwrap();
    site.put("1.txt", "statement").unwrap();
    let waits = |d: &serde_json::Value| d["fault_code"] == "sftp.hostkey.first_use";
    let delivery = site.wait_for_delivery("1.txt", "acme/sftp", 30, waits).unwrap();
    assert_eq!((delivery["state"].as_str(), delivery["charged"].as_i64()), (Some("retrying"), Some(0)));
    assert!(!server.log().contains("userauth-request"), "{}", server.log());
    let accept = format!("outport endpoint accept-key acme/sftp --fingerprint {}", server.fingerprint());
    for command in [&["problems"][..], &["endpoint", "show", "acme/sftp"]] {
        let shown = site.done(command.iter().copied()).unwrap();
        assert!(shown.stdout.contains(&accept), "{command:?}: {}", shown.stdout);
    }
    site.done([
        "endpoint",
        "accept-key",
        "acme/sftp",
        "--fingerprint",
        server.fingerprint(),
        "--reason",
        "by telephone",
    ])
    .unwrap();
    site.wait_for_state("1.txt", "acme/sftp", "delivered", 60).unwrap();
    // The file still asks; what was accepted stays.
    site.apply(&[partner]).unwrap();
    let endpoint = site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(endpoint["host_keys"], serde_json::json!([server.fingerprint()]), "{endpoint:#}");
    drop(up);
}

#[test]
fn a_pin_counts_between_its_dates() {
    let site = need!(Site::on_sqlite());
    let server = need!(OpenSsh::start(Config::default()));
    let pinned = |dates: &str| {
        let pin = format!("host_keys = [{{ fingerprint = \"{}\", {dates} }}]", server.fingerprint());
        let mut partner = Partner::at("acme", &server);
        partner.host_keys.clear();
        (partner, pin)
    };
    let apply = |dates: &str| {
        let (partner, pin) = pinned(dates);
        let text = outport_tests::site::definitions(&[partner]).replace("host_keys = []", &pin);
        let file = site.write("dated.toml", text).unwrap();
        site.done(["apply", file.to_str().unwrap()]).unwrap()
    };
    apply("from = \"2124-01-01T00:00:00Z\"");
    let up = site.up().unwrap();
    site.put("1.txt", "statement").unwrap();
    let blocked = |d: &serde_json::Value| d["fault_code"] == "sftp.hostkey.changed";
    let early = site.wait_for_delivery("1.txt", "acme/sftp", 30, blocked).unwrap();
    let fault = early["fault"].as_str().unwrap();
    assert!(fault.contains("pinned from 2124-01-01T00:00:00Z, not yet valid"), "{fault}");
    let plan = apply("from = \"2024-01-01T00:00:00Z\", until = \"2124-01-01T00:00:00Z\"");
    assert!(
        plan.stdout.contains("(from 2024-01-01T00:00:00Z until 2124-01-01T00:00:00Z)"),
        "{}",
        plan.stdout
    );
    site.wait_for_state("1.txt", "acme/sftp", "delivered", 60).unwrap();
    let shown = site.done(["endpoint", "show", "acme/sftp"]).unwrap();
    assert!(
        shown.stdout.contains("(from 2024-01-01T00:00:00Z until 2124-01-01T00:00:00Z)"),
        "{}",
        shown.stdout
    );
    drop(up);
}
