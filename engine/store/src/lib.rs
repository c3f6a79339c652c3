#![doc = include_str!("../README.md")]

pub mod acts;
pub mod after_cancel;
pub mod artifacts;
pub mod batch_runs;
pub mod claim_sends;
pub mod claim_transforms;
mod connect;
pub mod definitions;
mod dialect;
pub mod duty;
pub mod enqueue;
#[allow(missing_docs)] // Columns are explained once, in migrations/src/m0001_schema.sql.
pub mod entity;
mod error;
mod fifo;
pub mod figures;
pub mod finish_send;
pub mod finish_transform;
pub mod give_up;
pub mod heartbeat;
pub mod history;
pub mod lanes;
pub mod list;
pub mod next_work;
pub mod notices;
pub mod profile;
pub mod replay;
pub mod rescue;
pub mod retention;
pub mod routes;
mod row;
mod send_jobs;
mod sql;
pub mod stage;
pub mod workers;
pub mod writer;

pub use connect::{MigrationState, Store};
pub use dialect::Dialect;
pub use error::StoreError;
pub use sql::Tx;
