//! One line of a plan, written.

use outport_core::definitions::{Change, Definitions, Endpoint, Rule, TransformSpec, Verb};
use outport_core::id::Id;
use outport_core::lane::NEVER;
use outport_core::{Fault, Millis, code};
use sea_orm::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::row::get;
use crate::sql::{Tx, args};
use crate::{fifo, lanes};

pub(super) async fn change(
    tx: &Tx,
    desired: &Definitions,
    change: &Change,
    actor: &str,
) -> Result<(), StoreError> {
    let subject_id = match (change.noun, change.verb) {
        ("file group", _) => file_group(tx, desired, &change.name).await?,
        ("rule", Verb::Retire) => retire_rule(tx, &change.name).await?,
        ("rule", _) => rule(tx, desired, &change.name).await?,
        ("transform", _) => transform(tx, desired, &change.name).await?,
        ("subscriber", _) => subscriber(tx, desired, &change.name).await?,
        ("endpoint", Verb::Retire) => retire_endpoint(tx, &change.name).await?,
        ("endpoint", _) => endpoint(tx, desired, &change.name).await?,
        ("subscription", Verb::Retire) => {
            let sql = "UPDATE subscription SET retired_at = {now}, revision = revision + 1 WHERE code = $1 RETURNING id";
            one_id(tx, sql, args![change.name.clone()], &change.name).await?
        }
        ("subscription", _) => subscription(tx, desired, &change.name).await?,
        (noun, _) => return Err(missing(noun, &change.name)),
    };
    let event = match change.verb {
        Verb::Create => "created",
        Verb::Change => "changed",
        Verb::Retire => "retired",
    };
    let detail = serde_json::json!({ "name": change.name, "fields": change.fields });
    history::add(tx, Entry { actor, subject_kind: change.noun, subject_id, event, detail }).await
}

fn missing(noun: &str, name: &str) -> StoreError {
    Fault::new(
        &code::CONFIG_INVALID,
        format!("the definitions name the {noun} {name:?}, which is not defined"),
    )
    .into()
}

async fn one_id(tx: &Tx, sql: &str, values: Vec<Value>, name: &str) -> Result<Uuid, StoreError> {
    match tx.row(sql, values).await? {
        Some(row) => get(&row, "id", tx.doing()),
        None => Err(missing("thing", name)),
    }
}

async fn file_group(tx: &Tx, desired: &Definitions, name: &str) -> Result<Uuid, StoreError> {
    let group =
        desired.file_groups.iter().find(|g| g.name == name).ok_or_else(|| missing("file group", name))?;
    // `enabled` stays the operator's when the file does not state it.
    one_id(
        tx,
        "INSERT INTO file_group (id, name, enabled, created_at) VALUES ($1, $2, coalesce($3, true), {now}) \
         ON CONFLICT (name) DO UPDATE SET enabled = coalesce($3, file_group.enabled) RETURNING id",
        args![Uuid::now_v7(), name, group.enabled],
        name,
    )
    .await
}

async fn group_id(tx: &Tx, name: &str) -> Result<Uuid, StoreError> {
    one_id(tx, "SELECT id FROM file_group WHERE name = $1", args![name], name).await
}

/// `GROUP: s3://BUCKET/KEY`, as the plan names a rule.
fn rule_of<'a>(desired: &'a Definitions, name: &str) -> Result<(&'a str, &'a Rule), StoreError> {
    desired
        .file_groups
        .iter()
        .flat_map(|g| g.rules.iter().map(move |r| (g.name.as_str(), r)))
        .find(|(group, r)| format!("{group}: s3://{}/{}", r.bucket, r.key) == name)
        .ok_or_else(|| missing("rule", name))
}

async fn rule(tx: &Tx, desired: &Definitions, name: &str) -> Result<Uuid, StoreError> {
    let (group, rule) = rule_of(desired, name)?;
    let starts_at = match rule.backfill.as_deref() {
        None => tx.now().await?,
        Some("all") => 0,
        Some(time) => time.parse::<jiff::Timestamp>().map(|t| t.as_millisecond()).map_err(|error| {
            Fault::new(&code::CONFIG_INVALID, format!("backfill of rule {name}: {error}"))
                .with_hint("write \"all\" or a time with its zone, such as 2026-11-01T00:00:00Z")
        })?,
    };
    one_id(
        tx,
        "INSERT INTO file_group_rule (id, file_group_id, bucket, key_pattern, starts_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, {now}) RETURNING id",
        args![Uuid::now_v7(), group_id(tx, group).await?, rule.bucket.clone(), rule.key.clone(), starts_at],
        name,
    )
    .await
}

async fn retire_rule(tx: &Tx, name: &str) -> Result<Uuid, StoreError> {
    let rows = tx
        .rows(
            "SELECT r.id, g.name, r.bucket, r.key_pattern FROM file_group_rule r \
             JOIN file_group g ON g.id = r.file_group_id WHERE r.retired_at IS NULL",
            vec![],
        )
        .await?;
    let doing = tx.doing();
    for row in &rows {
        let group: String = get(row, "name", doing)?;
        let (bucket, key): (String, String) = (get(row, "bucket", doing)?, get(row, "key_pattern", doing)?);
        if format!("{group}: s3://{bucket}/{key}") == name {
            let id: Uuid = get(row, "id", doing)?;
            tx.exec("UPDATE file_group_rule SET retired_at = {now} WHERE id = $1", args![id]).await?;
            return Ok(id);
        }
    }
    Err(missing("rule", name))
}

/// A spec that differs from its newest version becomes the next version, and the subscriptions that name it follow.
async fn transform(tx: &Tx, desired: &Definitions, name: &str) -> Result<Uuid, StoreError> {
    let spec =
        desired.transforms.iter().find(|t| t.name == name).ok_or_else(|| missing("transform", name))?;
    let id = one_id(
        tx,
        "INSERT INTO transform_spec (id, name, version, kind, params, digest) \
         VALUES ($1, $2, (SELECT coalesce(max(version), 0) + 1 FROM transform_spec WHERE name = $2), $3, $4, $5) \
         ON CONFLICT (name, digest) DO UPDATE SET \
           version = (SELECT max(version) + 1 FROM transform_spec WHERE name = $2) RETURNING id",
        args![Uuid::now_v7(), name, spec.kind.clone(), spec.params.clone(), digest(spec)],
        name,
    )
    .await?;
    tx.exec(
        "UPDATE subscription SET transform_spec_id = $2, revision = revision + 1 \
         WHERE transform_spec_id IN (SELECT id FROM transform_spec WHERE name = $1 AND id <> $2)",
        args![name, id],
    )
    .await?;
    Ok(id)
}

fn digest(spec: &TransformSpec) -> String {
    let mut hash = Sha256::new();
    hash.update(spec.kind.as_bytes());
    hash.update([0]);
    hash.update(spec.params.to_string().as_bytes());
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

async fn subscriber(tx: &Tx, desired: &Definitions, code: &str) -> Result<Uuid, StoreError> {
    let subscriber =
        desired.subscribers.iter().find(|s| s.code == code).ok_or_else(|| missing("subscriber", code))?;
    one_id(
        tx,
        "INSERT INTO subscriber (id, code, name, enabled, created_at) VALUES ($1, $2, $3, coalesce($4, true), {now}) \
         ON CONFLICT (code) DO UPDATE SET name = excluded.name, enabled = coalesce($4, subscriber.enabled) \
         RETURNING id",
        args![
            Uuid::now_v7(),
            code,
            subscriber.name.clone().unwrap_or_else(|| code.to_owned()),
            subscriber.enabled
        ],
        code,
    )
    .await
}

async fn endpoint_id(tx: &Tx, subscriber: &str, name: &str) -> Result<Uuid, StoreError> {
    one_id(
        tx,
        "SELECT e.id FROM endpoint e JOIN subscriber s ON s.id = e.subscriber_id WHERE s.code = $1 AND e.name = $2",
        args![subscriber, name],
        &format!("{subscriber}/{name}"),
    )
    .await
}

fn endpoint_of<'a>(desired: &'a Definitions, label: &str) -> Result<(&'a str, &'a Endpoint), StoreError> {
    desired
        .subscribers
        .iter()
        .flat_map(|s| s.endpoints.iter().map(move |e| (s.code.as_str(), e)))
        .find(|(code, e)| format!("{code}/{}", e.name) == label)
        .ok_or_else(|| missing("endpoint", label))
}

async fn endpoint(tx: &Tx, desired: &Definitions, label: &str) -> Result<Uuid, StoreError> {
    let (subscriber, endpoint) = endpoint_of(desired, label)?;
    let credential = endpoint.credential().map_err(|problem| {
        Fault::new(&code::CONFIG_INVALID, format!("the credential of endpoint {label}: {problem}"))
    })?;
    let subscriber_id =
        one_id(tx, "SELECT id FROM subscriber WHERE code = $1", args![subscriber], subscriber).await?;
    let id = one_id(
        tx,
        "INSERT INTO endpoint (id, subscriber_id, name, protocol, host, port, username, credential_ref, \
           identity_pins, host_cas, settings, upload, enabled) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($13, true)) \
         ON CONFLICT (subscriber_id, name) DO UPDATE SET protocol = excluded.protocol, host = excluded.host, \
           port = excluded.port, username = excluded.username, credential_ref = excluded.credential_ref, \
           identity_pins = CASE WHEN $14 THEN endpoint.identity_pins ELSE excluded.identity_pins END, \
           host_cas = excluded.host_cas, settings = excluded.settings, upload = excluded.upload, \
           enabled = coalesce($13, endpoint.enabled), revision = endpoint.revision + 1, retired_at = NULL \
         RETURNING id",
        args![
            Uuid::now_v7(),
            subscriber_id,
            endpoint.name.clone(),
            endpoint.protocol.clone(),
            endpoint.host.clone(),
            i32::from(endpoint.port.unwrap_or(22)),
            endpoint.username.clone(),
            credential.stored(),
            to_json(&endpoint.host_keys)?,
            to_json(&endpoint.host_cas)?,
            to_json(&endpoint.settings)?,
            to_json(&endpoint.upload)?,
            endpoint.enabled,
            endpoint.leaves_host_keys_to_operators()
        ],
        label,
    )
    .await?;
    let (connections, files) = (endpoint.settings.max_connections, endpoint.settings.max_files);
    tx.exec(
        "INSERT INTO lane (endpoint_id, next_due_at, max_connections, cap, ramp) VALUES ($1, $2, $3, $4, $4) \
         ON CONFLICT (endpoint_id) DO UPDATE SET max_connections = excluded.max_connections, cap = excluded.cap",
        args![id, NEVER, i32::from(connections), i32::from(files)],
    )
    .await?;
    // New settings deserve a new try: a block by the old host key or password is lifted, one file goes first.
    let open: Option<Millis> = tx
        .row("SELECT min(due_at) AS due FROM send_job WHERE endpoint_id = $1", args![id])
        .await?
        .map(|row| get(&row, "due", tx.doing()))
        .transpose()?
        .flatten();
    if open.is_some() {
        lanes::lift(tx, Id::from_uuid(id)).await?;
    } else {
        let lane = lanes::lock(tx, Id::from_uuid(id)).await?.lifted(tx.now().await?);
        lanes::save(tx, Id::from_uuid(id), &lane).await?;
    }
    Ok(id)
}

async fn retire_endpoint(tx: &Tx, label: &str) -> Result<Uuid, StoreError> {
    let (subscriber, name) = label.split_once('/').ok_or_else(|| missing("endpoint", label))?;
    let id = endpoint_id(tx, subscriber, name).await?;
    tx.exec("UPDATE endpoint SET retired_at = {now}, revision = revision + 1 WHERE id = $1", args![id])
        .await?;
    Ok(id)
}

async fn subscription(tx: &Tx, desired: &Definitions, code: &str) -> Result<Uuid, StoreError> {
    let s =
        desired.subscriptions.iter().find(|s| s.code == code).ok_or_else(|| missing("subscription", code))?;
    let subscriber_id =
        one_id(tx, "SELECT id FROM subscriber WHERE code = $1", args![s.subscriber.clone()], &s.subscriber)
            .await?;
    let spec: Option<Uuid> = match &s.transform {
        None => None,
        Some(name) => {
            let sql = "SELECT id FROM transform_spec WHERE name = $1 ORDER BY version DESC LIMIT 1";
            Some(one_id(tx, sql, args![name.clone()], name).await?)
        }
    };
    let id = one_id(
        tx,
        "INSERT INTO subscription (id, code, subscriber_id, file_group_id, endpoint_id, transform_spec_id, \
           remote_name, priority, retry_policy, ordering, on_unconfirmed, stale, enabled) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($13, true)) \
         ON CONFLICT (code) DO UPDATE SET subscriber_id = excluded.subscriber_id, \
           file_group_id = excluded.file_group_id, endpoint_id = excluded.endpoint_id, \
           transform_spec_id = excluded.transform_spec_id, remote_name = excluded.remote_name, \
           priority = excluded.priority, retry_policy = excluded.retry_policy, ordering = excluded.ordering, \
           on_unconfirmed = excluded.on_unconfirmed, stale = excluded.stale, \
           enabled = coalesce($13, subscription.enabled), \
           revision = subscription.revision + 1, retired_at = NULL \
         RETURNING id",
        args![
            Uuid::now_v7(),
            code,
            subscriber_id,
            group_id(tx, &s.file_group).await?,
            endpoint_id(tx, &s.subscriber, &s.endpoint).await?,
            spec,
            s.remote_name.clone(),
            s.priority,
            to_json(&s.retry)?,
            s.ordering.clone(),
            s.on_unconfirmed.clone(),
            s.stale.clone(),
            s.enabled
        ],
        code,
    )
    .await?;
    match s.ordering.as_str() {
        // What was queued before the subscription came into order goes as it stands.
        "fifo" => fifo::advance(tx, Id::from_uuid(id)).await?,
        _ => fifo::dissolve(tx, Id::from_uuid(id)).await?,
    }
    Ok(id)
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<Value, StoreError> {
    let json = serde_json::to_value(value)
        .map_err(|error| Fault::new(&code::CONFIG_INVALID, format!("a setting cannot be stored: {error}")))?;
    Ok(Value::from(json))
}
