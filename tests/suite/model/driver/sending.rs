//! What workers do.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::maybe_done;
use outport_core::delivery::{DeliveryState, Stage};
use outport_core::{Code, DeliveryId, Fault, LeaseId, WorkerId, code};
use outport_store::claim_sends::{self, ClaimedSend, Limits, RenameIntent};
use outport_store::finish_send::{End, Finished, finish};
use outport_store::heartbeat;
use outport_store::rescue::{Which, rescue};
use outport_store::stage::{Entering, enter_renaming};
use outport_store::writer::Writer;

use super::{Driver, Worker, nth};
use crate::conformance::world::{delivered, report};
use crate::model::action::Ending;
use crate::model::rules::{RANDOM, Taken};
use crate::model::time::When;

/// What a server shows whose host key changed.
pub(super) const NEW_KEY: &str = "SHA256:new";

impl Driver<'_> {
    pub(super) async fn claim(&mut self, worker: usize, few: bool, from: i64) -> anyhow::Result<When> {
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

    pub(super) async fn beat(&mut self, worker: usize, from: i64) -> anyhow::Result<When> {
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

    pub(super) async fn enter(
        &mut self,
        worker: usize,
        hand: usize,
        resent: bool,
        from: i64,
    ) -> anyhow::Result<When> {
        let Some(send) = nth(&self.workers[worker].hands, hand).cloned() else {
            return self.since(from).await;
        };
        let temp_path = format!(".{}.part", send.remote_name);
        let intent = RenameIntent { temp_path, possible_duplicate: resent, ..RenameIntent::default() };
        let entering = Entering { delivery_id: send.delivery_id, lease: send.lease, intent };
        let may = enter_renaming(&self.world.store, entering).await?;
        let now = self.since(from).await?;
        let wanted = self.ledger.enter(send.delivery_id, send.lease, resent, now);
        ensure!(may == wanted, "it may rename: {may}");
        self.tell(&format!("{}: {may}", send.remote_name));
        Ok(now)
    }

    pub(super) async fn end(
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

    pub(super) async fn end_all(&mut self, worker: usize, how: &[Ending], from: i64) -> anyhow::Result<When> {
        let hands = std::mem::take(&mut self.workers[worker].hands);
        let writer = Writer::start(
            self.world.store.clone(),
            self.workers[worker].id,
            self.world.timing.clone(),
            |_| Duration::from_millis(1),
        );
        let ends: Vec<End> =
            hands.iter().zip(how.iter().cycle()).map(|(send, how)| self.ending(send, *how)).collect();
        let mut asked = Vec::new();
        for (send, end) in hands.iter().zip(&ends) {
            let (writer, report) = (writer.clone(), Arc::new(report(send, end.clone())));
            let mut ask = Box::pin(maybe_done(async move { writer.finish(report, RANDOM).await }));
            // In their order: each is in the writer's queue before the next one is made. A quick writer has answered by then.
            poll_fn(|context| Poll::Ready(ask.as_mut().poll(context).is_ready())).await;
            asked.push(ask);
        }
        let mut finished = Vec::new();
        for mut ask in asked {
            ask.as_mut().await;
            finished.push(ask.as_mut().take_output().context("no answer")??);
        }
        let now = self.since(from).await?;
        for ((send, end), finished) in hands.iter().zip(&ends).zip(&finished) {
            self.ended(send, end, finished, now)?;
        }
        Ok(now)
    }

    pub(super) fn ended(
        &mut self,
        send: &ClaimedSend,
        end: &End,
        finished: &Finished,
        now: When,
    ) -> anyhow::Result<()> {
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
    pub(super) fn ending(&self, send: &ClaimedSend, how: Ending) -> End {
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

    pub(super) async fn free(
        &mut self,
        which: Which,
        of: Option<WorkerId>,
        from: i64,
    ) -> anyhow::Result<When> {
        let timing = &self.world.timing;
        let freed = rescue(&self.world.store, which, timing).await?.sends as usize;
        let now = self.since(from).await?;
        let wanted = self.ledger.free(of, timing, now);
        ensure!(freed == wanted, "{freed} deliveries were freed, not {wanted}");
        self.tell(&format!("{freed} freed"));
        Ok(now)
    }
}
