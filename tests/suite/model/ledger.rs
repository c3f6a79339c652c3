//! What there is, as the model sees it.

use std::collections::BTreeMap;

use outport_core::delivery::{AttemptOutcome, DeliveryState};
use outport_core::lane::Lane;
use outport_core::{DeliveryId, EndpointId, FileId, LeaseId, Millis, SubscriptionId, WorkerId};

use super::time::{Health, When};

/// A subscription of the model's world.
#[derive(Debug, Clone)]
pub struct Subscription {
    pub code: &'static str,
    pub id: SubscriptionId,
    pub endpoint: usize,
    pub in_order: bool,
    pub stale_skip: bool,
    /// The remote name, where it is not the key.
    pub name: Option<&'static str>,
    pub max_attempts: u32,
    pub enabled: bool,
}

#[derive(Debug, Clone)]
pub struct Endpoint {
    pub label: &'static str,
    pub id: EndpointId,
    pub max_connections: usize,
    pub give_up_after: Option<Millis>,
    pub pins: Vec<String>,
    pub health: Health,
}

#[derive(Debug, Clone)]
pub struct File {
    pub id: FileId,
    pub key: usize,
    pub version: usize,
}

#[derive(Debug, Clone)]
pub struct Attempt {
    /// Of one that its claimer settled at once, nobody but the store knows it.
    pub lease: Option<LeaseId>,
    pub outcome: Option<AttemptOutcome>,
    /// It reached the rename.
    pub renaming: bool,
    /// It ended before it logged in: nothing was written.
    pub early: bool,
    pub charged: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Lease {
    pub id: LeaseId,
    pub worker: WorkerId,
    pub until: When,
}

#[derive(Debug, Clone)]
pub struct Job {
    pub due: When,
    pub lease: Option<Lease>,
}

#[derive(Debug, Clone)]
pub struct Delivery {
    pub subscription: usize,
    pub file: usize,
    pub name: String,
    pub state: DeliveryState,
    pub attempts: Vec<Attempt>,
    pub abandoned: usize,
    pub code: Option<&'static str>,
    pub duplicate: bool,
    pub resolved: bool,
    /// The delivery that it does over.
    pub replays: Option<DeliveryId>,
    pub created: When,
    pub deadline: When,
    /// The lane's account of closed time when it was made.
    pub closed_before: When,
    pub job: Option<Job>,
}

impl Delivery {
    pub fn charged(&self) -> u32 {
        self.attempts.iter().map(|attempt| u32::from(attempt.charged)).sum()
    }

    pub fn lease(&self) -> Option<&Lease> {
        self.job.as_ref()?.lease.as_ref()
    }

    /// Settles it, and its open attempt.
    pub fn settle(&mut self, state: DeliveryState, code: Option<&'static str>) {
        (self.state, self.code, self.job) = (state, code, None);
    }

    /// Ends the open attempt.
    pub fn end(&mut self, outcome: AttemptOutcome, charged: bool) {
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.outcome.is_none()) {
            (attempt.outcome, attempt.charged) = (Some(outcome), charged);
        }
    }

    /// What the next attempt has to look for: whether to probe, and temp files that may be left, newest first.
    pub fn past(&self) -> (bool, Vec<u32>) {
        use AttemptOutcome as O;
        let earlier = || self.attempts.iter().enumerate().rev().filter(|(_, a)| a.outcome.is_some());
        let unseen = |a: &Attempt| matches!(a.outcome, Some(O::Unknown | O::Abandoned | O::Released));
        let left = |a: &Attempt| unseen(a) || (a.outcome == Some(O::Retry) && (!a.early || a.renaming));
        let probe = earlier().any(|(_, a)| unseen(a) && a.renaming);
        (probe, earlier().filter(|(_, a)| left(a)).map(|(n, _)| n as u32 + 1).collect())
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub subscriptions: Vec<Subscription>,
    pub endpoints: Vec<Endpoint>,
    pub files: Vec<File>,
    pub sightings: usize,
    pub deliveries: BTreeMap<DeliveryId, Delivery>,
    /// Connections: one is enough for the few files of these lanes.
    pub seats: BTreeMap<(usize, WorkerId), When>,
}

impl Ledger {
    /// Open deliveries of a subscription that have a send job or are to get one, oldest first.
    pub fn of_subscription(&self, subscription: usize) -> impl Iterator<Item = (DeliveryId, &Delivery)> {
        self.deliveries.iter().filter(move |(_, d)| d.subscription == subscription).map(|(id, d)| (*id, d))
    }

    pub fn of_endpoint(&self, endpoint: usize) -> impl Iterator<Item = (DeliveryId, &Delivery)> {
        let there = move |d: &Delivery| self.subscriptions[d.subscription].endpoint == endpoint;
        self.deliveries.iter().filter(move |(_, d)| there(d)).map(|(id, d)| (*id, d))
    }

    pub fn lane(&self, endpoint: usize) -> &Lane {
        &self.endpoints[endpoint].health.early
    }

    /// The oldest failure that stops a group, if one does.
    pub fn blocker(&self, subscription: usize) -> Option<DeliveryId> {
        let head = self.of_subscription(subscription).find(|(_, d)| !d.state.is_terminal()).map(|(id, _)| id);
        self.of_subscription(subscription)
            .find(|(id, d)| d.state.wants_resolving() && !d.resolved && head.is_none_or(|head| *id < head))
            .map(|(id, _)| id)
    }

    /// The delivery of this subscription whose turn it is.
    pub fn turn(&self, subscription: usize) -> Option<DeliveryId> {
        let mut open = self.of_subscription(subscription).filter(|(_, d)| !d.state.is_terminal());
        match self.blocker(subscription) {
            None => open.next().map(|(id, _)| id),
            // Something that does the same over goes first.
            Some(blocker) => {
                let file = self.deliveries[&blocker].file;
                open.find(|(_, d)| d.file == file).map(|(id, _)| id)
            }
        }
    }
}
