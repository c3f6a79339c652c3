//! Everything that the ledger knows about one file, also about what did not happen to it: `outport why`.

use std::collections::BTreeSet;

use outport_core::route::Rule;
use outport_core::{FileGroupId, FileId, Millis};
use serde::Serialize;

use super::Page;
use super::deliveries::{self, DeliveryDetail};
use super::endpoints::{self, EndpointView};
use super::files::{self, EventView, FileView};
use super::history::{self, HistoryView};
use super::transforms::{self, TransformView};
use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id, maybe_id};
use crate::sql::args;

/// The facts of the story.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// The file.
    pub file: FileView,
    /// When the content was last changed, by the bucket's clock.
    pub modified_at: Option<Millis>,
    /// Other files with the same bucket and key: other versions.
    pub other_versions: i64,
    /// Every sighting, oldest first.
    pub events: Vec<EventView>,
    /// Every rule, of every bucket, retired ones too.
    pub rules: Vec<RuleView>,
    /// The subscriptions of the file's group, retired ones too.
    pub subscriptions: Vec<SubscriberOf>,
    /// Its transforms, oldest first.
    pub transforms: Vec<TransformView>,
    /// Its deliveries with their attempts, oldest first.
    pub deliveries: Vec<DeliveryDetail>,
    /// Where they go.
    pub endpoints: Vec<EndpointView>,
    /// What was done to the file and its deliveries, oldest first.
    pub history: Vec<HistoryView>,
}

/// A rule and its times.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct RuleView {
    #[serde(skip)]
    pub rule: Rule,
    pub bucket: String,
    pub pattern: String,
    pub file_group: String,
    pub enabled: bool,
    pub starts_at: Millis,
    pub created_at: Millis,
    pub retired_at: Option<Millis>,
}

/// A subscription of the file's group.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct SubscriberOf {
    pub code: String,
    pub subscriber: String,
    pub enabled: bool,
    pub subscriber_enabled: bool,
    pub retired_at: Option<Millis>,
    /// What was done to it, oldest first: created, changed, enabled, disabled, retired.
    pub history: Vec<HistoryView>,
}

/// The newest version of an object; without a bucket the newest of all buckets.
pub async fn newest(store: &Store, bucket: Option<&str>, key: &str) -> Result<Option<FileId>, StoreError> {
    let doing = "looking for a file";
    let rows = match bucket {
        Some(bucket) => {
            let sql = "SELECT id FROM file WHERE bucket = $1 AND key = $2 ORDER BY id DESC LIMIT 1";
            store.read(doing, sql, args![bucket, key]).await?
        }
        // One step of the index `file_identity` for each bucket, instead of all its rows.
        None => {
            let sql = "WITH RECURSIVE buckets (name) AS (SELECT min(bucket) FROM file UNION ALL \
                         SELECT (SELECT min(bucket) FROM file WHERE bucket > buckets.name) FROM buckets \
                         WHERE buckets.name IS NOT NULL) \
                       SELECT f.id FROM buckets JOIN file f ON f.bucket = buckets.name AND f.key = $1 \
                       ORDER BY f.id DESC LIMIT 1";
            store.read(doing, sql, args![key]).await?
        }
    };
    rows.first().map(|row| id(row, "id", doing)).transpose()
}

/// The whole story; `None`: there is no such file.
pub async fn story(store: &Store, file: FileId) -> Result<Option<Story>, StoreError> {
    let doing = "reading the story of a file";
    let Some(seen) = files::seen(store, file).await? else { return Ok(None) };
    let rows = store
        .read(
            doing,
            "SELECT f.modified_at, f.file_group_id, (SELECT count(*) FROM file o WHERE o.bucket = f.bucket \
             AND o.key = f.key AND o.id <> f.id) AS others FROM file f WHERE f.id = $1",
            args![file.uuid()],
        )
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let rules = rules(store).await?;
    let group: Option<FileGroupId> = maybe_id(row, "file_group_id", doing)?;
    let deliveries = deliveries::of_file(store, file).await?;
    let wanted: BTreeSet<&str> = deliveries.iter().map(|d| d.delivery.endpoint.as_str()).collect();
    let mut endpoints = Vec::new();
    for name in wanted {
        endpoints.extend(endpoints::show(store, name).await?);
    }
    let filter = transforms::Filter { file: Some(file), ..Default::default() };
    let mut transforms = transforms::list(store, &filter, Page { limit: 1_000 }).await?;
    transforms.reverse();
    Ok(Some(Story {
        file: seen.0,
        modified_at: get(row, "modified_at", doing)?,
        other_versions: get(row, "others", doing)?,
        events: seen.1,
        rules,
        subscriptions: match group {
            Some(group) => subscriptions(store, group).await?,
            None => Vec::new(),
        },
        transforms,
        deliveries,
        endpoints,
        history: history::of(
            store,
            doing,
            // Not `= $1 OR IN (...)`: PostgreSQL would read the whole history for that.
            "h.subject_id IN (SELECT id FROM file WHERE id = $1 UNION ALL SELECT id FROM delivery WHERE file_id = $1)",
            args![file.uuid()],
        )
        .await?,
    }))
}

/// Every rule, retired ones too.
pub async fn rules(store: &Store) -> Result<Vec<RuleView>, StoreError> {
    let doing = "reading the rules";
    let rows = store
        .read(
            doing,
            "SELECT r.id, r.file_group_id, r.bucket, r.key_pattern, r.starts_at, r.created_at, r.retired_at, g.name, \
             g.enabled FROM file_group_rule r JOIN file_group g ON g.id = r.file_group_id ORDER BY r.id",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let (bucket, pattern): (String, String) =
                (get(row, "bucket", doing)?, get(row, "key_pattern", doing)?);
            let file_group: String = get(row, "name", doing)?;
            let rule = Rule {
                id: id(row, "id", doing)?,
                file_group_id: id(row, "file_group_id", doing)?,
                file_group: file_group.clone(),
                bucket: bucket.clone(),
                pattern: pattern.parse()?,
            };
            Ok(RuleView {
                rule,
                bucket,
                pattern,
                file_group,
                enabled: get(row, "enabled", doing)?,
                starts_at: get(row, "starts_at", doing)?,
                created_at: get(row, "created_at", doing)?,
                retired_at: get(row, "retired_at", doing)?,
            })
        })
        .collect()
}

async fn subscriptions(store: &Store, group: FileGroupId) -> Result<Vec<SubscriberOf>, StoreError> {
    let doing = "reading the subscriptions of a file group";
    let of_group = "SELECT id FROM subscription WHERE file_group_id = $1";
    let entries =
        history::of(store, doing, &format!("h.subject_id IN ({of_group})"), args![group.uuid()]).await?;
    let rows = store
        .read(
            doing,
            "SELECT s.id, s.code, b.code AS subscriber, s.enabled, b.enabled AS subscriber_enabled, s.retired_at \
             FROM subscription s JOIN subscriber b ON b.id = s.subscriber_id WHERE s.file_group_id = $1 ORDER BY s.code",
            args![group.uuid()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let id: uuid::Uuid = get(row, "id", doing)?;
            Ok(SubscriberOf {
                code: get(row, "code", doing)?,
                subscriber: get(row, "subscriber", doing)?,
                enabled: get(row, "enabled", doing)?,
                subscriber_enabled: get(row, "subscriber_enabled", doing)?,
                retired_at: get(row, "retired_at", doing)?,
                history: entries.iter().filter(|entry| entry.subject == id).cloned().collect(),
            })
        })
        .collect()
}
