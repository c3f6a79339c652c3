//! The invariants of docs/STATES.md, asked of a database directly: one statement each, which must return no row.

use anyhow::{Context, Result, bail};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// Name, and a statement that returns the violating rows (their first column is shown).
const INVARIANTS: &[(&str, &str)] = &[
    (
        "I1: queued, retrying and sending deliveries have a send job",
        "SELECT CAST(d.state AS text) AS what FROM delivery d JOIN subscription s ON s.id = d.subscription_id \
         LEFT JOIN send_job j ON j.delivery_id = d.id \
         WHERE d.state IN ('queued', 'retrying', 'sending') AND j.delivery_id IS NULL AND s.ordering = 'none'",
    ),
    (
        "I1: in order, the oldest open delivery that nothing blocks has one, and no other",
        "SELECT CAST(d.state AS text) AS what FROM delivery d JOIN subscription s ON s.id = d.subscription_id \
         JOIN fifo_group g ON g.subscription_id = s.id LEFT JOIN send_job j ON j.delivery_id = d.id \
         WHERE s.ordering = 'fifo' AND g.blocked_by IS NULL AND d.settled_at IS NULL \
           AND (j.delivery_id IS NOT NULL) <> (d.state IN ('queued', 'retrying', 'sending') AND d.id = \
             (SELECT o.id FROM delivery o WHERE o.subscription_id = s.id AND o.settled_at IS NULL ORDER BY o.id LIMIT 1))",
    ),
    (
        "I1: no other delivery has one",
        "SELECT CAST(d.state AS text) AS what FROM delivery d JOIN send_job j ON j.delivery_id = d.id \
         WHERE d.state NOT IN ('queued', 'retrying', 'sending')",
    ),
    (
        "I2: leased send job <=> delivery sending",
        "SELECT CAST(d.state AS text) AS what FROM delivery d JOIN send_job j ON j.delivery_id = d.id \
         WHERE (j.lease_id IS NOT NULL) <> (d.state = 'sending')",
    ),
    (
        "I2: sending <=> exactly one open attempt, of that lease",
        "SELECT CAST(d.state AS text) AS what FROM delivery d LEFT JOIN send_job j ON j.delivery_id = d.id \
         WHERE (SELECT count(*) FROM attempt a WHERE a.delivery_id = d.id AND a.outcome IS NULL) \
               <> (CASE WHEN d.state = 'sending' THEN 1 ELSE 0 END) \
            OR (d.state = 'sending' AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.delivery_id = d.id \
                AND a.outcome IS NULL AND a.lease_id = j.lease_id AND a.n = d.attempts))",
    ),
    (
        "I3: a lane never sleeps past its earliest free job (except the moment it is full)",
        "SELECT CAST(l.next_due_at AS text) AS what FROM lane l WHERE l.next_due_at > 300 + \
         (SELECT min(j.due_at) FROM send_job j WHERE j.endpoint_id = l.endpoint_id AND j.lease_id IS NULL) \
         AND l.next_due_at > {now} + 300",
    ),
    (
        "I4: leased jobs <= cap",
        "SELECT CAST(l.cap AS text) AS what FROM lane l \
         WHERE (SELECT count(*) FROM send_job j WHERE j.endpoint_id = l.endpoint_id AND j.lease_id IS NOT NULL) > l.cap",
    ),
    (
        "I4: seats <= max_connections",
        "SELECT CAST(l.max_connections AS text) AS what FROM lane l WHERE (SELECT coalesce(sum(s.connections), 0) \
         FROM seat s WHERE s.endpoint_id = l.endpoint_id AND s.until > {now}) > l.max_connections",
    ),
    (
        "I5: one delivery per file, subscription and part by arrival",
        "SELECT CAST(count(*) AS text) AS what FROM delivery WHERE origin = 'arrival' \
         GROUP BY file_id, subscription_id, part HAVING count(*) > 1",
    ),
    (
        "I6: a delivered delivery has one receipt, of its artifact's size and hash",
        "SELECT CAST(d.state AS text) AS what FROM delivery d LEFT JOIN artifact a ON a.id = d.artifact_id \
         WHERE d.state = 'delivered' AND 1 <> (SELECT count(*) FROM attempt t WHERE t.delivery_id = d.id \
         AND t.outcome = 'delivered' AND t.remote_size = a.size_bytes AND t.sha256 = a.sha256)",
    ),
    (
        "I7: a waiting delivery has a transform that can still end",
        "SELECT CAST(t.state AS text) AS what FROM delivery d JOIN transform t ON t.id = d.transform_id \
         WHERE d.state = 'waiting' AND t.state NOT IN ('pending', 'running')",
    ),
];

/// A connection of the tests' own, beside the store's.
pub async fn connect(url: &str) -> Result<DatabaseConnection> {
    Database::connect(url).await.with_context(|| format!("connecting to {url}"))
}

/// Fails with every violation.
pub async fn assert_all(connection: &DatabaseConnection) -> Result<()> {
    let backend = connection.get_database_backend();
    let now = match backend {
        DbBackend::Postgres => "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        _ => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    };
    let mut broken = Vec::new();
    for (name, sql) in INVARIANTS {
        let statement = Statement::from_string(backend, sql.replace("{now}", now));
        let rows = connection.query_all_raw(statement).await.with_context(|| format!("asking {name}"))?;
        if let Some(row) = rows.first() {
            let what: String = row.try_get("", "what").context("reading a violation")?;
            broken.push(format!("{name}: {} row(s), the first: {what}", rows.len()));
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("\n")) }
}
