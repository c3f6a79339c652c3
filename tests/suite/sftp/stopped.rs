//! Servers that die, stop, or are cut off in the middle of an upload.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outport_core::code;
use outport_send::{Outcome, Remote};
use outport_tests::need;
use outport_tests::process::Outport;
use outport_tests::servers::delay::Delay;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::servers::proftpd::{self, ProFtpd};
use outport_tests::set::{self, Set};
use outport_tests::site::FolderWatch;

use super::source::Halting;
use super::{NoFence, Server, connect, content, delivered, names, push, send, temp, upload};

/// More than may be unanswered at a time: the sender has to wait for the server.
const SIZE: usize = 12 * 1024 * 1024;

/// Sends the first half, lets `harm` be done, goes on, and says how it ended and how long that took from the harm on.
async fn harmed_half_way(
    remote: Arc<dyn Remote>,
    content: &[u8],
    harm: impl FnOnce(),
) -> (Outcome, Duration) {
    let (mut source, half_way, go) = Halting::after(content.len() / 2, content);
    let pushing = tokio::spawn(async move { push(&*remote, &upload("a", 1), &mut source, &NoFence).await });
    half_way.await.unwrap();
    harm();
    let since = Instant::now();
    go.send(()).unwrap();
    (pushing.await.unwrap(), since.elapsed())
}

/// The second attempt, over a connection of its own, knowing of the first.
async fn again(server: &impl Server, content: &[u8]) {
    let mut second = upload("a", 2);
    second.stale_temps = vec![temp("a", 1)];
    delivered(send(&*connect(&server.target()).await, &second, content).await);
}

/// What "at once" is: a second by the goal; tests of the default set may share the machine with others.
fn at_once() -> Duration {
    Duration::from_secs(if set::set() == Set::Full { 1 } else { 5 })
}

async fn killed(server: &impl Server, kill: impl FnOnce()) {
    let content = content(SIZE, 1);
    let watch = FolderWatch::start(server.folder(), [("a", content.as_slice())]);
    let remote = connect(&server.target()).await;
    let (outcome, took) = harmed_half_way(Arc::clone(&remote), &content, kill).await;
    let Outcome::Failed { fault, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, &code::ENDPOINT_RESET, "{fault}");
    assert!(took < at_once(), "{took:?}");
    assert!(!remote.alive());
    assert_eq!(names(server.folder()), [temp("a", 1)], "what is left is known");
    again(server, &content).await;
    watch.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_of_openssh_is_noticed_at_once() {
    let server = need!(OpenSsh::start(Config::default()));
    killed(&server, || server.cut_connections().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_of_proftpd_is_noticed_at_once() {
    let server = need!(ProFtpd::start(&proftpd::Config::default()));
    killed(&server, || server.cut_connections().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_given_up() {
    let server = need!(OpenSsh::start(Config::default()));
    let content = content(SIZE, 2);
    let watch = FolderWatch::start(server.folder(), [("a", content.as_slice())]);
    let mut target = server.target();
    target.timeouts.progress = Duration::from_secs(2);
    let remote = connect(&target).await;
    let (outcome, took) = harmed_half_way(remote, &content, || server.freeze().unwrap()).await;
    let Outcome::Failed { fault, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, &code::ENDPOINT_TIMEOUT, "{fault}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    server.thaw().unwrap();
    again(&server, &content).await;
    watch.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_down_for_a_while_is_waited_for_and_one_that_stays_down_is_given_up() {
    let server = need!(OpenSsh::start(Config::default()));
    let line = need!(Delay::before(server.address(), Duration::from_millis(4)));
    let content = content(SIZE, 3);
    let watch = FolderWatch::start(server.folder(), [("a", content.as_slice()), ("b", &content)]);
    let mut target = server.target();
    target.port = line.address().port();
    target.timeouts.progress = Duration::from_secs(3);

    let remote = connect(&target).await;
    let (mut source, half_way, go) = Halting::after(SIZE / 2, &content);
    let pushing = tokio::spawn(async move { push(&*remote, &upload("b", 1), &mut source, &NoFence).await });
    half_way.await.unwrap();
    line.stall();
    go.send(()).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!pushing.is_finished(), "more than half of it was still to come");
    line.go_on();
    delivered(pushing.await.unwrap());

    let remote = connect(&target).await;
    let (outcome, _) = harmed_half_way(remote, &content, || line.stall()).await;
    let Outcome::Failed { fault, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, &code::ENDPOINT_TIMEOUT, "{fault}");
    line.go_on();
    again(&server, &content).await;
    watch.finish().unwrap();
}

#[test]
fn a_server_that_stands_still_is_given_up_within_a_minute() {
    need!(set::full());
    let server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let content = content(64 * 1024 * 1024, 4);
    std::fs::write(work.path().join("a"), &content).unwrap();
    let watch = FolderWatch::start(server.folder(), [("a", content.as_slice())]);
    let url = format!("sftp://{}@{}/", server.login().user, server.address());
    let key = server.key_file().to_str().unwrap();
    let arguments = ["send", "a", &url, "--identity", key, "--host-key", server.fingerprint()];
    let mut sending = Outport::new(work.path(), arguments).start().unwrap();
    let started = Instant::now();
    while names(server.folder()).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(30), "the upload did not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    server.freeze().unwrap();
    let frozen = Instant::now();
    let ended = sending.wait(Duration::from_secs(90)).unwrap();
    let said = sending.printed(outport_tests::child::Stream::Err);
    assert_eq!(ended.code(), Some(1), "{said}");
    assert!(said.contains("[endpoint.timeout]"), "{said}");
    assert!(frozen.elapsed() < Duration::from_secs(60), "{:?}", frozen.elapsed());
    server.thaw().unwrap();
    let again = Outport::new(work.path(), arguments).run().unwrap();
    assert_eq!(again.code, Some(0), "{again:?}");
    // The first call has ended: whatever it left under a temporary name is for a person to see.
    watch.finish_early().unwrap();
    assert!(std::fs::read(server.folder().join("a")).unwrap() == content);
}
