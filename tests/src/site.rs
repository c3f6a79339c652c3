//! One installation of Outport for a test: data folder, definitions, database, and the command line that works on them.

mod folder_watch;
mod health;
mod held_files;
mod partners;
mod running;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::Value;
use tempfile::TempDir;

use crate::invariants;
use crate::process::{Finished, Outport};
use crate::servers::postgres::Database;
use crate::set::{Set, set};
pub use folder_watch::{FolderWatch, Whole, is_temp_name};
pub use health::get;
pub use held_files::HeldFiles;
pub use partners::{BUCKET, Login, Partner, definitions};
pub use running::{Up, health_of};

/// The time scale of tests that wait for retries: a lease of 3 s still outlives the stalls of a busy machine.
const QUICK: f64 = 0.05;

/// How often a condition is looked at. A look starts a process.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An installation of its own, gone with the value.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    settings: Vec<(String, String)>,
    scale: f64,
    // Last, so that whoever uses it is gone when it is dropped.
    database: Option<Database>,
}

impl Site {
    /// One with SQLite in its data folder, on a fast clock; `tests/run --full` runs it on the real one.
    ///
    /// # Errors
    /// If its folders cannot be made.
    pub fn on_sqlite() -> anyhow::Result<Self> {
        Self::new(None)
    }

    /// The same with a PostgreSQL database of its own, its schema made by `outport migrate`.
    ///
    /// # Errors
    /// Those of [`Database::create`], and a migration that fails.
    pub fn on_postgres() -> anyhow::Result<Self> {
        let site = Self::new(Some(Database::create()?))?;
        site.done(["migrate"])?;
        Ok(site)
    }

    fn new(database: Option<Database>) -> anyhow::Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("outport-site-").tempdir().context("could not make a folder")?;
        std::fs::create_dir_all(folder.path().join("data/buckets").join(BUCKET))
            .context("could not make the bucket")?;
        let scale = if set() == Set::Full { 1.0 } else { QUICK };
        let mut settings = vec![("OUTPORT_HEALTH_LISTEN".to_owned(), "127.0.0.1:0".to_owned())];
        if let Some(database) = &database {
            settings.push(("OUTPORT_DATABASE".to_owned(), database.url().to_owned()));
        }
        Ok(Self { folder, settings, scale, database })
    }

    /// The same with the durations that real installations have, in every set.
    #[must_use]
    pub fn in_real_time(mut self) -> Self {
        self.scale = 1.0;
        self
    }

    /// The same with one more setting: `OUTPORT_...`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder that `--data` names.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The URL of the database, for questions beside Outport.
    pub fn database_url(&self) -> String {
        match &self.database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite:{}", self.data().join("outport.db").display()),
        }
    }

    /// Its PostgreSQL database, if it has one.
    pub fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// How long to wait for something that takes `real_s` seconds by the real clock: that, on this site's clock, and
    /// two minutes for a machine that has other things to do.
    pub fn limit(&self, real_s: u64) -> Duration {
        Duration::from_secs(120) + Duration::from_secs(real_s).mul_f64(self.scale)
    }

    /// Writes a file beside the data folder and returns its path.
    ///
    /// # Errors
    /// If that fails.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    }

    /// A call of `outport` for this installation, not made yet.
    pub fn outport<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outport {
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        self.container()(&arguments)
    }

    /// Makes calls of `outport` with the settings that this installation has now, from wherever they are made: the containers of
    /// [`FakeBatch`](crate::servers::fake_batch::FakeBatch).
    pub fn container(&self) -> impl Fn(&[String]) -> Outport + Send + Sync + 'static {
        let (folder, data) = (self.folder.path().to_owned(), self.data().display().to_string());
        let environment = self.environment();
        move |command| {
            let all = ["--data", &data].into_iter().chain(command.iter().map(String::as_str));
            environment.iter().fold(Outport::new(&folder, all), |call, (name, value)| call.env(name, value))
        }
    }

    /// Its settings, as every process that works on it has them in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let own =
            [("OUTPORT_TIMING_SCALE", self.scale.to_string()), ("OUTPORT_LOG_FORMAT", "json".to_owned())];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        own.chain(self.settings.iter().cloned()).collect()
    }

    /// Runs a command that has to succeed.
    ///
    /// # Errors
    /// If its exit code is not 0; the message holds what it printed.
    pub fn done<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Finished> {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let ended = self.outport(arguments.iter().copied()).run()?;
        ensure!(ended.code == Some(0), "outport {} ended like this: {ended:?}", arguments.join(" "));
        Ok(ended)
    }

    /// The JSON document that a read with `--json` prints.
    ///
    /// # Errors
    /// If it fails, or prints none.
    pub fn json<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Value> {
        let printed = self.done(arguments.into_iter().chain(["--json"]))?.stdout;
        serde_json::from_str(&printed).with_context(|| format!("no JSON: {printed}"))
    }

    /// Applies definitions for `partners`.
    ///
    /// # Errors
    /// If `outport apply` fails.
    pub fn apply(&self, partners: &[Partner]) -> anyhow::Result<()> {
        let file = self.write("partners.toml", definitions(partners))?;
        self.done(["apply", &text(&file)?]).map(|_| ())
    }

    /// Puts an object into the bucket, as a user does.
    ///
    /// # Errors
    /// If `outport put` fails.
    pub fn put(&self, key: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let file = self.write("to-be-put", content)?;
        self.done(["put", &text(&file)?, &format!("s3://{BUCKET}/{key}")]).map(|_| ())
    }

    /// Starts `outport up` and waits until it is.
    ///
    /// # Errors
    /// If it does not start; the message holds what it printed.
    pub fn up(&self) -> anyhow::Result<Up> {
        Up::start(self.outport(["up"]))
    }

    /// Every delivery, newest first, as `outport delivery list --json` shows it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn deliveries(&self) -> anyhow::Result<Vec<Value>> {
        match self.json(["delivery", "list", "--limit", "100000"])? {
            Value::Array(deliveries) => Ok(deliveries),
            other => bail!("no list: {other}"),
        }
    }

    /// The delivery of the object `key` to `endpoint`, with its attempts; `None`: there is none yet.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn delivery(&self, key: &str, endpoint: &str) -> anyhow::Result<Option<Value>> {
        let wanted = |d: &Value| d["key"] == key && d["endpoint"] == endpoint;
        match self.deliveries()?.iter().find(|d| wanted(d)).and_then(|d| d["id"].as_str()) {
            Some(id) => self.json(["delivery", "show", id]).map(Some),
            None => Ok(None),
        }
    }

    /// The delivery of `key` to `endpoint`, once it is as it should be; `real_s` as for [`limit`](Self::limit).
    ///
    /// # Errors
    /// If that does not come true in time; the message holds what it was last.
    pub fn wait_for_delivery(
        &self,
        key: &str,
        endpoint: &str,
        real_s: u64,
        is_good: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        self.wait(real_s, &format!("the delivery of {key} to {endpoint}"), || {
            Ok(self
                .delivery(key, endpoint)?
                .ok_or(Value::Null)
                .and_then(|d| Some(d.clone()).filter(&is_good).ok_or(d)))
        })
    }

    /// The delivery of `key` to `endpoint`, once it is in `state`.
    ///
    /// # Errors
    /// As [`wait_for_delivery`](Self::wait_for_delivery).
    pub fn wait_for_state(
        &self,
        key: &str,
        endpoint: &str,
        state: &str,
        real_s: u64,
    ) -> anyhow::Result<Value> {
        self.wait_for_delivery(key, endpoint, real_s, |d| d["state"] == state)
    }

    /// Waits until there are `count` deliveries and all are delivered.
    ///
    /// # Errors
    /// If that does not come true in time.
    pub fn wait_for_all(&self, count: usize, real_s: u64) -> anyhow::Result<Vec<Value>> {
        self.wait(real_s, &format!("{count} deliveries"), || {
            let deliveries = self.deliveries()?;
            let good = deliveries.len() == count && deliveries.iter().all(|d| d["state"] == "delivered");
            Ok(if good { Ok(deliveries) } else { Err(Value::Array(deliveries)) })
        })
    }

    /// Waits until there are `count` deliveries and none of them is open.
    ///
    /// # Errors
    /// If that does not come true in time.
    pub fn wait_for_settled(&self, count: usize, real_s: u64) -> anyhow::Result<Vec<Value>> {
        const SETTLED: [&str; 4] = ["delivered", "failed", "unconfirmed", "cancelled"];
        self.wait(real_s, &format!("{count} settled deliveries"), || {
            let deliveries = self.deliveries()?;
            let settled = |d: &Value| d["state"].as_str().is_some_and(|state| SETTLED.contains(&state));
            let good = deliveries.len() == count && deliveries.iter().all(settled);
            Ok(if good { Ok(deliveries) } else { Err(Value::Array(deliveries)) })
        })
    }

    /// The endpoint `SUBSCRIBER/NAME`, once it is as it should be.
    ///
    /// # Errors
    /// If that does not come true in time; the message holds what it was last.
    pub fn wait_for_endpoint(
        &self,
        name: &str,
        real_s: u64,
        is_good: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        self.wait(real_s, &format!("the endpoint {name}"), || {
            let endpoint = self.json(["endpoint", "show", name])?;
            Ok(if is_good(&endpoint) { Ok(endpoint) } else { Err(endpoint) })
        })
    }

    /// Asks the database whether the invariants of docs/STATES.md hold.
    ///
    /// # Errors
    /// With every one that does not.
    pub fn assert_invariants(&self) -> anyhow::Result<()> {
        self.beside(async |connection| invariants::assert_all(connection).await)
    }

    /// Meddles with the database.
    ///
    /// # Errors
    /// If the statement fails.
    pub fn sql(&self, statement: &str) -> anyhow::Result<()> {
        self.beside(async |connection| {
            connection.execute_unprepared(statement).await.with_context(|| statement.to_owned())?;
            Ok(())
        })
    }

    /// The number `n` of the only row that a question has.
    ///
    /// # Errors
    /// If it has none.
    pub fn count(&self, question: &str) -> anyhow::Result<usize> {
        let mut count = 0;
        self.beside(async |connection| {
            let statement = Statement::from_string(connection.get_database_backend(), question);
            let row = connection.query_one_raw(statement).await?.context("no row")?;
            count = usize::try_from(row.try_get::<i64>("", "n")?)?;
            Ok(())
        })?;
        Ok(count)
    }

    /// What the durations of the engine are multiplied by.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Lets nobody record a file until the value is dropped.
    ///
    /// # Errors
    /// If the lock cannot be had.
    pub fn hold_files(&self) -> anyhow::Result<HeldFiles> {
        HeldFiles::take(&self.database_url())
    }

    /// Works on a connection of its own.
    fn beside(
        &self,
        work: impl AsyncFnOnce(&DatabaseConnection) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let connection = invariants::connect(&self.database_url()).await?;
            let done = work(&connection).await;
            connection.close().await?;
            done
        })
    }

    /// Looks again and again until `look` gives `Ok(Ok(...))`. `Ok(Err(what there was))` looks again.
    fn wait<T>(
        &self,
        real_s: u64,
        what: &str,
        mut look: impl FnMut() -> anyhow::Result<Result<T, Value>>,
    ) -> anyhow::Result<T> {
        let limit = self.limit(real_s);
        let deadline = Instant::now() + limit;
        loop {
            match look()? {
                Ok(found) => return Ok(found),
                Err(last) if Instant::now() > deadline => {
                    bail!("{what} did not become what it should within {limit:?}; it is {last:#}")
                }
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

/// A path as text: ours are.
fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is no UTF-8", path.display()))
}
