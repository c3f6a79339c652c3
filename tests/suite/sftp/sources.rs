//! Sources that are slow, or are not what they said.

use std::time::Duration;

use bytes::Bytes;
use outport_core::code;
use outport_send::source::BytesSource;
use outport_send::{Outcome, Stage};
use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::set;
use outport_tests::site::FolderWatch;

use super::source::Slow;
use super::{NoFence, Server, connect, content, delivered, names, push, send, upload};

/// The pieces of `content`, each after so many milliseconds.
fn paced(content: &[u8], size: usize, pauses_ms: impl Iterator<Item = u64>) -> Slow {
    let pieces = content.chunks(size).zip(pauses_ms);
    Slow::new(pieces.map(|(piece, ms)| (Duration::from_millis(ms), Bytes::copy_from_slice(piece))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_source_trips_neither_sides_time_limits() {
    // The server hangs up on a client that is silent for two seconds and does not answer when asked.
    let lines = vec!["ClientAliveInterval 1".to_owned(), "ClientAliveCountMax 1".to_owned()];
    let server = need!(OpenSsh::start(Config { lines, ..Config::default() }));
    let content = content(2_000_000, 3);
    let watch = FolderWatch::start(server.folder(), [("drops", content.as_slice()), ("pauses", &content)]);
    let mut target = server.target();
    target.timeouts.progress = Duration::from_secs(1);
    target.timeouts.keepalive = Duration::from_secs(1);
    let remote = connect(&target).await;
    // 64 KiB a second, as far as that matters: 16 KiB each quarter; and three times longer than any limit.
    let mut drops = paced(&content[..], 16 * 1024, (0..).map(|n| if n < 16 { 250 } else { 0 }));
    let mut pauses = paced(&content[..], 700_000, (0..).map(|_| 3000));
    let (one, other) = (upload("drops", 1), upload("pauses", 1));
    let (drops, pauses) = tokio::join!(
        push(&*remote, &one, &mut drops, &NoFence),
        push(&*remote, &other, &mut pauses, &NoFence)
    );
    delivered(drops);
    delivered(pauses);
    watch.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_longer_than_the_real_limits() {
    need!(set::full());
    let server = need!(OpenSsh::start(Config::default()));
    let content = content(600_000, 4);
    let watch = FolderWatch::start(server.folder(), [("a", content.as_slice())]);
    let remote = connect(&server.target()).await;
    let mut source = paced(&content, 300_000, [0, 75_000, 0].into_iter());
    delivered(push(&*remote, &upload("a", 1), &mut source, &NoFence).await);
    watch.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_as_long_as_it_said_gets_no_final_name() {
    let server = need!(OpenSsh::start(Config::default()));
    let content = content(700_000, 5);
    let remote = connect(&server.target()).await;
    for said in [0, 1, content.len() as u64 - 1, content.len() as u64 + 1, 1 << 40] {
        let mut source = BytesSource::new(content.clone()).announcing(said);
        let outcome = push(&*remote, &upload("a", 1), &mut source, &NoFence).await;
        let Outcome::Failed { fault, stage: Stage::Verifying, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(fault.code, &code::ARTIFACT_HASH_DIFFERS, "{fault}");
        assert_eq!(names(server.folder()), [""; 0]);
    }
    delivered(send(&*remote, &upload("a", 1), &content).await);
    assert_eq!(names(server.folder()), ["a"]);
}
