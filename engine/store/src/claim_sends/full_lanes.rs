//! Lanes that could not be emptied, and got room since.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use outport_core::EndpointId;

/// What one worker knows of lanes that were full when it claimed. Such a lane sleeps for `lane_full` (250 ms); with 64
/// files in flight that would be 256 files a second at most, and four of one name. Whoever ends an attempt there knows
/// better, and the next claim looks again. A worker that dies, or the ends of others, cost only that sleep.
///
/// ```
/// # use outport_core::EndpointId;
/// # use outport_store::claim_sends::FullLanes;
/// let (full, busy) = (FullLanes::default(), EndpointId::from_uuid(uuid::Uuid::from_u128(1)));
/// assert!(!full.ended(busy), "nobody waits");
/// full.learn([busy]);
/// assert!(full.ended(busy), "a claim is worth making");
/// assert_eq!(full.take_again(), [busy]);
/// ```
#[derive(Debug, Default)]
pub struct FullLanes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    full: BTreeSet<EndpointId>,
    again: BTreeSet<EndpointId>,
}

impl FullLanes {
    /// A claim left these with due jobs that nobody has room for.
    pub fn learn(&self, lanes: impl IntoIterator<Item = EndpointId>) {
        self.state().full.extend(lanes);
    }

    /// An attempt ended there; whether somebody may have waited for that.
    pub fn ended(&self, endpoint: EndpointId) -> bool {
        let mut state = self.state();
        let waited = state.full.remove(&endpoint);
        if waited {
            state.again.insert(endpoint);
        }
        waited
    }

    /// The lanes that the next claim looks at, though they sleep.
    pub fn take_again(&self) -> Vec<EndpointId> {
        mem::take(&mut self.state().again).into_iter().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
