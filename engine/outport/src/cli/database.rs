//! The ledger as a command finds it.

use outport_core::{Fault, code};
use outport_store::{Dialect, Store};

use crate::config::Config;
use crate::engine::open_store;

/// The database, with its schema. An embedded one is made on first use.
pub async fn ready_store(config: &Config) -> Result<Store, Fault> {
    let store = open_store(&config.database()).await?;
    if store.dialect() == Dialect::Sqlite {
        store.migrate().await.map_err(|e| e.fault())?;
    }
    store.require_schema().await.map_err(|e| e.fault())?;
    Ok(store)
}

/// The same, of a database that is there: a mistyped data folder must not look like one in which nothing happened.
pub async fn existing_store(config: &Config) -> Result<Store, Fault> {
    let url = config.database();
    match url.strip_prefix("sqlite:") {
        Some(path) if !std::path::Path::new(path).exists() => {
            Err(Fault::new(&code::DATABASE_MISSING, format!("there is no database {path}")))
        }
        _ => ready_store(config).await,
    }
}
