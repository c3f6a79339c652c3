//! OpenSSH user certificates, on a server with its own idea of algorithms.

use std::path::Path;

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};

use super::{assert_refused, assert_sent, key_pair, keygen, lines, send};

fn certify(ca: &Path, key: &Path, options: &[&str]) {
    let (ca, public) = (ca.to_str().unwrap(), key.with_extension("pub"));
    keygen(Path::new("/"), &[&["-s", ca, "-I", "test"], options, &[public.to_str().unwrap()]].concat());
}

#[test]
fn every_kind_of_certificate_lets_in_and_a_bad_one_is_found_before_anything_is_sent() {
    let mut server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let ca = key_pair(work.path(), "ca", &["ed25519"]);
    let trusted = format!("TrustedUserCAKeys \"{}\"", ca.with_extension("pub").display());
    server.stop().unwrap();
    server.set_lines(lines(&[&trusted, "LogLevel DEBUG1"]));
    server.start_again().unwrap();
    let user = server.login().user.clone();
    for kind in [&["ed25519"][..], &["rsa", "-b", "2048"], &["ecdsa", "-b", "384"]] {
        let name = kind[0];
        let key = key_pair(work.path(), name, kind);
        let certificate = work.path().join(format!("{name}-cert.pub"));
        let key = key.to_str().unwrap();
        let pinned = ["--host-key", server.fingerprint(), "--identity", key];
        let with = [&pinned[..], &["--certificate", certificate.to_str().unwrap()]].concat();
        let attempt = |arguments: &[&str]| send(&server, "127.0.0.1", work.path(), arguments);

        certify(&ca, Path::new(key), &["-n", &user, "-V", "-5m:+1h"]);
        assert_refused(&server, &attempt(&pinned), "credential.refused", &["refused publickey SHA256:"]);
        assert_sent(&server, &attempt(&with));

        let before = server.log().matches("Connection from").count();
        certify(&ca, Path::new(key), &["-n", &user, "-V", "-2d:-1d"]);
        assert_refused(
            &server,
            &attempt(&with),
            "endpoint.secret_unusable",
            &["no longer valid", "new certificate"],
        );
        certify(&ca, Path::new(key), &["-h", "-n", &user]);
        assert_refused(&server, &attempt(&with), "endpoint.secret_unusable", &["for hosts"]);
        assert_eq!(server.log().matches("Connection from").count(), before, "nothing is sent");

        certify(&ca, Path::new(key), &["-n", "somebody-else"]);
        let refused = attempt(&with);
        assert_refused(&server, &refused, "credential.refused", &["certificate \"test\" by SHA256:"]);
    }
    // The certificate of another key.
    let with = ["--host-key", server.fingerprint(), "--identity", server.key_file().to_str().unwrap()];
    let other = work.path().join("ed25519-cert.pub");
    let mixed = [&with[..], &["--certificate", other.to_str().unwrap()]].concat();
    let refused = send(&server, "127.0.0.1", work.path(), &mixed);
    assert_refused(&server, &refused, "endpoint.secret_unusable", &["belongs to the key SHA256:"]);
}
