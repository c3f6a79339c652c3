//! Pause, resume, cancel, and the rate.

use outport_core::replay::{AHEAD, ReplayState, Standing};
use outport_core::{DeliveryId, code};
use outport_store::StoreError;
use outport_store::acts::By;
use outport_store::acts::delivery::{hold, release};
use outport_store::entity::delivery;
use outport_store::list::problems::{self, Waits};
use outport_store::replay::acts::{Act, act};
use outport_store::replay::run::{Step, active};
use outport_store::replay::start::Request;
use outport_store::rescue::{Which, rescue};
use sea_orm::EntityTrait;

use super::super::on_both;
use super::super::world::World;
use super::ledger::{Was, fill};
use super::{in_state, redeliver, request};

on_both!(
    a_pause_holds_what_is_not_sent_and_a_resume_goes_on,
    a_cancel_ends_what_is_not_sent,
    a_resume_leaves_what_a_person_held,
    what_is_being_sent_ends_as_it_ends,
    a_rate_creates_a_minute_ahead_and_no_more,
    acts_that_make_no_sense_are_refused,
);

const FILES: usize = 20;

async fn started(world: &World, per_minute: Option<u32>) -> outport_core::ReplayId {
    world.define(&["a"], None).await;
    fill(world, &vec![vec![Was::failed()]; FILES]).await;
    let wanted = Request { per_minute, ..request(redeliver(in_state(&[Standing::Failed])), "k") };
    world.start(&wanted).await
}

async fn operate(world: &World, replay: outport_core::ReplayId, what: Act) -> ReplayState {
    let state = act(&world.store, replay, what, "operator:test", "because").await.unwrap();
    world.assert_invariants().await;
    state
}

async fn in_states(world: &World, states: &str) -> i64 {
    world
        .number(&format!(
            "SELECT count(*) AS n FROM delivery WHERE origin = 'replay' AND state IN ({states})"
        ))
        .await
}

async fn a_pause_holds_what_is_not_sent_and_a_resume_goes_on(world: World) {
    let replay = started(&world, None).await;
    assert!(matches!(world.step(replay, 8).await, Step::Page { created: 8, skipped: 0, last: false }));
    let send = world.claim().await.sends.remove(0);
    world.deliver(&send).await;
    // The others are given back, as by a process that stops.
    rescue(&world.store, Which::OfWorker(world.worker), &world.timing).await.unwrap();
    assert_eq!(operate(&world, replay, Act::Pause).await, ReplayState::Paused);
    world.run(replay).await;
    assert_eq!(in_states(&world, "'held'").await, 7);
    assert_eq!(in_states(&world, "'delivered'").await, 1);
    assert!(world.claim().await.sends.is_empty());
    assert!(active(&world.store).await.unwrap().is_empty(), "nothing is left to do");
    assert_eq!(world.step(replay, 8).await, Step::Nothing, "a paused one creates nothing");
    assert_eq!(operate(&world, replay, Act::Resume).await, ReplayState::Running);
    world.run(replay).await;
    assert_eq!((in_states(&world, "'retrying'").await, in_states(&world, "'queued'").await), (7, 12));
    assert_eq!(world.counts(replay).await, (20, 0));
    assert_eq!(world.replay(replay).await.replay.state, "done");
    // All created, and still there is something to stop.
    assert_eq!(operate(&world, replay, Act::Pause).await, ReplayState::Paused);
    world.run(replay).await;
    assert_eq!(in_states(&world, "'held'").await, 19);
}

/// Before the pause, and during it.
async fn a_resume_leaves_what_a_person_held(world: World) {
    let replay = started(&world, None).await;
    world.step(replay, 6).await;
    let sources = delivery::Entity::find().all(&world.raw).await.unwrap();
    let made = sources.iter().filter(|made| made.replay_id == Some(replay.uuid()));
    let made: Vec<DeliveryId> = made.map(|made| DeliveryId::from_uuid(made.id)).collect();
    let reason = "I look at this one myself".parse().unwrap();
    let by = By { actor: "operator:test", reason: &reason };
    hold(&world.store, made[0], by).await.unwrap();
    operate(&world, replay, Act::Pause).await;
    world.run(replay).await;
    // Out of the pause, and out of the lane again: now it is this person's.
    release(&world.store, made[1], by).await.unwrap();
    world.assert_invariants().await;
    hold(&world.store, made[1], by).await.unwrap();
    assert_eq!(in_states(&world, "'held'").await, 6);
    // What the pause holds goes on with the replay: that is one problem, with its own command.
    let waits = problems::list(&world.store).await.unwrap();
    let count =
        |kind: fn(&Waits) -> bool| waits.iter().filter(|p| kind(&p.waits)).map(|p| p.count).sum::<i64>();
    assert_eq!(count(|waits| matches!(waits, Waits::Held { .. })), 2, "{waits:?}");
    assert_eq!(waits.iter().filter(|p| matches!(p.waits, Waits::Replay { .. })).count(), 1, "{waits:?}");
    operate(&world, replay, Act::Resume).await;
    world.run(replay).await;
    assert!(active(&world.store).await.unwrap().is_empty(), "nothing is left to do");
    assert_eq!((in_states(&world, "'held'").await, in_states(&world, "'queued'").await), (2, 18));
    for held in &made[..2] {
        release(&world.store, *held, by).await.unwrap();
    }
    world.assert_invariants().await;
    assert_eq!(in_states(&world, "'queued'").await, 20);
    // A cancelled replay ends all that is not sent, whoever held it.
    hold(&world.store, made[2], by).await.unwrap();
    operate(&world, replay, Act::Cancel).await;
    world.run(replay).await;
    assert_eq!(in_states(&world, "'cancelled'").await, 20);
}

async fn a_cancel_ends_what_is_not_sent(world: World) {
    let replay = started(&world, None).await;
    world.step(replay, 5).await;
    operate(&world, replay, Act::Pause).await;
    world.run(replay).await;
    assert_eq!(operate(&world, replay, Act::Cancel).await, ReplayState::Cancelled);
    world.run(replay).await;
    assert_eq!(in_states(&world, "'cancelled'").await, 5);
    assert_eq!(world.number("SELECT count(*) AS n FROM send_job").await, 0);
    assert_eq!(
        world.number("SELECT count(*) AS n FROM delivery WHERE fault_code = 'delivery.cancelled'").await,
        5
    );
    assert_eq!(world.step(replay, 5).await, Step::Nothing);
    // Cancelled ones are in nobody's way: what failed can be asked for again.
    let again = world.plan(&redeliver(in_state(&[Standing::Failed]))).await;
    assert_eq!((again.selected, again.sendable), (20, 20));
}

async fn what_is_being_sent_ends_as_it_ends(world: World) {
    let replay = started(&world, None).await;
    world.step(replay, 2).await;
    let mut sends = world.claim().await.sends;
    assert_eq!(sends.len(), 2);
    operate(&world, replay, Act::Cancel).await;
    world.run(replay).await;
    assert_eq!(in_states(&world, "'sending'").await, 2);
    world.deliver(&sends.remove(0)).await;
    world.fail(&sends.remove(0), &code::ENDPOINT_RESET).await;
    assert_eq!(in_states(&world, "'retrying'").await, 1, "the sender knows nothing of replays");
    assert_eq!(active(&world.store).await.unwrap(), [replay], "the chore is still there");
    world.run(replay).await;
    assert_eq!((in_states(&world, "'cancelled'").await, in_states(&world, "'delivered'").await), (1, 1));
    assert!(active(&world.store).await.unwrap().is_empty());
}

async fn a_rate_creates_a_minute_ahead_and_no_more(world: World) {
    let replay = started(&world, Some(6)).await;
    world.run(replay).await;
    // The clock went on between two pages: one more may have come within the minute.
    let (created, _) = world.counts(replay).await;
    assert!((6..=7).contains(&created), "a minute's worth, not {created}");
    let detail = world.replay(replay).await;
    assert_eq!(detail.replay.state, "running");
    let spread = world.number("SELECT max(due_at) - min(due_at) AS n FROM send_job").await;
    assert_eq!(spread, i64::from(created - 1) * AHEAD / 6, "ten seconds apart");
    let late = "SELECT count(*) AS n FROM send_job WHERE due_at > (SELECT next_due_at FROM replay)";
    assert_eq!(world.number(late).await, 0);
    // A minute later, by the ledger.
    world.sql("UPDATE replay SET next_due_at = next_due_at - 60000").await;
    world.run(replay).await;
    let (later, _) = world.counts(replay).await;
    assert!((6..=7).contains(&(later - created)), "another minute's worth, not {later} after {created}");
}

async fn acts_that_make_no_sense_are_refused(world: World) {
    let replay = started(&world, None).await;
    let refused = async |what| match act(&world.store, replay, what, "operator:test", "because").await {
        Err(StoreError::Illegal(_)) => true,
        Ok(_) => false,
        Err(other) => panic!("{other}"),
    };
    assert!(refused(Act::Resume).await);
    world.run(replay).await;
    world.sql("DELETE FROM send_job").await;
    world.sql("UPDATE delivery SET state = 'cancelled', settled_at = 1 WHERE origin = 'replay'").await;
    assert!(refused(Act::Pause).await, "nothing of it is open");
    assert!(refused(Act::Cancel).await);
    let unknown = "rpl_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    let missing = act(&world.store, unknown, Act::Pause, "operator:test", "because").await.unwrap_err();
    assert_eq!(missing.fault().code.name, "usage.not_found");
}
