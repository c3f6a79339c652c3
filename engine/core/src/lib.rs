#![doc = include_str!("../README.md")]

pub mod fault;
pub mod id;
pub mod timing;

pub use fault::{Class, Code, Fault, Retry, code};
pub use id::{
    ArtifactId, DeliveryId, EndpointId, FileGroupId, FileId, HistoryId, LeaseId, ReplayId, RuleId, SpecId, SubscriberId,
    SubscriptionId, TransformId, WorkerId,
};
pub use timing::{Millis, Timing};
