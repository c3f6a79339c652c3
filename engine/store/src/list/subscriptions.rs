//! Subscriptions.

use outport_core::{Millis, SubscriptionId};
use sea_orm::QueryResult;
use serde::Serialize;

use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id};
use crate::sql::args;

/// One subscription.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct SubscriptionView {
    pub id: SubscriptionId,
    pub code: String,
    pub subscriber: String,
    pub file_group: String,
    pub transform: Option<String>,
    pub endpoint: String,
    pub remote_name: String,
    pub priority: i16,
    pub ordering: String,
    pub on_unconfirmed: String,
    pub retry: serde_json::Value,
    pub enabled: bool,
    pub revision: i32,
    pub retired_at: Option<Millis>,
}

const SELECT: &str = "SELECT s.id, s.code, b.code AS subscriber, g.name AS file_group, t.name AS transform, \
    e.name AS endpoint, s.remote_name, s.priority, s.ordering, s.on_unconfirmed, s.retry_policy, s.enabled, \
    s.revision, s.retired_at \
    FROM subscription s JOIN subscriber b ON b.id = s.subscriber_id JOIN file_group g ON g.id = s.file_group_id \
    JOIN endpoint e ON e.id = s.endpoint_id LEFT JOIN transform_spec t ON t.id = s.transform_spec_id";

fn view(row: &QueryResult, doing: &'static str) -> Result<SubscriptionView, StoreError> {
    let subscriber: String = get(row, "subscriber", doing)?;
    let endpoint: String = get(row, "endpoint", doing)?;
    Ok(SubscriptionView {
        id: id(row, "id", doing)?,
        code: get(row, "code", doing)?,
        endpoint: format!("{subscriber}/{endpoint}"),
        subscriber,
        file_group: get(row, "file_group", doing)?,
        transform: get(row, "transform", doing)?,
        remote_name: get(row, "remote_name", doing)?,
        priority: get(row, "priority", doing)?,
        ordering: get(row, "ordering", doing)?,
        on_unconfirmed: get(row, "on_unconfirmed", doing)?,
        retry: get(row, "retry_policy", doing)?,
        enabled: get(row, "enabled", doing)?,
        revision: get(row, "revision", doing)?,
        retired_at: get(row, "retired_at", doing)?,
    })
}

/// The active ones, by code.
pub async fn list(store: &Store) -> Result<Vec<SubscriptionView>, StoreError> {
    let doing = "listing subscriptions";
    let sql = format!("{SELECT} WHERE s.retired_at IS NULL ORDER BY s.code");
    let rows = store.read(doing, &sql, vec![]).await?;
    rows.iter().map(|row| view(row, doing)).collect()
}

/// One subscription by code or id, retired ones too.
pub async fn show(store: &Store, name: &str) -> Result<Option<SubscriptionView>, StoreError> {
    let doing = "reading a subscription";
    let (condition, values) = match name.parse::<SubscriptionId>() {
        Ok(id) => ("s.id = $1", args![id.uuid()]),
        Err(_) => ("s.code = $1", args![name]),
    };
    let rows = store.read(doing, &format!("{SELECT} WHERE {condition}"), values).await?;
    rows.first().map(|row| view(row, doing)).transpose()
}
