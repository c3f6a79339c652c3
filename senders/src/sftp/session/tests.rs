use std::time::{Duration, Instant};

use outport_core::code;
use tokio::sync::mpsc;

use super::super::wire::{ClientPacket, ServerPacket, Status, take_packet};
use super::ledger::IN_FLIGHT_BYTES;
use super::*;

struct FromServer(mpsc::UnboundedReceiver<Heard>);
struct ToServer(mpsc::UnboundedSender<ClientPacket>, BytesMut);

#[async_trait]
impl Incoming for FromServer {
    async fn hear(&mut self) -> Heard {
        self.0.recv().await.unwrap_or(Heard::End)
    }
}

#[async_trait]
impl Outgoing for ToServer {
    async fn send(&mut self, bytes: Bytes) -> bool {
        self.1.extend_from_slice(&bytes);
        while let Ok(Some(packet)) = take_packet(&mut self.1) {
            if self.0.send(ClientPacket::decode(packet).unwrap()).is_err() {
                return false;
            }
        }
        true
    }
}

struct TestLine;

impl Line for TestLine {
    fn hang_up(&self) {}
    fn why_ended(&self) -> Fault {
        Fault::new(&code::ENDPOINT_RESET, "the connection to test ended")
    }
    fn place(&self) -> &str {
        "test"
    }
}

/// The server's end of a session.
struct Server {
    asked: mpsc::UnboundedReceiver<ClientPacket>,
    answers: mpsc::UnboundedSender<Heard>,
}

impl Server {
    async fn next(&mut self) -> (u32, Request) {
        match self.asked.recv().await.unwrap() {
            ClientPacket::Request { id, request } => (id, request),
            other => panic!("{other:?}"),
        }
    }

    fn answer(&self, id: u32, reply: Reply) {
        self.answers.send(Heard::Data(ServerPacket::Reply { id, reply }.encode())).unwrap();
    }
}

async fn session(timeouts: Timeouts) -> (Arc<Session>, Server) {
    let ((to_server, asked), (answers, from_server)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    answers.send(Heard::Data(ServerPacket::Version { version: 3, extensions: vec![] }.encode())).unwrap();
    let mut server = Server { asked, answers };
    let outgoing = ToServer(to_server, BytesMut::new());
    let (session, extensions) =
        Session::start(FromServer(from_server), outgoing, Arc::new(TestLine), timeouts).await.unwrap();
    assert!(extensions.is_empty());
    assert_eq!(server.asked.recv().await, Some(ClientPacket::Init { version: 3 }));
    (Arc::new(session), server)
}

fn stat(path: &'static str) -> Request {
    Request::Stat { path: Bytes::from_static(path.as_bytes()) }
}

fn ok(code: u32) -> Reply {
    Reply::Status(Status::new(code, ""))
}

#[tokio::test]
async fn answers_find_their_askers_in_any_order() {
    let (session, mut server) = session(Timeouts::default()).await;
    let tickets = [
        session.submit(&stat("a")).await.unwrap(),
        session.submit(&stat("b")).await.unwrap(),
        session.submit(&stat("c")).await.unwrap(),
    ];
    let mut ids = Vec::new();
    for expected in ["a", "b", "c"] {
        let (id, request) = server.next().await;
        assert_eq!(request, stat(expected));
        ids.push(id);
    }
    for (n, id) in ids.iter().enumerate().rev() {
        server.answer(*id, ok(u32::try_from(n).unwrap() + 100));
    }
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.reply().await.unwrap(), ok(u32::try_from(n).unwrap() + 100));
    }
}

#[tokio::test]
async fn answers_in_crumbs_and_in_heaps() {
    let (session, mut server) = session(Timeouts::default()).await;
    let (first, second) =
        (session.submit(&stat("a")).await.unwrap(), session.submit(&stat("b")).await.unwrap());
    let (a, b) = (server.next().await.0, server.next().await.0);
    let both =
        [(a, ok(1)), (b, ok(2))].map(|(id, reply)| ServerPacket::Reply { id, reply }.encode()).concat();
    let (crumbs, heap) = both.split_at(9);
    for crumb in crumbs {
        server.answers.send(Heard::Data(Bytes::copy_from_slice(&[*crumb]))).unwrap();
    }
    server.answers.send(Heard::Data(Bytes::copy_from_slice(heap))).unwrap();
    assert_eq!((first.reply().await.unwrap(), second.reply().await.unwrap()), (ok(1), ok(2)));
}

#[tokio::test]
async fn a_file_whose_opener_has_gone_is_closed() {
    let (session, mut server) = session(Timeouts::default()).await;
    let open = Request::Open { path: Bytes::from_static(b"a"), flags: 2, attrs: Default::default() };
    drop(session.submit(&open).await.unwrap());
    let (id, _) = server.next().await;
    server.answer(id, Reply::Handle(Bytes::from_static(b"h")));
    assert_eq!(server.next().await.1, Request::Close { handle: Bytes::from_static(b"h") });
}

#[tokio::test]
async fn the_end_is_told_to_everyone_and_charged_once() {
    let (session, mut server) = session(Timeouts::default()).await;
    let tickets = [session.submit(&stat("a")).await.unwrap(), session.submit(&stat("b")).await.unwrap()];
    server.next().await;
    server.next().await;
    server.answers.send(Heard::End).unwrap();
    let mut shared = Vec::new();
    for ticket in tickets {
        match ticket.reply().await {
            Err(RemoteError::Ambiguous(fault)) => shared.push(fault.shared),
            other => panic!("{other:?}"),
        }
    }
    match session.ask(&stat("c")).await {
        Err(RemoteError::Refused(fault)) => shared.push(fault.shared),
        other => panic!("{other:?}"),
    }
    assert_eq!(shared, [false, true, true]);
    assert!(!session.alive());
}

fn short() -> Timeouts {
    Timeouts { progress: Duration::from_secs(1), request: Duration::from_secs(2), ..Timeouts::default() }
}

#[tokio::test]
async fn silence_ends_the_session_only_while_something_is_asked() {
    let (session, mut server) = session(short()).await;
    let idle = tokio::time::timeout(Duration::from_millis(1500), session.ended()).await;
    assert!(idle.is_err(), "an idle session has nothing to wait for");
    let error = session.ask(&stat("a")).await.unwrap_err();
    assert!(
        matches!(&error, RemoteError::Ambiguous(fault) if fault.code == &code::ENDPOINT_TIMEOUT),
        "{error}"
    );
    server.next().await;
}

#[tokio::test]
async fn a_moving_window_is_progress_but_one_request_has_its_limit() {
    let (session, server) = session(short()).await;
    let asking = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.ask(&stat("a")).await }
    });
    let started = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    while session.alive() {
        beat.tick().await;
        // It may have ended since.
        drop(server.answers.send(Heard::Window));
    }
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    let error = asking.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("one request"), "{error}");
}

#[tokio::test]
async fn a_caller_that_gives_up_while_waiting_for_room_leaves_nothing_behind() {
    /// A line that takes nothing.
    struct Stuck;
    #[async_trait]
    impl Outgoing for Stuck {
        async fn send(&mut self, bytes: Bytes) -> bool {
            // INIT passes.
            if bytes.len() == 9 { true } else { std::future::pending().await }
        }
    }
    let (answers, from_server) = mpsc::unbounded_channel();
    answers.send(Heard::Data(ServerPacket::Version { version: 3, extensions: vec![] }.encode())).unwrap();
    let (session, _) =
        Session::start(FromServer(from_server), Stuck, Arc::new(TestLine), Timeouts::default())
            .await
            .unwrap();
    let mut kept = Vec::new();
    // One with the writer, a full queue behind it.
    for _ in 0..=QUEUE {
        kept.push(session.submit(&stat("a")).await.unwrap());
        tokio::task::yield_now().await;
    }
    let more = tokio::time::timeout(Duration::from_millis(50), session.submit(&stat("b"))).await;
    assert!(more.is_err(), "there is no room");
    assert_eq!(session.ledger.unanswered(), kept.len());

    // The end of the line frees everyone; what never went out was not done.
    answers.send(Heard::End).unwrap();
    let results = futures_util::future::join_all(kept.into_iter().map(Ticket::reply)).await;
    let refused = results.iter().filter(|result| matches!(result, Err(RemoteError::Refused(_)))).count();
    assert_eq!((results.len(), refused), (QUEUE + 1, QUEUE));
}

#[tokio::test]
async fn unanswered_data_of_all_files_together_has_a_limit() {
    const PIECE: usize = 128 * 1024;
    let (session, mut server) = session(Timeouts::default()).await;
    let data = Bytes::from(vec![7; PIECE]);
    let write = async |offset: usize| session.submit_write(b"h", offset as u64, vec![data.clone()]).await;
    let mut tickets = Vec::new();
    for n in 0..IN_FLIGHT_BYTES / PIECE {
        tickets.push(write(n * PIECE).await.unwrap());
    }
    let full = tokio::time::timeout(Duration::from_millis(50), write(0)).await;
    assert!(full.is_err(), "4 MiB are unanswered");
    assert!(session.submit(&stat("a")).await.is_ok(), "what has no data need not wait");

    // One answer makes room for one more, though nobody took the answer.
    let (id, _) = server.next().await;
    server.answer(id, ok(0));
    let more = write(0).await.unwrap();
    assert!(tickets[0].is_answered() && !tickets[1].is_answered());
    drop((tickets, more));
}

#[tokio::test]
async fn who_waits_for_room_learns_of_the_end() {
    let (session, server) = session(Timeouts::default()).await;
    let data = Bytes::from(vec![7; IN_FLIGHT_BYTES + 1]);
    let kept = session.submit_write(b"h", 0, vec![data.clone()]).await.unwrap();
    let waiting = session.submit_write(b"h", 0, vec![data]);
    server.answers.send(Heard::End).unwrap();
    assert!(matches!(waiting.await, Err(RemoteError::Refused(_))), "it never went out");
    assert!(kept.reply().await.is_err());
}

#[tokio::test]
async fn small_requests_that_wait_together_go_out_together() {
    /// Tells the size of each message and waits to be let on.
    struct Slow(mpsc::UnboundedSender<usize>, Arc<tokio::sync::Semaphore>);
    #[async_trait]
    impl Outgoing for Slow {
        async fn send(&mut self, bytes: Bytes) -> bool {
            self.0.send(bytes.len()).is_ok() && self.1.acquire().await.map(|permit| permit.forget()).is_ok()
        }
    }
    let ((told, mut sizes), gate) = (mpsc::unbounded_channel(), Arc::new(tokio::sync::Semaphore::new(1)));
    let (answers, from_server) = mpsc::unbounded_channel();
    answers.send(Heard::Data(ServerPacket::Version { version: 3, extensions: vec![] }.encode())).unwrap();
    let outgoing = Slow(told, Arc::clone(&gate));
    let (session, _) =
        Session::start(FromServer(from_server), outgoing, Arc::new(TestLine), Timeouts::default())
            .await
            .unwrap();
    assert_eq!(sizes.recv().await, Some(9), "INIT");
    let mut tickets = vec![session.submit(&stat("a")).await.unwrap()];
    let one = sizes.recv().await.unwrap();
    for _ in 0..3 {
        tickets.push(session.submit(&stat("a")).await.unwrap());
    }
    let large = Bytes::from(vec![7; 100_000]);
    tickets.push(session.submit_write(b"h", 0, vec![large]).await.unwrap());
    tickets.push(session.submit(&stat("a")).await.unwrap());
    gate.add_permits(10);
    let head = 4 + 1 + 4 + 4 + 1 + 8 + 4;
    for expected in [3 * one + head, 100_000, one] {
        assert_eq!(sizes.recv().await, Some(expected), "three and a header, the data by itself, the rest");
    }
}
