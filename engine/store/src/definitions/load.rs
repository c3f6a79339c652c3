//! The tables as one [`Definitions`] value.

use outport_core::credential::{CredentialRef, KeyRef, SecretRef};
use outport_core::definitions::{
    Definitions, Endpoint, FileGroup, Rule, Subscriber, Subscription, TransformSpec,
};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::error::StoreError;
use crate::row::{get, json};
use crate::sql::Tx;

pub(super) async fn load(tx: &Tx) -> Result<Definitions, StoreError> {
    Ok(Definitions {
        file_groups: file_groups(tx).await?,
        subscribers: subscribers(tx).await?,
        transforms: transforms(tx).await?,
        subscriptions: subscriptions(tx).await?,
    })
}

async fn file_groups(tx: &Tx) -> Result<Vec<FileGroup>, StoreError> {
    let doing = tx.doing();
    let rules = tx
        .rows(
            "SELECT file_group_id, bucket, key_pattern FROM file_group_rule WHERE retired_at IS NULL ORDER BY id",
            vec![],
        )
        .await?;
    let groups = tx.rows("SELECT id, name, enabled FROM file_group ORDER BY name", vec![]).await?;
    groups
        .iter()
        .map(|row| {
            let id: Uuid = get(row, "id", doing)?;
            let mut mine = Vec::new();
            for rule in &rules {
                if get::<Uuid>(rule, "file_group_id", doing)? == id {
                    let (bucket, key) = (get(rule, "bucket", doing)?, get(rule, "key_pattern", doing)?);
                    mine.push(Rule { bucket, key, backfill: None });
                }
            }
            Ok(FileGroup {
                name: get(row, "name", doing)?,
                enabled: Some(get(row, "enabled", doing)?),
                rules: mine,
            })
        })
        .collect()
}

async fn subscribers(tx: &Tx) -> Result<Vec<Subscriber>, StoreError> {
    let doing = tx.doing();
    let endpoints = tx
        .rows(
            "SELECT subscriber_id, name, protocol, host, port, username, credential_ref, identity_pins, \
             host_cas, settings, upload, enabled FROM endpoint WHERE retired_at IS NULL ORDER BY name",
            vec![],
        )
        .await?;
    let rows = tx.rows("SELECT id, code, name, enabled FROM subscriber ORDER BY code", vec![]).await?;
    rows.iter()
        .map(|row| {
            let id: Uuid = get(row, "id", doing)?;
            let mut mine = Vec::new();
            for endpoint in &endpoints {
                if get::<Uuid>(endpoint, "subscriber_id", doing)? == id {
                    mine.push(read_endpoint(endpoint, doing)?);
                }
            }
            Ok(Subscriber {
                code: get(row, "code", doing)?,
                name: Some(get(row, "name", doing)?),
                enabled: Some(get(row, "enabled", doing)?),
                endpoints: mine,
            })
        })
        .collect()
}

fn read_endpoint(row: &QueryResult, doing: &'static str) -> Result<Endpoint, StoreError> {
    let credential = CredentialRef::from_stored(&get::<String>(row, "credential_ref", doing)?)
        .map_err(|problem| StoreError::Unreadable { doing, problem: format!("credential_ref: {problem}") })?;
    let text = |secret: Option<SecretRef>| secret.map(|secret| secret.to_string());
    let (key, key_passphrase, certificate) = match credential.key {
        Some(KeyRef { key, passphrase, certificate }) => (Some(key), passphrase, certificate),
        None => (None, None, None),
    };
    Ok(Endpoint {
        name: get(row, "name", doing)?,
        protocol: get(row, "protocol", doing)?,
        host: get(row, "host", doing)?,
        port: u16::try_from(get::<i32>(row, "port", doing)?).ok(),
        username: get(row, "username", doing)?,
        password: text(credential.password),
        key: text(key),
        key_passphrase: text(key_passphrase),
        certificate: text(certificate),
        host_keys: json(row, "identity_pins", doing)?,
        host_cas: json(row, "host_cas", doing)?,
        enabled: Some(get(row, "enabled", doing)?),
        settings: json(row, "settings", doing)?,
        upload: json(row, "upload", doing)?,
    })
}

/// The newest version of each.
async fn transforms(tx: &Tx) -> Result<Vec<TransformSpec>, StoreError> {
    let doing = tx.doing();
    let rows = tx
        .rows(
            "SELECT name, kind, params FROM transform_spec s \
             WHERE version = (SELECT max(version) FROM transform_spec n WHERE n.name = s.name) ORDER BY name",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(TransformSpec {
                name: get(row, "name", doing)?,
                kind: get(row, "kind", doing)?,
                params: get(row, "params", doing)?,
                spec: None,
            })
        })
        .collect()
}

async fn subscriptions(tx: &Tx) -> Result<Vec<Subscription>, StoreError> {
    let doing = tx.doing();
    let rows = tx
        .rows(
            "SELECT s.code, b.code AS subscriber, g.name AS file_group, e.name AS endpoint, t.name AS transform, \
                    s.remote_name, s.priority, s.ordering, s.on_unconfirmed, s.stale, s.retry_policy, s.enabled \
             FROM subscription s JOIN subscriber b ON b.id = s.subscriber_id \
             JOIN file_group g ON g.id = s.file_group_id JOIN endpoint e ON e.id = s.endpoint_id \
             LEFT JOIN transform_spec t ON t.id = s.transform_spec_id \
             WHERE s.retired_at IS NULL ORDER BY s.code",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Subscription {
                code: get(row, "code", doing)?,
                subscriber: get(row, "subscriber", doing)?,
                file_group: get(row, "file_group", doing)?,
                endpoint: get(row, "endpoint", doing)?,
                transform: get(row, "transform", doing)?,
                remote_name: get(row, "remote_name", doing)?,
                priority: get(row, "priority", doing)?,
                ordering: get(row, "ordering", doing)?,
                on_unconfirmed: get(row, "on_unconfirmed", doing)?,
                stale: get(row, "stale", doing)?,
                retry: json(row, "retry_policy", doing)?,
                enabled: Some(get(row, "enabled", doing)?),
            })
        })
        .collect()
}
