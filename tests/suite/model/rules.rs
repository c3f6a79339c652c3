//! What each verb should do to the ledger: docs/STATES.md as plainly as it can be written, without locks, batches, indexes
//! and lanes that sleep. What an attempt's end means for a lane and for the next try is decided by pure functions of
//! `outport_core`, which have their own tests; here it is what the store makes of them.

use outport_core::delivery::{AttemptOutcome as O, DeliveryState as S};
use outport_core::lane::{BlockReason, Lane, Signal};
use outport_core::retry::{self, Decision, Limits, Past};
use outport_core::timing::millis;
use outport_core::{Class, DeliveryId, LeaseId, Timing, WorkerId};
use outport_store::finish_send::End;

use super::action::DeliveryAct;
use super::ledger::{Attempt, Delivery, Job, Lease, Ledger};
use super::time::When;

/// In the middle: every random number of the model's world.
pub const RANDOM: f64 = 0.5;
/// Three days, in milliseconds.
pub const DEADLINE: i64 = 72 * 3_600_000;
/// Workers that may vanish in a row.
const ABANDONED: usize = 5;

/// What a delivery that was taken is to come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    Sent {
        probe: bool,
        unfinished: Vec<u32>,
    },
    /// Settled by its claimer.
    Settled,
}

impl Ledger {
    /// Everything that follows by itself: whose turn it is in a group gets a send job.
    pub fn follow(&mut self, now: When) {
        for subscription in 0..self.subscriptions.len() {
            if !self.subscriptions[subscription].in_order {
                continue;
            }
            // Whoever has the turn keeps it until its end.
            if self.of_subscription(subscription).any(|(_, d)| d.job.is_some()) {
                continue;
            }
            let Some(turn) = self.turn(subscription) else { continue };
            let delivery = self.deliveries.get_mut(&turn).unwrap();
            if delivery.state.has_send_job() && delivery.job.is_none() {
                delivery.job = Some(Job { due: now, lease: None });
            }
        }
    }

    /// How many more files this worker may take of a lane.
    pub fn room(&self, endpoint: usize, worker: WorkerId, now: When) -> usize {
        let lane = self.lane(endpoint);
        let blocked = !When::exactly(lane.blocked_until).is_over(now);
        if lane.paused || lane.suspended_at.is_some() || blocked {
            return 0;
        }
        let trial = lane.is_on_probation();
        let connections = if trial { 1 } else { self.endpoints[endpoint].max_connections };
        let others = self
            .seats
            .iter()
            .filter(|((of, who), until)| *of == endpoint && *who != worker && !until.is_over(now));
        if others.count() >= connections {
            return 0;
        }
        let files = usize::try_from(if trial { 1 } else { lane.ramp.min(lane.cap).max(1) }).unwrap();
        files.saturating_sub(self.of_endpoint(endpoint).filter(|(_, d)| d.lease().is_some()).count())
    }

    /// Which deliveries a claim of `places` takes from a lane: the longest due ones, of each name one, and none whose name
    /// is being sent.
    pub fn picked(&self, endpoint: usize, places: usize, now: When) -> Vec<DeliveryId> {
        let jobs = || self.of_endpoint(endpoint).filter_map(|(id, d)| Some((d.job.as_ref()?, id, &d.name)));
        let mut names: Vec<&String> =
            jobs().filter(|(job, ..)| job.lease.is_some()).map(|(.., name)| name).collect();
        let mut due: Vec<_> =
            jobs().filter(|(job, ..)| job.lease.is_none() && job.due.is_over(now)).collect();
        due.sort_by_key(|(job, id, _)| (job.due.lo, *id));
        let mut picked = Vec::new();
        for (_, id, name) in due.into_iter().take(places) {
            if !names.contains(&name) {
                names.push(name);
                picked.push(id);
            }
        }
        picked
    }

    /// Whether `file` comes after what this subscription has delivered under the same name.
    fn is_superseded(&self, id: DeliveryId) -> bool {
        let old = &self.deliveries[&id];
        self.subscriptions[old.subscription].stale_skip
            && self
                .of_subscription(old.subscription)
                .any(|(_, d)| d.state == S::Delivered && d.name == old.name && d.file > old.file)
    }

    /// A worker takes these. `lease`: of those that it is to send.
    pub fn take(
        &mut self,
        worker: WorkerId,
        ids: &[DeliveryId],
        lease: Option<LeaseId>,
        timing: &Timing,
        now: When,
    ) -> Vec<Taken> {
        let until = now.plus(millis(timing.lease));
        let mut taken = Vec::new();
        for id in ids {
            let superseded = self.is_superseded(*id);
            let delivery = self.deliveries.get_mut(id).unwrap();
            let endpoint = self.subscriptions[delivery.subscription].endpoint;
            self.seats.insert((endpoint, worker), until);
            let (probe, unfinished) = delivery.past();
            delivery.state = S::Sending;
            let open = Attempt { lease, outcome: None, renaming: false, early: true, charged: false };
            delivery.attempts.push(open);
            if superseded {
                delivery.end(O::Cancelled, false);
                delivery.settle(S::Cancelled, Some("delivery.superseded"));
                taken.push(Taken::Settled);
            } else if delivery.abandoned >= ABANDONED {
                delivery.end(O::Failed, false);
                delivery.settle(if probe { S::Unconfirmed } else { S::Failed }, Some("worker.lost"));
                taken.push(Taken::Settled);
            } else {
                let lease = lease.map(|id| Lease { id, worker, until });
                delivery.job.as_mut().unwrap().lease = lease;
                taken.push(Taken::Sent { probe, unfinished });
            }
        }
        taken
    }

    /// Renews what the worker names and still has; which of it.
    pub fn beat(
        &mut self,
        worker: WorkerId,
        named: &[(DeliveryId, LeaseId)],
        timing: &Timing,
        now: When,
    ) -> Vec<(DeliveryId, LeaseId)> {
        let until = now.plus(millis(timing.lease));
        let mut held = Vec::new();
        for (id, lease) in named {
            let job = self.deliveries.get_mut(id).and_then(|d| d.job.as_mut());
            if let Some(mine) = job.and_then(|job| job.lease.as_mut()).filter(|l| l.id == *lease) {
                mine.until = until;
                held.push((*id, *lease));
            }
        }
        for ((_, who), seat) in &mut self.seats {
            // One that ran out may be another's by now.
            if *who == worker && !seat.is_over(now) {
                *seat = until;
            }
        }
        held
    }

    /// The fence before the rename: may it?
    pub fn enter(&mut self, id: DeliveryId, lease: LeaseId, resent: bool, now: When) -> bool {
        let delivery = self.deliveries.get_mut(&id).unwrap();
        let held = delivery.lease().is_some_and(|held| held.id == lease && !held.until.is_over(now));
        if held {
            delivery.attempts.last_mut().unwrap().renaming = true;
            delivery.duplicate |= resent;
        }
        held
    }

    /// The end of an attempt; the state that its worker is told. `None`: its lease is lost.
    pub fn end(
        &mut self,
        id: DeliveryId,
        lease: LeaseId,
        end: &End,
        timing: &Timing,
        now: When,
    ) -> Option<S> {
        let delivery = self.deliveries.get_mut(&id).unwrap();
        if delivery.lease().is_none_or(|held| held.id != lease) {
            let told = |a: &&Attempt| {
                a.lease == Some(lease)
                    && matches!(a.outcome, Some(O::Delivered | O::Retry | O::Failed | O::Unknown))
            };
            return delivery.attempts.iter().find(told).map(|_| delivery.state);
        }
        let subscription = &self.subscriptions[delivery.subscription];
        let lane = &mut self.endpoints[subscription.endpoint].health;
        let closed = lane.closed_for(now).lo - delivery.closed_before.lo;
        lane.change(now, |lane, now| lane.after(&signal(end), timing, now, RANDOM));
        let limits = Limits {
            max_attempts: subscription.max_attempts,
            deadline_at: delivery.deadline.lo + closed.max(0),
        };
        let (charged, resent) = (delivery.charged(), delivery.duplicate);
        let past = Past { charged, attempts: delivery.attempts.len() as u32, last_code: delivery.code };
        let code = end.fault().map(|fault| fault.code.name);
        let attempt = delivery.attempts.last_mut().unwrap();
        attempt.early = matches!(
            end,
            End::Fault { stage, .. } | End::Unknown { stage, .. } if *stage == outport_core::delivery::Stage::Connecting
        );
        let (outcome, charged, next) = match end {
            End::Delivered(_) => (O::Delivered, true, Err(S::Delivered)),
            End::Unconfirmed { .. } => (O::Unknown, true, Err(S::Unconfirmed)),
            End::Unknown { .. } if resent && charged + 1 >= limits.max_attempts => {
                (O::Unknown, true, Err(S::Unconfirmed))
            }
            End::Unknown { .. } => (O::Unknown, resent, Ok(retry::delay(&timing.retry, 0, RANDOM))),
            End::Fault { fault, .. } => {
                match retry::decide(fault, past, limits, &timing.retry, now.lo, RANDOM) {
                    Decision::Again { due_at, charged } => (O::Retry, charged, Ok(due_at - now.lo)),
                    Decision::GiveUp { charged } => (O::Failed, charged, Err(S::Failed)),
                }
            }
        };
        delivery.end(outcome, charged);
        delivery.abandoned = 0;
        let (file, subscription, replays) = (delivery.file, delivery.subscription, delivery.replays);
        match next {
            Err(state) => delivery.settle(state, code),
            Ok(wait) => {
                (delivery.state, delivery.code) = (S::Retrying, code);
                delivery.job = Some(Job { due: now.plus(wait), lease: None });
            }
        }
        let state = delivery.state;
        if replays.is_some() && state == S::Delivered {
            let same = |d: &&mut Delivery| d.file == file && d.subscription == subscription;
            let earlier = self.deliveries.range_mut(..id).map(|(_, d)| d).filter(same);
            earlier.filter(|d| d.state.is_terminal()).for_each(|d| d.resolved = true);
        }
        Some(state)
    }

    /// What a replay of these states makes, in order, and how many it skips.
    pub fn replay(&self, states: &[S], now: When) -> (Vec<Delivery>, usize) {
        let selected = |d: &Delivery| states.contains(&d.state) && !d.resolved;
        let (mut made, mut skipped) = (Vec::new(), 0);
        for (id, old) in self.deliveries.iter().filter(|(_, d)| selected(d)) {
            let same = |d: &&Delivery| d.file == old.file && d.subscription == old.subscription;
            let later = || self.deliveries.range(id..).skip(1).map(|(_, d)| d).filter(same);
            if later().any(selected) {
                continue;
            }
            let subscription = &self.subscriptions[old.subscription];
            let over = |d: &Delivery| !d.state.is_terminal() || d.state == S::Delivered || d.resolved;
            if later().any(over) || !subscription.enabled {
                skipped += 1;
                continue;
            }
            made.push(Delivery {
                state: S::Queued,
                attempts: Vec::new(),
                abandoned: 0,
                code: None,
                duplicate: old.duplicate || matches!(old.state, S::Unconfirmed | S::Delivered),
                replays: Some(*id),
                created: now,
                deadline: now.plus(DEADLINE),
                closed_before: self.endpoints[subscription.endpoint].health.closed_for(now),
                job: (!subscription.in_order).then_some(Job { due: now, lease: None }),
                ..old.clone()
            });
        }
        (made, skipped)
    }

    /// Frees leases: those of a worker, uncounted, or those that ran out.
    pub fn free(&mut self, of: Option<WorkerId>, timing: &Timing, now: When) -> usize {
        let mut freed = 0;
        for delivery in self.deliveries.values_mut() {
            let over = |lease: &Lease| match of {
                Some(worker) => lease.worker == worker,
                None => lease.until.is_over(now),
            };
            if !delivery.lease().is_some_and(over) {
                continue;
            }
            let last = timing.abandoned.len() - 1;
            let wait = millis(timing.abandoned[delivery.abandoned.min(last)]);
            let (outcome, wait) = if of.is_some() { (O::Released, 0) } else { (O::Abandoned, wait) };
            delivery.abandoned += usize::from(of.is_none());
            delivery.end(outcome, false);
            delivery.state = S::Retrying;
            delivery.job = Some(Job { due: now.plus(wait), lease: None });
            freed += 1;
        }
        self.seats.retain(|(_, who), until| match of {
            Some(worker) => *who != worker,
            None => !until.is_over(now),
        });
        freed
    }

    /// What an operator does to a delivery; whether that is possible.
    pub fn act(&mut self, act: DeliveryAct, id: DeliveryId, now: When) -> bool {
        let delivery = self.deliveries.get_mut(&id).unwrap();
        let in_order = self.subscriptions[delivery.subscription].in_order;
        let waits = matches!(delivery.state, S::Queued | S::Retrying);
        match act {
            DeliveryAct::Hold if waits => (delivery.state, delivery.job) = (S::Held, None),
            DeliveryAct::Release if delivery.state == S::Held => {
                let tried = !delivery.attempts.is_empty();
                delivery.state = if tried { S::Retrying } else { S::Queued };
                if !in_order {
                    delivery.job = Some(Job { due: now, lease: None });
                }
            }
            DeliveryAct::Cancel if !delivery.state.is_terminal() => {
                delivery.end(O::Cancelled, false);
                delivery.settle(S::Cancelled, Some("delivery.cancelled"));
            }
            DeliveryAct::Retry if waits && delivery.job.is_some() => {
                let job = delivery.job.as_mut().unwrap();
                job.due = job.due.least(now);
            }
            DeliveryAct::Resolve if delivery.state.wants_resolving() && !delivery.resolved => {
                delivery.resolved = true;
            }
            _ => return false,
        }
        true
    }

    /// An endpoint that has been failing for longer than it may; how many deliveries fail.
    pub fn give_up(&mut self, now: When) -> u64 {
        let mut failed = 0;
        for endpoint in 0..self.endpoints.len() {
            let since = self.lane(endpoint).failing_since;
            let (Some(since), Some(limit)) = (since, self.endpoints[endpoint].give_up_after) else {
                continue;
            };
            if !When::exactly(since + limit).is_over(now) {
                continue;
            }
            let free = self.of_endpoint(endpoint).filter(|(_, d)| {
                d.job.is_some() && d.lease().is_none() && d.created.plus(limit).is_over(now)
            });
            for id in free.map(|(id, _)| id).collect::<Vec<_>>() {
                self.deliveries.get_mut(&id).unwrap().settle(S::Failed, Some("endpoint.gave_up"));
                failed += 1;
            }
        }
        failed
    }

    /// Instants after which something is different. None of them may fall into a step.
    pub fn instants(&self, timing: &Timing) -> Vec<i64> {
        let mut all: Vec<i64> = self.seats.values().map(|until| until.lo).collect();
        for (n, endpoint) in self.endpoints.iter().enumerate() {
            let lane = self.lane(n);
            all.push(lane.blocked_until);
            all.extend(lane.failing_since.map(|since| since + millis(timing.suspend)));
            all.extend(lane.failing_since.and_then(|since| Some(since + endpoint.give_up_after?)));
        }
        for delivery in self.deliveries.values().filter(|d| !d.state.is_terminal()) {
            let endpoint = self.subscriptions[delivery.subscription].endpoint;
            let lane = self.lane(endpoint);
            all.extend(self.endpoints[endpoint].give_up_after.map(|limit| delivery.created.lo + limit));
            // The deadline of a closed lane stands still: how far it is away does not change.
            if lane.closed_since.is_none() {
                all.push(delivery.deadline.lo + (lane.closed_ms - delivery.closed_before.lo).max(0));
            }
            if let Some(job) = &delivery.job {
                all.push(job.lease.map_or(job.due.lo, |lease| lease.until.lo));
            }
        }
        all
    }
}

/// What the end says about the endpoint.
fn signal(end: &End) -> Signal<'_> {
    match end {
        End::Delivered(_) => Signal::Worked { logged_in: Some("v1") },
        End::Unconfirmed { .. } => Signal::Worked { logged_in: None },
        End::Fault { fault, .. } => match fault.class() {
            Class::Remote => Signal::Worked { logged_in: None },
            Class::Artifact | Class::Engine | Class::Cancelled | Class::Input => Signal::Nothing,
            _ => Signal::Fault { fault, secret_version: Some("v1") },
        },
        End::Unknown { fault, .. } => Signal::Fault { fault, secret_version: Some("v1") },
    }
}

/// A lane that is resumed.
pub fn resumed(lane: &Lane, now: i64) -> Lane {
    let mut next = lane.clone();
    if lane.suspended_at.is_some() {
        let by_time =
            matches!(lane.blocked_reason, None | Some(BlockReason::Breaker | BlockReason::Credential));
        if by_time {
            next = lane.lifted(now);
        }
        (next.failing_since, next.suspended_at) = (None, None);
    }
    next.with_pause(false, now)
}
