//! Does each action to the store and to the model, and compares the two.

mod arriving;
mod by_hand;
mod finale;
mod sending;

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use outport_core::timing::millis;
use outport_core::{WorkerId, code};
use outport_store::claim_sends::ClaimedSend;
use outport_store::rescue::Which;
use outport_store::{StoreError, acts, give_up, lanes};

use super::action::{Action, WORKERS};
use super::ledger::Ledger;
use super::seen::Store;
use super::setting;
use super::time::When;
use crate::conformance::world::{World, by, worker};

/// Longer than any step takes.
const STEP_MS: i64 = 20_000;

pub struct Driver<'a> {
    world: &'a World,
    ledger: Ledger,
    /// How far the clock was turned, in milliseconds.
    turned: i64,
    workers: [Worker; WORKERS],
    /// The newest file that each subscription has put under a name.
    partner: BTreeMap<(usize, String), usize>,
    /// What was done, for people.
    pub story: Vec<String>,
}

struct Worker {
    id: WorkerId,
    /// What it believes to be sending.
    hands: Vec<ClaimedSend>,
}

impl Worker {
    fn new() -> Self {
        Self { id: worker(), hands: Vec::new() }
    }
}

impl<'a> Driver<'a> {
    /// A world in which nothing has happened yet.
    pub async fn new(world: &'a World) -> anyhow::Result<Self> {
        let ledger = setting::fresh(world).await?;
        let workers = std::array::from_fn(|_| Worker::new());
        Ok(Self { world, ledger, turned: 0, workers, partner: BTreeMap::new(), story: Vec::new() })
    }

    fn store(&self) -> Store<'a> {
        Store { raw: &self.world.raw, turned: self.turned }
    }

    /// Does it and compares.
    pub async fn step(&mut self, action: &Action) -> anyhow::Result<()> {
        self.story.push(format!("{action:?}"));
        if matches!(action, Action::Claim { .. }) {
            // A lane that was full is looked at again after 250 ms.
            self.turn(1_000).await?;
        }
        if *action == (Action::Rescue { late: true }) {
            self.turn(millis(self.world.timing.lease)).await?;
        }
        self.clear_the_next_seconds().await?;
        let from = self.store().now().await?;
        let now = self.act(action, from).await?;
        ensure!(now.hi - now.lo < STEP_MS, "this machine took {} ms for one step", now.hi - now.lo);
        self.ledger.follow(now);
        self.store().compare(&mut self.ledger).await
    }

    fn tell(&mut self, told: &str) {
        if let Some(last) = self.story.last_mut() {
            last.push_str(" -> ");
            last.push_str(told);
        }
    }

    /// The step began at `lo` and ends now.
    async fn since(&self, lo: i64) -> anyhow::Result<When> {
        Ok(When { lo, hi: self.store().now().await? })
    }

    /// Nothing may fall due within a step: what a verb makes of it would depend on the machine's speed.
    async fn clear_the_next_seconds(&mut self) -> anyhow::Result<()> {
        loop {
            let now = self.store().now().await?;
            let near = now..now + STEP_MS;
            if !self.ledger.instants(&self.world.timing).iter().any(|at| near.contains(at)) {
                return Ok(());
            }
            self.turn(STEP_MS).await?;
        }
    }

    async fn turn(&mut self, ms: i64) -> anyhow::Result<()> {
        setting::turn_clock(&self.world.raw, ms).await?;
        self.turned += ms;
        Ok(())
    }

    async fn act(&mut self, action: &Action, from: i64) -> anyhow::Result<When> {
        let store = &self.world.store;
        match action {
            Action::Arrive { key } => return self.arrive(*key, from).await,
            Action::ArriveAgain { file } => self.arrive_again(*file).await?,
            Action::Claim { worker, few } => return self.claim(*worker, *few, from).await,
            Action::Beat { worker } => return self.beat(*worker, from).await,
            Action::Enter { worker, hand, resent } => return self.enter(*worker, *hand, *resent, from).await,
            Action::End { worker, hand, how, keep } => {
                return self.end(*worker, *hand, *how, *keep, from).await;
            }
            Action::EndAll { worker, how } => return self.end_all(*worker, how, from).await,
            Action::Crash { worker } => self.workers[*worker] = Worker::new(),
            Action::Drain { worker } => {
                let worker = self.workers[*worker].id;
                return self.free(Which::OfWorker(worker), Some(worker), from).await;
            }
            Action::Rescue { .. } => return self.free(Which::Expired, None, from).await,
            Action::Pass { seconds } => {
                self.turn(seconds * 1_000).await?;
                return Ok(When::exactly(self.store().now().await?));
            }
            Action::Delivery { act, which } => return self.act_on_delivery(*act, *which, from).await,
            Action::Endpoint { act, which } => return self.act_on_endpoint(*act, *which, from).await,
            Action::Switch { subscription, on } => {
                let wanted = self.ledger.subscriptions[*subscription].enabled != *on;
                let id = self.ledger.subscriptions[*subscription].id;
                possible(acts::subscription::switch(store, id, *on, by()).await, wanted)?;
                self.ledger.subscriptions[*subscription].enabled = *on;
            }
            Action::Replay { all } => return self.replay(*all, from).await,
            Action::GiveUp => {
                let failed = give_up::give_up(store).await?;
                let now = self.since(from).await?;
                let wanted = self.ledger.give_up(now);
                ensure!(failed == wanted, "{failed} deliveries were given up, not {wanted}");
                return Ok(now);
            }
            Action::Rederive => {
                let corrected = lanes::rederive(store).await?;
                ensure!(corrected == 0, "{corrected} lanes would have slept past their work");
            }
        }
        self.since(from).await
    }
}

fn nth<T>(all: &[T], n: usize) -> Option<&T> {
    all.get(n.checked_rem(all.len())?)
}

/// An act that makes no sense is refused, and no other error comes up.
fn possible(done: Result<(), StoreError>, wanted: bool) -> anyhow::Result<()> {
    match done {
        Ok(()) => ensure!(wanted, "it was done, and makes no sense"),
        Err(error) if error.fault().code == &code::WRONG_STATE => ensure!(!wanted, "it was refused: {error}"),
        Err(error) => return Err(error).context("an act"),
    }
    Ok(())
}
