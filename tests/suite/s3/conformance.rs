use futures_util::TryStreamExt;
use outport_aws::{Checksums, S3Settings, S3Store};
use outport_objects::{Expected, Objects, conformance};
use outport_tests::need;
use outport_tests::servers::moto::Moto;
use sha2::{Digest, Sha256};

use super::{BUCKET, Bed, content, get, put};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_an_object_store_as_a_folder_is_one() {
    let bed = Bed::new(need!(Moto::start())).await;
    conformance::all(&bed.store, BUCKET, "no-such-bucket").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_goes_up_in_parts_and_comes_down_in_ranges() {
    let bed = Bed::new(need!(Moto::start())).await;
    let content = content(64 * MIB + 12_345);
    for checksums in [Checksums::WhenSupported, Checksums::WhenRequired] {
        let store = S3Store::new(&bed.aws, S3Settings { checksums, ..S3Settings::default() });
        let key = format!("large-{checksums:?}");
        let stored = put(&store, &key, &content).await.unwrap();
        assert_eq!(stored.size_bytes, content.len() as u64);
        let want: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(stored.sha256, want);
        assert!(stored.etag.as_ref().unwrap().ends_with("-9"), "nine parts: {:?}", stored.etag);
        let read = get(&store, &key, Expected::etag(stored.etag.unwrap())).await.unwrap();
        assert!(read == content, "{checksums:?}: other bytes came back");
        let start = format!("GET /{BUCKET}/{key}");
        let requests = bed.moto.requests();
        let ranges: Vec<_> = requests.iter().filter(|line| line.starts_with(&start)).collect();
        assert_eq!(ranges.len(), 17, "17 ranges of 4 MiB, each asked for once: {requests:#?}");
        assert!(ranges.iter().all(|line| line.ends_with(" 206")), "{ranges:#?}");
    }
    assert_eq!(bed.open_uploads().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edges_of_parts_and_ranges() {
    let bed = Bed::new(need!(Moto::start())).await;
    for (size, parts) in [(4 * MIB, 0), (4 * MIB + 1, 0), (8 * MIB, 0), (8 * MIB + 1, 2), (16 * MIB, 2)] {
        let content = content(size);
        let stored = put(&bed.store, "edge", &content).await.unwrap();
        let etag = stored.etag.clone().unwrap();
        let is_in_parts = etag.rsplit_once('-').map_or(0, |(_, parts)| parts.parse().unwrap());
        assert_eq!(is_in_parts, parts, "{size} bytes: {etag}");
        assert!(get(&bed.store, "edge", Expected::etag(etag)).await.unwrap() == content, "{size} bytes");
        bed.store.delete(BUCKET, "edge").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_as_they_are() {
    let bed = Bed::new(need!(Moto::start())).await;
    // No line breaks: moto does not find its way to such a key.
    let mut keys = ["a b+c%2B", "ü/&<>\"'.json", "folder/", "%41", "a//b", "plain"];
    for key in keys {
        bed.client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(key.as_bytes().to_vec().into())
            .send()
            .await
            .unwrap();
    }
    keys.sort_unstable();
    let listed: Vec<_> = bed.store.list(BUCKET, "").try_collect().await.unwrap();
    let found: Vec<&str> = listed.iter().map(|listed| listed.key.as_str()).collect();
    assert_eq!(found, keys);
    for listed in listed {
        let head = bed.store.head(BUCKET, &listed.key).await;
        if matches!(listed.key.as_str(), "folder/" | "a//b") {
            assert_eq!(head.unwrap_err().code.name, "intake.bad_key");
        } else {
            let head = head.unwrap().unwrap();
            assert_eq!(
                (head.size_bytes, head.etag),
                (listed.info.size_bytes, listed.info.etag),
                "{}",
                listed.key
            );
        }
    }
}
