//! Columns of a result row as typed values.

use std::str::FromStr;

use outport_core::id::Id;
use outport_core::ssh::Agreed;
use outport_core::state::UnknownWord;
use sea_orm::{QueryResult, TryGetable};
use uuid::Uuid;

use crate::error::StoreError;

/// A column by name.
pub(crate) fn get<T: TryGetable>(
    row: &QueryResult,
    column: &str,
    doing: &'static str,
) -> Result<T, StoreError> {
    row.try_get::<T>("", column)
        .map_err(|error| StoreError::Unreadable { doing, problem: format!("column {column}: {error}") })
}

/// An id column.
pub(crate) fn id<K>(row: &QueryResult, column: &str, doing: &'static str) -> Result<Id<K>, StoreError> {
    get::<Uuid>(row, column, doing).map(Id::from_uuid)
}

/// An id column that may be null.
pub(crate) fn maybe_id<K>(
    row: &QueryResult,
    column: &str,
    doing: &'static str,
) -> Result<Option<Id<K>>, StoreError> {
    Ok(get::<Option<Uuid>>(row, column, doing)?.map(Id::from_uuid))
}

/// A column that holds the word of an enum.
pub(crate) fn word<T>(row: &QueryResult, column: &str, doing: &'static str) -> Result<T, StoreError>
where
    T: FromStr<Err = UnknownWord>,
{
    get::<String>(row, column, doing)?.parse().map_err(StoreError::word(doing))
}

/// A json column, read into `T`.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    row: &QueryResult,
    column: &str,
    doing: &'static str,
) -> Result<T, StoreError> {
    let value: serde_json::Value = get(row, column, doing)?;
    serde_json::from_value(value)
        .map_err(|error| StoreError::Unreadable { doing, problem: format!("column {column}: {error}") })
}

/// The column `agreed` of an attempt: one JSON text, `None` where there was no receipt.
pub(crate) fn agreed(row: &QueryResult, doing: &'static str) -> Result<Option<Agreed>, StoreError> {
    let text: Option<String> = get(row, "agreed", doing)?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| StoreError::Unreadable { doing, problem: format!("column agreed: {error}") })
}
