//! This process's leases: renewed by one heartbeat, fenced by one clock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outport_core::{LeaseId, Timing};
use outport_store::heartbeat;
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

use super::after_failure;
use crate::engine::Engine;

/// A delivery or transform, and the lease under which this process works on it.
type Work = (Uuid, LeaseId);

/// Which leases are ours, and since when we know.
pub struct Leases {
    self_fence: Duration,
    state: Mutex<State>,
}

struct State {
    /// Of the last heartbeat that the database answered, taken *before* it was sent.
    renewed_at: Duration,
    /// Claimed here and not ended yet.
    open: BTreeSet<Work>,
    /// Missing from a heartbeat's answer: somebody else's by now.
    lost: BTreeSet<Work>,
    /// Claimed here, ever.
    claimed: u64,
}

/// Time since boot, sleep included: a laptop lid or a stopped virtual machine counts, a corrected wall clock does not.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl Leases {
    pub fn new(timing: &Timing) -> Self {
        let state =
            State { renewed_at: since_boot(), open: BTreeSet::new(), lost: BTreeSet::new(), claimed: 0 };
        Self { self_fence: timing.self_fence, state: Mutex::new(state) }
    }

    /// To be called before a claim is sent: its leases cannot be older than this.
    pub fn claiming() -> Claiming {
        Claiming(since_boot())
    }

    /// The claim was answered with this work.
    pub fn claimed(self: &Arc<Self>, claiming: &Claiming, id: Uuid, lease: LeaseId) -> Held {
        let work = (id, lease);
        let mut state = self.locked();
        state.open.insert(work);
        state.claimed += 1;
        drop(state);
        Held { leases: self.clone(), work, claimed_at: claiming.0 }
    }

    /// How much this process has in its hands, and how much it ever had.
    pub fn count(&self) -> (usize, u64) {
        let state = self.locked();
        (state.open.len(), state.claimed)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The instant before a claim was sent.
pub struct Claiming(Duration);

/// One lease in use; forgotten when dropped.
pub struct Held {
    leases: Arc<Leases>,
    work: Work,
    claimed_at: Duration,
}

impl Held {
    /// Whether a remote write may still start: renewed recently enough, and not known to be lost.
    pub fn is_live(&self) -> bool {
        let state = self.leases.locked();
        let renewed = state.renewed_at.max(self.claimed_at);
        since_boot().saturating_sub(renewed) < self.leases.self_fence && !state.lost.contains(&self.work)
    }
}

impl Held {
    /// Returns when the lease is not live any more.
    pub async fn expired(&self) {
        while self.is_live() {
            // A twentieth of the fence: late enough to cost nothing, early enough not to matter.
            tokio::time::sleep(self.leases.self_fence / 20).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.leases.locked();
        state.open.remove(&self.work);
        state.lost.remove(&self.work);
    }
}

/// Renews all leases of this process until it is aborted.
pub async fn beat(engine: Arc<Engine>, leases: Arc<Leases>) {
    let mut failures = 0;
    loop {
        let wait = if failures == 0 { engine.timing.heartbeat } else { after_failure(failures) };
        tokio::time::sleep(wait.min(engine.timing.heartbeat)).await;
        let sent_at = since_boot();
        // Work claimed while the heartbeat is under way may be missing from its answer: only this can be lost.
        let asked = leases.locked().open.clone();
        if asked.is_empty() {
            // Idle: one statement, so that the registry shows a living process.
            failures = match heartbeat::touch(&engine.store, engine.worker).await {
                Ok(()) => 0,
                Err(error) => {
                    tracing::warn!(code = error.fault().code.name, "{error}");
                    failures + 1
                }
            };
            continue;
        }
        match engine.writer.beat(asked.clone()).await {
            Ok(held) => {
                failures = 0;
                let sends = held.sends.iter().map(|(id, lease)| (id.uuid(), *lease));
                let transforms = held.transforms.iter().map(|(id, lease)| (id.uuid(), *lease));
                let mine: BTreeSet<Work> = sends.chain(transforms).collect();
                let mut state = leases.locked();
                state.renewed_at = sent_at;
                let lost: Vec<Work> =
                    asked.difference(&mine).filter(|work| state.open.contains(*work)).copied().collect();
                state.lost.extend(lost);
            }
            Err(error) => {
                failures += 1;
                let fault = error.fault();
                tracing::warn!(code = fault.code.name, "could not renew the leases: {fault}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(n: u128) -> LeaseId {
        LeaseId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_lease_that_was_not_renewed_in_time_is_not_live() {
        let timing = Timing { self_fence: Duration::ZERO, ..Timing::default() };
        let leases = Arc::new(Leases::new(&timing));
        let held = leases.claimed(&Leases::claiming(), Uuid::from_u128(1), lease(1));
        assert!(!held.is_live());
        let leases = Arc::new(Leases::new(&Timing::default()));
        let held = leases.claimed(&Leases::claiming(), Uuid::from_u128(1), lease(1));
        assert!(held.is_live());
    }

    #[test]
    fn one_lost_delivery_of_a_batch_does_not_fence_the_others() {
        let leases = Arc::new(Leases::new(&Timing::default()));
        let claiming = Leases::claiming();
        let first = leases.claimed(&claiming, Uuid::from_u128(1), lease(7));
        let second = leases.claimed(&claiming, Uuid::from_u128(2), lease(7));
        leases.locked().lost.insert(first.work);
        assert!(!first.is_live() && second.is_live());
        drop((first, second));
        assert!(leases.locked().open.is_empty() && leases.locked().lost.is_empty());
    }
}
