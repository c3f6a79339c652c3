#![doc = include_str!("../README.md")]

pub mod batch;
pub mod credential;
pub mod definitions;
pub mod delivery;
pub mod event;
pub mod fault;
pub mod id;
pub mod key;
pub mod lane;
pub mod news;
pub mod pattern;
pub mod reason;
pub mod remote_name;
pub mod replay;
pub mod retry;
pub mod route;
pub mod settings;
pub mod simulate;
pub mod ssh;
pub mod state;
pub mod timing;
pub mod transform;
pub mod trust;
pub mod upload;
pub mod version;
pub mod window;

pub use fault::{Class, Code, Fault, Retry, code};
pub use id::{
    ArtifactId, DeliveryId, EndpointId, FileGroupId, FileId, HistoryId, LeaseId, ReplayId, RuleId, SpecId,
    SubscriberId, SubscriptionId, TransformId, WorkerId,
};
pub use key::ObjectKey;
pub use pattern::{Captures, KeyPattern};
pub use reason::Reason;
pub use remote_name::RemoteName;
pub use timing::{Millis, Timing};
pub use version::FileVersion;
