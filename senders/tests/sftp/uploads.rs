//! Files over the wire, byte for byte, and what a server's end leaves behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use outport_core::{Fault, code};
use outport_send::pool::PoolSettings;
use outport_send::sftp::SftpConnector;
use outport_send::source::BytesSource;
use outport_send::{NoFence, Outcome, Pool, Source, Stage, Target, Upload, deliver, push};
use tokio::sync::oneshot;

use crate::support::{Site, connect, content};

fn upload(name: &str) -> Upload {
    Upload::new(name, format!(".{name}.1.part"))
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_files_at_once_on_one_connection() {
    let site = Site::start().await;
    let pool = Pool::new(
        Arc::new(SftpConnector),
        PoolSettings { files_per_connection: 50, ..PoolSettings::default() },
    );
    let files: Vec<(String, Vec<u8>)> =
        (0..50u64).map(|n| (format!("f{n}"), content(usize::try_from(n * n * 331).unwrap(), n))).collect();
    let mut pushes = tokio::task::JoinSet::new();
    for (name, content) in files.clone() {
        let (pool, target) = (pool.clone(), site.target());
        pushes.spawn(async move {
            // Odd pieces: neither the server's size nor a divisor of it.
            let mut source = BytesSource::in_pieces(content, 100_003);
            deliver(&pool, &target, 1, &upload(&name), &mut source, &NoFence).await
        });
    }
    for outcome in pushes.join_all().await {
        assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    }
    for (name, content) in files {
        assert!(site.read(&name) == content, "{name} differs");
    }
    assert_eq!(site.files().len(), 50, "no temp file stays");
    assert_eq!(site.partner.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes() {
    let site = Site::start().await;
    let remote = connect(&site.target()).await.unwrap();
    let content = Bytes::from(content(100_000_000, 7));
    let outcome = push(&*remote, &upload("big"), &mut BytesSource::new(content.clone()), &NoFence).await;
    let Outcome::Delivered(receipt) = outcome else { panic!("{outcome:?}") };
    assert_eq!((receipt.size_bytes, receipt.bytes_sent), (100_000_000, 100_000_000));
    assert_eq!(receipt.sha256, outport_send::Sha256Sum::of(&content));
    assert!(site.read("big") == content, "the file differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_on_two_channels() {
    let site = Site::start().await;
    let target = Target { second_channel: true, ..site.target() };
    let remote = connect(&target).await.unwrap();
    // The second one is asked for after 8 MiB; the last file ends while it comes.
    for (n, size) in [(1, 40_000_000), (2, 33 << 20), (3, (8 << 20) + 300_000)] {
        let content = Bytes::from(content(size, n));
        let name = format!("big{n}");
        let outcome = push(&*remote, &upload(&name), &mut BytesSource::new(content.clone()), &NoFence).await;
        assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
        assert!(site.read(&name) == content, "{name} differs");
    }
    assert_eq!(site.files().len(), 3, "no temp file stays");
    assert_eq!((site.partner.connections(), site.partner.channels()), (1, 2));
}

#[tokio::test]
async fn tiny_pieces_and_no_bytes() {
    let site = Site::start().await;
    let remote = connect(&site.target()).await.unwrap();
    let content = content(70_001, 3);
    for (name, piece) in [("one", 1), ("seven", 7), ("all", 70_001)] {
        let mut source = BytesSource::in_pieces(content.clone(), piece);
        assert!(matches!(push(&*remote, &upload(name), &mut source, &NoFence).await, Outcome::Delivered(_)));
        assert!(site.read(name) == content, "{name} differs");
    }
    assert!(matches!(
        push(&*remote, &upload("none"), &mut BytesSource::new(""), &NoFence).await,
        Outcome::Delivered(_)
    ));
    assert!(site.read("none").is_empty());
}

#[tokio::test]
async fn an_older_file_is_replaced_and_names_are_any_text() {
    let site = Site::start().await;
    let remote = connect(&site.target()).await.unwrap();
    for name in ["plain", "with space + plus", "ünïcødé-漢字", "quote'\"`$;"] {
        std::fs::write(site.root.path().join(name), "an older and longer file").unwrap();
        let outcome = push(&*remote, &upload(name), &mut BytesSource::new("new"), &NoFence).await;
        assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
        assert_eq!(site.read(name), b"new");
    }
}

/// Gives half of its bytes, says so, and waits to be told to go on.
struct Half {
    pieces: u64,
    given: u64,
    half_way: Option<oneshot::Sender<()>>,
    go_on: Option<oneshot::Receiver<()>>,
}

const PIECE: u64 = 256 * 1024;

#[async_trait]
impl Source for Half {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.given == self.pieces / 2
            && let (Some(half_way), Some(go_on)) = (self.half_way.take(), self.go_on.take())
        {
            half_way.send(()).unwrap();
            go_on.await.unwrap();
        }
        if self.given == self.pieces {
            return Ok(None);
        }
        self.given += 1;
        Ok(Some(Bytes::from(vec![b'x'; usize::try_from(PIECE).unwrap()])))
    }

    fn size_bytes(&self) -> u64 {
        self.pieces * PIECE
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_is_noticed_at_once() {
    let site = Site::start().await;
    let remote = connect(&site.target()).await.unwrap();
    let ((half_way, is_half_way), (go, go_on)) = (oneshot::channel(), oneshot::channel());
    let mut source = Half { pieces: 40, given: 0, half_way: Some(half_way), go_on: Some(go_on) };
    let pushing = tokio::spawn(async move {
        let outcome = push(&*remote, &upload("a"), &mut source, &NoFence).await;
        (outcome, remote.alive())
    });
    is_half_way.await.unwrap();
    let Site { partner, root } = site;
    partner.stop().await;
    let killed = Instant::now();
    go.send(()).unwrap();
    let (outcome, alive) = pushing.await.unwrap();
    let Outcome::Failed { fault, stage, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((fault.code, stage), (&code::ENDPOINT_RESET, Stage::Uploading), "{fault}");
    // Milliseconds on a quiet machine; what must not happen is to wait for a timeout (60 s).
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
    assert!(!alive);
    assert!(!root.path().join("a").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_one_broken_connection_charge_it_once() {
    let site = Site::start().await;
    let remote = connect(&site.target()).await.unwrap();
    let mut pushes = tokio::task::JoinSet::new();
    let mut waiting = Vec::new();
    let mut gates = Vec::new();
    for n in 0..8 {
        let ((half_way, is_half_way), (go, go_on)) = (oneshot::channel(), oneshot::channel());
        let mut source = Half { pieces: 8, given: 0, half_way: Some(half_way), go_on: Some(go_on) };
        let remote = Arc::clone(&remote);
        pushes.spawn(async move { push(&*remote, &upload(&format!("f{n}")), &mut source, &NoFence).await });
        waiting.push(is_half_way);
        gates.push(go);
    }
    for one in waiting {
        one.await.unwrap();
    }
    site.partner.cut();
    for gate in gates {
        gate.send(()).unwrap();
    }
    let shared: Vec<bool> = pushes
        .join_all()
        .await
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::Failed { fault, .. } => {
                assert_eq!(fault.code, &code::ENDPOINT_RESET, "{fault}");
                fault.shared
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shared.iter().filter(|shared| !**shared).count(), 1, "{shared:?}");
}

#[tokio::test]
async fn what_the_server_refuses_has_its_code_and_leaves_nothing() {
    let site = Site::start().await;
    std::fs::create_dir(site.root.path().join("folder")).unwrap();
    std::fs::write(site.root.path().join("file"), "f").unwrap();
    let remote = connect(&site.target()).await.unwrap();
    let long = "n".repeat(300);
    for (final_path, temp_path, code, stage) in [
        ("missing/a", "missing/.a.part", &code::REMOTE_NO_SUCH_FOLDER, Stage::Uploading),
        ("a", "missing/.a.part", &code::REMOTE_NO_SUCH_FOLDER, Stage::Uploading),
        ("missing/a", ".a.part", &code::REMOTE_NO_SUCH_FOLDER, Stage::Renaming),
        ("a", "folder", &code::REMOTE_EXISTS, Stage::Uploading),
        ("file/a", "file/.a.part", &code::REMOTE_NO_SUCH_FOLDER, Stage::Uploading),
        ("folder", ".a.part", &code::REMOTE_EXISTS, Stage::Renaming),
        ("a", &long, &code::REMOTE_NAME_REFUSED, Stage::Uploading),
    ] {
        let outcome =
            push(&*remote, &Upload::new(final_path, temp_path), &mut BytesSource::new("abc"), &NoFence).await;
        let Outcome::Failed { fault, stage: at, .. } = outcome else { panic!("{final_path}: {outcome:?}") };
        assert_eq!((fault.code.name, at), (code.name, stage), "{final_path} by {temp_path}: {fault}");
        assert!(fault.message.contains("acme/sftp (127.0.0.1:"), "{fault}");
        assert!(remote.alive(), "a refusal does not end the connection");
        assert!(!site.root.path().join("a").exists());
    }
}

#[tokio::test]
async fn a_push_that_is_dropped_leaves_the_connection_usable() {
    let site = Site::start().await;
    let remote = connect(&site.target()).await.unwrap();
    for n in 0..20 {
        let ((half_way, is_half_way), (_go, go_on)) = (oneshot::channel(), oneshot::channel());
        let mut source = Half { pieces: 4, given: 0, half_way: Some(half_way), go_on: Some(go_on) };
        let remote = Arc::clone(&remote);
        let pushing =
            tokio::spawn(
                async move { push(&*remote, &upload(&format!("gone{n}")), &mut source, &NoFence).await },
            );
        is_half_way.await.unwrap();
        pushing.abort();
        assert!(pushing.await.unwrap_err().is_cancelled());
    }
    let outcome = push(&*remote, &upload("a"), &mut BytesSource::new("abc"), &NoFence).await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    assert!(!site.files().iter().any(|name| name.starts_with("gone")), "{:?}", site.files());
}
