//! The invariants of docs/STATES.md, asked of a database directly: what each returns violates it.

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
        "I1: in order, one delivery at a time has one",
        "SELECT CAST(count(*) AS text) AS what FROM send_job WHERE fifo_group IS NOT NULL GROUP BY fifo_group HAVING count(*) > 1",
    ),
    (
        "I1: in order, the oldest open delivery that nothing blocks has one, unless a replay is on its way",
        "SELECT CAST(d.state AS text) AS what FROM fifo_group g JOIN subscription s ON s.id = g.subscription_id \
         JOIN delivery d ON d.id = \
           (SELECT o.id FROM delivery o WHERE o.subscription_id = s.id AND o.settled_at IS NULL ORDER BY o.id LIMIT 1) \
         WHERE s.ordering = 'fifo' AND g.blocked_by IS NULL AND d.state IN ('queued', 'retrying', 'sending') \
           AND NOT EXISTS (SELECT 1 FROM send_job j WHERE j.delivery_id = d.id OR j.fifo_group = s.id)",
    ),
    (
        "I1: in order, nothing that arrived overtakes an older one",
        "SELECT CAST(d.state AS text) AS what FROM send_job j JOIN delivery d ON d.id = j.delivery_id \
         JOIN fifo_group g ON g.subscription_id = j.fifo_group \
         WHERE d.origin = 'arrival' AND (g.blocked_by IS NOT NULL OR EXISTS (SELECT 1 FROM delivery o \
           WHERE o.subscription_id = d.subscription_id AND o.settled_at IS NULL AND o.id < d.id))",
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
        "I3: a lane never sleeps past its earliest free job (but for the 250 ms in which it is full)",
        "SELECT CAST(l.next_due_at AS text) AS what FROM lane l WHERE l.next_due_at > {now} + 250 AND l.next_due_at > \
         (SELECT min(j.due_at) FROM send_job j WHERE j.endpoint_id = l.endpoint_id AND j.lease_id IS NULL)",
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
         AND t.outcome = 'delivered' AND t.remote_size = a.size_bytes \
         AND t.sha256 = coalesce(a.sha256, CASE WHEN a.transform_id IS NULL THEN t.sha256 END))",
    ),
    (
        "I7: a waiting delivery has a transform that can still end",
        "SELECT CAST(t.state AS text) AS what FROM delivery d JOIN transform t ON t.id = d.transform_id \
         WHERE d.state = 'waiting' AND t.state NOT IN ('pending', 'running')",
    ),
    (
        "I7: a lease ends within a lease (60 s)",
        "SELECT CAST(j.lease_until AS text) AS what FROM send_job j WHERE j.lease_until > {now} + 60000 \
         UNION ALL SELECT CAST(t.lease_until AS text) FROM transform t WHERE t.lease_until > {now} + 60000",
    ),
    (
        "I7: free work is due within the longest wait (8 h; a transform 30 min)",
        "SELECT CAST(j.due_at AS text) AS what FROM send_job j WHERE j.lease_id IS NULL AND j.due_at > {now} + 28800000 \
         UNION ALL SELECT CAST(t.due_at AS text) FROM transform t WHERE t.state = 'pending' AND t.due_at > {now} + 1800000",
    ),
    (
        "I7: a block ends by itself (breaker 18 min, login 24 h, window 7 d), or names the act that ends it",
        "SELECT CAST(l.blocked_until AS text) AS what FROM lane l WHERE l.blocked_until > {now} + \
         CASE l.blocked_reason WHEN 'breaker' THEN 1080000 WHEN 'credential' THEN 86400000 \
           WHEN 'window' THEN 604800000 WHEN 'identity' THEN l.blocked_until WHEN 'settings' THEN l.blocked_until ELSE 0 END",
    ),
    (
        "I7: what blocks a group waits to be resolved",
        "SELECT CAST(b.state AS text) AS what FROM fifo_group g JOIN delivery b ON b.id = g.blocked_by \
         WHERE b.resolved_at IS NOT NULL OR b.state NOT IN ('failed', 'unconfirmed')",
    ),
    (
        "I7: a subscription in order with open deliveries has a group",
        "SELECT CAST(d.state AS text) AS what FROM delivery d JOIN subscription s ON s.id = d.subscription_id \
         LEFT JOIN fifo_group g ON g.subscription_id = s.id \
         WHERE s.ordering = 'fifo' AND d.settled_at IS NULL AND g.subscription_id IS NULL",
    ),
];

/// A connection of the tests' own, beside the store's.
pub async fn connect(url: &str) -> Result<DatabaseConnection> {
    Database::connect(url).await.with_context(|| format!("connecting to {url}"))
}

/// The clock of the database in its own words: epoch milliseconds.
pub fn now(connection: &DatabaseConnection) -> &'static str {
    match connection.get_database_backend() {
        DbBackend::Postgres => "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        _ => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    }
}

/// Fails with every violation. One statement: it is asked after every step of thousands.
///
/// # Errors
/// Names the invariants that do not hold.
pub async fn assert_all(connection: &DatabaseConnection) -> Result<()> {
    let asked: Vec<String> = INVARIANTS
        .iter()
        .enumerate()
        .map(|(n, (_, sql))| {
            format!("SELECT {n} AS n, count(*) AS rows, min(what) AS what FROM ({sql}) AS i{n}")
        })
        .collect();
    let sql = asked.join(" UNION ALL ").replace("{now}", now(connection));
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let mut broken = Vec::new();
    for row in connection.query_all_raw(statement).await.context("asking for the invariants")? {
        let (n, rows): (i32, i64) = (row.try_get("", "n")?, row.try_get("", "rows")?);
        if rows > 0 {
            let what: String = row.try_get("", "what").context("reading a violation")?;
            let name = usize::try_from(n).ok().and_then(|n| INVARIANTS.get(n)).map_or("?", |(name, _)| name);
            broken.push(format!("{name}: {rows} row(s), one of them: {what}"));
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("\n")) }
}
