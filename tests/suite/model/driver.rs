//! Does each action to the store and to the model, and compares the two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use outport_core::delivery::{DeliveryState, Stage};
use outport_core::{Code, DeliveryId, Fault, LeaseId, WorkerId, code};
use outport_store::acts::{self, By};
use outport_store::claim_sends::{self, ClaimedSend, Limits, RenameIntent};
use outport_store::enqueue::Dispatched;
use outport_store::finish_send::{End, Finished, finish};
use outport_store::replay::plan::{Question, plan};
use outport_store::replay::run::{self, Step};
use outport_store::replay::start::{Request, Started, start};
use outport_store::rescue::{Which, rescue};
use outport_store::stage::{Entering, enter_renaming};
use outport_store::writer::Writer;
use outport_store::{StoreError, enqueue, give_up, heartbeat, lanes};

use super::action::{Action, DeliveryAct, Ending, EndpointAct, KEYS, WORKERS};
use super::ledger::{File, Ledger};
use super::rules::{RANDOM, Taken, resumed};
use super::seen::Store;
use super::setting;
use super::time::When;
use crate::conformance::world::{World, arrival, by, delivered, report, worker};

/// Longer than any step takes.
const STEP_MS: i64 = 20_000;
const NEW_KEY: &str = "SHA256:new";

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
            Action::Rescue => return self.free(Which::Expired, None, from).await,
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

    async fn arrive(&mut self, key: usize, from: i64) -> anyhow::Result<When> {
        let version = self.ledger.files.len();
        let dispatched = self.dispatch(key, version).await?;
        let active = self.ledger.subscriptions.iter().filter(|s| s.enabled).count();
        let id = match dispatched {
            Dispatched::Routed { file, deliveries, .. } if deliveries == active => file,
            Dispatched::Unrouted { file } if active == 0 => file,
            other => bail!("with {active} subscriptions: {other:?}"),
        };
        let now = self.since(from).await?;
        self.ledger.files.push(File { id, key, version });
        self.ledger.sightings += 1;
        self.store().arrived(&mut self.ledger, version, now).await?;
        self.tell(&format!("version {version} of {}", KEYS[key]));
        Ok(now)
    }

    async fn arrive_again(&mut self, file: usize) -> anyhow::Result<()> {
        let Some(file) = nth(&self.ledger.files, file).cloned() else { return Ok(()) };
        let dispatched = self.dispatch(file.key, file.version).await?;
        ensure!(dispatched == Dispatched::Duplicate { file: file.id }, "a known file: {dispatched:?}");
        self.ledger.sightings += 1;
        Ok(())
    }

    async fn dispatch(&self, key: usize, version: usize) -> anyhow::Result<Dispatched> {
        let arrival = arrival(KEYS[key], &format!("v{version}"));
        Ok(enqueue::dispatch(&self.world.store, &arrival, |_| None).await?)
    }

    async fn claim(&mut self, worker: usize, few: bool, from: i64) -> anyhow::Result<When> {
        let (store, timing) = (&self.world.store, &self.world.timing);
        let id = self.workers[worker].id;
        let limits = Limits { lanes: 100, deliveries: if few { 1 } else { 1_000 }, per_lane: 1_000 };
        let claim = claim_sends::claim(store, id, limits, timing).await?;
        let now = self.since(from).await?;
        let attempts = self.store().attempts().await?;
        let touched: BTreeSet<DeliveryId> = self
            .ledger
            .deliveries
            .iter()
            .filter(|(id, d)| attempts.get(id).is_some_and(|n| *n > d.attempts.len()))
            .map(|(id, _)| *id)
            .collect();
        ensure!(!few || touched.len() <= 1, "asked for one, got {}", touched.len());
        for endpoint in 0..self.ledger.endpoints.len() {
            let of_lane = self.ledger.of_endpoint(endpoint).map(|(id, _)| id);
            let got: BTreeSet<DeliveryId> = of_lane.filter(|id| touched.contains(id)).collect();
            let room = self.ledger.room(endpoint, id, now);
            let picked = |places| BTreeSet::from_iter(self.ledger.picked(endpoint, places, now));
            let good = if few { (0..=room).any(|places| got == picked(places)) } else { got == picked(room) };
            let label = self.ledger.endpoints[endpoint].label;
            ensure!(good, "{label} with room for {room} gave {got:?}, and had {:?}", picked(room));
        }
        let lease = claim.sends.first().map(|send| send.lease);
        let touched: Vec<DeliveryId> = touched.into_iter().collect();
        let taken = self.ledger.take(id, &touched, lease, timing, now);
        let mut sends: BTreeMap<_, _> = claim.sends.iter().map(|send| (send.delivery_id, send)).collect();
        for (delivery, taken) in touched.iter().zip(&taken) {
            let seen = match sends.remove(delivery) {
                None => Taken::Settled,
                Some(send) => {
                    Taken::Sent { probe: send.probe.is_some(), unfinished: send.unfinished.clone() }
                }
            };
            ensure!(seen == *taken, "the claim of {delivery} should be {taken:?}, is {seen:?}");
        }
        ensure!(sends.is_empty(), "claimed and not taken: {sends:?}");
        let names: Vec<&str> = claim.sends.iter().map(|send| send.remote_name.as_str()).collect();
        self.tell(&format!("{names:?}, {} settled", touched.len() - names.len()));
        self.workers[worker].hands.extend(claim.sends);
        Ok(now)
    }

    async fn beat(&mut self, worker: usize, from: i64) -> anyhow::Result<When> {
        let (store, timing) = (&self.world.store, &self.world.timing);
        let Worker { id, hands } = &self.workers[worker];
        let named: Vec<(DeliveryId, LeaseId)> = hands.iter().map(|s| (s.delivery_id, s.lease)).collect();
        let open = named.iter().map(|(delivery, lease)| (delivery.uuid(), *lease)).collect();
        let held = heartbeat::beat(store, *id, &open, timing).await?;
        let now = self.since(from).await?;
        let wanted = self.ledger.beat(*id, &named, timing, now);
        ensure!(held.sends == wanted.iter().copied().collect(), "held {:?}, not {wanted:?}", held.sends);
        Ok(now)
    }

    async fn enter(&mut self, worker: usize, hand: usize, resent: bool, from: i64) -> anyhow::Result<When> {
        let Some(send) = nth(&self.workers[worker].hands, hand).cloned() else {
            return self.since(from).await;
        };
        let temp_path = format!(".{}.part", send.remote_name);
        let intent = RenameIntent { temp_path, final_before: None, possible_duplicate: resent };
        let entering = Entering { delivery_id: send.delivery_id, lease: send.lease, intent };
        let may = enter_renaming(&self.world.store, entering).await?;
        let now = self.since(from).await?;
        let wanted = self.ledger.enter(send.delivery_id, send.lease, resent, now);
        ensure!(may == wanted, "it may rename: {may}");
        self.tell(&format!("{}: {may}", send.remote_name));
        Ok(now)
    }

    async fn end(
        &mut self,
        worker: usize,
        hand: usize,
        how: Ending,
        keep: bool,
        from: i64,
    ) -> anyhow::Result<When> {
        let hands = &mut self.workers[worker].hands;
        if hands.is_empty() {
            return self.since(from).await;
        }
        let hand = hand % hands.len();
        let send = if keep { hands[hand].clone() } else { hands.remove(hand) };
        let end = self.ending(&send, how);
        let report = report(&send, end.clone());
        let finished = finish(&self.world.store, &report, &self.world.timing, RANDOM).await?;
        let now = self.since(from).await?;
        self.ended(&send, &end, &finished, now)?;
        Ok(now)
    }

    async fn end_all(&mut self, worker: usize, how: &[Ending], from: i64) -> anyhow::Result<When> {
        let hands = std::mem::take(&mut self.workers[worker].hands);
        let writer = Writer::start(
            self.world.store.clone(),
            self.workers[worker].id,
            self.world.timing.clone(),
            |_| Duration::from_millis(1),
        );
        let ends: Vec<End> =
            hands.iter().zip(how.iter().cycle()).map(|(send, how)| self.ending(send, *how)).collect();
        let mut tasks = Vec::new();
        for (send, end) in hands.iter().zip(&ends) {
            // In their order: each is in the writer's queue before the next one is made.
            let mut asked = Box::pin({
                let (writer, report) = (writer.clone(), Arc::new(report(send, end.clone())));
                async move { writer.finish(report, RANDOM).await }
            });
            let early =
                std::future::poll_fn(|context| std::task::Poll::Ready(asked.as_mut().poll(context))).await;
            ensure!(early.is_pending(), "answered before it was asked: {early:?}");
            tasks.push(asked);
        }
        let mut finished = Vec::new();
        for task in tasks {
            finished.push(task.await?);
        }
        let now = self.since(from).await?;
        for ((send, end), finished) in hands.iter().zip(&ends).zip(&finished) {
            self.ended(send, end, finished, now)?;
        }
        Ok(now)
    }

    fn ended(&mut self, send: &ClaimedSend, end: &End, finished: &Finished, now: When) -> anyhow::Result<()> {
        let id = send.delivery_id;
        let was = self.ledger.deliveries[&id].state;
        let wanted = self.ledger.end(id, send.lease, end, &self.world.timing, now);
        let told = match finished {
            Finished::Recorded { state, .. } => Some(*state),
            Finished::LeaseLost => None,
        };
        ensure!(told == wanted, "the end of {} was answered {finished:?}, not {wanted:?}", send.remote_name);
        let delivery = &self.ledger.deliveries[&id];
        if was == DeliveryState::Sending && delivery.state == DeliveryState::Delivered {
            let subscription = &self.ledger.subscriptions[delivery.subscription];
            let place = (delivery.subscription, delivery.name.clone());
            let before = self.partner.insert(place, delivery.file);
            let newer = before.is_none_or(|before| before <= delivery.file);
            ensure!(
                newer || !subscription.stale_skip,
                "an old version on top of a new one at {}",
                subscription.code
            );
        }
        self.tell(&format!("{} {finished:?}", send.remote_name));
        Ok(())
    }

    /// An unknown end that did not reach the rename is one by a bug of ours.
    fn ending(&self, send: &ClaimedSend, how: Ending) -> End {
        let attempts = &self.ledger.deliveries[&send.delivery_id].attempts;
        let renaming = attempts.iter().any(|a| a.lease == Some(send.lease) && a.renaming);
        let fault =
            |code: &'static Code, stage| End::Fault { fault: Fault::new(code, "x"), stage, bytes_sent: 0 };
        match how {
            Ending::Delivered => delivered(send),
            Ending::Reset => fault(&code::ENDPOINT_RESET, Stage::Uploading),
            Ending::Busy => fault(&code::ENDPOINT_BUSY, Stage::Connecting),
            Ending::Refused => fault(&code::CREDENTIAL_REFUSED, Stage::Connecting),
            Ending::KeyChanged => End::Fault {
                fault: Fault::new(&code::HOSTKEY_CHANGED, "x").with_seen_identity(NEW_KEY),
                stage: Stage::Connecting,
                bytes_sent: 0,
            },
            Ending::SecretUnusable => fault(&code::ENDPOINT_SECRET_UNUSABLE, Stage::Connecting),
            Ending::RemoteFailure => fault(&code::REMOTE_FAILURE, Stage::Uploading),
            Ending::PermissionDenied => fault(&code::REMOTE_PERMISSION_DENIED, Stage::Uploading),
            Ending::ArtifactMissing => fault(&code::ARTIFACT_MISSING, Stage::Connecting),
            Ending::StoreFull => fault(&code::OBJECT_STORE_FULL, Stage::Connecting),
            Ending::Unknown if renaming => {
                End::Unknown { fault: Fault::new(&code::ENDPOINT_RESET, "x"), stage: Stage::Renaming }
            }
            Ending::Unknown => {
                End::Unknown { fault: Fault::new(&code::ENGINE_PANIC, "x"), stage: Stage::Connecting }
            }
            Ending::Unconfirmed => End::Unconfirmed { fault: Fault::new(&code::DELIVERY_UNCONFIRMED, "x") },
        }
    }

    async fn free(&mut self, which: Which, of: Option<WorkerId>, from: i64) -> anyhow::Result<When> {
        let timing = &self.world.timing;
        let freed = rescue(&self.world.store, which, timing).await?.sends as usize;
        let now = self.since(from).await?;
        let wanted = self.ledger.free(of, timing, now);
        ensure!(freed == wanted, "{freed} deliveries were freed, not {wanted}");
        self.tell(&format!("{freed} freed"));
        Ok(now)
    }

    async fn replay(&mut self, all: bool, from: i64) -> anyhow::Result<When> {
        use outport_core::replay::{Filter, ReplayConfig, ReplayMode, Standing};
        let store = &self.world.store;
        let state = Standing::DELIVERIES[..]
            .iter()
            .filter(|state| all || matches!(state, Standing::Failed | Standing::Unconfirmed));
        let filter = Filter { state: state.copied().collect(), ..Filter::default() };
        let states: Vec<DeliveryState> = filter.state.iter().filter_map(|s| s.delivery_state()).collect();
        let question = Question { mode: ReplayMode::Redeliver, config: ReplayConfig::Current, filter };
        let plan = plan(store, &question, |_| None).await?;
        let request = Request {
            question,
            per_minute: None,
            reason: "a test".into(),
            idempotency_key: format!("{from}-{}", self.story.len()),
            actor: by().actor.into(),
        };
        let Started::New(id) = start(store, &request, &plan).await? else { bail!("the key was known") };
        let (mut made, mut left_out) = (0, 0);
        loop {
            // Small pages: the cursor has to do its part.
            match run::step(store, id, 2, |_| None).await? {
                Step::Page { created, skipped, last } => {
                    (made, left_out) = (made + created as usize, left_out + skipped as usize);
                    if last {
                        break;
                    }
                }
                other => bail!("the replay does {other:?}"),
            }
        }
        let now = self.since(from).await?;
        let (wanted, skipped) = self.ledger.replay(&states, now);
        self.tell(&format!("{made} made, {left_out} skipped"));
        ensure!((made, left_out) == (wanted.len(), skipped), "{} and {skipped} were to be", wanted.len());
        let planned = (plan.selected as usize, plan.sendable as usize);
        ensure!(planned == (made + left_out, made), "the plan says {planned:?}");
        self.store().replayed(&mut self.ledger, wanted).await?;
        Ok(now)
    }

    /// Most acts meet a delivery that they suit.
    async fn act_on_delivery(&mut self, act: DeliveryAct, which: usize, from: i64) -> anyhow::Result<When> {
        let suits = |id: &DeliveryId| self.ledger.clone().act(act, *id, When::exactly(from));
        let all: Vec<DeliveryId> = self.ledger.deliveries.keys().copied().collect();
        let suited: Vec<DeliveryId> = all.iter().copied().filter(suits).collect();
        let Some(id) = nth(if which.is_multiple_of(4) { &all } else { &suited }, which).copied() else {
            return self.since(from).await;
        };
        let store = &self.world.store;
        let done = match act {
            DeliveryAct::Hold => acts::delivery::hold(store, id, by()).await,
            DeliveryAct::Release => acts::delivery::release(store, id, by()).await,
            DeliveryAct::Cancel => acts::delivery::cancel(store, id, by()).await.map(|_| ()),
            DeliveryAct::Retry => acts::delivery::retry(store, id, by()).await,
            DeliveryAct::Resolve => acts::delivery::resolve(store, id, by()).await,
        };
        let now = self.since(from).await?;
        let delivery = &self.ledger.deliveries[&id];
        let who = format!("{} to {}", delivery.name, self.ledger.subscriptions[delivery.subscription].code);
        self.tell(&format!("{who}: {done:?}"));
        possible(done, self.ledger.act(act, id, now))?;
        Ok(now)
    }

    async fn act_on_endpoint(&mut self, act: EndpointAct, which: usize, from: i64) -> anyhow::Result<When> {
        let store = &self.world.store;
        let endpoint = which % self.ledger.endpoints.len();
        let (id, lane) = (self.ledger.endpoints[endpoint].id, self.ledger.lane(endpoint).clone());
        let identity = lane.blocked_reason == Some(outport_core::lane::BlockReason::Identity);
        let pinned = self.ledger.endpoints[endpoint].pins.iter().any(|pin| pin == NEW_KEY);
        let By { actor, .. } = by();
        let (done, wanted) = match act {
            EndpointAct::Pause => (acts::endpoint::pause(store, id, by()).await, !lane.paused),
            EndpointAct::Resume => {
                let done = acts::endpoint::resume(store, id, by()).await.map(|_| ());
                (done, lane.paused || lane.suspended_at.is_some())
            }
            EndpointAct::Retry => (acts::endpoint::retry(store, id, actor).await, true),
            EndpointAct::AcceptKey => {
                let done = acts::endpoint::accept_key(store, id, NEW_KEY, by()).await.map(|_| ());
                (done, identity || !pinned)
            }
        };
        let now = self.since(from).await?;
        self.tell(&format!("{}: {done:?}", self.ledger.endpoints[endpoint].label));
        possible(done, wanted)?;
        if !wanted {
            return Ok(now);
        }
        let endpoint = &mut self.ledger.endpoints[endpoint];
        match act {
            EndpointAct::Pause => endpoint.health.change(now, |lane, now| lane.with_pause(true, now)),
            EndpointAct::Resume => endpoint.health.change(now, resumed),
            EndpointAct::Retry => endpoint.health.change(now, |lane, now| lane.lifted(now)),
            EndpointAct::AcceptKey => {
                if !pinned {
                    endpoint.pins.push(NEW_KEY.into());
                }
                if identity {
                    endpoint.health.change(now, |lane, now| lane.lifted(now));
                }
            }
        }
        Ok(now)
    }

    /// Whatever has happened: when operators do their part, a single worker brings everything to its end, and soon.
    pub async fn finale(&mut self) -> anyhow::Result<()> {
        use DeliveryState as S;
        for endpoint in 0..self.ledger.endpoints.len() {
            let lane = self.ledger.lane(endpoint);
            if lane.paused || lane.suspended_at.is_some() {
                self.step(&Action::Endpoint { act: EndpointAct::Resume, which: endpoint }).await?;
            }
            self.step(&Action::Endpoint { act: EndpointAct::Retry, which: endpoint }).await?;
        }
        for worker in 0..WORKERS {
            self.step(&Action::Crash { worker }).await?;
        }
        let suited = |ledger: &Ledger, of: fn(S) -> bool| {
            ledger.deliveries.values().any(|d| of(d.state) && !d.resolved)
        };
        while suited(&self.ledger, |state| state == S::Held) {
            self.step(&Action::Delivery { act: DeliveryAct::Release, which: 1 }).await?;
        }
        // A lease, the longest wait for a retry, and what waits for the names and turns of the others.
        for _ in 0..3 * self.ledger.deliveries.len() + 3 {
            if self.ledger.deliveries.values().all(|d| d.state.is_terminal()) {
                return Ok(());
            }
            while suited(&self.ledger, S::wants_resolving) {
                self.step(&Action::Delivery { act: DeliveryAct::Resolve, which: 1 }).await?;
            }
            self.step(&Action::Pass { seconds: 8 * 3_600 }).await?;
            self.step(&Action::Rescue).await?;
            self.step(&Action::Claim { worker: 0, few: false }).await?;
            self.step(&Action::EndAll { worker: 0, how: vec![Ending::Delivered] }).await?;
        }
        let left = self.ledger.deliveries.values().find(|d| !d.state.is_terminal());
        left.map_or(Ok(()), |left| bail!("it does not come to an end: {left:?}"))
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
