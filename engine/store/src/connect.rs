//! Opening a database: one pool that writes, one that reads, the settings that the promises rest on.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outport_core::{Fault, code};
use outport_migrations::{Migrator, MigratorTrait};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection, SqliteConnection, postgres::PgConnectOptions};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::notices::Notices;
use crate::sql::Counter;

/// An arbitrary constant that only Outport's migrations lock ("outport" on a telephone keypad).
const MIGRATION_LOCK: i64 = 6_887_678;

/// PostgreSQL ends a transaction whose client says nothing for this long. A frozen worker (SIGSTOP, a paused virtual
/// machine) may have locked lanes and leases in the middle of one; its connection stays open, and rescue and claims skip
/// locked rows: without this, nobody could take its work over until it wakes. Far longer than any pause between two
/// statements of ours, far shorter than a lease (60 s).
const IDLE_IN_TRANSACTION: (&str, &str) = ("idle_in_transaction_session_timeout", "10s");

/// What every verb relies on, said once a connection and not once a transaction.
const SESSION: [(&str, &str); 2] = [IDLE_IN_TRANSACTION, ("default_transaction_isolation", "read committed")];

/// Of connections that write.
const WRITING: [(&str, &str); 2] = [
    // A prepared statement keeps its plan. One that was made while a table was empty is a scan of the whole table, and stays
    // one through the burst that follows (measured: 0.98 ms and 110 buffers for one row of 5,000, 0.14 ms and 7 with this).
    // Every statement of a hot verb has its index.
    ("enable_seqscan", "off"),
    // Compiling a plan takes longer than any of these statements.
    ("jit", "off"),
];

/// The ledger and the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    /// On SQLite a single connection, so that writers of one process queue fairly here and not in the busy handler
    /// (measured: with four writers that one made one of them wait 1.5 s).
    pub(crate) write: DatabaseConnection,
    pub(crate) read: DatabaseConnection,
    pub(crate) dialect: Dialect,
    pub(crate) counter: Counter,
    /// The database for messages: without user, password and options.
    pub(crate) name: String,
    pub(crate) notices: Arc<Notices>,
    sqlite_path: Option<PathBuf>,
    url: String,
}

/// Whether the schema is the one that this binary needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// Yes.
    Current,
    /// This many steps are missing.
    Behind(usize),
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://...`. Does not touch the schema; see [`Store::migrate`].
    ///
    /// # Errors
    /// `database.unreachable`, `database.corrupt`, `config.invalid` for a URL of another kind.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let (dialect, name, sqlite_path) = kind_of(url)?;
        let (writers, readers) = match dialect {
            Dialect::Sqlite => (1, 4),
            Dialect::Postgres => (8, 4),
        };
        let opening = |source| StoreError::of_opening(&name, source);
        let connect = async |connections, writes| {
            let mut options = options(url, sqlite_path.as_deref(), connections);
            if writes && dialect == Dialect::Postgres {
                options.map_sqlx_postgres_opts(|postgres| postgres.options(SESSION).options(WRITING));
            }
            Database::connect(options).await.map_err(opening)
        };
        if let Some(path) = &sqlite_path {
            own_file(path);
        }
        if dialect == Dialect::Postgres {
            // A pool says only "timed out" about a server that refuses; one connection of our own says why.
            let probe = sqlx::postgres::PgConnection::connect(url).await;
            let probe = probe.map_err(|error| refused(&name, &error))?;
            probe.close().await.map_err(|error| refused(&name, &error))?;
        }
        let (write, read) = (connect(writers, true).await?, connect(readers, false).await?);
        let store = Self {
            write,
            read,
            dialect,
            counter: Counter::default(),
            name,
            notices: Arc::default(),
            sqlite_path,
            url: url.to_owned(),
        };
        // A damaged file is found here, with its own message, and not in the middle of a claim.
        let looks: &[&str] = match dialect {
            Dialect::Sqlite => &["SELECT 1 AS one", "SELECT count(*) AS n FROM sqlite_master"],
            Dialect::Postgres => &["SELECT 1 AS one"],
        };
        for look in looks {
            store
                .read("opening the database", look, vec![])
                .await
                .map_err(|error| error.at_opening(&store.name))?;
        }
        Ok(store)
    }

    /// The same, telling people of what happens from here on.
    #[must_use]
    pub fn with_notices(mut self, notices: Notices) -> Self {
        self.notices = Arc::new(notices);
        self
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The database for messages: a path, or host and database name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Applies the missing migration steps under a lock; how many there were.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        let migrating = StoreError::database("migrating the schema");
        let _file_lock = match &self.sqlite_path {
            Some(path) => Some(lock_file(path.clone()).await?),
            None => None,
        };
        // Its own single connection: an advisory lock belongs to a session, a pool would change it under our feet.
        let single = Database::connect(options(&self.url, self.sqlite_path.as_deref(), 1))
            .await
            .map_err(&migrating)?;
        if self.dialect == Dialect::Postgres {
            let lock = format!("SELECT pg_advisory_lock({MIGRATION_LOCK})");
            single.execute_unprepared(&lock).await.map_err(&migrating)?;
        }
        let missing = Migrator::get_pending_migrations(&single).await.map_err(&migrating)?.len();
        let outcome = Migrator::up(&single, None).await.map_err(&migrating);
        // Closing the session frees the advisory lock on every path.
        single.close().await.map_err(&migrating)?;
        outcome.map(|()| missing)
    }

    /// Whether [`Store::migrate`] has something to do. Only reads, other than the migrator's own question, which makes
    /// its bookkeeping table first.
    pub async fn migration_state(&self) -> Result<MigrationState, StoreError> {
        let steps = Migrator::migrations();
        let applied =
            self.read("reading the schema's version", "SELECT version FROM seaql_migrations", vec![]).await;
        let applied: Vec<String> = match applied {
            Ok(rows) => rows
                .iter()
                .map(|row| crate::row::get(row, "version", "reading the schema's version"))
                .collect::<Result<_, _>>()?,
            Err(error) if error.is_missing_table() => Vec::new(),
            Err(error) => return Err(error),
        };
        let missing = steps.iter().filter(|step| !applied.iter().any(|name| name == step.name())).count();
        Ok(if missing == 0 { MigrationState::Current } else { MigrationState::Behind(missing) })
    }

    /// Ends all connections.
    pub async fn close(self) -> Result<(), StoreError> {
        let closing = StoreError::database("closing the database");
        self.read.close().await.map_err(&closing)?;
        self.write.close().await.map_err(&closing)
    }
}

fn kind_of(url: &str) -> Result<(Dialect, String, Option<PathBuf>), StoreError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ok((Dialect::Sqlite, path.to_owned(), Some(PathBuf::from(path))));
    }
    if let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) {
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let name = host.split('?').next().unwrap_or(host);
        // Tried here, because the driver repeats the whole URL, password and all, when it cannot read it.
        if let Err(error) = url.parse::<PgConnectOptions>() {
            let cause = match error {
                sqlx::Error::Configuration(cause) => cause.to_string(),
                _ => "it is not understood".into(),
            };
            return Err(Fault::new(
                &code::CONFIG_INVALID,
                format!("could not read the database URL: {cause}"),
            )
            .with_hint("write postgres://USER@HOST:PORT/NAME; in a password, write special characters as %XX")
            .into());
        }
        return Ok((Dialect::Postgres, name.to_owned(), None));
    }
    Err(Fault::new(&code::CONFIG_INVALID, "the database URL is of no kind that Outport knows")
        .with_hint("use sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME")
        .into())
}

/// `sqlite_path` of a SQLite database is taken as it is: in a URL, `%20` and `?` would mean something else.
fn options(url: &str, sqlite_path: Option<&Path>, connections: u32) -> ConnectOptions {
    let url = if sqlite_path.is_some() { "sqlite:" } else { url };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(0)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(30))
        .sqlx_logging(false);
    if sqlite_path.is_none() {
        options.map_sqlx_postgres_opts(|postgres| postgres.options(SESSION));
    }
    if let Some(path) = sqlite_path.map(Path::to_owned) {
        // FULL: a commit that was acknowledged survives a power cut. busy_timeout: CLI commands write beside `up`.
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(20))
        });
        options.map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_release(|connection, _| Box::pin(async { Ok(is_idle(connection).await) }))
        });
    }
    options
}

/// Makes a new database file one that only its owner reads: it tells who gets which file. SQLite gives its log the same mode.
/// What stands in the way of that is found, and said, when SQLite opens the file.
fn own_file(path: &Path) {
    drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path));
}

fn refused(name: &str, error: &sqlx::Error) -> StoreError {
    Fault::new(&code::DATABASE_UNREACHABLE, format!("could not connect to the database {name}: {error}"))
        .into()
}

/// Whether a connection came back without a transaction. SQLite ends one by itself when a commit meets a full disk or
/// an I/O error; the driver then counts it as open for ever, and puts what follows into savepoints that are never
/// committed: every verb would succeed and nothing would be kept. Such a connection is closed instead.
async fn is_idle(connection: &mut SqliteConnection) -> bool {
    // The rollback of a dropped transaction waits in the connection's queue: the ping is behind it.
    connection.ping().await.is_ok() && !connection.is_in_transaction()
}

/// Waits for the lock on a thread of its own: another migration of this process may be what it waits for.
async fn lock_file(database: PathBuf) -> Result<File, StoreError> {
    let path = database.with_extension("migrate-lock");
    let name = path.display().to_string();
    let locked =
        tokio::task::spawn_blocking(move || File::create(&path).and_then(|file| file.lock().map(|()| file)));
    let failed = |error: &dyn std::fmt::Display| {
        Fault::new(&code::IO_FAILED, format!("could not lock {name} for the migration: {error}"))
    };
    Ok(locked.await.map_err(|e| failed(&e))?.map_err(|e| failed(&e))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_messages_carry_no_secret() {
        let (_, name, _) = kind_of("postgres://app:hunter2@db.example:5432/outport?sslmode=require").unwrap();
        assert_eq!(name, "db.example:5432/outport");
        let (dialect, name, path) = kind_of("sqlite:/var/lib/100%25/what?/outport.db").unwrap();
        assert_eq!((dialect, name.as_str()), (Dialect::Sqlite, "/var/lib/100%25/what?/outport.db"));
        assert_eq!(path.unwrap(), PathBuf::from("/var/lib/100%25/what?/outport.db"));
        assert!(kind_of("mysql://x").is_err());
        for url in [
            "postgres://app:hunter2@[::1/x",
            "postgres://app:hun ter2@a b/x",
            "postgres://app:hunter2@h:99999/x",
        ] {
            let StoreError::Fault(fault) = kind_of(url).unwrap_err() else { panic!("{url}") };
            assert_eq!(fault.code, &code::CONFIG_INVALID);
            assert!(!fault.report().contains("ter2"), "{}", fault.report());
        }
    }
}
