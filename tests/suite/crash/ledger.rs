//! What the ledger says, asked of the database directly.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use outport_tests::invariants;
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};
use tokio::runtime::Runtime;

/// How often a waiting test asks.
const ASK: Duration = Duration::from_millis(50);

/// A connection beside those of the process under test.
pub struct Ledger<'a> {
    runtime: &'a Runtime,
    connection: DatabaseConnection,
}

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub remote_name: String,
    pub state: String,
    pub fault_code: Option<String>,
    pub possible_duplicate: bool,
    pub attempts: Vec<Attempt>,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub stage: String,
    pub outcome: Option<String>,
    pub confirmed_by: Option<String>,
}

impl Delivery {
    /// The attempts' outcomes with how an arrival was confirmed: `abandoned, delivered by probe`.
    pub fn story(&self) -> String {
        let word = |attempt: &Attempt| {
            let outcome = attempt.outcome.as_deref().unwrap_or("open");
            match &attempt.confirmed_by {
                Some(how) => format!("{outcome} by {how}"),
                None => outcome.to_owned(),
            }
        };
        self.attempts.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

impl<'a> Ledger<'a> {
    /// Opens it. `is_sqlite`: read-only, so that a look after a crash repairs nothing for the process that comes next.
    pub fn open(runtime: &'a Runtime, url: &str, is_sqlite: bool) -> anyhow::Result<Self> {
        let url = if is_sqlite { format!("{url}?mode=ro") } else { url.to_owned() };
        let connection = runtime.block_on(invariants::connect(&url))?;
        Ok(Self { runtime, connection })
    }

    /// Fails with every broken invariant.
    pub fn assert_invariants(&self) -> anyhow::Result<()> {
        self.runtime.block_on(invariants::assert_all(&self.connection))
    }

    /// Waits until `count` deliveries are settled and no other one exists.
    pub fn wait_until_settled(&self, count: i64, limit: Duration) -> anyhow::Result<()> {
        let settled = "SELECT count(*) AS n FROM delivery WHERE settled_at IS NOT NULL";
        self.wait_for(settled, count, limit)?;
        match self.number("SELECT count(*) AS n FROM delivery")? {
            all if all == count => Ok(()),
            all => bail!("{all} deliveries, expected {count}"),
        }
    }

    /// Waits until the statement's `n` is `expected`.
    pub fn wait_for(&self, sql: &str, expected: i64, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let n = self.number(sql)?;
            if n == expected {
                return Ok(());
            }
            if Instant::now() > deadline {
                let open: Vec<_> =
                    self.deliveries()?.into_iter().filter(|delivery| delivery.state != "delivered").collect();
                bail!("{sql}: {n}, not {expected}, after {limit:?}; not delivered: {open:#?}");
            }
            std::thread::sleep(ASK);
        }
    }

    /// The `n` of the only row of a statement.
    pub fn number(&self, sql: &str) -> anyhow::Result<i64> {
        let rows = self.rows(sql)?;
        let row = rows.first().with_context(|| format!("{sql}: no row"))?;
        Ok(row.try_get("", "n")?)
    }

    /// All deliveries, by remote name, with their attempts in order.
    pub fn deliveries(&self) -> anyhow::Result<Vec<Delivery>> {
        let rows = self.rows(
            "SELECT d.id, d.remote_name, d.state, d.fault_code, d.possible_duplicate, t.stage, t.outcome, t.confirmed_by \
             FROM delivery d LEFT JOIN attempt t ON t.delivery_id = d.id ORDER BY d.remote_name, d.id, t.n",
        )?;
        let mut all: Vec<Delivery> = Vec::new();
        let mut last: Option<uuid::Uuid> = None;
        for row in rows {
            let id = row.try_get("", "id")?;
            if last.replace(id) != Some(id) {
                all.push(Delivery {
                    remote_name: row.try_get("", "remote_name")?,
                    state: row.try_get("", "state")?,
                    fault_code: row.try_get("", "fault_code")?,
                    possible_duplicate: row.try_get("", "possible_duplicate")?,
                    attempts: Vec::new(),
                });
            }
            let stage: Option<String> = row.try_get("", "stage")?;
            if let (Some(stage), Some(delivery)) = (stage, all.last_mut()) {
                let (outcome, confirmed_by) = (row.try_get("", "outcome")?, row.try_get("", "confirmed_by")?);
                delivery.attempts.push(Attempt { stage, outcome, confirmed_by });
            }
        }
        Ok(all)
    }

    /// The one delivery to a name in the inbox.
    pub fn delivery(&self, name: &str) -> anyhow::Result<Delivery> {
        let wanted = format!("inbox/{name}");
        let mut all = self.deliveries()?.into_iter().filter(|delivery| delivery.remote_name == wanted);
        all.next().with_context(|| format!("no delivery to {wanted}"))
    }

    fn rows(&self, sql: &str) -> anyhow::Result<Vec<QueryResult>> {
        let statement = Statement::from_string(self.connection.get_database_backend(), sql);
        self.runtime.block_on(self.connection.query_all_raw(statement)).with_context(|| sql.to_owned())
    }
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        if let Err(fault) = self.runtime.block_on(self.connection.close_by_ref()) {
            eprintln!("could not close the look at the ledger: {fault}");
        }
    }
}
