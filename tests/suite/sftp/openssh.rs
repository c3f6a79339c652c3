//! OpenSSH as partners set it up.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use outport_core::{Code, code};
use outport_send::sftp::SftpConnector;
use outport_send::{ConnectFault, Connector, Outcome, Stage, Target};
use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::servers::tmpfs::SmallDisk;
use outport_tests::set;
use outport_tests::site::{FolderWatch, Partner, Site, Whole};

use super::source::Generated;
use super::{NoFence, Server, by_key, connect, content, delivered, names, push, send, upload};

fn with_lines(lines: &[&str]) -> Config {
    Config { lines: lines.iter().map(ToString::to_string).collect(), ..Config::default() }
}

async fn refused(target: &Target) -> ConnectFault {
    match SftpConnector.connect(target).await {
        Ok(_) => panic!("it connected"),
        Err(failed) => failed,
    }
}

#[track_caller]
fn failed(outcome: Outcome, expected: &Code, at: Stage) {
    match outcome {
        Outcome::Failed { fault, stage, .. } => {
            assert_eq!((fault.code.name, stage), (expected.name, at), "{fault}");
            assert!(fault.message.contains("acme/sftp"), "{fault}");
        }
        other => panic!("{other:?}"),
    }
}

/// A server that wants new keys after so many bytes, and logs each change.
fn rekeying(limit: &str) -> anyhow::Result<OpenSsh> {
    OpenSsh::start(with_lines(&[&format!("RekeyLimit {limit}"), "LogLevel DEBUG1"]))
}

/// Sends so many bytes, and says how often keys were changed meanwhile.
async fn rekeyed(server: &OpenSsh, size_bytes: u64) -> usize {
    let whole = Whole::sized(size_bytes, Generated::sum(size_bytes));
    let watch = FolderWatch::of(server.folder(), [("a", whole)]);
    let remote = connect(&server.target()).await;
    let mut source = Generated::new(size_bytes);
    let receipt = delivered(push(&*remote, &upload("a", 1), &mut source, &NoFence).await);
    assert_eq!(receipt.size_bytes, size_bytes);
    watch.finish().unwrap();
    server.log().matches("SSH2_MSG_KEXINIT received").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_every_mebibyte() {
    let server = need!(rekeying("1M"));
    let changes = rekeyed(&server, 24 << 20).await;
    // Not one for each: while keys change, up to a window (2 MiB) is still under way with the old ones.
    assert!(changes >= 8, "{changes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_every_64_mebibytes() {
    need!(set::full());
    let server = need!(rekeying("64M"));
    let changes = rekeyed(&server, 256 << 20).await;
    assert!(changes > 3, "{changes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_without_sftp_behind_them() {
    let missing = &code::SFTP_SUBSYSTEM_MISSING;
    for (config, expected, quoted) in [
        (Config { without_sftp: true, ..Config::default() }, missing, "refused the subsystem"),
        (with_lines(&["ForceCommand false"]), missing, ""),
        (with_lines(&["MaxSessions 0"]), &code::ENDPOINT_BUSY, "opens no session"),
        (with_lines(&["ForceCommand echo Welcome to ACME"]), &code::SFTP_PROTOCOL, ""),
    ] {
        let server = need!(OpenSsh::start(config.clone()));
        let failed = refused(&server.target()).await;
        assert_eq!(
            (failed.fault.code.name, failed.stage),
            (expected.name, Stage::Authenticating),
            "{config:?} {failed}"
        );
        assert!(failed.fault.message.contains(quoted), "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jail_has_its_own_root() {
    let server = need!(OpenSsh::start(Config { chroot: true, ..Config::default() }));
    let watch = FolderWatch::start(server.folder(), [("a", &b"one"[..]), ("b", b"two")]);
    let remote = connect(&server.target()).await;
    delivered(send(&*remote, &upload("/in/a", 1), b"one").await);
    delivered(send(&*remote, &upload("b", 1), b"two").await);
    // Its root belongs to root.
    failed(
        send(&*remote, &upload("/c", 1), b"three").await,
        &code::REMOTE_PERMISSION_DENIED,
        Stage::Uploading,
    );
    watch.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_only_be_read_or_only_be_written() {
    let denied = &code::REMOTE_PERMISSION_DENIED;
    let server = need!(OpenSsh::start(Config { sftp_options: "-R", ..Config::default() }));
    let remote = connect(&server.target()).await;
    failed(send(&*remote, &upload("a", 1), b"content").await, denied, Stage::Uploading);
    assert_eq!(names(server.folder()), [""; 0]);

    let server = need!(OpenSsh::start(Config::default()));
    for (name, mode) in [("readable", 0o555), ("writable", 0o333)] {
        std::fs::create_dir(server.folder().join(name)).unwrap();
        std::fs::set_permissions(server.folder().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // Made by whoever runs the tests.
    let folders = std::fs::Permissions::from_mode(0o777);
    let remote = connect(&server.target()).await;
    failed(send(&*remote, &upload("readable/a", 1), b"content").await, denied, Stage::Uploading);
    // Not to be listed is no hindrance: single names may be looked at.
    delivered(send(&*remote, &upload("writable/a", 1), b"content").await);
    std::fs::set_permissions(server.folder().join("writable"), folders).unwrap();
    assert_eq!(names(&server.folder().join("writable")), ["a"]);

    // A drop box that shows nothing at all: what cannot be verified gets no final name, and leaves nothing behind.
    let server =
        need!(OpenSsh::start(Config { sftp_options: "-P stat,lstat,fstat,opendir", ..Config::default() }));
    let remote = connect(&server.target()).await;
    failed(send(&*remote, &upload("a", 1), b"content").await, denied, Stage::Verifying);
    assert!(remote.alive());
    assert_eq!(names(server.folder()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_next_file_finds_room() {
    let disk = need!(SmallDisk::mount(2 * 1024 * 1024));
    let server = need!(OpenSsh::start(Config { folder: Some(disk.path().to_owned()), ..Config::default() }));
    let small = content(100_000, 1);
    let watch = FolderWatch::start(server.folder(), [("small", small.as_slice())]);
    let remote = connect(&server.target()).await;
    failed(
        send(&*remote, &upload("large", 1), &content(6_000_000, 2)).await,
        &code::REMOTE_DISK_FULL,
        Stage::Uploading,
    );
    assert_eq!(names(server.folder()), [""; 0], "the temp file takes room");
    delivered(send(&*remote, &upload("small", 1), &small).await);
    watch.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_someone_else_stays_where_it_is() {
    // With posix-rename, and without: then the old file would have to be removed first.
    for (sftp_options, expected) in
        [("", &code::REMOTE_PERMISSION_DENIED), ("-P posix-rename", &code::REMOTE_EXISTS)]
    {
        // As root: the file and the sticky folder are root's. sshd needs it for passwords.
        let server = need!(OpenSsh::start(Config { password: true, sftp_options, ..Config::default() }));
        std::os::unix::fs::chown(server.folder(), Some(0), Some(0)).unwrap();
        std::fs::set_permissions(server.folder(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        std::fs::write(server.folder().join("a"), "root's own").unwrap();
        let watch = FolderWatch::start(server.folder(), [("a", &b"root's own"[..])]);
        let remote = connect(&server.target()).await;
        failed(send(&*remote, &upload("a", 1), b"content").await, expected, Stage::Renaming);
        assert!(remote.alive());
        watch.finish().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_posix_rename_the_old_file_goes_first() {
    let server = need!(OpenSsh::start(Config { sftp_options: "-P posix-rename", ..Config::default() }));
    std::fs::write(server.folder().join("a"), "old").unwrap();
    // The folder is the user's own: it may remove what others have put there.
    let new = content(200_000, 4);
    let watch = FolderWatch::of(server.folder(), [("a", Whole::new(&new).after(3))]);
    let remote = connect(&server.target()).await;
    delivered(send(&*remote, &upload("a", 1), &new).await);
    watch.finish().unwrap();
}

/// A server that has room for one connection that has not logged in yet, and a connection that takes it.
fn crowded() -> anyhow::Result<(OpenSsh, TcpStream)> {
    let server = OpenSsh::start(with_lines(&["MaxStartups 1", "LoginGraceTime 600"]))?;
    let waiting = TcpStream::connect(server.address())?;
    // Its banner: the server has taken it, and counts it.
    std::io::Read::read_exact(&mut &waiting, &mut [0; 4])?;
    Ok((server, waiting))
}

#[test]
fn a_busy_server_is_asked_again_and_not_blamed() {
    let site = need!(Site::on_sqlite());
    let (server, waiting) = need!(crowded());
    let watch = FolderWatch::start(server.folder(), [("a", &b"content"[..])]);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    site.put("a", "content").unwrap();
    let delivery =
        site.wait_for_delivery("a", "acme/sftp", 600, |d| d["attempts"].as_i64() >= Some(3)).unwrap();
    assert_eq!(delivery["fault_code"], "endpoint.busy", "{delivery:#}");
    assert_eq!(delivery["charged"], 0, "{delivery:#}");
    let endpoint = site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(endpoint["strikes"], 0, "{endpoint:#}");
    assert!(endpoint["blocked_reason"].is_null(), "{endpoint:#}");
    drop(waiting);
    site.wait_for_state("a", "acme/sftp", "delivered", 1800).unwrap();
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_for_another_connection_is_busy() {
    let (server, waiting) = need!(crowded());
    let failed = refused(&server.target()).await;
    assert_eq!((failed.fault.code.name, failed.stage), ("endpoint.busy", Stage::Connecting), "{failed}");
    drop(waiting);
    // It notices a moment later.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match SftpConnector.connect(&server.target()).await {
            Ok(remote) => {
                delivered(send(&*remote, &upload("a", 1), b"content").await);
                return;
            }
            Err(failed) => assert_eq!(failed.fault.code.name, "endpoint.busy", "{failed}"),
        }
        assert!(Instant::now() < deadline, "it stays busy");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_one_try_is_not_asked_a_second_time() {
    let other = need!(OpenSsh::start(Config::default()));
    for (tries, gets_in) in [(1, false), (2, true)] {
        let server = need!(OpenSsh::start(with_lines(&[&format!("MaxAuthTries {tries}")])));
        let mut target = server.target();
        target.auth.insert(0, by_key(other.key_file()));
        match SftpConnector.connect(&target).await {
            Ok(remote) => {
                assert!(gets_in);
                delivered(send(&*remote, &upload("a", 1), b"content").await);
            }
            Err(failed) => {
                assert!(!gets_in, "{failed}");
                assert_eq!(failed.fault.code, &code::CREDENTIAL_REFUSED, "{failed}");
            }
        }
    }
}
