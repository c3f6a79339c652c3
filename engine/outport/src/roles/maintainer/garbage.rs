//! Stored objects that belong to no file: the snapshot of a dispatch that did not commit, the output of a transform
//! whose worker lost its lease.

use futures_util::StreamExt;
use jiff::Timestamp;
use outport_core::timing::millis;
use outport_core::{Fault, Millis};
use outport_objects::Objects;
use outport_store::{Store, artifacts};

use crate::engine::Engine;

/// Keys asked about at once.
const BATCH: usize = 500;

/// Removes what is old enough to belong to no transaction under way; how many objects.
pub async fn collect(engine: &Engine) -> Result<u64, Fault> {
    if !engine.storage.is_of(&engine.store).await? {
        return Ok(0);
    }
    let before = Timestamp::now().as_millisecond() - millis(engine.timing.garbage_age);
    let mut removed = 0;
    for (bucket, prefix) in engine.storage.own_places() {
        removed += collect_below(&engine.store, engine.artifacts(), (&bucket, &prefix), before).await?;
    }
    Ok(removed)
}

async fn collect_below(
    store: &Store,
    objects: &dyn Objects,
    (bucket, prefix): (&str, &str),
    before: Millis,
) -> Result<u64, Fault> {
    let mut listing = objects.list(bucket, prefix);
    let (mut old, mut removed) = (Vec::with_capacity(BATCH), 0);
    loop {
        let next = listing.next().await.transpose()?;
        let ended = next.is_none();
        old.extend(next.filter(|object| object.info.modified_at < before).map(|object| object.key));
        if old.len() == BATCH || ended {
            let known = artifacts::known(store, bucket, &old).await.map_err(|e| e.fault())?;
            for key in old.drain(..).filter(|key| !known.contains(key)) {
                objects.delete(bucket, &key).await?;
                removed += 1;
            }
        }
        if ended {
            return Ok(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use outport_core::ObjectKey;
    use outport_core::event::{EventSource, ObjectEvent};
    use outport_core::version::version_of;
    use outport_objects::FolderStore;
    use outport_store::claim_sends::ArtifactRow;
    use outport_store::enqueue::{Arrival, dispatch};

    use super::*;
    use crate::storage::ORIGINALS;

    #[tokio::test(flavor = "multi_thread")]
    async fn only_old_objects_of_nobody_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("x.db").display())).await.unwrap();
        store.migrate().await.unwrap();
        let root = folder.path().join("artifacts");
        std::fs::create_dir(&root).unwrap();
        let objects = FolderStore::open(root).await.unwrap();
        objects.make_bucket(ORIGINALS).await.unwrap();
        for key in ["mine", "nobodys"] {
            let mut writer = objects.create(ORIGINALS, key).await.unwrap();
            writer.write(Bytes::from_static(b"x")).await.unwrap();
            writer.finish().await.unwrap();
        }
        let arrival = Arrival {
            event: ObjectEvent {
                bucket: "in".into(),
                key: ObjectKey::new("f").unwrap(),
                version_id: None,
                sequencer: None,
                etag: None,
                size_bytes: Some(1),
                event_at: 1,
                source: EventSource::Watch,
                message_id: None,
            },
            version: version_of(Some("v"), None, None).unwrap(),
            original: ArtifactRow {
                bucket: ORIGINALS.into(),
                key: "mine".into(),
                version_id: None,
                etag: None,
                size_bytes: 1,
                sha256: None,
            },
            signature: None,
            modified_at: None,
        };
        dispatch(&store, &arrival, |_, _| None).await.unwrap();
        assert_eq!(collect_below(&store, &objects, (ORIGINALS, ""), 1).await.unwrap(), 0, "all are young");
        assert_eq!(collect_below(&store, &objects, (ORIGINALS, ""), Millis::MAX).await.unwrap(), 1);
        assert!(objects.head(ORIGINALS, "mine").await.unwrap().is_some());
        assert!(objects.head(ORIGINALS, "nobodys").await.unwrap().is_none());
    }
}
