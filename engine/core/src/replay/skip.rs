//! Why a selected thing is not sent again.

use std::fmt;

use crate::delivery::DeliveryState;
use crate::id::DeliveryId;
use crate::timing::Millis;

/// A later delivery of the same file to the same subscription, which decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newer {
    /// Which one.
    pub id: DeliveryId,
    /// How it stands.
    pub state: DeliveryState,
    /// A person or a later delivery has settled the matter.
    pub resolved: bool,
    /// When it is tried next, where that is known.
    pub next_try: Option<Millis>,
}

/// What would be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is there.
    There,
    /// There never was one: the transform or the name failed.
    Never,
    /// It has been removed.
    Expired,
}

/// What the decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The newest later delivery that is open, delivered or resolved.
    pub newer: Option<Newer>,
    /// The subscription is retired.
    pub subscription_retired: bool,
    /// The subscription and its subscriber are enabled.
    pub subscription_enabled: bool,
    /// The endpoint that it would go to is enabled and not retired.
    pub endpoint_enabled: bool,
    /// What would be sent.
    pub stored: Stored,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// A later delivery arrived.
    AlreadyDelivered(DeliveryId),
    /// A delivery of this file to this subscription is under way, and when it is tried next.
    StillOpen(DeliveryId, Option<Millis>),
    /// A person settled the matter at a later delivery.
    Resolved(DeliveryId),
    /// What was sent is not stored any more.
    ArtifactExpired,
    /// Nothing was ever ready to be sent.
    NoArtifact,
    /// The endpoint is disabled or retired.
    EndpointDisabled,
    /// The subscription is retired.
    SubscriptionRetired,
    /// The subscription or its subscriber is disabled.
    SubscriptionDisabled,
    /// No rule matches the key.
    NoRule,
    /// Two rules match the key equally well.
    Ambiguous,
    /// No active subscription of those that were asked for takes the file.
    NobodySubscribes,
    /// The remote name's template makes no safe name.
    NameRefused,
}

impl Skip {
    /// The first reason that stands against sending it again, if any.
    ///
    /// ```
    /// use outport_core::replay::{Facts, Skip, Stored};
    /// let good = Facts {
    ///     newer: None, subscription_retired: false, subscription_enabled: true, endpoint_enabled: true,
    ///     stored: Stored::There,
    /// };
    /// assert_eq!(Skip::of(&good), None);
    /// assert_eq!(Skip::of(&Facts { stored: Stored::Expired, ..good }), Some(Skip::ArtifactExpired));
    /// ```
    pub fn of(facts: &Facts) -> Option<Self> {
        if let Some(newer) = facts.newer {
            if !newer.state.is_terminal() {
                return Some(Self::StillOpen(newer.id, newer.next_try));
            }
            if newer.state == DeliveryState::Delivered {
                return Some(Self::AlreadyDelivered(newer.id));
            }
            if newer.resolved {
                return Some(Self::Resolved(newer.id));
            }
        }
        if facts.subscription_retired {
            return Some(Self::SubscriptionRetired);
        }
        if !facts.subscription_enabled {
            return Some(Self::SubscriptionDisabled);
        }
        if !facts.endpoint_enabled {
            return Some(Self::EndpointDisabled);
        }
        match facts.stored {
            Stored::There => None,
            Stored::Never => Some(Self::NoArtifact),
            Stored::Expired => Some(Self::ArtifactExpired),
        }
    }

    /// The reason without the particulars, to count by.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::AlreadyDelivered(_) => "already delivered",
            Self::StillOpen(..) => "still open",
            Self::Resolved(_) => "resolved",
            Self::ArtifactExpired => "artifact.expired",
            Self::NoArtifact => "artifact.none",
            Self::EndpointDisabled => "endpoint.disabled",
            Self::SubscriptionRetired => "subscription.retired",
            Self::SubscriptionDisabled => "subscription.disabled",
            Self::NoRule => "route.no_rule",
            Self::Ambiguous => "route.ambiguous",
            Self::NobodySubscribes => "route.nobody_subscribes",
            Self::NameRefused => "route.name_refused",
        }
    }

    /// What an operator can do about this reason.
    pub fn hint(reason: &str) -> &'static str {
        match reason {
            "already delivered" => "nothing to do: a later delivery arrived",
            "still open" => "nothing to do: it is tried by itself; `outport delivery show` tells when",
            "resolved" => "nothing to do: a person settled it",
            "artifact.expired" => "put the file into its bucket again",
            "artifact.none" => "nothing was ready to be sent: use --reprocess",
            "endpoint.disabled" => "enable the endpoint, or point the subscription at another one",
            "subscription.retired" => "define the subscription again, then use --reprocess",
            "subscription.disabled" => "enable the subscription and its subscriber",
            "route.no_rule" => "apply a file group with a rule for the key",
            "route.ambiguous" => "make one of the two rules more exact",
            "route.nobody_subscribes" => "apply a subscription to the file group, or name another one",
            "route.name_refused" => "change the subscription's remote_name",
            _ => "",
        }
    }
}

/// The whole reason: `already delivered by dlv_...`. It is what the ledger keeps.
impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyDelivered(by) => write!(f, "already delivered by {by}"),
            Self::StillOpen(which, None) => write!(f, "still open: {which}"),
            Self::StillOpen(which, Some(at)) => match jiff::Timestamp::from_millisecond(*at) {
                Ok(at) => write!(f, "still open: {which}, next try at {at}"),
                Err(_) => write!(f, "still open: {which}"),
            },
            Self::Resolved(which) => write!(f, "resolved: {which}"),
            _ => f.write_str(self.reason()),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const GOOD: Facts = Facts {
        newer: None,
        subscription_retired: false,
        subscription_enabled: true,
        endpoint_enabled: true,
        stored: Stored::There,
    };

    fn newer(state: DeliveryState, resolved: bool) -> Option<Newer> {
        let id = DeliveryId::from_uuid(Uuid::from_u128(1));
        Some(Newer { id, state, resolved, next_try: Some(0) })
    }

    #[test]
    fn the_first_reason_counts() {
        use DeliveryState as S;
        let bad = Facts {
            newer: newer(S::Delivered, true),
            subscription_retired: true,
            subscription_enabled: false,
            endpoint_enabled: false,
            stored: Stored::Never,
        };
        for (facts, want) in [
            (GOOD, None),
            (bad, Some("already delivered")),
            (Facts { newer: newer(S::Retrying, false), ..bad }, Some("still open")),
            (Facts { newer: newer(S::Waiting, false), ..GOOD }, Some("still open")),
            (Facts { newer: newer(S::Held, false), ..GOOD }, Some("still open")),
            (Facts { newer: newer(S::Delivered, false), ..GOOD }, Some("already delivered")),
            (Facts { newer: newer(S::Failed, true), ..GOOD }, Some("resolved")),
            (Facts { newer: newer(S::Failed, false), ..GOOD }, None),
            (Facts { newer: newer(S::Cancelled, false), ..GOOD }, None),
            (Facts { newer: None, ..bad }, Some("subscription.retired")),
            (Facts { newer: None, subscription_retired: false, ..bad }, Some("subscription.disabled")),
            (Facts { endpoint_enabled: false, stored: Stored::Expired, ..GOOD }, Some("endpoint.disabled")),
            (Facts { stored: Stored::Expired, ..GOOD }, Some("artifact.expired")),
            (Facts { stored: Stored::Never, ..GOOD }, Some("artifact.none")),
        ] {
            let skip = Skip::of(&facts);
            assert_eq!(skip.as_ref().map(Skip::reason), want, "{facts:?}");
            if let Some(skip) = skip {
                assert!(!Skip::hint(skip.reason()).is_empty());
                assert!(skip.to_string().starts_with(skip.reason()));
            }
        }
    }

    #[test]
    fn particulars_are_told() {
        let open = Skip::of(&Facts { newer: newer(DeliveryState::Queued, false), ..GOOD }).unwrap();
        assert_eq!(
            open.to_string(),
            "still open: dlv_00000000000000000000000001, next try at 1970-01-01T00:00:00Z"
        );
    }
}
