//! What is owed to whom because a file arrived.

use std::time::Duration;

use crate::fault::Fault;
use crate::id::{EndpointId, SpecId, SubscriberId, SubscriptionId};
use crate::key::{ObjectKey, Shown};
use crate::pattern::Captures;
use crate::remote_name::{NameFacts, RemoteName, Template};
use crate::timing::Millis;

/// How much of a head start the deliveries of a subscription get, from 1 (first) to 4 (last); 2 unless stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Takes the number of a definition or a database column.
    ///
    /// # Errors
    /// When it is not between 1 and 4.
    pub fn new(number: impl Into<i64>) -> Result<Self, PriorityError> {
        let number = number.into();
        match u8::try_from(number) {
            Ok(number @ 1..=4) => Ok(Self(number)),
            _ => Err(PriorityError(number)),
        }
    }

    /// The number, 1 to 4.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// What each step above the last is worth.
    pub const STEP: Duration = Duration::from_secs(60);

    /// The first.
    pub const FIRST: Self = Self(1);

    /// The last.
    pub const LAST: Self = Self(4);

    /// How far before now the first due time lies: a minute for each step above the last. After that the order is by due
    /// time alone, so that nothing starves.
    pub const fn head_start(self) -> Duration {
        Duration::from_secs((Self::LAST.0 - self.0) as u64 * Self::STEP.as_secs())
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(2)
    }
}

/// A number that is no priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the priority {0} is not between 1 and 4")]
pub struct PriorityError(i64);

/// A subscription as routing sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionView {
    /// Names the subscription.
    pub subscription_id: SubscriptionId,
    /// Its code, for messages.
    pub code: String,
    /// Whose it is.
    pub subscriber_id: SubscriberId,
    /// Where its files go.
    pub endpoint_id: EndpointId,
    /// Enabled and not retired, and the subscriber is, too. (A disabled *endpoint* is no reason to drop a file: its
    /// deliveries wait behind the lane.)
    pub active: bool,
    /// The transform it wants; `None` sends the file as it is.
    pub spec: Option<SpecId>,
    /// The extension of that transform's output, without a dot; `None` where the transform keeps it.
    pub output_ext: Option<String>,
    /// How its files are called on the server.
    pub remote_name: Template,
    /// Its head start.
    pub priority: Priority,
    /// The number that `{sequence}` stands for this time.
    pub next_sequence: u64,
}

/// What routing needs to know of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts<'a> {
    /// The object's key.
    pub key: &'a ObjectKey,
    /// When the file arrived.
    pub arrived_at: Millis,
}

/// What one active subscription gets of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    /// A delivery is owed.
    Delivery(PlannedDelivery),
    /// The delivery is owed, but fails at once: its remote name is not safe.
    Refused {
        /// Whose template made the name.
        subscription_id: SubscriptionId,
        /// What is wrong with it (`route.name_refused`).
        fault: Fault,
    },
}

/// A delivery to be created: waiting where there is a spec, queued where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDelivery {
    /// For which subscription.
    pub subscription_id: SubscriptionId,
    /// For whom.
    pub subscriber_id: SubscriberId,
    /// Where to.
    pub endpoint_id: EndpointId,
    /// After which transform.
    pub spec: Option<SpecId>,
    /// Under which name.
    pub remote_name: RemoteName,
    /// With which head start.
    pub priority: Priority,
    /// The number that went into the name; `None` when the template has no `{sequence}`, and then none is used up.
    pub sequence: Option<u64>,
}

/// Plans what a file owes: one entry for each active subscription, in their order. No entry at all means that the file
/// is unrouted.
///
/// Every one of `subscriptions` is a subscription of the file's group; `captures` are those of the rule that chose it.
pub fn plan(file: &FileFacts<'_>, captures: &Captures, subscriptions: &[SubscriptionView]) -> Vec<Planned> {
    subscriptions.iter().filter(|subscription| subscription.active).map(|s| one(file, captures, s)).collect()
}

fn one(file: &FileFacts<'_>, captures: &Captures, subscription: &SubscriptionView) -> Planned {
    let sequence = subscription.next_sequence;
    let facts = NameFacts {
        key: file.key,
        captures,
        output_ext: subscription.output_ext.as_deref(),
        arrived_at: file.arrived_at,
        sequence,
    };
    let subscription_id = subscription.subscription_id;
    match subscription.remote_name.render(&facts) {
        Ok(remote_name) => Planned::Delivery(PlannedDelivery {
            subscription_id,
            subscriber_id: subscription.subscriber_id,
            endpoint_id: subscription.endpoint_id,
            spec: subscription.spec,
            remote_name,
            priority: subscription.priority,
            sequence: subscription.remote_name.uses_sequence().then_some(sequence),
        }),
        Err(fault) => {
            let message = format!("subscription {:?}: {}", Shown(&subscription.code), fault.message);
            Planned::Refused { subscription_id, fault: Fault { message, ..fault } }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::fault::code;

    fn view(number: u128, template: &str) -> SubscriptionView {
        let uuid = Uuid::from_u128(number);
        SubscriptionView {
            subscription_id: SubscriptionId::from_uuid(uuid),
            code: format!("acme-{number}"),
            subscriber_id: SubscriberId::from_uuid(uuid),
            endpoint_id: EndpointId::from_uuid(uuid),
            active: true,
            spec: None,
            output_ext: None,
            remote_name: Template::parse(template).unwrap(),
            priority: Priority::default(),
            next_sequence: 42,
        }
    }

    fn planned(key: &str, subscriptions: &[SubscriptionView]) -> Vec<Planned> {
        let key = ObjectKey::new(key).unwrap();
        let captures = Captures::from_iter([("sender", "acme")]);
        plan(&FileFacts { key: &key, arrived_at: 1_767_323_045_678 }, &captures, subscriptions)
    }

    #[test]
    fn each_active_subscription_gets_its_own_name() {
        let spec = Some(SpecId::from_uuid(Uuid::from_u128(9)));
        let urgent = Priority::new(1).unwrap();
        let subscriptions = [
            view(1, "in/{name}"),
            SubscriptionView { active: false, ..view(2, "{name}") },
            SubscriptionView {
                spec,
                output_ext: Some("csv".into()),
                priority: urgent,
                ..view(3, "{sender}_{arrived:%Y%m%d}_{sequence:06}.{ext}")
            },
        ];
        let delivery = |number: u128, name: &str| {
            let uuid = Uuid::from_u128(number);
            PlannedDelivery {
                subscription_id: SubscriptionId::from_uuid(uuid),
                subscriber_id: SubscriberId::from_uuid(uuid),
                endpoint_id: EndpointId::from_uuid(uuid),
                spec: None,
                remote_name: RemoteName::new(name).unwrap(),
                priority: Priority::default(),
                sequence: None,
            }
        };
        let want = [
            Planned::Delivery(delivery(1, "in/a.json")),
            Planned::Delivery(PlannedDelivery {
                spec,
                priority: urgent,
                sequence: Some(42),
                ..delivery(3, "acme_20260102_000042.csv")
            }),
        ];
        assert_eq!(planned("claims/acme/a.json", &subscriptions), want);
        assert_eq!(planned("claims/acme/a.json", &subscriptions[1..2]), []);
        assert_eq!(planned("claims/acme/a.json", &[]), []);
    }

    #[test]
    fn a_refused_name_concerns_its_own_subscription_only() {
        let plan = planned(
            "claims/back\\slash.json",
            &[view(1, "{name}"), view(2, "{sender}.{ext}"), view(3, "{day}")],
        );
        let [
            Planned::Refused { subscription_id, fault },
            Planned::Delivery(good),
            Planned::Refused { fault: missing, .. },
        ] = plan.as_slice()
        else {
            panic!("{plan:?}");
        };
        assert_eq!(subscription_id.uuid(), Uuid::from_u128(1));
        assert_eq!(fault.code, &code::ROUTE_NAME_REFUSED);
        assert!(
            fault.message.starts_with("subscription \"acme-1\": could not name \"claims/back"),
            "{}",
            fault.message
        );
        assert!(fault.message.ends_with("it has a backslash"), "{}", fault.message);
        assert_eq!(good.remote_name.as_str(), "acme.json");
        assert!(missing.message.ends_with("the key pattern has no capture `day`"), "{}", missing.message);
    }

    #[test]
    fn a_priority_is_a_head_start() {
        for (number, seconds) in [(1, 180), (2, 120), (3, 60), (4, 0)] {
            assert_eq!(Priority::new(number).unwrap().head_start().as_secs(), seconds);
        }
        for number in [i64::MIN, -1, 0, 5, 256, 257, i64::MAX] {
            assert!(Priority::new(number).is_err(), "{number}");
        }
        assert_eq!(Priority::default().get(), 2);
    }
}
