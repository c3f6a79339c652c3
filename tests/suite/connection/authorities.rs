//! Host certificates.

use std::path::Path;

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site};

use super::{assert_refused, assert_sent, key_pair, keygen, lines, send_with_key};

/// Gives the server a certificate by `ca`, made with these options of ssh-keygen, and starts it anew.
fn certify(server: &mut OpenSsh, ca: &Path, options: &[&str]) {
    let public = server.host_key_file().with_extension("pub");
    let (ca, public) = (ca.to_str().unwrap(), public.to_str().unwrap());
    keygen(Path::new("/"), &[&["-s", ca, "-I", "test", "-h"], options, &[public]].concat());
    let certificate = server.host_key_file().with_file_name("host_ed25519-cert.pub");
    server.stop().unwrap();
    server.set_lines(lines(&[&format!("HostCertificate \"{}\"", certificate.display())]));
    server.start_again().unwrap();
}

#[test]
fn a_certificate_is_believed_when_everything_about_it_is_right() {
    let mut server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let (ca, other) = (key_pair(work.path(), "ca", &["ed25519"]), key_pair(work.path(), "other", &["ecdsa"]));
    let file = |of: &Path| of.with_extension("pub").to_str().unwrap().to_owned();
    let (ca_file, other_file) = (file(&ca), file(&other));
    let by_ca = ["--host-ca", ca_file.as_str()];

    let bare = send_with_key(&server, work.path(), &by_ca);
    assert_refused(
        &server,
        &bare,
        "sftp.hostkey.certificate",
        &["without a certificate", server.fingerprint()],
    );

    certify(&mut server, &ca, &["-n", "127.0.0.1", "-V", "-5m:+1h"]);
    assert_sent(&server, &send_with_key(&server, work.path(), &by_ca));
    assert_sent(
        &server,
        &send_with_key(&server, work.path(), &["--host-ca", &other_file, "--host-ca", &ca_file]),
    );
    // The key in the certificate may be pinned as any other; a pin of another key does not shut the authority out.
    assert_sent(&server, &send_with_key(&server, work.path(), &["--host-key", server.fingerprint()]));
    let pinned = ["--host-ca", &other_file, "--host-key", server.fingerprint()];
    assert_sent(&server, &send_with_key(&server, work.path(), &pinned));
    let nobodys = ["--host-key", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"];
    assert_sent(&server, &send_with_key(&server, work.path(), &[&nobodys[..], &by_ca].concat()));

    let wrong = send_with_key(&server, work.path(), &["--host-ca", &other_file]);
    assert_refused(&server, &wrong, "sftp.hostkey.certificate", &["none of the endpoint's host_cas"]);
    for (options, why) in [
        (&["-n", "sftp.other.example"][..], "is for sftp.other.example, not for 127.0.0.1"),
        (&["-n", "127.0.0.1", "-V", "-2d:-1d"], "no longer valid"),
        (&["-n", "127.0.0.1", "-V", "+1d:+2d"], "not yet valid"),
        (&[], "is for nobody"),
    ] {
        certify(&mut server, &ca, options);
        let refused = send_with_key(&server, work.path(), &by_ca);
        assert_refused(&server, &refused, "sftp.hostkey.certificate", &[why]);
    }
}

#[test]
fn a_certificate_signed_with_sha1_is_for_compat_alone() {
    let mut server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let ca = key_pair(work.path(), "ca", &["rsa", "-b", "2048"]);
    certify(&mut server, &ca, &["-t", "ssh-rsa", "-n", "127.0.0.1"]);
    let public = ca.with_extension("pub");
    let by_ca = ["--host-ca", public.to_str().unwrap()];
    let refused = send_with_key(&server, work.path(), &by_ca);
    assert_refused(&server, &refused, "sftp.hostkey.certificate", &["is signed with SHA-1"]);
    assert_sent(
        &server,
        &send_with_key(&server, work.path(), &[&by_ca[..], &["--profile", "compat"]].concat()),
    );
}

#[test]
fn a_receipt_names_the_key_and_its_authority() {
    let site = need!(Site::on_sqlite());
    let mut server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let ca = key_pair(work.path(), "ca", &["rsa", "-b", "2048"]);
    certify(&mut server, &ca, &["-n", "sftp.acme.example,gateway"]);
    let public = std::fs::read_to_string(ca.with_extension("pub")).unwrap();
    let host_cas = format!("host_cas = [{{ key = \"{}\", principals = [\"gateway\"] }}]", public.trim());
    let mut partner = Partner::at("acme", &server).with(&host_cas);
    partner.host_keys.clear();
    site.apply(&[partner]).unwrap();
    let up = site.up().unwrap();
    site.put("1.txt", "statement").unwrap();
    let delivery = site.wait_for_state("1.txt", "acme/sftp", "delivered", 30).unwrap();
    let receipt = &delivery["attempt"][0];
    let identity = receipt["peer_identity"].as_str().unwrap();
    let start = format!("{} certified by SHA256:", server.fingerprint());
    assert!(identity.starts_with(&start), "{identity}");
    assert_eq!(receipt["agreed"]["host_key"], "ssh-ed25519-cert-v01@openssh.com", "{receipt:#}");
    let endpoint = site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(endpoint["host_cas"][0]["principals"][0], "gateway", "{endpoint:#}");
    drop(up);
}
