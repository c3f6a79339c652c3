//! What may happen, as a list that proptest makes and shrinks. Numbers choose among what there is when their turn comes,
//! so that a list still means something after some of it was left out.

use proptest::prelude::*;
use proptest::sample::select;

/// Objects of the bucket. One is called as what `c-latest` makes of every file, so that two subscriptions collide, too.
pub const KEYS: [&str; 3] = ["x", "y", "latest"];
pub const WORKERS: usize = 3;

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Delivered,
    Reset,
    Busy,
    Refused,
    KeyChanged,
    SecretUnusable,
    RemoteFailure,
    PermissionDenied,
    ArtifactMissing,
    StoreFull,
    Unknown,
    Unconfirmed,
}

const ENDINGS: [Ending; 12] = [
    Ending::Delivered,
    Ending::Reset,
    Ending::Busy,
    Ending::Refused,
    Ending::KeyChanged,
    Ending::SecretUnusable,
    Ending::RemoteFailure,
    Ending::PermissionDenied,
    Ending::ArtifactMissing,
    Ending::StoreFull,
    Ending::Unknown,
    Ending::Unconfirmed,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryAct {
    Hold,
    Release,
    Cancel,
    Retry,
    Resolve,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointAct {
    Pause,
    Resume,
    Retry,
    AcceptKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A new version of an object.
    Arrive {
        key: usize,
    },
    /// An event of an object that has arrived comes again.
    ArriveAgain {
        file: usize,
    },
    /// `few`: one delivery at most.
    Claim {
        worker: usize,
        few: bool,
    },
    Beat {
        worker: usize,
    },
    /// The fenced stage write.
    Enter {
        worker: usize,
        hand: usize,
        resent: bool,
    },
    /// The end of an attempt; `keep`: the worker does not hear the answer and goes on to believe that it is sending.
    End {
        worker: usize,
        hand: usize,
        how: Ending,
        keep: bool,
    },
    /// The ends of all that a worker has in hand, through one writer.
    EndAll {
        worker: usize,
        how: Vec<Ending>,
    },
    /// A worker vanishes, and another takes its place.
    Crash {
        worker: usize,
    },
    /// A worker gives back what it has, as after a drain.
    Drain {
        worker: usize,
    },
    /// `late`: after every lease ran out.
    Rescue {
        late: bool,
    },
    Pass {
        seconds: i64,
    },
    Delivery {
        act: DeliveryAct,
        which: usize,
    },
    Endpoint {
        act: EndpointAct,
        which: usize,
    },
    Switch {
        subscription: usize,
        on: bool,
    },
    /// Redelivers what failed or may have arrived; `all`: and what arrived or was cancelled.
    Replay {
        all: bool,
    },
    GiveUp,
    Rederive,
}

/// Past: a poll, a retry, a lease, the breaker, the first table entries, credential waits, the deadline, the suspension.
const WAITS: [i64; 8] = [1, 20, 70, 200, 1_000, 10_000, 90_000, 450_000];

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![2 => Just(Ending::Delivered), 3 => select(ENDINGS.as_slice())]
}

pub fn any() -> impl Strategy<Value = Action> {
    let worker = || 0..WORKERS;
    let any = || 0..64usize;
    prop_oneof![
        5 => (0..KEYS.len()).prop_map(|key| Action::Arrive { key }),
        1 => any().prop_map(|file| Action::ArriveAgain { file }),
        8 => (worker(), prop::bool::weighted(0.3)).prop_map(|(worker, few)| Action::Claim { worker, few }),
        2 => worker().prop_map(|worker| Action::Beat { worker }),
        4 => (worker(), any(), prop::bool::weighted(0.2))
            .prop_map(|(worker, hand, resent)| Action::Enter { worker, hand, resent }),
        10 => (worker(), any(), ending(), prop::bool::weighted(0.2))
            .prop_map(|(worker, hand, how, keep)| Action::End { worker, hand, how, keep }),
        2 => (worker(), prop::collection::vec(ending(), 1..4)).prop_map(|(worker, how)| Action::EndAll { worker, how }),
        1 => worker().prop_map(|worker| Action::Crash { worker }),
        1 => worker().prop_map(|worker| Action::Drain { worker }),
        5 => prop::bool::weighted(0.7).prop_map(|late| Action::Rescue { late }),
        6 => select(WAITS.as_slice()).prop_map(|seconds| Action::Pass { seconds }),
        5 => (select([DeliveryAct::Hold, DeliveryAct::Release, DeliveryAct::Cancel, DeliveryAct::Retry,
                DeliveryAct::Resolve].as_slice()), any())
            .prop_map(|(act, which)| Action::Delivery { act, which }),
        3 => (select([EndpointAct::Pause, EndpointAct::Resume, EndpointAct::Retry, EndpointAct::AcceptKey].as_slice()),
                0..3usize)
            .prop_map(|(act, which)| Action::Endpoint { act, which }),
        1 => (0..4usize, prop::bool::ANY).prop_map(|(subscription, on)| Action::Switch { subscription, on }),
        2 => prop::bool::ANY.prop_map(|all| Action::Replay { all }),
        1 => Just(Action::GiveUp),
        1 => Just(Action::Rederive),
    ]
}
