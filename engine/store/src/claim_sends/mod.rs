//! Claiming deliveries to send: lanes first, then jobs, in one short transaction of separate statements.
//!
//! Never one statement with a CTE: its snapshot is older than the lane lock, so a job that commits in between is
//! stranded behind a lane that was just moved into the future. Lanes first, because a limit inside the claim query
//! collapses when one partner is down (measured: 1,898 -> 82 jobs/s with 500,000 stuck; this way 3,061 -> 3,316).

mod due_lanes;
mod full_lanes;
mod hand_over;
mod one;
mod past;
mod pick;
mod seats;
mod take;
mod types;

use outport_core::lane::FILES_PER_CONNECTION;
use outport_core::timing::millis;
use outport_core::{EndpointId, LeaseId, Timing, WorkerId};

use crate::Store;
use crate::error::StoreError;
use crate::history::new_id;
use due_lanes::Load;
pub(crate) use due_lanes::{ENDPOINT, read_endpoint};
pub use full_lanes::FullLanes;
pub use hand_over::HandOver;
pub use one::claim_one;
pub use types::{
    ArtifactRow, Claim, ClaimedSend, EndpointRow, FinalSeen, Limits, RenameIntent, on_unconfirmed,
};

/// Claims due deliveries for `worker`.
///
/// # Errors
/// Those of the database; nothing is claimed then.
pub async fn claim(
    store: &Store,
    worker: WorkerId,
    limits: Limits,
    timing: &Timing,
) -> Result<Claim, StoreError> {
    claim_again(store, worker, limits, &[], None, timing).await
}

/// The same, looking also at lanes `again` that sleep because they were [full](FullLanes), and handing over what is too large
/// for this worker.
pub async fn claim_again(
    store: &Store,
    worker: WorkerId,
    limits: Limits,
    again: &[EndpointId],
    hand_over: Option<HandOver>,
    timing: &Timing,
) -> Result<Claim, StoreError> {
    let tx = store.begin("claiming deliveries").await?;
    let due = due_lanes::lock(&tx, limits.lanes, again, timing).await?;
    let Some(now) = due.first().map(|lane| lane.now) else {
        // A lane may have been blocked for a damaged definition.
        tx.commit().await?;
        return Ok(Claim::default());
    };
    let loads = due_lanes::loads(&tx, &due, worker, now).await?;
    let shares = shares(&due, &loads, limits);
    let mut picked = pick::pick(&tx, &shares, now).await?;
    if let Some(hand_over) = hand_over {
        hand_over.apply(&tx, &mut picked, now).await?;
    }
    let until = now + millis(timing.lease);
    let lease: LeaseId = new_id();
    let mut claim = Claim::default();
    if !picked.is_empty() {
        claim.seats = seats::take(&tx, worker, &shares, &picked, until).await?;
        claim.sends = take::take(&tx, worker, lease, &picked, until).await?;
    }
    claim.full = pick::move_lanes(&tx, &shares, &picked, now, timing).await?;
    tx.commit().await?;
    claim.endpoints = due
        .into_iter()
        .filter(|lane| claim.seats.contains_key(&lane.endpoint.endpoint_id))
        .map(|lane| (lane.endpoint.endpoint_id, lane.endpoint))
        .collect();
    Ok(claim)
}

/// What one lane may get from this claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    endpoint: EndpointId,
    /// Jobs.
    wanted: i64,
    /// More than this claim gives: the lane stays due, and those that got nothing come before it.
    more_at_once: bool,
    /// Connections that this worker may hold.
    seats: i64,
    /// Files of this lane in this worker's hands already.
    mine: i64,
}

/// Each lane gets what its limits allow, and all of them together what the worker has places for: in equal parts, so
/// that a long queue in front does not take everything.
fn shares(due: &[due_lanes::DueLane], loads: &[Load], limits: Limits) -> Vec<Share> {
    let lanes = i64::try_from(due.len()).unwrap_or(i64::MAX).max(1);
    let deliveries = i64::from(limits.deliveries);
    let part = (deliveries + lanes - 1) / lanes;
    let mut left = deliveries;
    due.iter()
        .zip(loads)
        .map(|(lane, load)| {
            let seats = (lane.max_connections - load.seats_of_others).max(0);
            let room = (lane.room - load.leased)
                .min(i64::from(limits.per_lane) - load.mine)
                .min(seats * FILES_PER_CONNECTION - load.mine)
                .max(0);
            let wanted = room.min(part).min(left);
            left -= wanted;
            Share {
                endpoint: lane.endpoint.endpoint_id,
                wanted,
                more_at_once: room > wanted,
                seats,
                mine: load.mine,
            }
        })
        .collect()
}
