//! Every entity reads its table.

use outport_store::entity;
use sea_orm::EntityTrait;

use super::on_both;
use super::world::World;

on_both!(every_entity_loads);

macro_rules! load {
    ($world:ident: $($table:ident),*) => {
        $(
            entity::$table::Entity::find()
                .all(&$world.raw)
                .await
                .unwrap_or_else(|error| panic!("{}: {error}", stringify!($table)));
        )*
    };
}

/// With rows wherever one life of a file leaves some.
async fn every_entity_loads(world: World) {
    world.define(&["a"], Some("json-to-csv")).await;
    world.arrive("f.json").await;
    world.sql("UPDATE subscription SET transform_spec_id = NULL").await;
    world.arrive("g").await;
    outport_store::workers::register(&world.store, world.worker, "h", "1", "sender").await.unwrap();
    let send = world.claim_one().await;
    world.deliver(&send).await;
    load!(world: artifact, attempt, batch_run, delivery, duty, endpoint, fifo_group, file, file_event, file_group,
        file_group_rule, history, lane, notification, replay, replay_item, seat, send_job, subscriber, subscription,
        transform, transform_spec, worker);
    let attempts = entity::attempt::Entity::find().all(&world.raw).await.unwrap();
    assert_eq!(attempts[0].outcome.as_deref(), Some("delivered"));
}
