//! Large ledgers in seconds: copies of one delivery that the product itself has dispatched, by one statement a table.

use anyhow::{Context, Result, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, TransactionTrait};

use crate::world;

/// How a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Queued and due, its lane awake.
    Due,
    /// Delivered, with its receipt.
    Delivered,
    /// Failed for good.
    Failed,
}

/// Which deliveries to make.
#[derive(Debug, Clone)]
pub struct Copies<'a> {
    /// Tells these copies from all others of the same ledger.
    pub batch: u32,
    /// How many.
    pub count: u64,
    /// The subscriptions they go to, in turn: a condition on `subscription.code`.
    pub subscriptions: &'a str,
    /// How they stand.
    pub standing: Standing,
}

/// Where copies are numbered from: delivery `n` of batch `b` gets the name `b-n`.
struct Dialect {
    /// `FROM` clause that gives `n` from 1 to the count.
    numbers: String,
    now: &'static str,
    postgres: bool,
}

impl Dialect {
    /// An id of kind `k`: its last 12 digits count up, as those of uuid v7 do, so that indexes grow at their end.
    fn id(&self, kind: char, batch: u32) -> String {
        let head = format!("{batch:07x}{kind}");
        if self.postgres {
            format!("('{head}-0000-7000-8000-' || lpad(to_hex(s.n), 12, '0'))::uuid")
        } else {
            format!("unhex('{head}000070008000' || printf('%012x', s.n))")
        }
    }
}

fn dialect(connection: &DatabaseConnection, count: u64) -> Dialect {
    if connection.get_database_backend() == DbBackend::Postgres {
        Dialect {
            numbers: format!("generate_series(1, {count}) AS s(n)"),
            now: "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
            postgres: true,
        }
    } else {
        let counting = format!("SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < {count}");
        Dialect {
            numbers: format!("(WITH RECURSIVE r(n) AS ({counting}) SELECT n FROM r) AS s"),
            now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            postgres: false,
        }
    }
}

/// Makes `copies`, each of a file of its own, and wakes their lanes.
pub async fn load(connection: &DatabaseConnection, copies: &Copies<'_>) -> Result<()> {
    let d = dialect(connection, copies.count);
    let (file, delivery) = (d.id('1', copies.batch), d.id('2', copies.batch));
    let (numbers, now, batch) = (&d.numbers, d.now, copies.batch);
    // One model for each subscription: the first delivery it has. `k` counts them from 0.
    let subscriptions = copies.subscriptions;
    let models: i64 = world::value(
        connection,
        &format!("SELECT count(*) AS n FROM subscription s WHERE s.code {subscriptions}"),
    )
    .await?;
    ensure!(models > 0, "no subscription is {subscriptions}");
    let with = format!(
        "WITH m AS MATERIALIZED (SELECT d.*, row_number() OVER (ORDER BY s.code) - 1 AS k \
          FROM subscription s JOIN delivery d ON d.subscription_id = s.id \
          WHERE s.code {subscriptions} AND d.file_id = (SELECT f.id FROM file f WHERE f.key LIKE 'model%'))"
    );
    let models = format!("m ON m.k = s.n % {models}");
    let (state, settled, attempts) = match copies.standing {
        Standing::Due => ("queued", "NULL", 0),
        Standing::Delivered => ("delivered", d.now, 1),
        Standing::Failed => ("failed", d.now, 1),
    };
    let mut statements = vec![
        format!(
            "{with} INSERT INTO file (id, bucket, key, version, size_bytes, event_at, arrived_at, file_group_id, state) \
             SELECT {file}, f.bucket, '{batch}-' || s.n, f.version, f.size_bytes, 1, {now}, f.file_group_id, 'routed' \
             FROM {numbers} JOIN {models} JOIN file f ON f.id = m.file_id"
        ),
        format!(
            "{with} INSERT INTO artifact (id, file_id, role, bucket, key, size_bytes, sha256, created_at) \
             SELECT {file}, {file}, 'original', a.bucket, a.key, a.size_bytes, a.sha256, {now} \
             FROM {numbers} JOIN {models} JOIN artifact a ON a.id = m.artifact_id"
        ),
        format!(
            "{with} INSERT INTO delivery (id, file_id, subscription_id, subscriber_id, endpoint_id, artifact_id, origin, state, \
             attempts, charged, max_attempts, deadline_at, remote_name, snapshot, created_at, settled_at) \
             SELECT {delivery}, {file}, m.subscription_id, m.subscriber_id, m.endpoint_id, {file}, 'arrival', '{state}', \
             {attempts}, {attempts}, m.max_attempts, m.deadline_at, '{batch}-' || s.n, m.snapshot, {now}, {settled} \
             FROM {numbers} JOIN {models}"
        ),
    ];
    match copies.standing {
        Standing::Due => {
            statements.push(format!(
                "{with} INSERT INTO send_job (delivery_id, endpoint_id, remote_name, due_at) \
                 SELECT {delivery}, m.endpoint_id, '{batch}-' || s.n, {now} \
                 FROM {numbers} JOIN {models}"
            ));
            statements.push(format!(
                "UPDATE lane SET next_due_at = {now} WHERE endpoint_id IN \
                 (SELECT endpoint_id FROM subscription s WHERE s.code {})",
                copies.subscriptions
            ));
        }
        Standing::Delivered => statements.push(format!(
            "{with} INSERT INTO attempt (delivery_id, n, lease_id, worker_id, started_at, ended_at, stage, outcome, bytes_sent, \
             remote_final, remote_size, sha256, peer_identity, confirmed_by, duration_ms) \
             SELECT {delivery}, 1, {delivery}, {delivery}, {now}, {now}, 'confirming', 'delivered', a.size_bytes, \
             '{batch}-' || s.n, a.size_bytes, a.sha256, 'SHA256:memory', 'reply', 5 \
             FROM {numbers} JOIN {models} JOIN artifact a ON a.id = m.artifact_id"
        )),
        Standing::Failed => {}
    }
    let loading = || format!("loading {} deliveries", copies.count);
    let transaction = connection.begin().await.with_context(loading)?;
    if d.postgres {
        // Copies of rows whose foreign keys hold need no check of theirs: half of the time.
        statements.insert(0, "SET LOCAL session_replication_role = replica".into());
    }
    for statement in statements {
        transaction.execute_unprepared(&statement).await.with_context(loading)?;
    }
    transaction.commit().await.with_context(loading)
}
