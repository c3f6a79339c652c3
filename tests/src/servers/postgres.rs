//! Databases in the PostgreSQL cluster that `tests/run` started.

use anyhow::Context;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::missing;
use crate::set::{Set, Skip, set};

/// An empty database of its own, dropped with it.
pub struct Database {
    server: String,
    name: String,
    url: String,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the addresses: they hold a password.
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Database {
    /// Creates it. From async code too: the work is done in a thread of its own.
    ///
    /// # Errors
    /// [`Skip`] in the embedded set; anything else is a failure: no server (`OUTPORT_TEST_POSTGRES` is not set), or the server's fault.
    pub fn create() -> anyhow::Result<Self> {
        if set() == Set::Embedded {
            return Err(Skip::because("the embedded set starts no PostgreSQL"));
        }
        let server = std::env::var("OUTPORT_TEST_POSTGRES")
            .map_err(|_| missing("the PostgreSQL server (OUTPORT_TEST_POSTGRES)"))?;
        let (base, _) =
            server.rsplit_once('/').context("OUTPORT_TEST_POSTGRES is no postgres://.../database")?;
        let name = format!("outport_test_{}", uuid::Uuid::new_v4().simple());
        let url = format!("{base}/{name}");
        execute(&server, format!("CREATE DATABASE {name}")).context("could not create a database")?;
        Ok(Self { server, name, url })
    }

    /// `postgres://user:password@127.0.0.1:port/name`, for the owner of the cluster.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same URL without the password, and the line of a password file (`PGPASSFILE`) that has it.
    ///
    /// # Errors
    /// If the URL has no password.
    pub fn url_and_password_line(&self) -> anyhow::Result<(String, String)> {
        // postgres://USER:PASSWORD@HOST:PORT/NAME, the password in hex.
        let taken_apart = || {
            let (login, place) = self.url.strip_prefix("postgres://")?.split_once('@')?;
            let (user, password) = login.split_once(':')?;
            let (server, name) = place.split_once('/')?;
            Some((format!("postgres://{user}@{place}"), format!("{server}:{name}:{user}:{password}\n")))
        };
        taken_apart().context("OUTPORT_TEST_POSTGRES is no postgres://user:password@host:port/database")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // FORCE ends connections that are still open: a test may fail while it has some.
        if let Err(fault) =
            execute(&self.server, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))
        {
            eprintln!("could not drop database {}: {fault:#}", self.name);
        }
    }
}

/// Transactions that the server has counted in `database`, of all its clients. They report their own up to a second late.
///
/// # Errors
/// If the server does not say.
pub fn transactions(database: &Database) -> anyhow::Result<i64> {
    let sql = format!(
        "SELECT xact_commit + xact_rollback AS n FROM pg_stat_database WHERE datname = '{}'",
        database.name
    );
    // Over the cluster's own database: the question itself must not count.
    on_a_thread(&database.server, async |connection| {
        let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        let row = row.with_context(|| format!("PostgreSQL counts nothing for {}", database.name))?;
        Ok(row.try_get("", "n")?)
    })
}

/// Runs one statement.
fn execute(server: &str, statement: String) -> anyhow::Result<()> {
    on_a_thread(server, async |connection| {
        connection.execute_unprepared(&statement).await?;
        Ok(())
    })
}

/// Works over a connection of its own, outside of any runtime the caller may be in.
fn on_a_thread<T: Send>(
    server: &str,
    work: impl AsyncFnOnce(&DatabaseConnection) -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let work = async || {
        let mut options = ConnectOptions::new(server);
        options.max_connections(1).sqlx_logging(false);
        let connection = sea_orm::Database::connect(options).await?;
        let done = work(&connection).await?;
        connection.close().await?;
        Ok(done)
    };
    std::thread::scope(|scope| {
        let done = scope
            .spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work()));
        done.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread that runs statements panicked")))
    })
}
