//! Whether what a filter names is there.

use outport_core::replay::{Filter, ReplayMode};
use outport_core::{DeliveryId, Fault, FileId, code};
use sea_orm::Value;
use uuid::Uuid;

use super::conditions::Arguments;
use crate::Store;
use crate::error::StoreError;
use crate::row::get;

const DOING: &str = "looking up the names of a filter";

/// Fails for the first name or id that the ledger does not know: a typing error must not select nothing in silence.
///
/// # Errors
/// `usage.not_found` with the command that lists what there is.
pub(super) async fn check(store: &Store, mode: ReplayMode, filter: &Filter) -> Result<(), StoreError> {
    for (noun, list, sql, names) in [
        (
            "subscriber",
            "subscription",
            "SELECT code AS name FROM subscriber WHERE code IN",
            &filter.subscriber,
        ),
        (
            "endpoint",
            "endpoint",
            "SELECT b.code || '/' || e.name AS name FROM endpoint e JOIN subscriber b ON b.id = e.subscriber_id \
             WHERE b.code || '/' || e.name IN",
            &filter.endpoint,
        ),
        ("file group", "subscription", "SELECT name FROM file_group WHERE name IN", &filter.group),
        (
            "subscription",
            "subscription",
            "SELECT code AS name FROM subscription WHERE code IN",
            &filter.subscription,
        ),
    ] {
        let known: Vec<String> = known(store, sql, names.iter().map(|name| name.clone().into())).await?;
        if let Some(missing) = names.iter().find(|name| !known.contains(name)) {
            return Err(not_found(noun, missing, list));
        }
    }
    let (noun, sql) = match mode {
        ReplayMode::Redeliver => ("delivery", "SELECT id AS name FROM delivery WHERE id IN"),
        ReplayMode::Reprocess => ("file", "SELECT id AS name FROM file WHERE id IN"),
    };
    let ids = uuids(mode, filter);
    let known: Vec<Uuid> = known(store, sql, ids.iter().map(|id| (*id).into())).await?;
    match ids.iter().position(|id| !known.contains(id)) {
        Some(missing) => Err(not_found(noun, &filter.id[missing], noun)),
        None => Ok(()),
    }
}

/// The ids of the filter, in their order; [`Filter::check`] has seen that they are some.
pub(super) fn uuids(mode: ReplayMode, filter: &Filter) -> Vec<Uuid> {
    let one = |id: &String| match mode {
        ReplayMode::Redeliver => id.parse::<DeliveryId>().map(|id| id.uuid()).ok(),
        ReplayMode::Reprocess => id.parse::<FileId>().map(|id| id.uuid()).ok(),
    };
    filter.id.iter().filter_map(one).collect()
}

async fn known<T: sea_orm::TryGetable>(
    store: &Store,
    sql: &str,
    names: impl ExactSizeIterator<Item = Value>,
) -> Result<Vec<T>, StoreError> {
    if names.len() == 0 {
        return Ok(Vec::new());
    }
    let mut arguments = Arguments::default();
    let list = arguments.all(names);
    let rows = store.read(DOING, &format!("{sql} ({list})"), arguments.0).await?;
    rows.iter().map(|row| get(row, "name", DOING)).collect()
}

fn not_found(noun: &str, name: &str, list: &str) -> StoreError {
    Fault::new(&code::NOT_FOUND, format!("there is no {noun} {name:?}"))
        .with_hint(format!("`outport {list} list` shows what there is"))
        .into()
}
