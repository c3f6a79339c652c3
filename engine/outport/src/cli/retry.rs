//! `outport endpoint retry`: an operator's word that a lane may try again.

use outport_core::Fault;
use outport_store::{StoreError, list, retry_lane};

use super::apply::actor;
use super::read::found;
use super::up::ready_store;
use crate::config::Config;

pub async fn endpoint(config: &Config, name: &str) -> Result<(), Fault> {
    let store = ready_store(config).await?;
    let fault = |error: StoreError| error.fault();
    let endpoint = found(list::endpoints::show(&store, name).await.map_err(fault)?, "endpoint", name)?;
    retry_lane::retry(&store, endpoint.id, &actor()).await.map_err(fault)?;
    eprintln!("{}: blocks lifted; one file is tried now, the others follow if it works", endpoint.name);
    Ok(())
}
