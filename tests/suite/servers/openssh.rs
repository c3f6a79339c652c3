use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use outport_tests::child::{Child, Stream};
use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::servers::tmpfs::SmallDisk;

const SOON: Duration = Duration::from_secs(30);

/// How the client proves who it is.
enum Proof<'a> {
    Key(&'a Path),
    Password(&'a str),
}

/// The options of OpenSSH's own clients, so that nothing here rests on our code. `work` is the client's folder.
fn options(server: &OpenSsh, work: &Path, proof: &Proof<'_>) -> Vec<String> {
    std::fs::write(work.join("known_hosts"), server.known_hosts()).unwrap();
    let mut options = vec![
        "UserKnownHostsFile=known_hosts".to_owned(),
        "GlobalKnownHostsFile=none".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
        format!("Port={}", server.address().port()),
        format!("User={}", server.login().user),
    ];
    options.extend(match proof {
        Proof::Key(file) => [
            "PreferredAuthentications=publickey".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            format!("IdentityFile={}", file.display()),
        ],
        // Before sftp's -b, which forbids passwords.
        Proof::Password(_) => [
            "PreferredAuthentications=password".to_owned(),
            "NumberOfPasswordPrompts=1".to_owned(),
            "BatchMode=no".to_owned(),
        ],
    });
    let options = options.into_iter().flat_map(|option| ["-o".to_owned(), option]);
    ["-F", "none"].map(str::to_owned).into_iter().chain(options).collect()
}

/// Runs the commands in `batch`.
fn sftp(server: &OpenSsh, work: &Path, proof: &Proof<'_>, batch: &str) -> Child {
    let mut command = Command::new("sftp");
    if let Proof::Password(password) = proof {
        // ssh takes a password from a program only; this one reads it from the environment.
        let ask = work.join("ask");
        std::fs::write(&ask, "#!/bin/sh\nprintf '%s\\n' \"$PASSWORD\"\n").unwrap();
        std::fs::set_permissions(&ask, std::fs::Permissions::from_mode(0o700)).unwrap();
        command.env("SSH_ASKPASS", ask).env("SSH_ASKPASS_REQUIRE", "force").env("PASSWORD", password);
    }
    std::fs::write(work.join("batch"), batch).unwrap();
    command.current_dir(work).args(options(server, work, proof)).args(["-b", "batch", "127.0.0.1"]);
    Child::start("sftp", command).unwrap()
}

/// A session in which nothing happens; it is logged in when this returns.
fn idle_session(server: &OpenSsh, proof: &Proof<'_>) -> Child {
    let work = tempfile::tempdir().unwrap();
    // A pipe that is open for writing too never ends.
    let script = "mkfifo idle && exec ssh \"$@\" <>idle";
    let mut command = Command::new("sh");
    command.current_dir(work.path()).args(["-c", script, "sh", "-v"]);
    command.args(options(server, work.path(), proof)).args(["-s", "127.0.0.1", "sftp"]);
    let session = Child::start("ssh", command).unwrap();
    session.wait_for_line(Stream::Err, "Sending subsystem: sftp", SOON).unwrap();
    session
}

/// Sends one file and says whether the client was content.
fn send(server: &OpenSsh, proof: &Proof<'_>, remote: &str) -> (bool, String) {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("file"), "to be sent\n").unwrap();
    let mut client = sftp(server, work.path(), proof, &format!("put file \"{remote}\"\n"));
    let ended = client.wait(SOON).unwrap();
    (ended.success(), client.printed(Stream::Err))
}

#[test]
fn keys_log_in_and_a_relative_name_lands_in_the_folder() {
    let server = need!(OpenSsh::start(Config { rsa: true, ..Config::default() }));
    for (key, name) in [(server.key_file(), "by ed25519"), (server.rsa_key_file().unwrap(), "by rsa")] {
        let (sent, said) = send(&server, &Proof::Key(key), name);
        assert!(sent, "{said}\n{}", server.log());
        assert_eq!(std::fs::read(server.folder().join(name)).unwrap(), b"to be sent\n");
    }
    let absolute = format!("{}/by absolute name", server.remote_folder());
    assert!(send(&server, &Proof::Key(server.key_file()), &absolute).0);
    assert!(server.folder().join("by absolute name").exists());
}

#[test]
fn a_key_that_the_server_does_not_know_is_refused() {
    let server = need!(OpenSsh::start(Config::default()));
    let other = need!(OpenSsh::start(Config::default()));
    let (sent, said) = send(&server, &Proof::Key(other.key_file()), "never");
    assert!(!sent && said.contains("Permission denied"), "{said}");
    assert!(!server.folder().join("never").exists());
}

#[test]
fn only_the_right_password_logs_in() {
    let server = need!(OpenSsh::start(Config { password: true, ..Config::default() }));
    let right = server.login().password.clone().unwrap();
    let (sent, said) = send(&server, &Proof::Password(&right), "right");
    assert!(sent, "{said}\n{}", server.log());
    let (sent, said) = send(&server, &Proof::Password("wrong"), "wrong");
    assert!(!sent && said.contains("Permission denied"), "{said}");
    assert!(server.folder().join("right").exists() && !server.folder().join("wrong").exists());
    assert!(server.log().contains("Failed password"), "{}", server.log());
}

#[test]
fn a_chroot_hides_the_rest_of_the_machine() {
    let server = need!(OpenSsh::start(Config { chroot: true, ..Config::default() }));
    let key = Proof::Key(server.key_file());
    for (remote, name) in [("relative", "relative"), ("/in/absolute", "absolute")] {
        let (sent, said) = send(&server, &key, remote);
        assert!(sent, "{said}\n{}", server.log());
        assert!(server.folder().join(name).exists());
    }
    let seen_from_outside = server.folder().join("outside");
    assert!(!send(&server, &key, seen_from_outside.to_str().unwrap()).0);
    assert_eq!(server.remote_folder(), "/in");
}

#[test]
fn the_folder_may_be_a_disk_that_is_too_small() {
    let disk = need!(SmallDisk::mount(8 * 1024));
    let server = need!(OpenSsh::start(Config { folder: Some(disk.path().to_owned()), ..Config::default() }));
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("big"), vec![7; 64 * 1024]).unwrap();
    let mut client = sftp(&server, work.path(), &Proof::Key(server.key_file()), "put big\n");
    assert!(!client.wait(SOON).unwrap().success());
    // OpenSSH's word for a full disk is status 4, whatever the reason.
    assert!(client.printed(Stream::Err).contains("Failure"), "{}", client.printed(Stream::Err));
}

#[test]
fn further_lines_win_over_our_own() {
    let lines = vec!["PubkeyAuthentication no".to_owned()];
    let server = need!(OpenSsh::start(Config { lines, ..Config::default() }));
    assert!(!send(&server, &Proof::Key(server.key_file()), "never").0);
}

#[test]
fn the_fingerprints_are_those_of_the_keys_it_shows() {
    let mut server = need!(OpenSsh::start(Config { rsa: true, ..Config::default() }));
    let before = shown_fingerprints(&server);
    assert_eq!(before, server.fingerprints());
    assert_eq!(before.first().map(String::as_str), Some(server.fingerprint()));

    let address = server.address();
    assert!(server.change_host_keys().is_err());
    server.stop().unwrap();
    server.change_host_keys().unwrap();
    server.start_again().unwrap();
    assert_eq!(server.address(), address);
    assert_eq!(shown_fingerprints(&server), server.fingerprints());
    assert!(server.fingerprints().iter().all(|now| !before.iter().any(|then| then == now)));
}

/// What `ssh-keyscan` is shown, ed25519 first.
fn shown_fingerprints(server: &OpenSsh) -> Vec<String> {
    let port = server.address().port().to_string();
    let scan = |kind: &str| {
        let keys =
            Command::new("ssh-keyscan").args(["-T", "30", "-t", kind, "-p", &port, "127.0.0.1"]).output();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), keys.unwrap().stdout).unwrap();
        let listed = Command::new("ssh-keygen").args(["-lf"]).arg(file.path()).output().unwrap();
        String::from_utf8(listed.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    vec![scan("ed25519"), scan("rsa")]
}

#[test]
fn cutting_connections_ends_sessions_and_not_the_server() {
    let mut server = need!(OpenSsh::start(Config::default()));
    let key_file = server.key_file().to_owned();
    let key = Proof::Key(&key_file);
    let mut session = idle_session(&server, &key);
    server.cut_connections().unwrap();
    assert!(!session.wait(SOON).unwrap().success());
    assert!(send(&server, &key, "afterwards").0, "{}", server.log());

    let mut session = idle_session(&server, &key);
    server.stop().unwrap();
    assert!(!session.wait(SOON).unwrap().success());
    assert!(std::net::TcpStream::connect(server.address()).is_err());
    assert!(server.log().contains("Accepted publickey"), "{}", server.log());
}
