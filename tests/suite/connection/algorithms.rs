//! Old and odd servers: what each profile does with them, and where one reads of it.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site};

use super::{assert_refused, assert_sent, lines, send_with_key};

/// What a server of the last decade has.
const OLD: [&str; 4] = [
    "KexAlgorithms diffie-hellman-group14-sha1",
    "HostKeyAlgorithms ssh-rsa",
    "Ciphers aes256-cbc",
    "MACs hmac-sha1",
];

fn server(rsa: bool, config: &[&str]) -> anyhow::Result<OpenSsh> {
    OpenSsh::start(Config { rsa, lines: lines(config), ..Config::default() })
}

#[test]
fn old_servers_are_refused_by_modern_and_served_by_compat() {
    let oldest =
        ["KexAlgorithms diffie-hellman-group1-sha1", "Ciphers 3des-cbc", "MACs hmac-sha1-etm@openssh.com"];
    let exchange = ["KexAlgorithms diffie-hellman-group-exchange-sha1", "Ciphers aes128-cbc"];
    for (config, kind, theirs) in [
        (&OLD[..], "key exchange", "diffie-hellman-group14-sha1"),
        (&oldest, "key exchange", "diffie-hellman-group1-sha1"),
        (&exchange, "key exchange", "diffie-hellman-group-exchange-sha1"),
        (&OLD[1..], "host key algorithm", "theirs: ssh-rsa"),
        (&OLD[2..], "cipher", "theirs: aes256-cbc"),
        (&["Ciphers aes256-ctr", "MACs hmac-sha1"], "MAC", "theirs: hmac-sha1"),
    ] {
        let server = need!(server(true, config));
        let work = tempfile::tempdir().unwrap();
        let pins: Vec<&str> = server.fingerprints().into_iter().flat_map(|pin| ["--host-key", pin]).collect();
        let refused = send_with_key(&server, work.path(), &pins);
        let kind = format!("no common {kind}; ours: ");
        assert_refused(&server, &refused, "sftp.negotiation", &[&kind, "; theirs: ", theirs]);
        let compat = send_with_key(&server, work.path(), &[&pins[..], &["--profile", "compat"]].concat());
        assert_sent(&server, &compat);
    }
}

#[test]
fn strict_servers_are_served_by_modern() {
    for config in [
        "KexAlgorithms ecdh-sha2-nistp256",
        "KexAlgorithms ecdh-sha2-nistp521",
        "Ciphers aes128-gcm@openssh.com",
        "Ciphers chacha20-poly1305@openssh.com",
        "RekeyLimit 16K",
    ] {
        let server = need!(server(false, &[config]));
        let work = tempfile::tempdir().unwrap();
        assert_sent(&server, &send_with_key(&server, work.path(), &["--host-key", server.fingerprint()]));
    }
}

#[test]
fn a_profile_that_does_not_exist_is_wrong_usage() {
    let server = need!(server(false, &[]));
    let work = tempfile::tempdir().unwrap();
    let wrong = send_with_key(&server, work.path(), &["--profile", "old"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("it is modern or compat"), "{wrong:?}");
}

#[test]
fn receipts_and_the_endpoint_say_what_was_agreed_on() {
    let site = need!(Site::on_sqlite());
    let (old, new) = (need!(server(true, &OLD)), need!(server(false, &["Ciphers aes128-gcm@openssh.com"])));
    let compat = Partner::at("acme", &old).with("settings = { ssh = { profile = \"compat\" } }");
    let custom = Partner::at("beta", &new)
        .with("settings = { ssh = { profile = \"custom\", kex = [\"ecdh-sha2-nistp384\"] } }");
    site.apply(&[compat, custom]).unwrap();
    let up = site.up().unwrap();
    site.put("1.txt", "statement").unwrap();
    let to_old = site.wait_for_state("1.txt", "acme/sftp", "delivered", 30).unwrap();
    let to_new = site.wait_for_state("1.txt", "beta/sftp", "delivered", 30).unwrap();
    assert_eq!(
        to_old["attempt"][0]["agreed"],
        serde_json::json!({"profile": "compat", "host_key": "ssh-rsa", "kex": "diffie-hellman-group14-sha1",
            "cipher": "aes256-cbc", "mac": "hmac-sha1"}),
        "{to_old:#}"
    );
    assert_eq!(
        to_new["attempt"][0]["agreed"],
        serde_json::json!({"profile": "custom", "host_key": "ssh-ed25519", "kex": "ecdh-sha2-nistp384",
            "cipher": "aes128-gcm@openssh.com", "mac": null}),
        "{to_new:#}"
    );
    let agreed = "compat: ssh-rsa, diffie-hellman-group14-sha1, aes256-cbc, hmac-sha1";
    let shown = site.done(["delivery", "show", to_old["id"].as_str().unwrap()]).unwrap();
    assert!(shown.stdout.contains(agreed), "{}", shown.stdout);
    let endpoint = site.done(["endpoint", "show", "acme/sftp"]).unwrap();
    for part in ["compat (old algorithms allowed: SHA-1, CBC, 3DES)", agreed] {
        assert!(endpoint.stdout.contains(part), "{part:?} is not in {}", endpoint.stdout);
    }
    let listed = site.done(["endpoint", "list"]).unwrap();
    assert_eq!(listed.stdout.matches("(compat)").count(), 1, "{}", listed.stdout);
    drop(up);
}
