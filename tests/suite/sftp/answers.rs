//! A server that answers anything: each status to each request, late, lost and broken answers (servers::paramiko).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::code;
use outport_send::source::BytesSource;
use outport_send::{
    ConfirmedBy, Earlier, Fence, Opening, Outcome, Remote, RemoteError, RenameIntent, RenameWith, Stage,
    Stop, Target, push,
};
use outport_tests::need;
use outport_tests::servers::paramiko::{Login, Paramiko};
use outport_tests::site::FolderWatch;
use tokio::task::JoinSet;

use super::{Server, by_password, connect, content, delivered, names, send, temp, upload};

/// Which fault code each status becomes, as docs/ERRORS.md tells operators.
fn documented() -> BTreeMap<u32, String> {
    let text = include_str!("../../../docs/ERRORS.md");
    let (_, section) = text.split_once("## What a status of the server becomes").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut found = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let code = cells[3].split('`').nth(1).unwrap();
        for numbers in cells[1].split(", ") {
            let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
            for status in first.parse().unwrap()..=last.parse().unwrap() {
                assert!(found.insert(status, code.to_owned()).is_none(), "{status} stands there twice");
            }
        }
    }
    found
}

/// The code of the fault of one request, answered with `status`; `None`: that was no fault.
async fn asked(remote: &dyn Remote, folder: &Path, operation: &str, status: u32) -> Option<&'static str> {
    let name = format!("{operation}{status},{operation}={status}");
    let write = || std::fs::write(folder.join(&name), "content").unwrap();
    let fault = match operation {
        "open" => remote.create(&name, Opening::Replace).await.err(),
        "write" => {
            let mut file = remote.create(&name, Opening::Replace).await.unwrap();
            match file.write(Bytes::from_static(b"content")).await {
                Ok(()) => file.close().await.err().map(RemoteError::into_fault),
                Err(fault) => Some(fault),
            }
        }
        "close" => remote
            .create(&name, Opening::Replace)
            .await
            .unwrap()
            .close()
            .await
            .err()
            .map(RemoteError::into_fault),
        "stat" => {
            write();
            remote.stat(&name).await.err()
        }
        "remove" => {
            write();
            remote.remove(&name).await.err()
        }
        "rename" => {
            std::fs::write(folder.join("source"), "content").unwrap();
            remote.rename("source", &name, RenameWith::Best).await.err().map(RemoteError::into_fault)
        }
        other => panic!("{other}"),
    };
    let fault = fault?;
    assert!(fault.message.contains(&format!("status {status}")), "{fault}");
    Some(fault.code.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_to_every_request_is_a_fault_of_that_request_alone() {
    let server = need!(Paramiko::start(Login::default(), None));
    let table = documented();
    let remote = connect(&server.target()).await;
    for status in (1..=31).chain([32, 100, 255, u32::MAX]) {
        let expected = table.get(&status).map_or("remote.failure", String::as_str);
        for operation in ["open", "write", "close", "stat", "rename", "remove"] {
            let found = asked(&*remote, server.folder(), operation, status).await;
            // The exceptions that stand below the table.
            let expected = match (operation, status) {
                // A look shows that the folder is there; and what is not there needs not be removed.
                ("open" | "write" | "close" | "rename", 2 | 10) => Some("remote.failure"),
                ("stat" | "remove", 2 | 10) => None,
                ("write" | "close" | "remove", 5) => Some("remote.unsupported"),
                _ => Some(expected),
            };
            assert_eq!(found, expected, "{operation} {status}");
            assert!(remote.alive(), "{operation} {status}");
        }
        delivered(send(&*remote, &upload(&format!("next {status}"), 1), b"content").await);
    }
}

/// Remembers what the engine would store before a rename.
#[derive(Default)]
struct Notes(Mutex<Option<RenameIntent>>);

#[async_trait]
impl Fence for Notes {
    fn check(&self) -> Result<(), Stop> {
        Ok(())
    }

    async fn enter_renaming(&self, intent: &RenameIntent) -> Result<(), Stop> {
        *self.0.lock().unwrap() = Some(intent.clone());
        Ok(())
    }
}

const SIZE: usize = 100_000;

/// Sends `name` twice, as the engine would: the second attempt knows what the first has stored. The outcome of the first
/// comes back, and the receipt of the second if one was needed.
async fn until_delivered(target: &Target, name: &str) -> (Outcome, Option<outport_send::Receipt>) {
    let content = content(SIZE, 5);
    let notes = Notes::default();
    let remote = connect(target).await;
    let one = upload(name, 1);
    let first = push(&*remote, &one, &mut BytesSource::new(content.clone()), &notes).await;
    remote.close().await;
    let mut two = upload(name, 2);
    match &first {
        Outcome::Delivered(_) => return (first, None),
        Outcome::Unknown { .. } => {
            let intent: Earlier = notes.0.lock().unwrap().clone().unwrap();
            two.earlier = Some(intent);
        }
        _ => two.stale_temps = vec![temp(name, 1)],
    }
    let remote = connect(target).await;
    let second = delivered(push(&*remote, &two, &mut BytesSource::new(content), &Notes::default()).await);
    remote.close().await;
    (first, Some(second))
}

/// Sends a file for each pair, all at a time, and watches that none is ever shorter under its final name.
async fn all(
    server: &Paramiko,
    progress: Duration,
    cases: &[(&str, &str)],
) -> Vec<(Outcome, Option<outport_send::Receipt>)> {
    let content = content(SIZE, 5);
    let name = |(operation, act): &(&str, &str)| format!("{operation}-{act},{operation}={act}");
    let finals: Vec<String> = cases.iter().map(name).collect();
    let watch =
        FolderWatch::start(server.folder(), finals.iter().map(|name| (name.as_str(), content.as_slice())));
    let mut target = server.target();
    target.timeouts.progress = progress;
    let mut sends = JoinSet::new();
    for (n, name) in finals.into_iter().enumerate() {
        let target = target.clone();
        sends.spawn(async move { (n, until_delivered(&target, &name).await) });
    }
    let mut found: Vec<_> = sends.join_all().await;
    watch.finish().unwrap_or_else(|fault| panic!("{fault:#}"));
    found.sort_by_key(|(n, _)| *n);
    found.into_iter().map(|(_, ends)| ends).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_answer_is_lost_the_next_attempt_knows_what_to_do() {
    let server = need!(Paramiko::start(Login::default(), None));
    let broken = &code::ENDPOINT_RESET;
    let silent = &code::ENDPOINT_TIMEOUT;
    let mut cases = Vec::new();
    for operation in ["open", "write", "close", "stat", "rename"] {
        for (act, code) in [("cut", broken), ("cutbefore", broken), ("lost", silent), ("ignored", silent)] {
            cases.push((operation, act, code));
        }
    }
    let pairs: Vec<(&str, &str)> = cases.iter().map(|(operation, act, _)| (*operation, *act)).collect();
    let ends = all(&server, Duration::from_secs(2), &pairs).await;
    for ((operation, act, expected), (first, second)) in cases.into_iter().zip(ends) {
        let second = second.unwrap_or_else(|| panic!("{operation}={act}: {first:?}"));
        match (operation, first) {
            ("rename", Outcome::Unknown { fault, stage: Stage::Renaming, bytes_sent }) => {
                assert_eq!((fault.code.name, bytes_sent), (expected.name, SIZE as u64), "{act}");
                // It was done, and a look tells; or the whole temp file is there, and gets its name.
                let done = matches!(act, "cut" | "lost");
                let by = if done { ConfirmedBy::Probe } else { ConfirmedBy::Reply };
                assert_eq!((second.confirmed_by, second.bytes_sent), (by, 0), "{act}: it is not sent twice");
                assert!(!second.possible_duplicate, "{act}");
            }
            (_, Outcome::Failed { fault, .. }) => {
                assert_eq!(fault.code.name, expected.name, "{operation}={act}: {fault}");
                assert_eq!(second.bytes_sent, SIZE as u64, "{operation}={act}");
            }
            (_, first) => panic!("{operation}={act}: {first:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answers_are_waited_for() {
    let server = need!(Paramiko::start(Login::default(), None));
    let cases = ["open", "close", "stat", "rename"].map(|operation| (operation, "late"));
    for (first, second) in all(&server, Duration::from_secs(30), &cases).await {
        assert!(second.is_none(), "{first:?}");
    }
    // Four pieces, each acknowledged a second later: longer than the limit together, and never silent for so long.
    let mut target = server.target();
    target.timeouts.progress = Duration::from_millis(2500);
    let remote = connect(&target).await;
    delivered(send(&*remote, &upload("slow,write=late!", 1), &content(SIZE, 3)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_answers_end_in_a_fault_and_the_next_attempt_delivers() {
    let server = need!(Paramiko::start(Login::default(), None));
    let acts = ["data", "handle", "attrs", "otherid", "twice", "short", "huge", "zero", "text"];
    let operations = ["open", "write", "close", "stat", "rename"];
    let cases: Vec<(&str, &str)> =
        operations.iter().flat_map(|operation| acts.map(|act| (*operation, act))).collect();
    let ends = all(&server, Duration::from_secs(20), &cases).await;
    for ((operation, act), (first, _)) in cases.into_iter().zip(ends) {
        let fault = match first {
            // The first of two answers is good; what a look shows counts more than a senseless answer to a rename; and a
            // look ahead with a senseless answer is done again.
            Outcome::Delivered(_) if act == "twice" || matches!(operation, "rename" | "stat") => continue,
            Outcome::Failed { fault, .. } => fault,
            Outcome::Unknown { fault, .. } if operation == "rename" => fault,
            other => panic!("{operation}={act}: {other:?}"),
        };
        let expected: &[&str] = match (operation, act) {
            // A handle that is none: the server says so when it is used.
            ("open", "handle") => &["remote.unsupported"],
            _ => &["sftp.protocol"],
        };
        assert!(expected.contains(&fault.code.name), "{operation}={act}: {fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_window_is_filled_again_and_again() {
    let server = need!(Paramiko::start(Login::default(), Some(32 * 1024)));
    let content = content(3_000_000, 8);
    let watch = FolderWatch::start(server.folder(), [("a", content.as_slice())]);
    let remote = connect(&server.target()).await;
    delivered(send(&*remote, &upload("a", 1), &content).await);
    watch.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_asks_questions_is_answered_once() {
    let server = need!(Paramiko::start(Login::Questions, None));
    let mut target = server.target();
    target.auth = vec![by_password("wr0ng-battery")];
    let failed = outport_send::Connector::connect(&outport_send::sftp::SftpConnector, &target).await;
    let failed = failed.err().expect("a wrong password logs in");
    assert_eq!(failed.fault.code, &code::CREDENTIAL_REFUSED, "{failed}");
    assert!(!failed.fault.message.contains("battery"), "{failed}");
    target.auth = vec![by_password(Paramiko::PASSWORD)];
    delivered(send(&*connect(&target).await, &upload("a", 1), b"content").await);
    assert_eq!(names(server.folder()), ["a"]);
    let logins = server.logins();
    let asked: Vec<&str> =
        logins.iter().filter_map(|line| line.strip_prefix("login keyboard-interactive ")).collect();
    assert_eq!(asked, ["refused", "taken"], "{logins:?}");
}
