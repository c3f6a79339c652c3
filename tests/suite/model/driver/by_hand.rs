//! What operators do.

use anyhow::{bail, ensure};
use outport_core::DeliveryId;
use outport_core::delivery::DeliveryState;
use outport_store::acts::{self, By};
use outport_store::replay::plan::{Question, plan};
use outport_store::replay::run::{self, Step};
use outport_store::replay::start::{Request, Started, start};

use super::sending::NEW_KEY;
use super::{Driver, nth, possible};
use crate::conformance::world::by;
use crate::model::action::{DeliveryAct, EndpointAct};
use crate::model::rules::resumed;
use crate::model::time::When;

impl Driver<'_> {
    pub(super) async fn replay(&mut self, all: bool, from: i64) -> anyhow::Result<When> {
        use outport_core::replay::{Filter, ReplayConfig, ReplayMode, Standing};
        let store = &self.world.store;
        let state = Standing::DELIVERIES[..]
            .iter()
            .filter(|state| all || matches!(state, Standing::Failed | Standing::Unconfirmed));
        let filter = Filter { state: state.copied().collect(), ..Filter::default() };
        let states: Vec<DeliveryState> = filter.state.iter().filter_map(|s| s.delivery_state()).collect();
        let question = Question { mode: ReplayMode::Redeliver, config: ReplayConfig::Current, filter };
        let plan = plan(store, &question, |_, _| None).await?;
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
            match run::step(store, id, 2, |_, _| None).await? {
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
    pub(super) async fn act_on_delivery(
        &mut self,
        act: DeliveryAct,
        which: usize,
        from: i64,
    ) -> anyhow::Result<When> {
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

    pub(super) async fn act_on_endpoint(
        &mut self,
        act: EndpointAct,
        which: usize,
        from: i64,
    ) -> anyhow::Result<When> {
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
}
