//! Statements and transactions: the thin layer that every verb speaks through. It counts statements, because an idle
//! engine promises at most two a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use outport_core::{Fault, code};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, TransactionTrait, Value,
};

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::notices::{LogLine, Notices};
use crate::{MigrationState, Store};

/// Arguments of a statement: `args![id, now]` for `$1`, `$2`. SQLite takes the same numbered form.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$(sea_orm::Value::from($value)),*] };
}
pub(crate) use args;

/// How many statements were said, BEGIN and COMMIT included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One transaction. Dropped without [`commit`](Tx::commit) it rolls back.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    dialect: Dialect,
    counter: Counter,
    doing: &'static str,
    notices: Arc<Notices>,
    told: Mutex<Vec<LogLine>>,
}

impl Store {
    /// Begins a transaction that may write. `doing` stands in front of every error: `claiming deliveries`.
    pub async fn begin(&self, doing: &'static str) -> Result<Tx, StoreError> {
        let inner =
            self.write.begin_with_options(self.dialect.write_options()).await.map_err(self.failed(doing))?;
        self.counter.add(1);
        Ok(Tx {
            inner,
            dialect: self.dialect,
            counter: self.counter.clone(),
            doing,
            notices: self.notices.clone(),
            told: Mutex::default(),
        })
    }

    /// One reading statement outside of a transaction.
    pub async fn read(
        &self,
        doing: &'static str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        self.counter.add(1);
        let statement = statement(self.dialect, sql, values);
        self.read.query_all_raw(statement).await.map_err(self.failed(doing))
    }

    /// One writing statement in a transaction of its own; the number of rows it changed.
    pub async fn write(&self, doing: &'static str, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.counter.add(1);
        let statement = statement(self.dialect, sql, values);
        let result = self.write.execute_raw(statement).await.map_err(self.failed(doing))?;
        Ok(result.rows_affected())
    }

    /// What came of asking for a connection, or of a statement. On SQLite the one connection that writes is waited for
    /// only while somebody else's lock keeps it: "does not answer" would send an operator the wrong way.
    fn failed(&self, doing: &'static str) -> impl Fn(DbErr) -> StoreError {
        let dialect = self.dialect;
        move |error| match error {
            DbErr::ConnectionAcquire(_) if dialect == Dialect::Sqlite => {
                let message =
                    format!("{doing}: the database file is locked, and others wait before this one");
                StoreError::Fault(Fault::new(&code::DATABASE_BUSY, message))
            }
            error => StoreError::database(doing)(error),
        }
    }

    /// Statements said so far by this process, BEGIN and COMMIT included.
    pub fn statements(&self) -> u64 {
        self.counter.get()
    }

    /// Fails with `database.schema` unless every migration is applied.
    pub async fn require_schema(&self) -> Result<(), StoreError> {
        match self.migration_state().await? {
            MigrationState::Current => Ok(()),
            MigrationState::Behind(steps) => Err(StoreError::Fault(Fault::new(
                &code::DATABASE_SCHEMA,
                format!("the database {} lacks {steps} migration step(s)", self.name),
            ))),
        }
    }
}

impl Tx {
    /// Runs a statement; the number of rows it changed.
    pub async fn exec(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.counter.add(1);
        let result = self
            .inner
            .execute_raw(statement(self.dialect, sql, values))
            .await
            .map_err(StoreError::database(self.doing))?;
        Ok(result.rows_affected())
    }

    /// Runs a statement that returns rows.
    pub async fn rows(&self, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, StoreError> {
        self.counter.add(1);
        self.inner
            .query_all_raw(statement(self.dialect, sql, values))
            .await
            .map_err(StoreError::database(self.doing))
    }

    /// Runs a statement that returns at most one row.
    pub async fn row(&self, sql: &str, values: Vec<Value>) -> Result<Option<QueryResult>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The database's clock, in epoch milliseconds.
    pub async fn now(&self) -> Result<i64, StoreError> {
        let row = self.row("SELECT {now} AS now", args![]).await?;
        match row {
            Some(row) => crate::row::get(&row, "now", self.doing),
            None => Err(StoreError::Unreadable { doing: self.doing, problem: "no clock".into() }),
        }
    }

    /// Makes it so.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.counter.add(1);
        self.inner.commit().await.map_err(StoreError::database(self.doing))?;
        for told in self.told.into_inner().unwrap_or_else(PoisonError::into_inner) {
            told.log();
        }
        Ok(())
    }

    /// Leaves everything as it was.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.counter.add(1);
        self.inner.rollback().await.map_err(StoreError::database(self.doing))
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn doing(&self) -> &'static str {
        self.doing
    }

    pub(crate) fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Logs it when, and only when, the transaction is committed.
    pub(crate) fn tell(&self, told: LogLine) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }
}

fn statement(dialect: Dialect, sql: &str, values: Vec<Value>) -> Statement {
    let backend = match dialect {
        Dialect::Postgres => DbBackend::Postgres,
        Dialect::Sqlite => DbBackend::Sqlite,
    };
    Statement::from_sql_and_values(backend, dialect.render(sql), values)
}

/// `$3, $4, $5`: placeholders for a list of `count` values after `first - 1` others.
pub(crate) fn list(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// `($2, $3), ($4, $5)`: placeholders for `rows` tuples of `width` values after `first - 1` others. The values of a
/// `VALUES` list are its `column1`, `column2`, ... on both databases.
pub(crate) fn tuples(first: usize, width: usize, rows: usize) -> String {
    (0..rows).map(|row| format!("({})", list(first + row * width, width))).collect::<Vec<_>>().join(", ")
}

/// The values of an `IN` list or the rows of a `VALUES` list, the last one repeated up to a power of two: seven statements
/// to prepare for lists of up to 64, and not 64.
pub(crate) fn padded<T: Clone>(mut values: Vec<T>) -> Vec<T> {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

/// Up to so many rows are one statement of their own, whatever their number.
const FEW: usize = 16;

/// Parts of `rows` of at most `most` (a power of two): all of a few, else parts whose lengths are powers of two. An `INSERT` of
/// them in parts is a statement of not so many different texts, each of which is prepared once.
pub(crate) fn parts<T>(mut rows: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let power = 1 << rows.len().min(most).checked_ilog2()?;
        let length = if rows.len() <= FEW.min(most) { rows.len() } else { power };
        let (part, rest) = rows.split_at(length);
        rows = rest;
        Some(part)
    })
}

/// Updates one row for each of `rows`, whose values are `new.column1`, `new.column2`, ...; how many there were. They
/// are [`padded`]: a row that is named twice is updated once.
pub(crate) async fn update_rows(
    tx: &Tx,
    table: &str,
    set: &str,
    condition: &str,
    rows: Vec<Vec<Value>>,
) -> Result<u64, StoreError> {
    let rows = padded(rows);
    let Some(width) = rows.last().map(Vec::len) else { return Ok(0) };
    let sql = format!(
        "UPDATE {table} SET {set} FROM (VALUES {}) AS new WHERE {condition}",
        tuples(1, width, rows.len())
    );
    tx.exec(&sql, rows.into_iter().flatten().collect()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_or_powers_of_two_and_all_of_it() {
        let lengths = |rows: usize| -> Vec<usize> {
            let rows: Vec<usize> = (0..rows).collect();
            let joined: Vec<usize> = parts(&rows, 64).flatten().copied().collect();
            assert_eq!(joined, rows);
            parts(&rows, 64).map(<[_]>::len).collect()
        };
        assert!(lengths(0).is_empty());
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(10), [10]);
        assert_eq!(lengths(77), [64, 13]);
        assert_eq!(lengths(200), [64, 64, 64, 8]);
    }
}
