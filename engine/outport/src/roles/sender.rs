//! Pushes claimed deliveries: claim, connect, upload, fence, rename, finish.

mod attempt;
mod late;
mod source;
mod throttle;

pub use attempt::target;
pub use late::LateEnds;
pub use throttle::Throttles;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use outport_core::{EndpointId, Fault};
use outport_send::pool::{Pool, PoolSettings};
use outport_send::sftp::SftpConnector;
use outport_store::claim_sends::{self, Claim, FullLanes, Limits};
use outport_store::{StoreError, heartbeat};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::leases::Leases;
use super::{after_failure, drained};
use crate::crash_point;
use crate::engine::Engine;
use crate::executor::WantedSends;

/// Lanes that one claim looks at.
const LANES_PER_CLAIM: u32 = 16;

/// How long a claim waits for a quarter of the places to be free. A claim of one costs as much as one of sixteen (10
/// statements), and under load places fall free one by one: 14 deliveries a claim without this, 22 with it, and a third
/// less CPU on SQLite.
const REFILL: std::time::Duration = std::time::Duration::from_millis(10);

/// That this process may connect to an endpoint. Each attempt there holds a clone: one that has not connected yet needs its
/// seat all the same.
type Seat = Arc<()>;

/// How often idle connections are looked for, and their seats given back.
const TIDY: std::time::Duration = std::time::Duration::from_secs(10);

pub async fn run(engine: Arc<Engine>, leases: Arc<Leases>, wanted: WantedSends) -> Result<(), Fault> {
    let pool = Arc::new(Pool::new(crash_point::connector(Arc::new(SftpConnector)), PoolSettings::default()));
    let room = Arc::new(Semaphore::new(usize::from(engine.workers.sends)));
    let mut running = JoinSet::new();
    let full = Arc::new(FullLanes::default());
    let mut seats = BTreeMap::new();
    let mut tidy = tokio::time::interval(TIDY);
    // After an outage once, and not for each time that was missed.
    tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0;
    while !engine.is_closed() {
        while running.try_join_next().is_some() {}
        // Also while there is always something to claim: seats that nobody sits on are other processes' to take.
        if tidy.tick().now_or_never().is_some() {
            give_back_seats(&engine, &pool, &mut seats).await;
        }
        if room.available_permits() == 0 {
            // Every place is taken: nothing to ask the database for before one is free.
            tokio::select! {
                _ = running.join_next() => {}
                () = engine.closed() => {}
            }
            continue;
        }
        let quarter = u32::from(engine.workers.sends).div_ceil(4);
        // All that matters is that it waits no longer.
        drop(tokio::time::timeout(REFILL, room.acquire_many(quarter)).await);
        let deliveries = u32::try_from(room.available_permits()).unwrap_or(u32::MAX);
        let claiming = Leases::claiming();
        let limits = Limits { lanes: LANES_PER_CLAIM, deliveries, per_lane: share(engine.workers.sends) };
        let claim = match claim(&engine, wanted, limits, &full).await {
            Ok(claim) => claim,
            Err(error) => {
                let fault = error.fault();
                tracing::warn!(code = fault.code.name, "{fault}");
                failures += 1;
                engine.pause(after_failure(failures)).await;
                continue;
            }
        };
        failures = 0;
        full.learn(claim.full);
        let got_some = !claim.sends.is_empty();
        for send in claim.sends {
            let Some(endpoint) = claim.endpoints.get(&send.endpoint_id) else { continue };
            let connections = claim.seats.get(&send.endpoint_id).copied().unwrap_or(1);
            let seat = seats.entry(send.endpoint_id).or_insert_with(Seat::default).clone();
            let held = leases.claimed(&claiming, send.delivery_id.uuid(), send.lease);
            let permit = room.clone().acquire_owned().await;
            let (engine, pool, endpoint) = (engine.clone(), pool.clone(), endpoint.clone());
            let full = full.clone();
            running.spawn(async move {
                attempt::run(&engine, &pool, &endpoint, connections, &send, &held).await;
                drop((permit, seat));
                // Room again, and perhaps a lane that waited for it.
                if full.ended(send.endpoint_id) {
                    engine.bells.send.notify_one();
                } else {
                    engine.bells.ask.notify_one();
                }
            });
        }
        if got_some {
            continue;
        }
        // The claim moved its lanes: the pacemaker has to learn when they are due now.
        engine.bells.ask.notify_one();
        loop {
            tokio::select! {
                () = engine.bells.send.notified() => break,
                () = engine.closed() => break,
                _ = tidy.tick() => give_back_seats(&engine, &pool, &mut seats).await,
            }
        }
    }
    // A worker whose time is over may have hours of one partner's file before it: the others' connections are given back.
    // Neither waits for the other: giving a seat back may wait for the database for longer than a drain has.
    let tidying = async {
        loop {
            tidy.tick().await;
            give_back_seats(&engine, &pool, &mut seats).await;
        }
    };
    let all_ended = tokio::select! {
        all_ended = drained(&engine, &mut running) => all_ended,
        never = tidying => never,
    };
    if !all_ended {
        tracing::warn!(
            deliveries = running.len(),
            "gave up waiting for running deliveries; they are given back"
        );
        running.shutdown().await;
    }
    pool.close().await;
    Ok(())
}

async fn claim(
    engine: &Engine,
    wanted: WantedSends,
    limits: Limits,
    full: &FullLanes,
) -> Result<Claim, StoreError> {
    let (store, worker, timing) = (&engine.store, engine.worker, &engine.timing);
    match wanted {
        WantedSends::Only(delivery) => claim_sends::claim_one(store, worker, delivery, timing).await,
        WantedSends::Due(hand_over) => {
            let again = full.take_again();
            claim_sends::claim_again(store, worker, limits, &again, hand_over, timing).await
        }
    }
}

/// How many of this process's places one lane may take: three quarters, so that a slow partner leaves some to others.
fn share(places: u16) -> u32 {
    (u32::from(places) * 3 / 4).max(1)
}

/// A seat is kept as long as the pool has a connection, idle ones included.
async fn give_back_seats(engine: &Engine, pool: &Pool, seats: &mut BTreeMap<EndpointId, Seat>) {
    let connected: BTreeSet<String> =
        pool.connections().into_iter().filter(|(_, n)| *n > 0).map(|(endpoint, _)| endpoint).collect();
    let is_free = |(endpoint, seat): &(&EndpointId, &Seat)| {
        Arc::strong_count(seat) == 1 && !connected.contains(&endpoint.to_string())
    };
    let gone: Vec<EndpointId> = seats.iter().filter(is_free).map(|(endpoint, _)| *endpoint).collect();
    for endpoint in gone {
        match heartbeat::leave_seats(&engine.store, engine.worker, endpoint).await {
            Ok(()) => {
                seats.remove(&endpoint);
            }
            // They run out by themselves a lease from now.
            Err(error) => tracing::warn!(code = error.fault().code.name, "{error}"),
        }
    }
}
