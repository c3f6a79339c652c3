//! Bodies that break off or stand still are continued; readers that stand still are waited for.

use std::time::{Duration, Instant};

use outport_aws::{Access, S3Settings, S3Store};
use outport_objects::{Expected, Objects};
use outport_tests::servers::scripted::{Reply, Request, Scripted, Then};

use super::{BUCKET, access, aws, content, get};

const KIB: usize = 1024;
const SIZE: usize = 300 * KIB;

/// What a server does to the body of an answer, given the request's number.
type Harm = fn(usize, Reply) -> Reply;

/// Serves one object by ranges as S3 does; `harm` has the last word.
fn server(harm: Harm) -> Scripted {
    let object = content(SIZE);
    let script = move |request: &Request| {
        let range = request.header("range").strip_prefix("bytes=").unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        let to = to.min(SIZE - 1);
        let reply =
            Reply::new(206, &object[from..=to]).with("content-range", format!("bytes {from}-{to}/{SIZE}"));
        let reply = reply.with("etag", "\"e\"").with("last-modified", "Sun, 22 Nov 2026 03:00:00 GMT");
        harm(request.number, reply)
    };
    Scripted::start(script).unwrap()
}

async fn store(server: &Scripted, stall_grace: Duration) -> S3Store {
    let access = Access { stall_grace, ..access(&server.endpoint()) };
    let settings = S3Settings { range_bytes: 100 * KIB, ..S3Settings::default() };
    S3Store::new(&aws(&access).await, settings)
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_continued_from_there() {
    // Every other answer ends after 10,000 bytes.
    let server = server(|number, reply| Reply { sent: (number % 2 == 0).then_some(10_000), ..reply });
    let read = get(&store(&server, LONG).await, "a", Expected::any()).await.unwrap();
    assert!(read == content(SIZE), "other bytes came back");
    let requests = server.requests();
    assert!(requests.len() > 3, "{}", requests.len());
    assert!(
        requests[1..].iter().all(|request| request.header("if-match") == "\"e\""),
        "never another object"
    );
    assert!(requests.iter().any(|request| request.header("range") == "bytes=10000-102399"), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stands_still_is_given_up_and_continued() {
    let server = server(|number, reply| match number {
        0 => Reply { sent: Some(10_000), then: Then::Silence, ..reply },
        _ => reply,
    });
    let read = get(&store(&server, SHORT).await, "a", Expected::any()).await.unwrap();
    assert!(read == content(SIZE), "other bytes came back");
    assert_eq!(server.requests().len(), 4, "three ranges, one of them in two pieces");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_goes_on_is_a_fault() {
    let server = server(|number, reply| if number == 0 { reply } else { Reply { sent: Some(0), ..reply } });
    let fault = get(&store(&server, LONG).await, "a", Expected::any()).await.unwrap_err();
    assert_eq!(fault.code.name, "object.store_failed");
    assert!(fault.message.contains("s3://inbox/a: it broke off 3 times at byte 102400"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_may_be_as_slow_as_it_likes() {
    let server = server(|_, reply| reply);
    let mut reader = store(&server, SHORT).await.open(BUCKET, "a", Expected::any()).await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        read.extend_from_slice(&piece);
        // Not to wait for something: this is the partner who takes his time, several times what S3 may stand still.
        tokio::time::sleep(4 * SHORT).await;
    }
    assert!(read == content(SIZE), "other bytes came back");
    assert_eq!(server.requests().len(), 3, "each range was asked for once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_and_what_comes_must_agree() {
    let too_much = server(|_, reply| Reply { body: vec![0; 200 * KIB], ..reply });
    let fault = get(&store(&too_much, LONG).await, "a", Expected::any()).await.unwrap_err();
    assert!(fault.message.ends_with("it gives more than the range that it was asked for"), "{fault}");

    let whole = Scripted::start(|_| Reply::new(200, content(SIZE)).with("etag", "\"e\"")).unwrap();
    let fault = get(&store(&whole, LONG).await, "a", Expected::any()).await.unwrap_err();
    assert!(fault.message.ends_with("a request for a range with the whole object"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_read_no_further_ahead_than_they_may() {
    for (ranges_shared, want) in [(0, 2), (1, 2), (2, 3), (8, 4)] {
        let server = server(|_, reply| reply);
        let settings =
            S3Settings { range_bytes: 30 * KIB, ranges_ahead: 3, ranges_shared, ..S3Settings::default() };
        let store = S3Store::new(&aws(&access(&server.endpoint())).await, settings);
        let mut reader = store.open(BUCKET, "a", Expected::any()).await.unwrap();
        let mut read = reader.next().await.unwrap().unwrap().to_vec();
        let deadline = Instant::now() + LONG;
        while server.requests().len() < want {
            assert!(Instant::now() < deadline, "{ranges_shared} shared: not {want} requests");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Nothing is to be waited for here: more would come at once, if it came.
        tokio::time::sleep(SHORT).await;
        assert_eq!(server.requests().len(), want, "{ranges_shared} shared");
        while let Some(piece) = reader.next().await.unwrap() {
            read.extend_from_slice(&piece);
        }
        assert!(read == content(SIZE), "{ranges_shared} shared: other bytes came back");
        assert_eq!(server.requests().len(), 10, "ten ranges");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_object_has_no_first_byte() {
    let server = Scripted::start(|request| match request.header("range") {
        "" => Reply::new(200, "").with("etag", "\"e\"").with("x-amz-version-id", "v1"),
        _ => Reply::new(416, "<Error><Code>InvalidRange</Code><Message>not satisfiable</Message></Error>"),
    });
    let server = server.unwrap();
    let mut reader = store(&server, LONG).await.open(BUCKET, "a", Expected::etag("e")).await.unwrap();
    assert_eq!((reader.size_bytes(), reader.info().version.as_deref()), (0, Some("v1")));
    assert_eq!(reader.next().await.unwrap(), None);
    assert!(server.requests().iter().all(|request| request.header("if-match") == "\"e\""));
}
