//! Lanes that change with a batch of ends.

use std::collections::{BTreeMap, BTreeSet};

use outport_core::lane::{Lane, Signal};
use outport_core::news::{LaneEvent, Telling, news};
use outport_core::{EndpointId, Millis, Timing};

use super::judge::signal;
use super::{Ending, Settled};
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::lanes::{self, Wake};
use crate::notices;
use crate::sql::Tx;

/// The lanes that are locked for this batch, before and after.
pub(super) struct LaneChanges(BTreeMap<EndpointId, LaneChange>);

struct LaneChange {
    before: Lane,
    after: Lane,
    /// When it was changed last.
    at: Millis,
}

impl LaneChanges {
    /// Locks the lanes that will be written: those that a glance says will change, those that get a job back, and those
    /// `in_order`, which get the next one of their group.
    pub(super) async fn lock(
        tx: &Tx,
        endings: &[Ending<'_>],
        in_order: BTreeSet<EndpointId>,
        timing: &Timing,
    ) -> Result<Self, StoreError> {
        let speaking = endings.iter().filter(|ending| signal(ending.report) != Signal::Nothing);
        let speaking: BTreeSet<EndpointId> = speaking.map(|ending| ending.report.endpoint_id).collect();
        let mut glance = Self::read(tx, &speaking, "").await?;
        for ending in endings {
            // The time does not matter for whether a lane changes.
            glance.fold(ending, timing, 0);
        }
        let changing = glance.0.iter().filter(|(_, lane)| lane.before != lane.after).map(|(id, _)| *id);
        let back = endings.iter().filter(|ending| !ending.report.end.is_delivered());
        let wanted: BTreeSet<EndpointId> =
            changing.chain(back.map(|ending| ending.report.endpoint_id)).chain(in_order).collect();
        Self::read(tx, &wanted, "{lock}").await
    }

    async fn read(tx: &Tx, endpoints: &BTreeSet<EndpointId>, lock: &str) -> Result<Self, StoreError> {
        let rows = lanes::read_all(tx, endpoints, lock).await?;
        Ok(Self(
            rows.into_iter()
                .map(|(id, lane)| (id, LaneChange { before: lane.clone(), after: lane, at: 0 }))
                .collect(),
        ))
    }

    /// Takes in what one attempt says. A lane that is not locked is one that a glance saw unchanged by this batch: that it
    /// changed in between costs nothing more than the news of one attempt that went well.
    pub(super) fn fold(&mut self, ending: &Ending<'_>, timing: &Timing, now: Millis) {
        if let Some(lane) = self.0.get_mut(&ending.report.endpoint_id) {
            lane.after = lane.after.after(&signal(ending.report), timing, now, ending.random);
            lane.at = now;
        }
    }

    /// How long the lane had been closed in all. Zero for one that is not locked: nobody needs it then.
    pub(super) fn closed_for(&self, endpoint: EndpointId, now: Millis) -> Millis {
        self.0.get(&endpoint).map_or(0, |lane| lane.before.closed_for(now))
    }

    /// Saves what changed, and wakes the lanes that got a job back.
    pub(super) async fn write(
        self,
        tx: &Tx,
        settled: &[Settled<'_>],
        timing: &Timing,
    ) -> Result<(), StoreError> {
        for (endpoint, lane) in &self.0 {
            if lane.before != lane.after {
                lanes::save(tx, *endpoint, &lane.after).await?;
                note_news(tx, *endpoint, lane, timing).await?;
            }
        }
        let mut wake = Wake::default();
        for settled in settled {
            if let Some(due) = settled.verdict.due_at {
                wake.at(settled.report.endpoint_id, due);
            }
        }
        wake.pull(tx).await
    }
}

/// A lane that closes or opens is an event that people look for.
async fn note_news(
    tx: &Tx,
    endpoint: EndpointId,
    change: &LaneChange,
    timing: &Timing,
) -> Result<(), StoreError> {
    let Some(news) = news(&change.before, &change.after, timing, change.at) else { return Ok(()) };
    let after = &change.after;
    let detail = serde_json::json!({
        "reason": after.blocked_reason.map(|r| r.as_str()),
        "until": after.blocked_until,
        "seen_identity": after.seen_identity,
    });
    let (subject_id, event) = (endpoint.uuid(), news.event.as_str());
    let entry = Entry { actor: "engine", subject_kind: "endpoint", subject_id, event, detail };
    match news.telling {
        Telling::Nothing => history::add(tx, entry).await,
        Telling::At(due) => notices::announce_at(tx, entry, due).await,
        Telling::Now => {
            notices::take_back(tx, subject_id, LaneEvent::Recovered.as_str()).await?;
            notices::announce(tx, &[entry]).await
        }
        Telling::TakeBack if notices::take_back(tx, subject_id, LaneEvent::Recovered.as_str()).await? => {
            history::add(tx, entry).await
        }
        Telling::TakeBack => notices::announce(tx, &[entry]).await,
    }
}
