//! The world that every case begins in, and its clock.

use anyhow::Context;
use outport_core::lane::Lane;
use outport_core::lane::NEVER;
use outport_store::definitions;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;
use uuid::Uuid;

use super::ledger::{Endpoint, Ledger, Subscription};
use super::time::Health;
use crate::conformance::world::World;

/// In an order that foreign keys allow.
const TABLES: [&str; 19] = [
    "history",
    "file_event",
    "attempt",
    "seat",
    "send_job",
    "fifo_group",
    "replay_item",
    "delivery",
    "replay",
    "artifact",
    "transform",
    "file",
    "lane",
    "subscription",
    "endpoint",
    "subscriber",
    "transform_spec",
    "file_group_rule",
    "file_group",
];

/// Empties the database and defines three partners: one that is given up after two hours, one that gets its files in
/// order, and one with two subscriptions that put files under the same names.
pub async fn fresh(world: &World) -> anyhow::Result<Ledger> {
    let empty = TABLES.map(|table| format!("DELETE FROM {table};")).concat();
    world.raw.execute_unprepared(&empty).await.context("emptying the database")?;
    let subscriber = |code, settings| {
        json!({"code": code, "endpoint": [{
            "name": "sftp", "protocol": "sftp", "host": "127.0.0.1", "port": 2222, "username": "u",
            "password": "env:PW", "host_keys": [], "settings": settings,
        }]})
    };
    let subscription = |code: &str, remote_name: &str, more: serde_json::Value| {
        let mut all = json!({
            "code": code, "subscriber": &code[..1], "file_group": "files", "endpoint": "sftp",
            "remote_name": remote_name,
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let desired = serde_json::from_value(json!({
        "file_group": [{"name": "files", "rule": [{"bucket": "in", "key": "**"}]}],
        "subscriber": [
            subscriber("a", json!({"max_connections": 1, "max_files": 2, "give_up_after": "2h"})),
            subscriber("b", json!({"max_connections": 2, "max_files": 3})),
            subscriber("c", json!({"max_connections": 2, "max_files": 2})),
        ],
        "subscription": [
            subscription("a-plain", "{name}", json!({"retry": {"max_attempts": 3, "deadline": "72h"}})),
            subscription("b-order", "{name}", json!({"ordering": "fifo"})),
            subscription("c-all", "{name}", json!({"stale": "send", "on_unconfirmed": "hold"})),
            subscription("c-latest", "latest", json!({})),
        ],
    }))
    .context("the definitions")?;
    definitions::apply(&world.store, &desired, "test").await?;
    // Two of them have proved their login before, and take several files at once from the beginning.
    let proved = "UPDATE lane SET login_ok_version = 'v1' WHERE max_connections = 2";
    world.raw.execute_unprepared(proved).await?;
    let mut ledger = Ledger {
        subscriptions: Vec::new(),
        endpoints: Vec::new(),
        files: Vec::new(),
        sightings: 0,
        deliveries: Default::default(),
        seats: Default::default(),
    };
    let endpoint = async |label, code: &str, max_connections, files, give_up_after| {
        let sql = "SELECT e.id FROM endpoint e JOIN subscriber s ON s.id = e.subscriber_id WHERE s.code =";
        let id = outport_core::EndpointId::from_uuid(id(&world.raw, sql, code).await?);
        let login_ok_version = (max_connections == 2).then(|| "v1".to_owned());
        let health = Health::new(Lane { login_ok_version, ..Lane::new(files) });
        anyhow::Ok(Endpoint { label, id, max_connections, give_up_after, pins: Vec::new(), health })
    };
    ledger.endpoints.push(endpoint("a/sftp", "a", 1, 2, Some(2 * 3_600_000)).await?);
    ledger.endpoints.push(endpoint("b/sftp", "b", 2, 3, None).await?);
    ledger.endpoints.push(endpoint("c/sftp", "c", 2, 2, None).await?);
    for (code, endpoint, in_order, stale_skip, name, max_attempts) in [
        ("a-plain", 0, false, true, None, 3),
        ("b-order", 1, true, true, None, 12),
        ("c-all", 2, false, false, None, 12),
        ("c-latest", 2, false, true, Some("latest"), 12),
    ] {
        let id = id(&world.raw, "SELECT id FROM subscription WHERE code =", code).await?;
        let id = outport_core::SubscriptionId::from_uuid(id);
        let enabled = true;
        ledger.subscriptions.push(Subscription {
            code,
            id,
            endpoint,
            in_order,
            stale_skip,
            name,
            max_attempts,
            enabled,
        });
    }
    Ok(ledger)
}

async fn id(raw: &DatabaseConnection, sql: &str, code: &str) -> anyhow::Result<Uuid> {
    let statement = Statement::from_string(raw.get_database_backend(), format!("{sql} '{code}'"));
    let row = raw.query_one_raw(statement).await?.with_context(|| format!("{code} is not defined"))?;
    Ok(row.try_get("", "id")?)
}

/// Lets `ms` pass: every instant that a verb looks at lies that much longer ago.
pub async fn turn_clock(raw: &DatabaseConnection, ms: i64) -> anyhow::Result<()> {
    let earlier = |columns: &[&str]| {
        let one = |column: &&str| {
            format!(
                "{column} = CASE WHEN {column} = 0 OR {column} >= {NEVER} THEN {column} ELSE {column} - {ms} END"
            )
        };
        columns.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let lane = [
        "next_due_at",
        "blocked_until",
        "opened_at",
        "failing_since",
        "recovered_at",
        "suspended_at",
        "paused_at",
        "closed_since",
    ];
    let sql = format!(
        "UPDATE send_job SET {}; UPDATE lane SET {}; UPDATE seat SET {}; UPDATE delivery SET {}; \
         UPDATE attempt SET {}; UPDATE fifo_group SET {};",
        earlier(&["due_at", "lease_until"]),
        earlier(&lane),
        earlier(&["until"]),
        earlier(&["created_at", "deadline_at", "settled_at", "resolved_at"]),
        earlier(&["started_at", "ended_at"]),
        earlier(&["since"]),
    );
    raw.execute_unprepared(&sql).await.context("turning the clock").map(|_| ())
}
