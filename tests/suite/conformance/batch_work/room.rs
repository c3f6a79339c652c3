//! Where another worker of Batch would find room: what is asked for goes by the same rule as what claims give.

use outport_core::batch::{Demand, WorkKind};
use outport_core::lane::{Health, Lane};
use outport_store::batch_runs::{self, Backlog};

use super::{BACKLOG, ENOUGH, LARGE, MINUTE, arrive_with, claim_handing_over};
use crate::conformance::on_both;
use crate::conformance::world::World;

on_both!(
    a_lane_whose_breaker_let_go_has_room_for_one_worker,
    workers_are_asked_for_where_claims_would_give_them_a_connection,
);

/// All that is due, however small.
const ANY: Backlog = Backlog { local_up_to: None, ..BACKLOG };

async fn demand(world: &World) -> Demand {
    batch_runs::demand(&world.store, WorkKind::Send, ANY, ENOUGH).await.unwrap()
}

async fn a_lane_whose_breaker_let_go_has_room_for_one_worker(world: World) {
    world.define(&["a"], None).await;
    for n in 0..3 {
        world.arrive(&format!("f{n}")).await;
    }
    assert_eq!(demand(&world).await, Demand { due: 3, room: 2 });
    let waits = "health = 'open', strikes = 5, blocked_until = 99999999999999, blocked_reason = 'breaker'";
    world.sql(&format!("UPDATE lane SET {waits}")).await;
    assert_eq!(demand(&world).await, Demand { due: 0, room: 0 }, "nothing is tried yet");
    world.sql("UPDATE lane SET blocked_until = 1").await;
    assert_eq!(demand(&world).await, Demand { due: 3, room: 1 }, "somebody has to try");
    world.sql("UPDATE lane SET health = 'half_open', blocked_until = 0, blocked_reason = NULL").await;
    assert_eq!(demand(&world).await, Demand { due: 3, room: 1 });
    world
        .sql(
            "INSERT INTO seat (endpoint_id, worker_id, connections, until) \
             SELECT endpoint_id, endpoint_id, 1, 99999999999999 FROM lane",
        )
        .await;
    assert_eq!(demand(&world).await, Demand { due: 0, room: 0 }, "somebody does");
}

async fn workers_are_asked_for_where_claims_would_give_them_a_connection(world: World) {
    const MOST: i32 = 3;
    world.define(&["a"], None).await;
    for n in 0..5 {
        arrive_with(&world, &format!("large{n}"), LARGE).await;
    }
    assert!(claim_handing_over(&world).await.sends.is_empty());
    for n in 0..5 {
        world.arrive(&format!("f{n}")).await;
    }
    for health in [Health::Closed, Health::Open, Health::HalfOpen] {
        for (version, strikes, login_strikes) in
            [(Some("v1"), 0, 0), (None, 0, 0), (Some("v1"), 1, 0), (Some("v1"), 0, 1)]
        {
            for (cap, ramp) in [(96, 96), (96, 2), (96, 1), (2, 96), (1, 1), (0, 0)] {
                let login_ok_version = version.map(str::to_owned);
                let lane =
                    Lane { health, cap, ramp, strikes, login_strikes, login_ok_version, ..Lane::new(cap) };
                let version = version.map_or("NULL".to_owned(), |version| format!("'{version}'"));
                world
                    .sql(&format!(
                        "UPDATE lane SET health = '{health}', cap = {cap}, ramp = {ramp}, strikes = {strikes}, \
                         login_strikes = {login_strikes}, login_ok_version = {version}, max_connections = {MOST}"
                    ))
                    .await;
                let room = u32::try_from(lane.workers(MOST)).unwrap();
                assert_eq!(demand(&world).await, Demand { due: 5, room }, "{lane:?}");
                let singles =
                    batch_runs::singles(&world.store, WorkKind::Send, ANY, MINUTE, 10).await.unwrap();
                assert_eq!(singles.len(), room as usize, "{lane:?}");
            }
        }
    }
}
