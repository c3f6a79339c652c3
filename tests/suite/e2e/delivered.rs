//! What is put into a bucket arrives, byte for byte, with a receipt.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{FolderWatch, Login, Partner, Site};
use serde_json::{Value, json};

use super::{CLAIMS, CLAIMS_CSV, binary, on_both, sha256};

on_both!(by_key, by_password);

fn by_key(site: Site) {
    let server = need!(OpenSsh::start(Config { rsa: true, ..Config::default() }));
    let rsa = Login::key(server.rsa_key_file().unwrap());
    let fingerprints = server.fingerprints();
    let partners = [
        Partner::at("ed25519", &server).prefix("ed_"),
        // The server prefers to show its other key: only the pin makes it show this one.
        Partner::at("rsa", &server).prefix("rsa_").login(rsa).host_key(fingerprints[1]),
    ];
    everything_arrives(&site, &server, &partners, &[fingerprints[0], fingerprints[1]]);
}

fn by_password(site: Site) {
    let server = need!(OpenSsh::start(Config { password: true, ..Config::default() }));
    let password = server.login().password.clone().unwrap();
    // As an editor writes it: with a newline that is not part of it.
    let file = site.write("password", format!("{password}\n")).unwrap();
    let partners = [Partner::at("acme", &server).prefix("pw_").login(Login::password(&file))];
    everything_arrives(&site, &server, &partners, &[server.fingerprint()]);
    assert!(server.log().contains("Accepted password"), "{}", server.log());
}

/// `shown`: the host key that each partner has to see.
fn everything_arrives(site: &Site, server: &OpenSsh, partners: &[Partner], shown: &[&str]) {
    // More than a window of SFTP requests, and not a whole number of them.
    let image = binary(3_000_001, 1);
    let files: [(&str, &[u8], &str, &[u8]); 4] = [
        ("claims/monday.ndjson", CLAIMS.as_bytes(), "monday.csv", CLAIMS_CSV.as_bytes()),
        ("images/scan.pdf", &image, "scan.pdf", &image),
        ("a b+c \u{fc} %41.txt", b"\r\n\0\x1a\r\n", "a b+c \u{fc} %41.txt", b"\r\n\0\x1a\r\n"),
        ("empty.txt", b"", "empty.txt", b""),
    ];
    let remote_name = |partner: &Partner, name: &str| format!("{}{name}", partner.prefix);
    let expected: Vec<(String, &[u8])> = partners
        .iter()
        .flat_map(|partner| files.map(|(_, _, name, content)| (remote_name(partner, name), content)))
        .collect();
    let watch = FolderWatch::start(server.folder(), expected.iter().map(|(n, c)| (n.as_str(), *c)));

    site.apply(partners).unwrap();
    let mut up = site.up().unwrap();
    for (key, content, _, _) in files {
        site.put(key, content).unwrap();
    }
    for (partner, shown) in partners.iter().zip(shown) {
        for (key, _, name, content) in files {
            let delivery = site.wait_for_state(key, &partner.endpoint(), "delivered", 0).unwrap();
            let name = remote_name(partner, name);
            assert_eq!(std::fs::read(server.folder().join(&name)).unwrap(), content, "{name}");
            assert_receipt(&delivery, &name, content, shown);
        }
    }
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}

fn assert_receipt(delivery: &Value, name: &str, content: &[u8], host_key: &str) {
    let attempts = delivery["attempt"].as_array().unwrap();
    // A busy machine may lose a lease; then an earlier attempt ended without a word.
    let receipt = attempts.last().unwrap();
    let part = |of: &Value, fields: &[&str]| -> Value {
        fields
            .iter()
            .map(|field| ((*field).to_owned(), of[*field].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let fields = [
        "outcome",
        "remote_final",
        "remote_size",
        "sha256",
        "peer_identity",
        "confirmed_by",
        "code",
        "bytes_sent",
    ];
    let wanted = json!({
        "outcome": "delivered", "remote_final": name, "remote_size": content.len(), "sha256": sha256(content),
        "peer_identity": host_key, "confirmed_by": "reply", "code": null, "bytes_sent": content.len(),
    });
    assert_eq!(part(receipt, &fields), wanted, "{delivery:#}");
    let wanted =
        json!({"remote_name": name, "sha256": sha256(content), "fault": null, "possible_duplicate": false});
    assert_eq!(part(delivery, &["remote_name", "sha256", "fault", "possible_duplicate"]), wanted);
    assert!(delivery["settled_at"].as_i64() >= receipt["started_at"].as_i64(), "{delivery:#}");
}
