//! Servers that answer what no draft has, late, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use outport_core::code;
use outport_send::sftp::wire::{Attrs, Reply, Request, ServerPacket, open_flags};
use outport_send::source::BytesSource;
use outport_send::{
    NoFence, Opening, Outcome, RemoteError, RenameWith, Stage, Target, Timeouts, Upload, push,
};
use russh::keys::{Algorithm, EcdsaCurve};

use crate::scripted::{Act, Manners, Scripted, friendly, status};
use crate::support::{connect, refused};

const SIZE: u64 = 3;

fn upload() -> Upload {
    Upload::new("a", ".a.part")
}

fn source() -> BytesSource {
    BytesSource::new("abc")
}

fn stat(size: u64) -> Act {
    Act::Answer(Reply::Attrs(Attrs { size: Some(size), ..Attrs::default() }))
}

#[tokio::test]
async fn codes_that_nobody_knows_end_one_request_and_not_the_session() {
    let code = Arc::new(AtomicUsize::new(9));
    let asked = Arc::clone(&code);
    let friendly = friendly(SIZE);
    let server = Scripted::start(Manners::default(), move |request| match request {
        Request::Write { .. } => match asked.load(Ordering::SeqCst) {
            0 => status(0),
            code => status(u32::try_from(code).unwrap()),
        },
        other => friendly(other),
    })
    .await;
    let remote = connect(&server.target()).await.unwrap();
    for unknown in (1..=40).chain([255, 4_294_967_295]) {
        code.store(unknown, Ordering::SeqCst);
        let outcome = push(&*remote, &upload(), &mut source(), &NoFence).await;
        let Outcome::Failed { fault, stage, .. } = outcome else { panic!("{unknown}: {outcome:?}") };
        assert_eq!(stage, Stage::Uploading, "{unknown}");
        assert!(fault.message.contains(&format!("status {unknown}")), "{fault}");
        assert!(remote.alive(), "{unknown}");
    }
    code.store(0, Ordering::SeqCst);
    let outcome = push(&*remote, &upload(), &mut source(), &NoFence).await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_full_disk_behind_a_plain_failure_is_found_by_statvfs() {
    let numbers: [u64; 11] = [4096, 4096, 1000, 0, 0, 500, 400, 400, 0, 0, 255];
    let room = Bytes::from(numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>());
    let friendly = friendly(SIZE);
    let manners = Manners { extensions: vec!["statvfs@openssh.com"], ..Manners::default() };
    let server = Scripted::start(manners, move |request| match request {
        Request::Write { .. } => status(4),
        Request::Extended { .. } => Act::Answer(Reply::Extended(room.clone())),
        other => friendly(other),
    })
    .await;
    let remote = connect(&server.target()).await.unwrap();
    let outcome = push(&*remote, &upload(), &mut source(), &NoFence).await;
    let Outcome::Failed { fault, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, &code::REMOTE_DISK_FULL, "{fault}");
    assert_eq!(
        server.asked(|r| matches!(r, Request::Remove { .. })),
        1,
        "the temp file is removed: it takes room"
    );
}

#[tokio::test]
async fn a_rename_that_does_not_replace_is_done_by_remove_and_rename() {
    // 4 is OpenSSH's RENAME, 11 is ProFTPD's.
    for exists in [4, 11] {
        let removed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&removed);
        let friendly = friendly(SIZE);
        let server = Scripted::start(Manners::default(), move |request| match request {
            Request::Rename { .. } if count.load(Ordering::SeqCst) == 0 => status(exists),
            Request::Remove { path } => {
                assert_eq!(&path[..], b"a");
                count.fetch_add(1, Ordering::SeqCst);
                status(0)
            }
            other => friendly(other),
        })
        .await;
        let remote = connect(&server.target()).await.unwrap();
        let outcome = push(&*remote, &upload(), &mut source(), &NoFence).await;
        assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
        assert_eq!(removed.load(Ordering::SeqCst), 1);
        assert_eq!(server.asked(|r| matches!(r, Request::Rename { .. })), 2);
    }
}

#[tokio::test]
async fn a_rename_that_is_answered_and_not_done_is_caught() {
    let friendly = friendly(SIZE);
    let server = Scripted::start(Manners::default(), move |request| match request {
        Request::Rename { .. } => status(0),
        other => friendly(other),
    })
    .await;
    let remote = connect(&server.target()).await.unwrap();
    let outcome = push(&*remote, &upload(), &mut source(), &NoFence).await;
    let Outcome::Failed { fault, stage: Stage::Confirming, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, &code::REMOTE_FAILURE, "{fault}");
}

#[tokio::test]
async fn a_server_that_offers_posix_rename_and_lacks_it_gets_a_plain_one() {
    let friendly = friendly(SIZE);
    let manners = Manners { extensions: vec!["posix-rename@openssh.com"], ..Manners::default() };
    let server = Scripted::start(manners, move |request| match request {
        Request::Extended { .. } => status(8),
        other => friendly(other),
    })
    .await;
    let remote = connect(&server.target()).await.unwrap();
    remote.rename(".a.part", "a", RenameWith::Best).await.unwrap();
    assert_eq!(server.asked(|r| matches!(r, Request::Rename { .. })), 1);
}

#[tokio::test]
async fn a_rename_without_an_answer_is_ambiguous_and_a_stuck_server_is_given_up() {
    let friendly = friendly(SIZE);
    let server = Scripted::start(Manners::default(), move |request| match request {
        Request::Rename { .. } => Act::Nothing,
        other => friendly(other),
    })
    .await;
    let mut target = server.target();
    target.timeouts = Timeouts { progress: Duration::from_millis(1500), ..Timeouts::default() };
    let remote = connect(&target).await.unwrap();
    let outcome = push(&*remote, &upload(), &mut source(), &NoFence).await;
    let Outcome::Unknown { fault, stage, bytes_sent } = outcome else { panic!("{outcome:?}") };
    assert_eq!((fault.code, stage, bytes_sent), (&code::ENDPOINT_TIMEOUT, Stage::Renaming, 3), "{fault}");
    assert!(!remote.alive());
    // What never went out is no ambiguity.
    assert!(matches!(remote.rename("x", "y", RenameWith::Best).await, Err(RemoteError::Refused(_))));
}

#[tokio::test]
async fn a_channel_closed_instead_of_an_answer_is_ambiguous_too() {
    let friendly = friendly(SIZE);
    let server = Scripted::start(Manners::default(), move |request| match request {
        Request::Rename { .. } => Act::Close,
        other => friendly(other),
    })
    .await;
    let remote = connect(&server.target()).await.unwrap();
    let outcome = push(&*remote, &upload(), &mut source(), &NoFence).await;
    assert!(matches!(outcome, Outcome::Unknown { stage: Stage::Renaming, .. }), "{outcome:?}");
}

#[tokio::test]
async fn garbage_ends_the_session_with_a_fault_for_everyone() {
    let answers: [Vec<u8>; 4] = [
        b"Segmentation fault\n".to_vec(),
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 1, 77],
        ServerPacket::Reply { id: 99_999, reply: Reply::Handle(Bytes::new()) }.encode().to_vec(),
    ];
    for garbage in answers {
        let server = Scripted::start(Manners::default(), move |_| Act::Raw(garbage.clone())).await;
        let remote = connect(&server.target()).await.unwrap();
        let fault = remote.stat("a").await.unwrap_err();
        assert_eq!(fault.code, &code::SFTP_PROTOCOL, "{fault}");
        assert!(!remote.alive());
        assert!(
            remote.stat("a").await.unwrap_err().shared,
            "the second file is told that it is the same fault"
        );
    }
}

#[tokio::test]
async fn answers_of_the_wrong_kind_are_faults_of_one_request() {
    let server = Scripted::start(Manners::default(), |request| match request {
        Request::Stat { .. } => Act::Answer(Reply::Handle(Bytes::from_static(b"h"))),
        _ => stat(1),
    })
    .await;
    let remote = connect(&server.target()).await.unwrap();
    assert_eq!(remote.stat("a").await.unwrap_err().code, &code::SFTP_PROTOCOL);
    assert_eq!(remote.create("a", Opening::Replace).await.err().unwrap().code, &code::SFTP_PROTOCOL);
    assert!(matches!(remote.rename("a", "b", RenameWith::Best).await, Err(RemoteError::Ambiguous(_))));
    assert!(remote.alive());
}

#[tokio::test]
async fn servers_without_sftp() {
    let text = b"Welcome to ACME\nThis account is for SFTP only\n".to_vec();
    let version_5 = ServerPacket::Version { version: 5, extensions: vec![] }.encode().to_vec();
    for (manners, code) in [
        (Manners { subsystem: false, ..Manners::default() }, &code::SFTP_SUBSYSTEM_MISSING),
        (Manners { first: Some(text), ..Manners::default() }, &code::SFTP_PROTOCOL),
        (Manners { first: Some(version_5), ..Manners::default() }, &code::SFTP_PROTOCOL),
    ] {
        let server = Scripted::start(manners, |_| Act::Nothing).await;
        let failed = refused(connect(&server.target()).await);
        assert_eq!((failed.fault.code, failed.stage), (code, Stage::Authenticating), "{}", failed.fault);
    }
}

#[tokio::test]
async fn a_pinned_key_of_another_kind_is_found_before_any_login() {
    let kinds = vec![Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }];
    let server = Scripted::start(Manners { host_keys: kinds, ..Manners::default() }, friendly(SIZE)).await;
    let mut target = server.target();
    target.host_key_pins = vec![server.pins[1]];
    let remote = connect(&target).await.unwrap();
    assert_eq!(remote.identity().fingerprint, server.pins[1].to_string());
    assert_eq!(*server.logins.lock().unwrap(), 1);

    target.host_key_pins = vec!["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".parse().unwrap()];
    let failed = refused(connect(&target).await);
    assert_eq!(failed.fault.code, &code::HOSTKEY_CHANGED);
    for pin in &server.pins {
        assert!(failed.fault.message.contains(&pin.to_string()), "{}", failed.fault);
    }
    assert_eq!(*server.logins.lock().unwrap(), 1, "no login was tried");
}

/// The second channel is asked for after 8 MiB; it is there long before the end.
const LARGE: u64 = 64 << 20;

/// A large file, for servers that do not like the second channel or what comes over it.
async fn large(script: impl Fn(&Request) -> Act + Send + Sync + 'static) -> (Scripted, Outcome) {
    let server = Scripted::start(Manners::default(), script).await;
    let target = Target { second_channel: true, ..server.target() };
    let remote = connect(&target).await.unwrap();
    let outcome = push(&*remote, &upload(), &mut BytesSource::new(vec![7; LARGE as usize]), &NoFence).await;
    assert!(remote.alive(), "{outcome:?}");
    (server, outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_be_open_only_once_stays_on_one_channel() {
    let friendly = friendly(LARGE);
    let (server, outcome) = large(move |request| match request {
        // The second time it is opened as it is.
        Request::Open { flags, .. } if *flags == open_flags::WRITE => status(17),
        other => friendly(other),
    })
    .await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    assert_eq!(server.asked(|r| matches!(r, Request::Open { .. })), 2);
    assert_eq!(server.asked(|r| matches!(r, Request::Close { .. })), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_the_second_channel_refuses_is_a_refusal() {
    const SECOND: &[u8] = b"second";
    let friendly = friendly(LARGE);
    let (server, outcome) = large(move |request| match request {
        Request::Open { flags, .. } if *flags == open_flags::WRITE => {
            Act::Answer(Reply::Handle(Bytes::from_static(SECOND)))
        }
        Request::Write { handle, .. } if &handle[..] == SECOND => status(4),
        other => friendly(other),
    })
    .await;
    let Outcome::Failed { stage: Stage::Uploading, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(server.asked(|r| matches!(r, Request::Rename { .. })), 0);
    assert_eq!(server.asked(|r| matches!(r, Request::Close { .. })), 2, "both handles are closed");
}
