//! The only place that knows which database it is. Statements are written once; a few words in braces differ.

mod postgres;
mod sqlite;

use sea_orm::{SqliteTransactionMode, TransactionOptions};

/// Which database a store talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL (Aurora included): several processes may work on it.
    Postgres,
    /// SQLite: one `up` per file.
    Sqlite,
}

impl Dialect {
    /// Fills the words in braces: `{now}` (epoch milliseconds on the database's clock), `{lock}` and
    /// `{skip_locked}` (row locks; SQLite's transaction holds the whole file), `{least}`.
    pub(crate) fn render(self, sql: &str) -> String {
        let words = match self {
            Self::Postgres => postgres::WORDS,
            Self::Sqlite => sqlite::WORDS,
        };
        let mut filled = sql.to_owned();
        for (name, word) in words {
            if filled.contains(name) {
                filled = filled.replace(name, word);
            }
        }
        filled
    }

    /// How a transaction that writes begins. SQLite: IMMEDIATE, because a deferred one that upgrades fails at once
    /// with SQLITE_BUSY (measured: 865 failures in 1,000 transactions of two processes).
    pub(crate) fn write_options(self) -> TransactionOptions {
        match self {
            // Its isolation level is that of the connection: said here, it would be a second statement.
            Self::Postgres => TransactionOptions::default(),
            Self::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            },
        }
    }
}
