//! Routing: which file group a file belongs to, and what is owed to whom because of it.

mod choose;
mod plan;

pub use choose::{Choice, Rule, choose};
pub use plan::{FileFacts, Planned, PlannedDelivery, Priority, PriorityError, SubscriptionView, plan};
