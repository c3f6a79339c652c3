//! What the dispatcher routes by: rules and subscriptions, read in its own transaction.

use outport_core::route::Rule;
use outport_core::settings::RetryPolicy;
use outport_core::{EndpointId, FileGroupId, Millis, SpecId, SubscriberId, SubscriptionId};

use crate::Store;
use crate::enqueue::OutputExt;
use crate::error::StoreError;
use crate::row::{get, id, json, maybe_id};
use crate::sql::{Tx, args};

/// A subscription as the dispatcher needs it.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionRow {
    pub id: SubscriptionId,
    pub code: String,
    pub revision: i32,
    pub subscriber_id: SubscriberId,
    pub endpoint_id: EndpointId,
    pub endpoint_revision: i32,
    pub spec: Option<SpecId>,
    /// The extension of what the spec makes of a file, where it is not the file's own.
    pub output_ext: Option<&'static str>,
    pub remote_name: String,
    pub priority: i16,
    pub retry_policy: RetryPolicy,
    pub on_unconfirmed: String,
    pub stale: String,
    /// Its files go one after the other.
    pub fifo: bool,
}

/// The active rules of a bucket, however old the object is.
pub(crate) async fn rules(tx: &Tx, bucket: &str) -> Result<Vec<Rule>, StoreError> {
    Ok(dated_rules(tx, bucket).await?.into_iter().map(|(_, rule)| rule).collect())
}

/// The active rules of a bucket, each with its start: one that is found takes nothing that was last changed before that.
pub(crate) async fn dated_rules(tx: &Tx, bucket: &str) -> Result<Vec<(Millis, Rule)>, StoreError> {
    let doing = tx.doing();
    let rows = tx
        .rows(
            "SELECT r.id, r.file_group_id, r.key_pattern, r.starts_at, g.name FROM file_group_rule r \
             JOIN file_group g ON g.id = r.file_group_id \
             WHERE r.bucket = $1 AND r.retired_at IS NULL AND g.enabled ORDER BY r.id",
            args![bucket],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let pattern: String = get(row, "key_pattern", doing)?;
            let rule = Rule {
                id: id(row, "id", doing)?,
                file_group_id: id(row, "file_group_id", doing)?,
                file_group: get(row, "name", doing)?,
                bucket: bucket.to_owned(),
                pattern: pattern.parse()?,
            };
            Ok((get(row, "starts_at", doing)?, rule))
        })
        .collect()
}

/// The active subscriptions of a file group. `enabled` of the subscription and the subscriber count; a disabled
/// endpoint only makes its deliveries wait.
pub(crate) async fn subscriptions(
    tx: &Tx,
    group: FileGroupId,
    output_ext: OutputExt,
) -> Result<Vec<SubscriptionRow>, StoreError> {
    let doing = tx.doing();
    let rows = tx
        .rows(
            "SELECT s.id, s.code, s.revision, s.subscriber_id, s.endpoint_id, e.revision AS endpoint_revision, \
                    s.transform_spec_id, t.kind, t.params, s.remote_name, s.priority, s.retry_policy, \
                    s.on_unconfirmed, s.stale, s.ordering \
             FROM subscription s JOIN subscriber b ON b.id = s.subscriber_id JOIN endpoint e ON e.id = s.endpoint_id \
             LEFT JOIN transform_spec t ON t.id = s.transform_spec_id \
             WHERE s.file_group_id = $1 AND s.retired_at IS NULL AND s.enabled AND b.enabled ORDER BY s.endpoint_id, s.id",
            args![group.uuid()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let kind: Option<String> = get(row, "kind", doing)?;
            let params: Option<serde_json::Value> = get(row, "params", doing)?;
            Ok(SubscriptionRow {
                id: id(row, "id", doing)?,
                code: get(row, "code", doing)?,
                revision: get(row, "revision", doing)?,
                subscriber_id: id(row, "subscriber_id", doing)?,
                endpoint_id: id(row, "endpoint_id", doing)?,
                endpoint_revision: get(row, "endpoint_revision", doing)?,
                spec: maybe_id(row, "transform_spec_id", doing)?,
                output_ext: kind.zip(params).and_then(|(kind, params)| output_ext(&kind, &params)),
                remote_name: get(row, "remote_name", doing)?,
                priority: get(row, "priority", doing)?,
                retry_policy: json(row, "retry_policy", doing)?,
                on_unconfirmed: get(row, "on_unconfirmed", doing)?,
                stale: get(row, "stale", doing)?,
                fifo: get::<String>(row, "ordering", doing)? == "fifo",
            })
        })
        .collect()
}

/// Since when each bucket is watched by a rule: a sweep looks at nothing older. Buckets without a rule are absent.
///
/// No further back than `horizon`, but for a rule that is younger than that: its `backfill` is still being taken in.
pub async fn watched_since(store: &Store, horizon: Millis) -> Result<Vec<(String, Millis)>, StoreError> {
    let doing = "reading the watched buckets";
    let sql = "SELECT bucket, min(CASE WHEN created_at > {now} - $1 THEN starts_at \
                                  ELSE {greatest}(starts_at, {now} - $1) END) AS since \
               FROM file_group_rule WHERE retired_at IS NULL GROUP BY bucket";
    let rows = store.read(doing, sql, args![horizon]).await?;
    rows.iter().map(|row| Ok((get(row, "bucket", doing)?, get(row, "since", doing)?))).collect()
}
