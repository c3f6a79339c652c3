//! What every implementation of [`Objects`] must do. Call [`all`] from a test with an empty bucket.
//!
//! Panics where the store does not conform: this is test code that other crates can reach.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future};
use outport_core::{Fault, code};

use crate::{Expected, Objects, PIECE_BYTES, Stored};

/// Runs every check. `bucket` is an empty bucket of the store, `no_bucket` the name of one that it does not have.
pub async fn all(store: &dyn Objects, bucket: &str, no_bucket: &str) {
    written_is_read(store, bucket).await;
    sizes_around_a_piece(store, bucket).await;
    unfinished_is_invisible(store, bucket).await;
    first_writer_wins(store, bucket).await;
    expectations(store, bucket).await;
    listings(store, bucket).await;
    deleting(store, bucket).await;
    bad_names(store, bucket, no_bucket).await;
    let left = keys(store, bucket, "").await;
    assert_eq!(left, [""; 0], "the checks clean up after themselves, and so must the store");
}

async fn put(store: &dyn Objects, bucket: &str, key: &str, content: &[u8]) -> Result<Stored, Fault> {
    let mut writer = store.create(bucket, key).await?;
    writer.write(Bytes::copy_from_slice(content)).await?;
    writer.finish().await
}

async fn get(store: &dyn Objects, bucket: &str, key: &str, expected: Expected) -> Result<Vec<u8>, Fault> {
    let mut reader = store.open(bucket, key, expected).await?;
    let mut content = Vec::new();
    while let Some(piece) = reader.next().await? {
        assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES, "a piece of {} bytes", piece.len());
        content.extend_from_slice(&piece);
    }
    assert_eq!(content.len() as u64, reader.size_bytes());
    Ok(content)
}

async fn keys(store: &dyn Objects, bucket: &str, prefix: &str) -> Vec<String> {
    store.list(bucket, prefix).map_ok(|listed| listed.key).try_collect().await.unwrap()
}

fn code_of<T>(result: Result<T, Fault>) -> &'static str {
    result.map_or_else(|fault| fault.code.name, |_| "ok")
}

async fn written_is_read(store: &dyn Objects, bucket: &str) {
    for key in ["plain", "deep/er/still", "a b+c%2B", "ü/ß.json", "c:\\d", ".hidden"] {
        assert_eq!(store.head(bucket, key).await.unwrap(), None, "{key}");
        let stored = put(store, bucket, key, b"abc").await.unwrap();
        assert_eq!(stored.size_bytes, 3);
        // FIPS 180-4, the example of one block.
        assert_eq!(stored.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let info = store.head(bucket, key).await.unwrap().unwrap();
        assert_eq!((info.size_bytes, &info.etag), (3, &stored.etag), "{key}");
        assert!(info.modified_at > 1_600_000_000_000, "milliseconds since 1970: {}", info.modified_at);
        let expected = Expected { version: info.version, etag: stored.etag };
        assert_eq!(get(store, bucket, key, expected).await.unwrap(), b"abc", "{key}");
        store.delete(bucket, key).await.unwrap();
    }
}

async fn sizes_around_a_piece(store: &dyn Objects, bucket: &str) {
    for size in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7] {
        let content: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let mut writer = store.create(bucket, "sized").await.unwrap();
        for piece in content.chunks(100_003) {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        assert_eq!(writer.finish().await.unwrap().size_bytes, size as u64);
        assert_eq!(get(store, bucket, "sized", Expected::any()).await.unwrap(), content, "{size} bytes");
        store.delete(bucket, "sized").await.unwrap();
    }
}

async fn unfinished_is_invisible(store: &dyn Objects, bucket: &str) {
    let mut writer = store.create(bucket, "unfinished/a").await.unwrap();
    writer.write(Bytes::from_static(b"half")).await.unwrap();
    assert_eq!(store.head(bucket, "unfinished/a").await.unwrap(), None);
    assert_eq!(keys(store, bucket, "").await, [""; 0]);
    writer.abort().await.unwrap();
    let mut writer = store.create(bucket, "unfinished/a").await.unwrap();
    writer.write(Bytes::from_static(b"half")).await.unwrap();
    drop(writer);
    assert_eq!(store.head(bucket, "unfinished/a").await.unwrap(), None);
    assert_eq!(keys(store, bucket, "").await, [""; 0]);
    put(store, bucket, "unfinished/a", b"whole").await.unwrap();
    store.delete(bucket, "unfinished/a").await.unwrap();
}

async fn first_writer_wins(store: &dyn Objects, bucket: &str) {
    let writers = future::join_all((0..8).map(|number: u8| async move {
        let mut writer = store.create(bucket, "contended").await?;
        writer.write(Bytes::from(vec![number; 1000])).await?;
        writer.finish().await
    }));
    let results = writers.await;
    let won: Vec<usize> = (0..8).filter(|n| results[*n].is_ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    for lost in results.into_iter().filter(Result::is_err) {
        assert_eq!(code_of(lost), code::OBJECT_EXISTS.name);
    }
    let content = get(store, bucket, "contended", Expected::any()).await.unwrap();
    assert_eq!(content, vec![won[0] as u8; 1000]);
    assert_eq!(code_of(put(store, bucket, "contended", b"late").await), code::OBJECT_EXISTS.name);
    store.delete(bucket, "contended").await.unwrap();
}

async fn expectations(store: &dyn Objects, bucket: &str) {
    assert_eq!(code_of(store.open(bucket, "none", Expected::any()).await), code::ARTIFACT_MISSING.name);
    assert_eq!(code_of(store.open(bucket, "no/ne", Expected::etag("x")).await), code::ARTIFACT_MISSING.name);
    let first = put(store, bucket, "e", b"one").await.unwrap();
    store.delete(bucket, "e").await.unwrap();
    put(store, bucket, "e", b"other").await.unwrap();
    for expected in [Expected::etag(first.etag.unwrap()), Expected::etag("nonsense")] {
        assert_eq!(code_of(store.open(bucket, "e", expected).await), code::ARTIFACT_CHANGED.name);
    }
    store.delete(bucket, "e").await.unwrap();
}

async fn listings(store: &dyn Objects, bucket: &str) {
    // No key is another one's folder: a file system cannot have both.
    let mut all = vec!["a.b", "a/b", "a/b.c", "a0", "b/c/d/e", "b/c/d.e", "ü-"];
    let many: Vec<String> = (0..700).map(|n| format!("many/{n:03}")).collect();
    all.extend(many.iter().map(String::as_str));
    for key in &all {
        put(store, bucket, key, key.as_bytes()).await.unwrap();
    }
    all.sort_unstable();
    let prefixes = [
        "", "a", "a/", "a/b", "a/b.", "b", "b/", "b/c", "many/", "many/1", "z", "a/b/", "//", "../",
        "b/../a", "\0/", "many",
    ];
    for prefix in prefixes {
        let want: Vec<&str> = all.iter().copied().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(keys(store, bucket, prefix).await, want, "prefix {prefix:?}");
    }
    let long = "x".repeat(300);
    assert_eq!(keys(store, bucket, &format!("{long}/")).await, [""; 0]);
    let sizes: Vec<u64> =
        store.list(bucket, "a").map(|listed| listed.unwrap().info.size_bytes).collect().await;
    assert_eq!(sizes, [3, 3, 5, 2]);
    for key in all {
        store.delete(bucket, key).await.unwrap();
    }
}

async fn deleting(store: &dyn Objects, bucket: &str) {
    put(store, bucket, "d/e", b"x").await.unwrap();
    for key in ["d/e", "d/e", "d", "never/there"] {
        store.delete(bucket, key).await.unwrap();
        assert_eq!(store.head(bucket, key).await.unwrap(), None);
    }
}

async fn bad_names(store: &dyn Objects, bucket: &str, no_bucket: &str) {
    for key in ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a\0b"] {
        let want = code::INTAKE_BAD_KEY.name;
        assert_eq!(code_of(store.head(bucket, key).await), want, "{key:?}");
        assert_eq!(code_of(store.open(bucket, key, Expected::any()).await), want, "{key:?}");
        assert_eq!(code_of(store.create(bucket, key).await), want, "{key:?}");
        assert_eq!(code_of(store.delete(bucket, key).await), want, "{key:?}");
    }
    for bucket in [no_bucket, "..", "", "a/b"] {
        let want = code::INTAKE_BUCKET_MISSING.name;
        assert_eq!(code_of(store.head(bucket, "a").await), want, "{bucket:?}");
        assert_eq!(code_of(store.open(bucket, "a", Expected::any()).await), want, "{bucket:?}");
        assert_eq!(code_of(store.create(bucket, "a").await), want, "{bucket:?}");
        assert_eq!(code_of(store.delete(bucket, "a").await), want, "{bucket:?}");
        assert_eq!(code_of(store.list(bucket, "").try_collect::<Vec<_>>().await), want, "{bucket:?}");
    }
}
