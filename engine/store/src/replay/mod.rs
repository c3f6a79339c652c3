//! Replay: settled deliveries are sent again (`redeliver`), or files routed and transformed again (`reprocess`).
//!
//! [`plan`](plan::plan) shows what would happen, [`start`](start::start) records the order, and a runner in any process
//! carries it out, one transaction ([`step`](run::step)) after the other. Which deliveries it takes is a function of the
//! filter and of `started_at`; the cursor moves in the transaction that creates, so a runner that was killed goes on
//! where it was. The rules are in docs/STATES.md, "Replay".

pub mod acts;
mod batch;
mod chores;
mod conditions;
mod copies;
mod names;
pub mod plan;
mod redeliver;
mod reprocess;
pub(crate) mod resolve;
pub mod run;
pub mod start;
mod tally;
pub mod view;
mod write;
