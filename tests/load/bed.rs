//! A database of a measurement's own, with the store on it.

use anyhow::{Context, Result, bail};
use outport_core::Timing;
use outport_store::enqueue::{self, Dispatched};
use outport_store::{Dialect, Store};
use outport_tests::invariants;
use outport_tests::servers::postgres::Database;
use sea_orm::DatabaseConnection;
use tempfile::TempDir;

use crate::backlog::{Copies, Standing, load};
use crate::cost::{Cost, Meter};
use crate::options::Kind;
use crate::world;

/// Deliveries of a ledger that has worked before.
pub const PAST: u64 = 10_000;

/// Gone with the value.
pub struct Bed {
    pub store: Store,
    /// Beside the store: for questions and for loading backlogs.
    pub raw: DatabaseConnection,
    pub timing: Timing,
    // Last, so that whoever uses it is gone when it is dropped.
    _keep: Keep,
}

enum Keep {
    Postgres { _database: Database },
    Sqlite { _folder: TempDir },
}

impl Bed {
    /// An empty one, with its schema.
    pub async fn open(kind: Kind) -> Result<Self> {
        let (url, keep) = match kind {
            Kind::Postgres => {
                let database = Database::create()?;
                (database.url().to_owned(), Keep::Postgres { _database: database })
            }
            Kind::Sqlite => {
                let folder = tempfile::Builder::new().prefix("outport-load-").tempdir()?;
                let url = format!("sqlite:{}", folder.path().join("outport.db").display());
                (url, Keep::Sqlite { _folder: folder })
            }
        };
        let store = Store::open(&url).await?;
        store.migrate().await?;
        let raw = invariants::connect(&url).await?;
        Ok(Self { store, raw, timing: Timing::default(), _keep: keep })
    }

    /// The same after [`PAST`] deliveries. In an empty table a reading of all rows is the best plan; PostgreSQL keeps it
    /// for a prepared statement until the table is analyzed again, and a run of seconds would measure that.
    pub async fn with_past(kind: Kind, healthy: u32, dead: bool) -> Result<Self> {
        let bed = Self::with_partners(kind, healthy, dead).await?;
        let past =
            Copies { batch: 800, count: PAST, subscriptions: "LIKE 'p%'", standing: Standing::Delivered };
        load(&bed.raw, &past).await?;
        Ok(bed)
    }

    /// One with `healthy` partners (and a dead one) whose logins have worked, and one file dispatched to all of them: what
    /// a backlog is copied from.
    pub async fn with_partners(kind: Kind, healthy: u32, dead: bool) -> Result<Self> {
        let bed = Self::open(kind).await?;
        let definitions = world::definitions(healthy, dead)?;
        outport_store::definitions::apply(&bed.store, &definitions, "load").await?;
        // No probation: a lane whose login never worked gets one file at a time.
        world::run(&bed.raw, "UPDATE lane SET login_ok_version = 'v1'").await?;
        match enqueue::dispatch(&bed.store, &world::arrival("model")?, |_, _| None).await? {
            Dispatched::Routed { .. } => Ok(bed),
            other => bail!("the model file was not routed: {other:?}"),
        }
    }

    /// Begins to measure this process and the server's processes that serve this database.
    pub async fn meter(&self) -> Result<Meter> {
        Meter::start(std::process::id(), self.server_processes().await?)
    }

    /// What `meter` says at the end.
    pub async fn cost(&self, meter: Meter) -> Result<Cost> {
        meter.stop(self.server_processes().await?)
    }

    async fn server_processes(&self) -> Result<Option<Vec<u32>>> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let sql = "SELECT pid AS n FROM pg_stat_activity WHERE datname = current_database()";
        let pids: Vec<i32> = world::values(&self.raw, sql).await?;
        Ok(Some(pids.into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect()))
    }

    /// The state that a database has some time after it was filled: statistics and visibility map are there, and what was
    /// filled in is on the disk, so that no checkpoint writes it while we measure. On SQLite nothing is done, as in the
    /// product.
    pub async fn settle(&self) -> Result<()> {
        if self.is_postgres() {
            world::run(&self.raw, "VACUUM ANALYZE").await?;
            world::run(&self.raw, "CHECKPOINT").await?;
        }
        Ok(())
    }

    pub fn is_postgres(&self) -> bool {
        self.store.dialect() == Dialect::Postgres
    }

    /// Ends all connections.
    pub async fn close(self) -> Result<()> {
        self.raw.close().await.context("closing")?;
        self.store.close().await?;
        Ok(())
    }
}
