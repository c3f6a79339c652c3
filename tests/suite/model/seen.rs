//! What the store holds, compared with what it should.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use outport_core::lane::Lane;
use outport_core::{DeliveryId, LeaseId, Millis, WorkerId};
use outport_tests::invariants;
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement, TryGetable};
use uuid::Uuid;

use super::ledger::{Delivery, Ledger};
use super::time::{When, turned};

/// The store, and how far its clock was turned.
pub struct Store<'a> {
    pub raw: &'a DatabaseConnection,
    pub turned: Millis,
}

/// A row whose columns are read by name.
struct Row(QueryResult);

impl Row {
    fn get<T: TryGetable>(&self, column: &str) -> anyhow::Result<T> {
        self.0.try_get("", column).with_context(|| format!("column {column}"))
    }
    fn id<K>(&self, column: &str) -> anyhow::Result<outport_core::id::Id<K>> {
        Ok(outport_core::id::Id::from_uuid(self.get::<Uuid>(column)?))
    }
}

impl Store<'_> {
    async fn rows(&self, sql: &str) -> anyhow::Result<Vec<Row>> {
        let statement = Statement::from_string(self.raw.get_database_backend(), sql);
        Ok(self
            .raw
            .query_all_raw(statement)
            .await
            .with_context(|| sql.to_owned())?
            .into_iter()
            .map(Row)
            .collect())
    }

    pub async fn now(&self) -> anyhow::Result<Millis> {
        let sql = format!("SELECT {} AS now", invariants::now(self.raw));
        let now: Millis = self.rows(&sql).await?.first().context("no clock")?.get("now")?;
        Ok(now + self.turned)
    }

    fn turned(&self, at: Millis) -> Millis {
        turned(at, self.turned)
    }

    /// New deliveries: their file, subscription, and what their accounts begin with.
    pub async fn arrived(&self, ledger: &mut Ledger, file: usize, now: When) -> anyhow::Result<()> {
        let sql = "SELECT d.id, d.file_id, s.code, d.remote_name, d.created_at, d.deadline_at, d.lane_closed_ms \
                   FROM delivery d JOIN subscription s ON s.id = d.subscription_id ORDER BY d.id";
        let mut missing: Vec<usize> =
            (0..ledger.subscriptions.len()).filter(|n| ledger.subscriptions[*n].enabled).collect();
        for row in self.rows(sql).await? {
            let id: DeliveryId = row.id("id")?;
            if ledger.deliveries.contains_key(&id) {
                continue;
            }
            let code: String = row.get("code")?;
            let subscription = ledger.subscriptions.iter().position(|s| s.code == code).context("whose?")?;
            let wanted = missing.iter().position(|n| *n == subscription);
            missing
                .swap_remove(wanted.with_context(|| format!("{code} gets it twice, or though it is off"))?);
            ensure!(ledger.files[file].id == row.id("file_id")?, "a delivery of another file");
            let s = &ledger.subscriptions[subscription];
            let name = s.name.unwrap_or(super::action::KEYS[ledger.files[file].key]).to_owned();
            ensure!(name == row.get::<String>("remote_name")?, "{code} under another name than {name}");
            let mut closed_before = ledger.endpoints[s.endpoint].health.closed_for(now);
            ensure!(
                closed_before.adopt(row.get("lane_closed_ms")?),
                "lane_closed_ms is not {closed_before:?}"
            );
            let mut created = now;
            ensure!(created.adopt(self.turned(row.get("created_at")?)), "created_at is not {now:?}");
            let mut deadline = created.plus(super::rules::DEADLINE);
            ensure!(deadline.adopt(self.turned(row.get("deadline_at")?)), "the deadline is not {deadline:?}");
            let delivery = Delivery {
                subscription,
                file,
                name,
                state: outport_core::delivery::DeliveryState::Queued,
                attempts: Vec::new(),
                abandoned: 0,
                code: None,
                duplicate: false,
                resolved: false,
                replays: None,
                created,
                deadline,
                closed_before,
                // Priority 2: a head start of two minutes. In order, it is due when its turn comes.
                job: (!s.in_order).then(|| super::ledger::Job { due: created.plus(-120_000), lease: None }),
            };
            ledger.deliveries.insert(id, delivery);
        }
        ensure!(missing.is_empty(), "no delivery for {missing:?}");
        Ok(())
    }

    /// Deliveries that a replay made.
    pub async fn replayed(&self, ledger: &mut Ledger, made: Vec<Delivery>) -> anyhow::Result<()> {
        let sql = "SELECT id, source_id, remote_name, created_at, deadline_at, lane_closed_ms FROM delivery \
                   WHERE origin = 'replay' ORDER BY id";
        let mut made: BTreeMap<Option<DeliveryId>, Delivery> =
            made.into_iter().map(|d| (d.replays, d)).collect();
        for row in self.rows(sql).await? {
            let id: DeliveryId = row.id("id")?;
            if ledger.deliveries.contains_key(&id) {
                continue;
            }
            let source: DeliveryId = row.id("source_id")?;
            let delivery = made.remove(&Some(source)).with_context(|| format!("{source} is sent again"))?;
            let mut delivery = delivery;
            ensure!(delivery.name == row.get::<String>("remote_name")?, "{source} under another name");
            let (created, deadline) = (row.get("created_at")?, row.get("deadline_at")?);
            ensure!(delivery.created.adopt(self.turned(created)), "created_at is not {:?}", delivery.created);
            ensure!(
                delivery.deadline.adopt(self.turned(deadline)),
                "deadline_at is not {:?}",
                delivery.deadline
            );
            ensure!(delivery.closed_before.adopt(row.get("lane_closed_ms")?), "lane_closed_ms");
            ledger.deliveries.insert(id, delivery);
        }
        ensure!(made.is_empty(), "not sent again: {:?}", made.keys());
        Ok(())
    }

    /// How many attempts each delivery has.
    pub async fn attempts(&self) -> anyhow::Result<BTreeMap<DeliveryId, usize>> {
        let rows = self.rows("SELECT id, CAST(attempts AS bigint) AS n FROM delivery").await?;
        rows.iter().map(|row| Ok((row.id("id")?, row.get::<i64>("n")? as usize))).collect()
    }

    /// Fails unless the store holds what the ledger says; instants of this step are the store's from then on.
    pub async fn compare(&self, ledger: &mut Ledger) -> anyhow::Result<()> {
        self.deliveries(ledger).await?;
        self.attempt_rows(ledger).await?;
        self.lanes(ledger).await?;
        self.seats(ledger).await?;
        self.groups(ledger).await?;
        let sql =
            "SELECT (SELECT count(*) FROM file) AS files, (SELECT count(*) FROM file_event) AS sightings";
        let counts = self.rows(sql).await?;
        let counts = counts.first().context("no counts")?;
        ensure!(counts.get::<i64>("files")? as usize == ledger.files.len(), "files");
        ensure!(counts.get::<i64>("sightings")? as usize == ledger.sightings, "sightings");
        invariants::assert_all(self.raw).await
    }

    async fn deliveries(&self, ledger: &mut Ledger) -> anyhow::Result<()> {
        let sql = "SELECT d.id, d.state, CAST(d.attempts AS bigint) AS attempts, CAST(d.charged AS bigint) AS charged, \
                     CAST(d.abandoned AS bigint) AS abandoned, d.fault_code, d.possible_duplicate, d.resolved_at, \
                     j.due_at, j.lease_id, j.lease_until, j.worker_id \
                   FROM delivery d LEFT JOIN send_job j ON j.delivery_id = d.id ORDER BY d.id";
        let rows = self.rows(sql).await?;
        ensure!(
            rows.len() == ledger.deliveries.len(),
            "{} deliveries, not {}",
            rows.len(),
            ledger.deliveries.len()
        );
        for (row, (id, delivery)) in rows.iter().zip(ledger.deliveries.iter_mut()) {
            let code = ledger.subscriptions[delivery.subscription].code;
            let seen: DeliveryId = row.id("id")?;
            ensure!(seen == *id, "another delivery than {id}");
            self.delivery(row, delivery).with_context(|| {
                format!("the delivery of {} to {code}, which should be {delivery:?}", delivery.name)
            })?;
        }
        Ok(())
    }

    fn delivery(&self, row: &Row, delivery: &mut Delivery) -> anyhow::Result<()> {
        let state: String = row.get("state")?;
        ensure!(state == delivery.state.as_str(), "it is {state}");
        let number = |column| row.get::<i64>(column);
        ensure!(
            number("attempts")? as usize == delivery.attempts.len(),
            "it has {} attempts",
            number("attempts")?
        );
        ensure!(number("charged")? as u32 == delivery.charged(), "it is charged {}", number("charged")?);
        ensure!(
            number("abandoned")? as usize == delivery.abandoned,
            "abandoned {} times",
            number("abandoned")?
        );
        let code: Option<String> = row.get("fault_code")?;
        ensure!(code.as_deref() == delivery.code, "its fault is {code:?}");
        ensure!(row.get::<bool>("possible_duplicate")? == delivery.duplicate, "possible_duplicate");
        ensure!(row.get::<Option<Millis>>("resolved_at")?.is_some() == delivery.resolved, "resolved_at");
        let due: Option<Millis> = row.get("due_at")?;
        let Some(job) = &mut delivery.job else {
            ensure!(due.is_none(), "it has a send job");
            return Ok(());
        };
        let due = self.turned(due.context("it has no send job")?);
        let lease: Option<Uuid> = row.get("lease_id")?;
        let Some(held) = &mut job.lease else {
            ensure!(lease.is_none(), "it is leased");
            ensure!(job.due.adopt(due), "it is due at {due}");
            return Ok(());
        };
        ensure!(lease.map(LeaseId::from_uuid) == Some(held.id), "its lease is {lease:?}");
        let worker: WorkerId = row.id("worker_id")?;
        ensure!(worker == held.worker, "another worker has it");
        let until = self.turned(row.get("lease_until")?);
        ensure!(held.until.adopt(until), "its lease ends at {until}");
        Ok(())
    }

    async fn attempt_rows(&self, ledger: &Ledger) -> anyhow::Result<()> {
        let sql = "SELECT delivery_id, CAST(n AS bigint) AS n, outcome, charged, stage FROM attempt ORDER BY delivery_id, n";
        let mut count = 0;
        for row in self.rows(sql).await? {
            let id: DeliveryId = row.id("delivery_id")?;
            let n = row.get::<i64>("n")? as usize;
            let delivery = ledger.deliveries.get(&id).context("an attempt of nothing")?;
            let attempt = delivery.attempts.get(n - 1).with_context(|| format!("attempt {n} of {id}"))?;
            let outcome: Option<String> = row.get("outcome")?;
            let told = || format!("attempt {n} of {id}, which should be {attempt:?}, ended as {outcome:?}");
            ensure!(outcome.as_deref() == attempt.outcome.map(|o| o.as_str()), told());
            // Until it ends, nobody knows whether it is charged.
            ensure!(
                outcome.is_none() || row.get::<bool>("charged")? == attempt.charged,
                told() + ", charged wrongly"
            );
            let stage: String = row.get("stage")?;
            ensure!(
                !attempt.renaming || stage == "renaming" || stage == "confirming",
                told() + " at " + &stage
            );
            count += 1;
        }
        let wanted: usize = ledger.deliveries.values().map(|d| d.attempts.len()).sum();
        ensure!(count == wanted, "{count} attempts, not {wanted}");
        Ok(())
    }

    async fn lanes(&self, ledger: &mut Ledger) -> anyhow::Result<()> {
        let rows = self.rows("SELECT * FROM lane").await?;
        ensure!(rows.len() == ledger.endpoints.len(), "{} lanes", rows.len());
        for row in rows {
            let id = row.id("endpoint_id")?;
            let endpoint = ledger.endpoints.iter_mut().find(|e| e.id == id).context("whose lane?")?;
            let seen = self.lane(&row)?;
            if let Err(difference) = endpoint.health.adopt(&seen) {
                bail!("the lane of {}: {difference}", endpoint.label);
            }
        }
        Ok(())
    }

    fn lane(&self, row: &Row) -> anyhow::Result<Lane> {
        let instant =
            |column| Ok::<_, anyhow::Error>(row.get::<Option<Millis>>(column)?.map(|at| self.turned(at)));
        let reason: Option<String> = row.get("blocked_reason")?;
        Ok(Lane {
            health: row.get::<String>("health")?.parse()?,
            cap: row.get("cap")?,
            ramp: row.get("ramp")?,
            strikes: row.get("strikes")?,
            recent: row.get("recent")?,
            recent_n: row.get("recent_n")?,
            login_strikes: row.get("login_strikes")?,
            login_ok_version: row.get("login_ok_version")?,
            refused_version: row.get("refused_version")?,
            blocked_until: self.turned(row.get("blocked_until")?),
            blocked_reason: reason.map(|word| word.parse()).transpose()?,
            seen_identity: row.get("seen_identity")?,
            open_ms: row.get("open_ms")?,
            opened_at: instant("opened_at")?,
            failing_since: instant("failing_since")?,
            recovered_at: instant("recovered_at")?,
            suspended_at: instant("suspended_at")?,
            paused: row.get::<Option<Millis>>("paused_at")?.is_some(),
            closed_since: instant("closed_since")?,
            closed_ms: row.get("closed_ms")?,
        })
    }

    async fn seats(&self, ledger: &mut Ledger) -> anyhow::Result<()> {
        let rows = self.rows("SELECT endpoint_id, worker_id, until FROM seat").await?;
        ensure!(rows.len() == ledger.seats.len(), "{} seats, not {:?}", rows.len(), ledger.seats);
        for row in rows {
            let id = row.id("endpoint_id")?;
            let endpoint = ledger.endpoints.iter().position(|e| e.id == id).context("whose seat?")?;
            let worker: WorkerId = row.id("worker_id")?;
            let seat = ledger.seats.get_mut(&(endpoint, worker)).context("a seat that nobody took")?;
            let until = self.turned(row.get("until")?);
            ensure!(seat.adopt(until), "a seat until {until}, not {seat:?}");
        }
        Ok(())
    }

    async fn groups(&self, ledger: &Ledger) -> anyhow::Result<()> {
        for row in self.rows("SELECT subscription_id, blocked_by FROM fifo_group").await? {
            let id = row.id("subscription_id")?;
            let subscription =
                ledger.subscriptions.iter().position(|s| s.id == id).context("whose group?")?;
            let blocked_by = row.get::<Option<Uuid>>("blocked_by")?.map(DeliveryId::from_uuid);
            let wanted = ledger.blocker(subscription);
            ensure!(
                blocked_by == wanted,
                "{} is blocked by {blocked_by:?}, not {wanted:?}",
                ledger.subscriptions[subscription].code
            );
        }
        Ok(())
    }
}
