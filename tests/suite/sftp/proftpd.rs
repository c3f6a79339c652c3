//! What only ProFTPD does.

use std::os::unix::fs::PermissionsExt;

use outport_core::code;
use outport_core::upload::{UploadPlan, UploadSpec, Verify};
use outport_send::sftp::SftpConnector;
use outport_send::{Connector, Outcome, Stage};
use outport_tests::need;
use outport_tests::servers::proftpd::{Config, ProFtpd};
use outport_tests::servers::tmpfs::SmallDisk;
use outport_tests::site::{FolderWatch, Whole};

use super::{Server, by_password, connect, content, delivered, names, send, upload};

fn with_lines(lines: &[&str]) -> Config {
    Config { lines: lines.iter().map(ToString::to_string).collect(), ..Config::default() }
}

/// Logs in with the wrong password, and then with the right one.
async fn passwords(server: &ProFtpd, right: &str, tried: &str) {
    let mut target = server.target();
    target.auth = vec![by_password("wr0ng-battery")];
    let failed = SftpConnector.connect(&target).await.err().expect("a wrong password logs in");
    assert_eq!(failed.fault.code, &code::CREDENTIAL_REFUSED, "{failed}\n{}", server.log());
    assert!(failed.fault.message.contains(tried), "{failed}");
    assert!(!failed.fault.message.contains("battery"), "{failed}");
    target.auth = vec![by_password(right)];
    delivered(send(&*connect(&target).await, &upload("a", 1), b"content").await);
    assert_eq!(names(server.folder()), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_logs_in() {
    let server = need!(ProFtpd::start(&Config::default()));
    passwords(&server, ProFtpd::PASSWORD, "password").await;
    let refusals = server.log().matches("Login failed").count();
    assert_eq!(refusals, 1, "one try, or accounts get locked: {}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_answers_the_question_of_pam() {
    let server = need!(ProFtpd::start(&Config { questions: true, ..Config::default() }));
    let right = server.login().password.clone().unwrap();
    passwords(&server, &right, "keyboard-interactive").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_posix_rename_the_old_file_goes_first() {
    let server = need!(ProFtpd::start(&with_lines(&["SFTPExtensions -posixRename"])));
    let new = content(200_000, 4);
    std::fs::write(server.folder().join("a"), "old").unwrap();
    let watch = FolderWatch::of(server.folder(), [("a", Whole::new(&new).after(3))]);
    let remote = connect(&server.target()).await;
    delivered(send(&*remote, &upload("a", 1), &new).await);
    watch.finish().unwrap();
}

/// It announces `check-file` to nobody who speaks version 3.
#[tokio::test(flavor = "multi_thread")]
async fn a_sum_that_it_does_not_offer_is_missed_before_anything_is_sent() {
    let server = need!(ProFtpd::start(&Config::default()));
    let remote = connect(&server.target()).await;
    let mut upload = upload("a", 1);
    upload.plan =
        UploadPlan::try_from(&UploadSpec { verify: Verify::Checksum, ..UploadSpec::default() }).unwrap();
    let outcome = send(&*remote, &upload, b"content").await;
    let Outcome::Failed { fault, bytes_sent: 0, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, &code::REMOTE_UNSUPPORTED, "{fault}");
    assert_eq!(names(server.folder()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_refuses() {
    let server = need!(ProFtpd::start(&Config::default()));
    let locked = server.folder().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    let remote = connect(&server.target()).await;
    let outcome = send(&*remote, &upload("locked/a", 1), b"content").await;
    let Outcome::Failed { fault, stage: Stage::Uploading, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, &code::REMOTE_PERMISSION_DENIED, "{fault}");
    delivered(send(&*remote, &upload("a", 1), b"content").await);
    assert_eq!((names(server.folder()), names(&locked)), (vec!["a".into(), "locked".into()], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_next_file_finds_room() {
    let disk = need!(SmallDisk::mount(2 * 1024 * 1024));
    let config = Config { folder: Some(disk.path().to_owned()), ..Config::default() };
    let server = need!(ProFtpd::start(&config));
    let small = content(100_000, 1);
    let watch = FolderWatch::start(server.folder(), [("small", small.as_slice())]);
    let remote = connect(&server.target()).await;
    let outcome = send(&*remote, &upload("large", 1), &content(6_000_000, 2)).await;
    let Outcome::Failed { fault, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, &code::REMOTE_DISK_FULL, "{fault}");
    assert_eq!(names(server.folder()), [""; 0], "the temp file takes room");
    delivered(send(&*remote, &upload("small", 1), &small).await);
    watch.finish().unwrap();
}
