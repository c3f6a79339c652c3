//! Uploads that come to no good end leave nothing behind.

use std::time::{Duration, Instant};

use bytes::Bytes;
use outport_aws::{S3Settings, S3Store};
use outport_objects::{ObjectWriter, Objects};
use outport_tests::need;
use outport_tests::servers::moto::Moto;
use outport_tests::servers::scripted::{Reply, Request, Scripted};

use super::{BUCKET, Bed, access, aws, code_of, content, put};

/// More than one part, so that the upload has begun; `None` of it is visible.
async fn begun(bed: &Bed, key: &str) -> Box<dyn ObjectWriter> {
    let mut writer = bed.store.create(BUCKET, key).await.unwrap();
    writer.write(content(20 * 1024 * 1024).into()).await.unwrap();
    bed.wait_for_uploads(1).await;
    writer
}

impl Bed {
    async fn wait_for_uploads(&self, want: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let open = self.open_uploads().await;
            if open == want {
                return;
            }
            assert!(Instant::now() < deadline, "{open} uploads are open, not {want}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_empty(&self) -> bool {
        self.client.list_objects_v2().bucket(BUCKET).send().await.unwrap().contents().is_empty()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_dropped_or_aborted_leaves_nothing() {
    let bed = Bed::new(need!(Moto::start())).await;
    drop(begun(&bed, "dropped").await);
    bed.wait_for_uploads(0).await;

    begun(&bed, "aborted").await.abort().await.unwrap();
    assert_eq!(bed.open_uploads().await, 0, "abort returns when nothing is left");

    // A write that is given up in the middle: bytes are lost, so the object must not come into being.
    let mut writer = begun(&bed, "interrupted").await;
    {
        let write = writer.write(content(80 * 1024 * 1024).into());
        futures_util::pin_mut!(write);
        assert!(
            futures_util::poll!(write.as_mut()).is_pending(),
            "80 MiB do not fit into the parts in flight"
        );
    }
    assert_eq!(code_of(&writer.finish().await), "object.store_failed");
    bed.wait_for_uploads(0).await;
    assert!(bed.is_empty().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_is_asked_for_again() {
    let refused = std::sync::atomic::AtomicUsize::new(0);
    let script = move |request: &Request| match request.method.as_str() {
        "POST" => {
            let started =
                "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
            Reply::new(200, started)
        }
        "DELETE" if refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 => Reply::new(500, ""),
        "DELETE" => Reply::new(204, ""),
        _ => Reply::new(200, "").with("etag", "\"part\""),
    };
    let server = Scripted::start(script).unwrap();
    let store = S3Store::new(&aws(&access(&server.endpoint())).await, S3Settings::default());
    let mut writer = store.create(BUCKET, "a").await.unwrap();
    writer.write(content(9 * 1024 * 1024).into()).await.unwrap();
    writer.abort().await.unwrap();
    let asked = server.requests().iter().filter(|request| request.method == "DELETE").count();
    assert_eq!(asked, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_leaves_nothing_and_stays_failed() {
    let bed = Bed::new(need!(Moto::start())).await;
    let mut writer = begun(&bed, "failed").await;
    // Behind its back, as a lifecycle rule does it.
    let open = bed.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    let id = open.uploads()[0].upload_id().unwrap();
    let gone = bed.client.abort_multipart_upload().bucket(BUCKET).key("failed").upload_id(id).send().await;
    // Not by its answer: asked again after an answer that was lost, moto says 500 of an upload that it has given up already.
    assert_eq!(bed.open_uploads().await, 0, "{gone:?}");
    let fault = loop {
        match writer.write(content(8 * 1024 * 1024).into()).await {
            Ok(()) => {}
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.code.name, "object.store_failed", "{fault}");
    // S3 says NoSuchUpload; moto says 500.
    assert!(fault.message.starts_with("could not write s3://inbox/failed: "), "{fault}");
    assert_eq!(code_of(&writer.write(Bytes::from_static(b"more")).await), "object.store_failed");
    assert_eq!(code_of(&writer.finish().await), "object.store_failed");
    assert!(bed.is_empty().await && bed.open_uploads().await == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_whose_key_is_taken_meanwhile_is_given_up() {
    let bed = Bed::new(need!(Moto::start())).await;
    let writer = begun(&bed, "taken").await;
    put(&bed.store, "taken", b"first").await.unwrap();
    assert_eq!(code_of(&writer.finish().await), "object.exists");
    assert_eq!(bed.open_uploads().await, 0);
    assert_eq!(super::get(&bed.store, "taken", Default::default()).await.unwrap(), b"first");
}
