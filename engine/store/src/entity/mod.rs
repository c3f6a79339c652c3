//! One entity a table, for the reads and writes that are not hot.

pub mod artifact;
pub mod attempt;
pub mod batch_run;
pub mod delivery;
pub mod duty;
pub mod endpoint;
pub mod fifo_group;
pub mod file;
pub mod file_event;
pub mod file_group;
pub mod file_group_rule;
pub mod history;
pub mod lane;
pub mod notification;
pub mod replay;
pub mod replay_item;
pub mod seat;
pub mod send_job;
pub mod subscriber;
pub mod subscription;
pub mod transform;
pub mod transform_spec;
pub mod worker;
