//! Where another worker of Batch would find room.

use outport_core::batch::{Demand, WorkKind};
use outport_store::batch_runs::{self, Backlog};

use super::{BACKLOG, ENOUGH};
use crate::conformance::on_both;
use crate::conformance::world::World;

on_both!(a_lane_whose_breaker_let_go_has_room_for_one_worker);

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
