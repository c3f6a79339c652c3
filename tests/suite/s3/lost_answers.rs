//! The answer to a write is lost after S3 did it: the next try finds the key taken, by ourselves.

use outport_aws::{Access, S3Settings, S3Store};
use outport_tests::servers::scripted::{Reply, Request, Scripted, Then};

use super::{access, aws, code_of, put};

const MARK: &str = "x-amz-meta-outport-write";

fn taken() -> Reply {
    Reply::new(412, "<Error><Code>PreconditionFailed</Code><Message>At least one</Message></Error>")
}

async fn store_of(server: &Scripted) -> S3Store {
    let access = Access { attempts: 3, ..access(&server.endpoint()) };
    S3Store::new(&aws(&access).await, S3Settings::default())
}

fn is_bucket(request: &Request) -> bool {
    request.method == "HEAD" && request.target.trim_end_matches('/') == "/inbox"
}

/// A server that stores the first write and loses its answer. Whose write it then says it has: `mark` of it.
fn forgetful(mark: impl Fn(&str) -> String + Send + Sync + 'static) -> Scripted {
    let written = std::sync::Mutex::new(None::<String>);
    let script = move |request: &Request| {
        let mut written = written.lock().unwrap();
        match (request.method.as_str(), &*written) {
            _ if is_bucket(request) => Reply::new(200, ""),
            ("PUT", None) => {
                assert_eq!(request.header("if-none-match"), "*");
                *written = Some(request.header(MARK).to_owned());
                Reply::none(Then::Close)
            }
            ("PUT", Some(_)) => taken(),
            ("HEAD", Some(written)) => Reply::new(200, "").with("etag", "\"e\"").with(MARK, mark(written)),
            _ => Reply::new(400, ""),
        }
    };
    Scripted::start(script).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_write_is_a_success() {
    let server = forgetful(str::to_owned);
    let stored = put(&store_of(&server).await, "a", b"abc").await.unwrap();
    assert_eq!((stored.size_bytes, stored.etag.as_deref()), (3, Some("e")));
    let puts: Vec<Request> = server.requests().into_iter().filter(|r| r.method == "PUT").collect();
    assert_eq!(puts.len(), 2, "the answer was lost, so it was asked again");
    assert_eq!(puts[0].header(MARK), puts[1].header(MARK));
    assert_eq!(puts[0].header(MARK).len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_is_not() {
    let server = forgetful(|_| "00000000000000000000000000000000".to_owned());
    let result = put(&store_of(&server).await, "a", b"abc").await;
    assert_eq!(code_of(&result), "object.exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_upload_in_parts_too() {
    let mark = std::sync::Mutex::new(String::new());
    let completed = std::sync::atomic::AtomicUsize::new(0);
    let script = move |request: &Request| match request.method.as_str() {
        _ if is_bucket(request) => Reply::new(200, ""),
        "POST" if request.target.contains("uploads") => {
            *mark.lock().unwrap() = request.header(MARK).to_owned();
            let body =
                "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
            Reply::new(200, body)
        }
        "PUT" => Reply::new(200, "").with("etag", "\"part\""),
        "POST" => match completed.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => {
                assert_eq!(request.header("if-none-match"), "*");
                Reply::none(Then::Close)
            }
            _ => Reply::new(404, "<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>"),
        },
        "HEAD" => Reply::new(200, "").with("etag", "\"e-2\"").with(MARK, mark.lock().unwrap().clone()),
        // An abort here would be of an upload that is finished.
        _ => Reply::new(400, ""),
    };
    let server = Scripted::start(script).unwrap();
    let stored = put(&store_of(&server).await, "a", &vec![7; 9 * 1024 * 1024]).await.unwrap();
    assert_eq!(stored.etag.as_deref(), Some("e-2"));
    let asked = |method: &str| server.requests().iter().filter(|request| request.method == method).count();
    assert_eq!((asked("PUT"), asked("DELETE")), (2, 0));
}
