//! One file for each row of the table.

pub mod claims;
pub mod cloud;
pub mod deliveries;
pub mod dispatch;
pub mod idle;
pub mod memory;
pub mod pick_up;
pub mod replay;
mod running;
pub mod stuck;
