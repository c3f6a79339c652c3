//! Definitions and arrivals of a ledger that exists for its numbers, and questions to a database beside the store.

use std::future::Future;

use anyhow::{Context, Result};
use outport_core::ObjectKey;
use outport_core::definitions::Definitions;
use outport_core::event::{EventSource, ObjectEvent};
use outport_core::version::version_of;
use outport_send::Sha256Sum;
use outport_store::claim_sends::ArtifactRow;
use outport_store::enqueue::Arrival;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TryGetable};
use serde_json::json;
use uuid::Uuid;

/// The bucket of the one rule.
pub const BUCKET: &str = "in";
/// What every file holds.
pub const CONTENT: &[u8] = b"id,name\n1,load\n";
/// The host at which nobody is.
pub const DEAD_HOST: &str = "dead.example";

/// Runs `work` on a runtime of its own, with as many threads as the machine has cores, as the product's.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// `healthy` subscribers `p000`... of every file, each with an endpoint and a subscription; and one more whose endpoint
/// is dead, if `dead`.
pub fn definitions(healthy: u32, dead: bool) -> Result<Definitions> {
    let mut partners: Vec<(String, &str)> =
        (0..healthy).map(|n| (format!("p{n:03}"), "partner.example")).collect();
    if dead {
        partners.push(("dead".into(), DEAD_HOST));
    }
    let subscriber = |(code, host): &(String, &str)| {
        json!({"code": code, "endpoint": [{
            "name": "sftp", "protocol": "sftp", "host": host, "port": 22, "username": "u", "password": "env:PW",
            "host_keys": [],
        }]})
    };
    // The code in the name: all partners' servers are one in memory, and no two deliveries may have one name there.
    let subscription = |(code, _): &(String, &str)| {
        let remote_name = format!("{code}-{{name}}");
        json!({
            "code": code, "subscriber": code, "file_group": "files", "endpoint": "sftp", "remote_name": remote_name,
        })
    };
    let definitions = json!({
        "file_group": [{"name": "files", "rule": [{"bucket": BUCKET, "key": "**"}]}],
        "subscriber": partners.iter().map(subscriber).collect::<Vec<_>>(),
        "transform": [],
        "subscription": partners.iter().map(subscription).collect::<Vec<_>>(),
    });
    serde_json::from_value(definitions).context("the definitions of the load ledger")
}

/// A file that has just arrived.
pub fn arrival(key: &str) -> Result<Arrival> {
    Ok(Arrival {
        event: ObjectEvent {
            bucket: BUCKET.into(),
            key: ObjectKey::new(key)?,
            version_id: None,
            sequencer: None,
            etag: None,
            size_bytes: Some(CONTENT.len() as u64),
            event_at: 1,
            source: EventSource::Watch,
            message_id: None,
        },
        version: version_of(Some("v1"), None, None).context("a version")?,
        original: ArtifactRow {
            bucket: "originals".into(),
            key: Uuid::now_v7().simple().to_string(),
            version_id: None,
            etag: None,
            size_bytes: CONTENT.len() as u64,
            sha256: Some(Sha256Sum::of(CONTENT).to_string()),
        },
        signature: None,
        modified_at: None,
    })
}

/// Runs statements that return nothing.
pub async fn run(connection: &DatabaseConnection, sql: &str) -> Result<()> {
    connection.execute_unprepared(sql).await.with_context(|| format!("running {sql}"))?;
    Ok(())
}

/// The column `n` of the one row that `sql` returns.
pub async fn value<T: TryGetable>(connection: &DatabaseConnection, sql: &str) -> Result<T> {
    let mut values = values(connection, sql).await?;
    values.pop().with_context(|| format!("no row from {sql}"))
}

/// The column `n` of every row that `sql` returns.
pub async fn values<T: TryGetable>(connection: &DatabaseConnection, sql: &str) -> Result<Vec<T>> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.with_context(|| format!("asking {sql}"))?;
    let read = |row: &sea_orm::QueryResult| row.try_get("", "n").with_context(|| format!("reading {sql}"));
    rows.iter().map(read).collect()
}
