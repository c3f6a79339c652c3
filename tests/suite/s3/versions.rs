use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bytes::Bytes;
use outport_objects::{Expected, Objects};
use outport_tests::need;
use outport_tests::servers::moto::Moto;

use super::{BUCKET, Bed, code_of, content, get, put};

impl Bed {
    async fn keep_versions(&self) {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        self.client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(on).send().await.unwrap();
    }

    /// Writes past the store, and over what is there. Gives the version.
    async fn overwrite(&self, key: &str, content: &'static [u8]) -> String {
        let body = Bytes::from_static(content).into();
        let stored = self.client.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
        stored.version_id().unwrap_or_default().to_owned()
    }
}

fn version(version: &str, etag: Option<&str>) -> Expected {
    Expected { version: Some(version.into()), etag: etag.map(str::to_owned) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_version_is_read_whatever_came_after_it() {
    let bed = Bed::new(need!(Moto::start())).await;
    bed.keep_versions().await;
    let first = bed.overwrite("a", b"first").await;
    let info = bed.store.head(BUCKET, "a").await.unwrap().unwrap();
    assert_eq!(info.version.as_deref(), Some(first.as_str()));
    let recorded = Expected { version: info.version, etag: info.etag.clone() };
    assert_eq!(get(&bed.store, "a", recorded.clone()).await.unwrap(), b"first");

    let second = bed.overwrite("a", b"second").await;
    assert_eq!(get(&bed.store, "a", recorded.clone()).await.unwrap(), b"first");
    assert_eq!(get(&bed.store, "a", Expected::any()).await.unwrap(), b"second");
    let stale = get(&bed.store, "a", Expected::etag(info.etag.clone().unwrap())).await;
    assert_eq!(code_of(&stale), "artifact.changed", "by its etag alone it is not there any more");

    bed.store.delete(BUCKET, "a").await.unwrap();
    assert_eq!(bed.store.head(BUCKET, "a").await.unwrap(), None);
    assert_eq!(code_of(&get(&bed.store, "a", Expected::any()).await), "artifact.missing");
    assert_eq!(get(&bed.store, "a", recorded.clone()).await.unwrap(), b"first", "behind the delete marker");
    assert_eq!(get(&bed.store, "a", version(&second, None)).await.unwrap(), b"second");

    let wrong = get(&bed.store, "a", version(&second, info.etag.as_deref())).await;
    assert_eq!(code_of(&wrong), "artifact.changed", "the etag of the one with the version of the other");
    let versions = bed.client.list_object_versions().bucket(BUCKET).send().await.unwrap();
    let marker = versions.delete_markers()[0].version_id().unwrap().to_owned();
    assert_eq!(code_of(&get(&bed.store, "a", version(&marker, None)).await), "artifact.missing");
    bed.client.delete_object().bucket(BUCKET).key("a").version_id(&first).send().await.unwrap();
    assert_eq!(
        code_of(&get(&bed.store, "a", recorded).await),
        "artifact.missing",
        "the version itself is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_replaced_while_it_is_read_is_noticed() {
    let bed = Bed::new(need!(Moto::start())).await;
    const SIZE: usize = 40 * 1024 * 1024;
    put(&bed.store, "a", &content(SIZE)).await.unwrap();
    // Nobody asked for an exact one: the first answer decides.
    let mut reader = bed.store.open(BUCKET, "a", Expected::any()).await.unwrap();
    reader.next().await.unwrap().unwrap();
    // As long as the first: moto fails over a range beyond the end before it compares the etag.
    bed.client.put_object().bucket(BUCKET).key("a").body(vec![0; SIZE].into()).send().await.unwrap();
    let fault = loop {
        match reader.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a mixture of two objects was taken for one"),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.code.name, "artifact.changed", "{fault}");
}
