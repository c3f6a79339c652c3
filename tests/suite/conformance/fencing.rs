//! A worker that lost its lease changes nothing any more.

use std::collections::BTreeSet;

use outport_core::code;
use outport_core::delivery::{DeliveryState, IntentStep, Stage};
use outport_store::claim_sends::{FinalSeen, RenameIntent};
use outport_store::finish_send::{End, Finished};
use outport_store::heartbeat;
use outport_store::rescue::{Freed, Which, rescue};

use super::on_both;
use super::world::{World, delivered, worker};

on_both!(
    a_rescued_lease_writes_nothing,
    an_attempt_that_vanished_after_renaming_is_probed,
    an_upload_that_broke_off_is_cleared_up_and_not_probed,
    a_lost_answer_is_probed,
    five_vanished_workers_in_a_row_are_the_end,
    a_drained_worker_is_not_counted,
    heartbeats_renew_and_tell_what_is_lost,
    a_lease_that_nobody_works_on_runs_out,
    rescue_and_finish_have_one_winner,
    rescuers_and_finishers_do_not_deadlock,
    a_dead_workers_seats_are_free_at_the_start,
    a_possible_duplicate_stays_one,
    what_stands_after_a_fault_is_handed_on,
);

fn intent() -> RenameIntent {
    RenameIntent {
        temp_path: ".f.part".into(),
        final_before: Some(FinalSeen { size_bytes: Some(7), mtime_s: Some(99) }),
        ..RenameIntent::default()
    }
}

async fn expire(world: &World) -> Freed {
    world.sql("UPDATE send_job SET lease_until = 1 WHERE lease_id IS NOT NULL").await;
    rescue(&world.store, Which::Expired, &world.timing).await.unwrap()
}

async fn a_rescued_lease_writes_nothing(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let zombie = world.claim_one().await;
    assert_eq!(expire(&world).await.sends, 1);
    world.assert_invariants().await;
    assert_eq!(world.state(zombie.delivery_id).await, DeliveryState::Retrying);
    let renamed = world.enter_renaming(&zombie, intent()).await;
    assert!(!renamed, "the fence before the rename");
    assert_eq!(world.deliver(&zombie).await, Finished::LeaseLost);
    world.pass_time().await;
    let heir = world.claim_one().await;
    assert_eq!(heir.attempt, 2);
    assert_eq!(heir.unfinished, [1], "the first temp file may still lie there");
    assert!(heir.probe.is_none(), "the first attempt never came to the rename");
    assert_eq!(world.deliver(&zombie).await, Finished::LeaseLost, "also while somebody else sends it");
    let recorded = world.deliver(&heir).await;
    assert_eq!(recorded, Finished::Recorded { state: DeliveryState::Delivered, due_at: None });
    let ended = "SELECT max(ended_at) AS n FROM attempt";
    let at = world.number(ended).await;
    assert_eq!(world.deliver(&heir).await, recorded, "after a lost answer the same report gets the same one");
    assert_eq!(world.number(ended).await, at, "and is not recorded twice");
}

async fn an_attempt_that_vanished_after_renaming_is_probed(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let first = world.claim_one().await;
    assert!(world.enter_renaming(&first, intent()).await);
    expire(&world).await;
    world.pass_time().await;
    let heir = world.claim_one().await;
    assert_eq!(heir.probe, Some(intent()));
    world.deliver(&heir).await;
}

async fn an_upload_that_broke_off_is_cleared_up_and_not_probed(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let end = |code, stage| End::Fault { fault: outport_core::Fault::new(code, "x"), stage, bytes_sent: 3 };
    for (attempt, code, stage) in [
        (1, &code::ENDPOINT_RESET, Stage::Uploading),
        (2, &code::ENDPOINT_REFUSED, Stage::Connecting),
        (3, &code::REMOTE_FAILURE, Stage::Renaming),
    ] {
        let send = world.claim_one().await;
        assert_eq!(send.attempt, attempt);
        if stage == Stage::Renaming {
            assert!(world.enter_renaming(&send, intent()).await);
        }
        world.end(&send, end(code, stage)).await;
        world.pass_time().await;
    }
    let heir = world.claim_one().await;
    assert_eq!(heir.unfinished, [3, 1], "the second attempt wrote nothing");
    assert_eq!(heir.probe, None, "the server said that it did not rename");
    world.deliver(&heir).await;
}

async fn a_lost_answer_is_probed(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let first = world.claim_one().await;
    assert!(world.enter_renaming(&first, intent()).await);
    let fault = outport_core::Fault::new(&code::ENDPOINT_RESET, "x");
    world.end(&first, End::Unknown { fault, stage: Stage::Renaming }).await;
    world.pass_time().await;
    let heir = world.claim_one().await;
    assert_eq!(heir.probe, Some(intent()));
    assert_eq!(world.number("SELECT CAST(charged AS bigint) AS n FROM delivery").await, 0, "nobody's fault");
}

async fn five_vanished_workers_in_a_row_are_the_end(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let mut last = None;
    for _ in 0..5 {
        last = Some(world.claim_one().await.delivery_id);
        expire(&world).await;
        world.pass_time().await;
    }
    assert!(world.claim().await.sends.is_empty());
    let delivery = &world.deliveries().await[0];
    assert_eq!((delivery.state.as_str(), delivery.fault_code.as_deref()), ("failed", Some("worker.lost")));
    assert_eq!(world.state(last.unwrap()).await, DeliveryState::Failed);
}

async fn a_drained_worker_is_not_counted(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    for _ in 0..8 {
        world.claim_one().await;
        let freed = rescue(&world.store, Which::OfWorker(world.worker), &world.timing).await.unwrap();
        assert_eq!(freed.sends, 1);
        world.pass_time().await;
    }
    assert_eq!(world.number("SELECT CAST(abandoned AS bigint) AS n FROM delivery").await, 0);
    assert_eq!(
        rescue(&world.store, Which::OfWorker(worker()), &world.timing).await.unwrap(),
        Freed::default()
    );
}

async fn heartbeats_renew_and_tell_what_is_lost(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f1").await;
    world.arrive("f2").await;
    let claim = world.claim().await;
    world.sql("UPDATE send_job SET lease_until = 5").await;
    let open: BTreeSet<_> = claim.sends.iter().map(|s| (s.delivery_id.uuid(), s.lease)).collect();
    let held = heartbeat::beat(&world.store, world.worker, &open, &world.timing).await.unwrap();
    assert_eq!(held.sends.len(), 2);
    assert_eq!(
        rescue(&world.store, Which::Expired, &world.timing).await.unwrap(),
        Freed::default(),
        "renewed"
    );
    world.deliver(&claim.sends[0]).await;
    expire(&world).await;
    let held = heartbeat::beat(&world.store, world.worker, &open, &world.timing).await.unwrap();
    assert!(held.sends.is_empty(), "one has ended, one is lost");
}

/// Many rounds, because the loser and the winner change places (River #1302).
async fn rescue_and_finish_have_one_winner(world: World) {
    world.define(&["a"], None).await;
    let (mut recorded, mut lost) = (0, 0);
    for n in 0..30 {
        world.arrive(&format!("f{n}")).await;
        let claim = world.claim().await;
        let send = claim.sends.iter().find(|s| s.remote_name == format!("f{n}")).unwrap().clone();
        world.sql("UPDATE send_job SET lease_until = 1 WHERE lease_id IS NOT NULL").await;
        let (store, timing) = (world.store.clone(), world.timing.clone());
        let rescuer = tokio::spawn(async move { rescue(&store, Which::Expired, &timing).await.unwrap() });
        let finished = world.end(&send, delivered(&send)).await;
        let freed = rescuer.await.unwrap();
        match finished {
            Finished::Recorded { .. } => recorded += 1,
            Finished::LeaseLost => {
                lost += 1;
                assert!(freed.sends >= 1);
            }
        }
        world.assert_invariants().await;
        // Out of the way of the next round.
        world.put_off().await;
    }
    assert_eq!(recorded + lost, 30);
}

/// A claim whose answer was lost, or work that ended by a bug: the worker lives, but does not name it.
async fn a_lease_that_nobody_works_on_runs_out(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f1").await;
    world.arrive("f2").await;
    let claim = world.claim().await;
    let open = BTreeSet::from([(claim.sends[0].delivery_id.uuid(), claim.sends[0].lease)]);
    world.sql("UPDATE send_job SET lease_until = 1").await;
    heartbeat::beat(&world.store, world.worker, &open, &world.timing).await.unwrap();
    assert_eq!(rescue(&world.store, Which::Expired, &world.timing).await.unwrap().sends, 1);
    assert_eq!(world.state(claim.sends[1].delivery_id).await, DeliveryState::Retrying);
    world.deliver(&claim.sends[0]).await;
}

async fn rescuers_and_finishers_do_not_deadlock(world: World) {
    world.define(&["a", "b", "c"], None).await;
    for round in 0..6 {
        for n in 0..6 {
            world.arrive(&format!("f{round}-{n}")).await;
        }
        let claim = world.claim().await;
        world.sql("UPDATE send_job SET lease_until = 1 WHERE lease_id IS NOT NULL").await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (store, timing) = (world.store.clone(), world.timing.clone());
            tasks.spawn(async move { rescue(&store, Which::Expired, &timing).await.map(|_| ()).unwrap() });
        }
        for send in claim.sends {
            // A fault, so that the lane is locked too.
            let report = super::world::report(&send, super::world::fault(&code::ENDPOINT_RESET));
            let (store, timing) = (world.store.clone(), world.timing.clone());
            tasks.spawn(async move {
                let finished = outport_store::finish_send::finish(&store, &report, &timing, 0.5).await;
                finished.map(|_| ()).unwrap();
            });
        }
        tasks.join_all().await;
        world.assert_invariants().await;
        world.pass_time().await;
        world.sql("UPDATE lane SET blocked_until = 0, strikes = 0, health = 'closed', open_ms = 0").await;
    }
}

async fn a_dead_workers_seats_are_free_at_the_start(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    world.claim_as(worker()).await;
    rescue(&world.store, Which::All, &world.timing).await.unwrap();
    world.pass_time().await;
    assert_eq!(world.claim().await.sends.len(), 1, "a new worker need not wait for a dead one's seat");
}

async fn a_possible_duplicate_stays_one(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let first = world.claim_one().await;
    let resent = RenameIntent { possible_duplicate: true, ..intent() };
    assert!(world.enter_renaming(&first, resent).await);
    expire(&world).await;
    world.pass_time().await;
    let heir = world.claim_one().await;
    assert!(heir.probe.as_ref().is_some_and(|p| p.possible_duplicate));
    world.deliver(&heir).await;
    assert!(world.deliveries().await[0].possible_duplicate);
}

async fn what_stands_after_a_fault_is_handed_on(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    // (the step, whether the next attempt hears of it); the one that stands is found behind newer ones that do not.
    let steps = [
        (IntentStep::Writing, false),
        (IntentStep::Created, true),
        (IntentStep::Renaming, true),
        (IntentStep::Placed, true),
        (IntentStep::Writing, true),
    ];
    let mut known = None;
    for (step, is_known) in steps {
        let send = world.claim_one().await;
        assert_eq!(send.probe, known, "before {step}");
        let mine = RenameIntent { step, final_path: Some("f-2".into()), ..intent() };
        assert!(world.enter_renaming(&send, intent()).await);
        assert!(world.enter_renaming(&send, mine.clone()).await, "said again, further on");
        world.fail(&send, &code::REMOTE_FAILURE).await;
        world.pass_time().await;
        if matches!(step, IntentStep::Created | IntentStep::Placed) {
            known = Some(mine);
        }
        assert_eq!(known.is_some(), is_known);
    }
    let heir = world.claim_one().await;
    assert_eq!(heir.probe.map(|intent| intent.step), Some(IntentStep::Placed));
}
