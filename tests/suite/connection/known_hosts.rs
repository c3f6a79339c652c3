//! known_hosts files as an import.

use outport_tests::need;
use outport_tests::process::{Finished, Outport};
use outport_tests::servers::openssh::{Config, OpenSsh};

use super::{key_pair, keygen};

#[test]
fn what_ssh_keygen_hashed_is_found_and_revoked_keys_are_not_printed() {
    let server = need!(OpenSsh::start(Config { rsa: true, ..Config::default() }));
    let work = tempfile::tempdir().unwrap();
    let ca =
        std::fs::read_to_string(key_pair(work.path(), "ca", &["ed25519"]).with_extension("pub")).unwrap();
    let known = work.path().join("known_hosts");
    std::fs::write(&known, server.known_hosts()).unwrap();
    keygen(work.path(), &["-H", "-f", "known_hosts"]);
    let hashed = std::fs::read_to_string(&known).unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    let revoked = hashed.lines().nth(1).unwrap().split_once(' ').unwrap().1;
    let text = format!("{hashed}@revoked * {revoked}\n@cert-authority [127.0.0.*]:* {ca}* garbage\n");
    std::fs::write(&known, text).unwrap();

    let port = server.address().port().to_string();
    let import = |more: &[&str]| -> Finished {
        let arguments = ["endpoint", "import-known-hosts", "known_hosts", "--host", "127.0.0.1"];
        Outport::new(work.path(), arguments.iter().chain(more)).run().unwrap()
    };
    let found = import(&["--port", &port]);
    assert_eq!(found.code, Some(0), "{found:?}");
    let wanted = format!(
        "host_keys = [\n  \"{}\", # ssh-ed25519, line 1\n]\nhost_cas = [\n  {{ key = \"{}\" }}, # line 4\n]\n",
        server.fingerprint(),
        ca.split(' ').take(2).collect::<Vec<_>>().join(" ")
    );
    assert_eq!(found.stdout, wanted);
    assert!(
        found.stderr.contains(&format!("line 3 of known_hosts revokes {}", server.fingerprints()[1])),
        "{found:?}"
    );
    assert!(found.stderr.contains("line 5 of known_hosts was left out"), "{found:?}");
    let json: serde_json::Value = serde_json::from_str(&import(&["--port", &port, "--json"]).stdout).unwrap();
    assert_eq!(json["host_keys"][0]["fingerprint"], server.fingerprint(), "{json:#}");
    assert_eq!(
        std::fs::read_dir(work.path())
            .unwrap()
            .filter(|e| e.as_ref().is_ok_and(|e| e.path().is_dir()))
            .count(),
        0,
        "it opens no database"
    );

    let arguments = ["endpoint", "import-known-hosts", "known_hosts", "--host", "10.0.0.1"];
    let other = Outport::new(work.path(), arguments).run().unwrap();
    assert_eq!(other.code, Some(1), "{other:?}");
    let missing =
        Outport::new(work.path(), ["endpoint", "import-known-hosts", "none", "--host", "h"]).run().unwrap();
    assert!(missing.stderr.contains("[local.io_failed]"), "{missing:?}");
}
