//! Every error that S3 answers with becomes a fault of its own, over a real socket.

use futures_util::TryStreamExt;
use outport_aws::{S3Settings, S3Store};
use outport_core::Fault;
use outport_objects::{Expected, Objects};
use outport_tests::servers::scripted::{Reply, Scripted};

use super::{BUCKET, access, aws, put};

fn xml(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message>\
         <RequestId>REQ7</RequestId></Error>"
    )
}

/// A store whose every request is answered so. An answer to HEAD has no body, as with S3.
async fn store_told(status: u16, code: &'static str, message: &'static str) -> (S3Store, Scripted) {
    let server = Scripted::start(move |_| {
        let reply = Reply::new(status, xml(code, message));
        let reply = reply.with("x-amz-request-id", "REQ7").with("date", "Sun, 22 Nov 2026 03:00:00 GMT");
        if matches!(status, 301 | 400) { reply.with("x-amz-bucket-region", "eu-central-1") } else { reply }
    });
    let server = server.unwrap();
    let store = S3Store::new(&aws(&access(&server.endpoint())).await, S3Settings::default());
    (store, server)
}

/// Everything that a store does, and what came of it.
async fn every_act(store: &S3Store) -> Vec<(&'static str, Option<Fault>)> {
    vec![
        ("look", store.head(BUCKET, "a").await.err()),
        ("read", store.open(BUCKET, "a", Expected::any()).await.err()),
        ("write", put(store, "a", b"content").await.err()),
        ("list", store.list(BUCKET, "").try_collect::<Vec<_>>().await.err()),
        ("delete", store.delete(BUCKET, "a").await.err()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hits_every_request_has_one_code_for_all() {
    let kms = "User: arn:aws:sts::1:assumed-role/outport/t is not authorized to perform: kms:Decrypt on resource: k";
    for (status, word, message, want, words) in [
        (403, "AccessDenied", "Access Denied", "aws.access_denied", "hint: allow s3:"),
        (403, "AccessDenied", kms, "aws.access_denied", "hint: allow kms:Decrypt "),
        (
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id ...",
            "aws.credentials_refused",
            "AWS_SECRET_ACCESS_KEY",
        ),
        (403, "SignatureDoesNotMatch", "The request ...", "aws.credentials_refused", "AWS_SECRET_ACCESS_KEY"),
        (400, "ExpiredToken", "The provided token has expired.", "aws.credentials_expired", "log in again"),
        (
            403,
            "RequestTimeTooSkewed",
            "The difference ...",
            "aws.clock_skewed",
            "clock says Sun, 22 Nov 2026",
        ),
        (301, "PermanentRedirect", "The bucket ...", "aws.wrong_region", "set the region to eu-central-1"),
        (
            400,
            "AuthorizationHeaderMalformed",
            "the region 'us-east-1' is wrong",
            "aws.wrong_region",
            "eu-central-1",
        ),
        (503, "SlowDown", "Please reduce your request rate.", "aws.throttled", "reduce your request rate"),
        (
            404,
            "NoSuchBucket",
            "The specified bucket does not exist",
            "intake.bucket_missing",
            "create the bucket",
        ),
        (500, "InternalError", "We encountered ...", "object.store_failed", "tried again by itself"),
        (501, "NotImplemented", "A header ...", "object.store_failed", "when_required"),
    ] {
        let (store, _server) = store_told(status, word, message).await;
        for (act, fault) in every_act(&store).await {
            let fault = fault.unwrap_or_else(|| panic!("{act} went well in spite of {word}"));
            let report = fault.report();
            assert_eq!(fault.code.name, want, "{act}, {word}: {report}");
            assert!(fault.message.contains("s3://inbox/"), "{act}, {word}: {report}");
            assert!(report.contains(words), "{act}, {word} lacks {words:?}: {report}");
            // HEAD tells no reason, but the question after it does.
            let silent = word == "NoSuchBucket" && matches!(act, "look" | "write");
            assert!(silent || fault.message.contains(word), "{act}, {word}: {report}");
            assert!(!fault.message.contains('\n') && !report.contains("no-secret"), "{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_missing_iam_action_is_that_of_the_act() {
    let (store, _server) = store_told(403, "AccessDenied", "Access Denied").await;
    let mut seen = Vec::new();
    for (act, fault) in every_act(&store).await {
        let hint = fault.unwrap().hint().to_owned();
        let action = hint.split_whitespace().nth(1).unwrap().to_owned();
        seen.push((act, action));
    }
    let of_version = Expected { version: Some("v".into()), etag: None };
    let hint = store.open(BUCKET, "a", of_version).await.unwrap_err().hint().to_owned();
    assert!(hint.starts_with("allow s3:GetObjectVersion on arn:aws:s3:::inbox/* "), "{hint}");
    let seen: Vec<(&str, &str)> = seen.iter().map(|(act, action)| (*act, action.as_str())).collect();
    let want = [
        ("look", "s3:GetObject"),
        ("read", "s3:GetObject"),
        ("write", "s3:PutObject"),
        ("list", "s3:ListBucket"),
        ("delete", "s3:DeleteObject"),
    ];
    assert_eq!(seen, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_error_page_is_no_s3_and_still_no_success() {
    let server = Scripted::start(|_| Reply::new(502, "<html>Bad gateway</html>")).unwrap();
    let store = S3Store::new(&aws(&access(&server.endpoint())).await, S3Settings::default());
    for (act, fault) in every_act(&store).await {
        let fault = fault.unwrap_or_else(|| panic!("{act} went well"));
        assert_eq!(fault.code.name, "object.store_failed", "{act}: {fault}");
        assert!(fault.message.contains("502"), "{act}: {fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_codes_of_single_acts() {
    for (status, word, version, want) in [
        (404, "NoSuchKey", None, "artifact.missing"),
        (404, "NoSuchVersion", Some("v"), "artifact.missing"),
        (405, "MethodNotAllowed", Some("marker"), "artifact.missing"),
        (412, "PreconditionFailed", None, "artifact.changed"),
        (403, "InvalidObjectState", None, "object.archived"),
    ] {
        let (store, _server) = store_told(status, word, "").await;
        let expected = Expected { version: version.map(str::to_owned), etag: Some("e".into()) };
        let fault = store.open(BUCKET, "a", expected).await.unwrap_err();
        assert_eq!(fault.code.name, want, "{word}: {fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_heed_if_match_is_not_believed() {
    let server = Scripted::start(|_| {
        let reply = Reply::new(206, "abc").with("content-range", "bytes 0-2/3");
        reply.with("etag", "\"new\"").with("last-modified", "Sun, 22 Nov 2026 03:00:00 GMT")
    });
    let server = server.unwrap();
    let store = S3Store::new(&aws(&access(&server.endpoint())).await, S3Settings::default());
    let fault = store.open(BUCKET, "a", Expected::etag("old")).await.unwrap_err();
    assert_eq!(fault.code.name, "artifact.changed");
    assert_eq!(fault.message, "could not read s3://inbox/a: its etag is new, recorded was old");
    assert_eq!(server.requests()[0].header("if-match"), "\"old\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_read_as_it_says_it_is_written() {
    let page = |encoding: &str, key: &str| {
        format!(
            "<ListBucketResult>{encoding}<Contents><Key>{key}</Key><Size>1</Size></Contents></ListBucketResult>"
        )
    };
    for (page, want) in [
        (page("<EncodingType>url</EncodingType>", "a+b%0Ac%2B"), "a b\nc+"),
        (page("", "a+b%0Ac%2B"), "a+b%0Ac%2B"),
    ] {
        let server = Scripted::start(move |_| Reply::new(200, page.clone())).unwrap();
        let store = S3Store::new(&aws(&access(&server.endpoint())).await, S3Settings::default());
        let listed: Vec<_> = store.list(BUCKET, "a").try_collect().await.unwrap();
        assert_eq!(listed[0].key, want);
        assert!(server.requests()[0].target.contains("encoding-type=url"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_out_of_order_are_refused() {
    let page = "<ListBucketResult><Contents><Key>b</Key></Contents><Contents><Key>a</Key></Contents></ListBucketResult>";
    let server = Scripted::start(move |_| Reply::new(200, page)).unwrap();
    let store = S3Store::new(&aws(&access(&server.endpoint())).await, S3Settings::default());
    let fault = store.list(BUCKET, "").try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(fault.code.name, "object.store_failed");
    assert!(fault.message.contains("order of their bytes"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_waited_out() {
    let server = Scripted::start(|request| match request.number {
        0 => Reply::new(503, xml("SlowDown", "Please reduce your request rate.")),
        _ => Reply::new(204, ""),
    });
    let server = server.unwrap();
    let access = outport_aws::Access { attempts: 3, ..access(&server.endpoint()) };
    let store = S3Store::new(&aws(&access).await, S3Settings::default());
    store.delete(BUCKET, "a").await.unwrap();
    assert_eq!(server.requests().len(), 2);
}
