//! How the thing to be replayed stands before it.

use serde::{Deserialize, Serialize};

use super::ReplayMode;
use crate::delivery::DeliveryState;
use crate::state::words;

words! {
    /// What `--state` of a replay chooses by.
    Standing, "state to replay" {
        /// A delivery that was given up.
        Failed = "failed",
        /// A delivery that may have arrived. Sending it again may give the partner a second one.
        Unconfirmed = "unconfirmed",
        /// A delivery that an operator stopped.
        Cancelled = "cancelled",
        /// A delivery that arrived.
        Delivered = "delivered",
        /// A file that nobody got.
        Unrouted = "unrouted",
        /// A routed file that a subscription never got: it is newer than the file, or was disabled.
        Missing = "missing",
    }
}

impl Standing {
    /// Those that a delivery can have: the terminal states.
    pub const DELIVERIES: &'static [Self] =
        &[Self::Failed, Self::Unconfirmed, Self::Cancelled, Self::Delivered];

    /// The delivery state of that name; `None` where there is no delivery.
    pub const fn delivery_state(self) -> Option<DeliveryState> {
        match self {
            Self::Failed => Some(DeliveryState::Failed),
            Self::Unconfirmed => Some(DeliveryState::Unconfirmed),
            Self::Cancelled => Some(DeliveryState::Cancelled),
            Self::Delivered => Some(DeliveryState::Delivered),
            Self::Unrouted | Self::Missing => None,
        }
    }

    /// What a mode takes when no `--state` is given: only what went wrong for certain. `by_id`: the operator named each
    /// one, so that its state is no secret.
    pub const fn default_of(mode: ReplayMode, by_id: bool) -> &'static [Self] {
        match (mode, by_id) {
            (ReplayMode::Redeliver, true) => Self::DELIVERIES,
            (ReplayMode::Redeliver, false) => &[Self::Failed],
            (ReplayMode::Reprocess, true) => Self::ALL,
            (ReplayMode::Reprocess, false) => &[Self::Failed, Self::Unrouted],
        }
    }

    /// Whether a mode can do something about it.
    pub const fn suits(self, mode: ReplayMode) -> bool {
        matches!(mode, ReplayMode::Reprocess) || self.delivery_state().is_some()
    }
}

impl Serialize for Standing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Standing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
