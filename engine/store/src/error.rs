//! A database error as a fault that an operator can act on.

use outport_core::state::{Illegal, UnknownWord};
use outport_core::{Fault, code};
use sea_orm::{DbErr, RuntimeErr};

/// Why a verb of the store did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no, or nothing.
    #[error("{doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: DbErr,
    },
    /// A row holds a word or a value that this binary does not understand.
    #[error("{doing}: a row is not readable: {problem}")]
    Unreadable {
        /// What was being done.
        doing: &'static str,
        /// Which value.
        problem: String,
    },
    /// The verb is not allowed in the row's present state.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// A fault that already has its code.
    #[error("{0}")]
    Fault(Fault),
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl StoreError {
    pub(crate) fn database(doing: &'static str) -> impl Fn(DbErr) -> Self {
        move |source| Self::Database { doing, source }
    }

    /// The error of a database that could not be opened; `name` says which one.
    pub(crate) fn of_opening(name: &str, source: DbErr) -> Self {
        Self::Database { doing: "opening the database", source }.at_opening(name)
    }

    /// The same for an error that came from a first look into it.
    pub(crate) fn at_opening(self, name: &str) -> Self {
        match &self {
            Self::Database { source, .. } => {
                let message = format!("could not open the database {name}: {}", root_cause(source));
                Self::Fault(Fault { message, ..self.fault() })
            }
            _ => self,
        }
    }

    pub(crate) fn word(doing: &'static str) -> impl Fn(UnknownWord) -> Self {
        move |problem| Self::Unreadable { doing, problem: problem.to_string() }
    }

    /// The database's own error code: SQLSTATE, or SQLite's extended result code.
    fn database_code(&self) -> Option<String> {
        let Self::Database { source, .. } = self else { return None };
        let (DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime)) = source else {
            return None;
        };
        let RuntimeErr::SqlxError(error) = runtime else { return None };
        error.as_database_error().and_then(|e| e.code().map(|code| code.into_owned()))
    }

    /// Whether the same transaction may simply be run again: deadlock and serialization failures, a busy file.
    pub fn is_transient(&self) -> bool {
        match self.database_code() {
            Some(code) => {
                // SQLite's extended codes keep the primary one in the low byte: 5 = BUSY, 6 = LOCKED.
                let sqlite_busy =
                    code.parse::<u32>().is_ok_and(|n| code.len() < 5 && matches!(n & 0xff, 5 | 6));
                matches!(code.as_str(), "40P01" | "40001") || sqlite_busy
            }
            None => false,
        }
    }

    /// Whether the database is away, or cannot write, for a while: the same may work later.
    pub fn is_outage(&self) -> bool {
        let code = self.fault().code;
        code == &code::DATABASE_UNREACHABLE || code == &code::DATABASE_FULL || code == &code::DATABASE_BUSY
    }

    /// The table of a statement does not exist (42P01; SQLite has only its general code 1 for it).
    pub(crate) fn is_missing_table(&self) -> bool {
        self.database_code().is_some_and(|code| code == "42P01" || code == "1")
    }

    /// The fault that an operator sees.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Fault(fault) => fault.clone(),
            Self::Illegal(illegal) => Fault::new(&code::USAGE, illegal.to_string())
                .with_hint("look at its present state with the matching `show` command"),
            Self::Unreadable { .. } => Fault::new(&code::DATABASE_SCHEMA, self.to_string()),
            Self::Database { doing, source } => {
                let which = match self.database_code().as_deref() {
                    Some(code) if code.len() == 5 => match &code[..2] {
                        "53" if code == "53100" => &code::DATABASE_FULL,
                        "28" | "3D" => &code::DATABASE_UNREACHABLE,
                        "08" | "57" => &code::DATABASE_UNREACHABLE,
                        "42" => &code::DATABASE_SCHEMA,
                        _ => &code::DATABASE_FAILED,
                    },
                    Some(code) => match code.parse::<u32>().map(|n| n & 0xff) {
                        Ok(5 | 6) => &code::DATABASE_BUSY,
                        Ok(11 | 26) => &code::DATABASE_CORRUPT,
                        Ok(13) => &code::DATABASE_FULL,
                        // READONLY, CANTOPEN: a matter of the path and its permissions.
                        Ok(8 | 14) => &code::IO_FAILED,
                        _ => &code::DATABASE_FAILED,
                    },
                    None if matches!(source, DbErr::Conn(_) | DbErr::ConnectionAcquire(_))
                        || is_io(source) =>
                    {
                        &code::DATABASE_UNREACHABLE
                    }
                    None => &code::DATABASE_FAILED,
                };
                Fault::new(which, format!("{doing}: {}", root_cause(source)))
            }
        }
    }
}

/// The connection broke in the middle of a statement.
fn is_io(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    matches!(**error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}

/// The innermost message; sea-orm's own wrapping ("Execution Error: error returned from database: ...") says nothing.
fn root_cause(error: &DbErr) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    text.strip_prefix("error returned from database: ").unwrap_or(&text).to_owned()
}
