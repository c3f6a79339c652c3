#![doc = include_str!("../README.md")]

pub mod artifacts;
pub mod claim_sends;
pub mod claim_transforms;
mod connect;
pub mod definitions;
mod dialect;
pub mod enqueue;
#[allow(missing_docs)] // Columns are explained once, in migrations/src/m0001_schema.sql.
pub mod entity;
mod error;
pub mod finish_send;
pub mod finish_transform;
pub mod heartbeat;
pub mod history;
pub mod hold;
pub mod lanes;
pub mod list;
pub mod next_work;
pub mod replay;
pub mod rescue;
pub mod retry_lane;
pub mod routes;
mod row;
mod sql;
pub mod stage;
pub mod workers;

pub use connect::{MigrationState, Store};
pub use dialect::Dialect;
pub use error::StoreError;
pub use sql::Tx;
