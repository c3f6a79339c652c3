//! Hold, release, cancel, retry, resolve: each act in each state, and against a worker at the same time.

use outport_core::delivery::{DeliveryState, Stage};
use outport_core::{DeliveryId, Fault, code};
use outport_store::acts::delivery::{self, Cancelled};
use outport_store::claim_sends::{ClaimedSend, RenameIntent};
use outport_store::finish_send::{End, Finished};
use outport_store::finish_transform::{Output, succeed};
use outport_store::rescue::{Which, rescue};
use outport_store::{StoreError, after_cancel, claim_transforms};

use super::on_both;
use super::world::{SHA, World, by, delivered, fault, worker};

on_both!(
    each_act_in_each_state,
    a_held_delivery_comes_back_as_what_it_was,
    what_is_hastened_is_claimed_at_once,
    a_cancelled_send_stops_at_its_fence,
    a_cancel_that_came_too_late_is_told,
    a_cancelled_delivery_leaves_the_transform_to_the_others,
    cancel_and_finish_have_one_winner,
    acts_and_claims_do_not_deadlock,
    what_is_not_there_is_not_found,
);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Hold,
    Release,
    Cancel,
    Retry,
    Resolve,
}

const ACTS: [Act; 5] = [Act::Hold, Act::Release, Act::Cancel, Act::Retry, Act::Resolve];

async fn act(world: &World, act: Act, id: DeliveryId) -> Result<(), StoreError> {
    match act {
        Act::Hold => delivery::hold(&world.store, id, by()).await,
        Act::Release => delivery::release(&world.store, id, by()).await,
        Act::Cancel => delivery::cancel(&world.store, id, by()).await.map(|_| ()),
        Act::Retry => delivery::retry(&world.store, id, by()).await,
        Act::Resolve => delivery::resolve(&world.store, id, by()).await,
    }
}

async fn claim_file(world: &World, name: &str) -> ClaimedSend {
    let claim = world.claim().await;
    claim.sends.into_iter().find(|send| send.remote_name == name).unwrap()
}

/// A new delivery in this state; `name` is new, too.
async fn in_state(world: &World, state: DeliveryState, name: &str) -> DeliveryId {
    use DeliveryState as S;
    world.arrive(name).await;
    let id = world.deliveries().await.iter().find(|d| d.key == name).unwrap().id;
    let unconfirmed = || End::Unconfirmed { fault: Fault::new(&code::DELIVERY_UNCONFIRMED, "x") };
    match state {
        S::Queued | S::Waiting => {}
        S::Held => delivery::hold(&world.store, id, by()).await.unwrap(),
        S::Cancelled => drop(delivery::cancel(&world.store, id, by()).await.unwrap()),
        S::Sending => drop(claim_file(world, name).await),
        S::Retrying => drop(world.end(&claim_file(world, name).await, fault(&code::REMOTE_FAILURE)).await),
        S::Failed => drop(world.end(&claim_file(world, name).await, fault(&code::ARTIFACT_MISSING)).await),
        S::Unconfirmed => drop(world.end(&claim_file(world, name).await, unconfirmed()).await),
        S::Delivered => drop(world.deliver(&claim_file(world, name).await).await),
    }
    assert_eq!(world.state(id).await, state);
    id
}

async fn each_act_in_each_state(world: World) {
    use Act as A;
    use DeliveryState as S;
    world.define(&["a"], None).await;
    for state in S::ALL.iter().copied().filter(|state| *state != S::Waiting) {
        for verb in ACTS {
            let expected = match (state, verb) {
                (S::Queued | S::Retrying, A::Hold) => Some(S::Held),
                // Its one attempt makes it a retried one; it was never tried before it was held here.
                (S::Held, A::Release) => Some(S::Queued),
                (S::Queued | S::Retrying | S::Sending | S::Held, A::Cancel) => Some(S::Cancelled),
                (S::Queued | S::Retrying, A::Retry) => Some(state),
                (S::Failed | S::Unconfirmed, A::Resolve) => Some(state),
                _ => None,
            };
            let name = format!("{state}-{verb:?}");
            let id = in_state(&world, state, &name).await;
            let done = act(&world, verb, id).await;
            world.assert_invariants().await;
            assert_eq!(done.is_ok(), expected.is_some(), "{name}: {done:?}");
            assert_eq!(world.state(id).await, expected.unwrap_or(state), "{name}");
            let entries =
                world.number("SELECT count(*) AS n FROM history WHERE actor = 'operator:ann'").await;
            if let Err(error) = done {
                let fault = error.fault();
                assert_eq!(fault.code, &code::WRONG_STATE, "{name}");
                assert!(fault.message.contains(state.as_str()) && fault.message.contains(&id.to_string()));
                assert!(fault.hint.is_some(), "{name} leaves one alone");
                assert!(act(&world, verb, id).await.is_err());
                let after =
                    world.number("SELECT count(*) AS n FROM history WHERE actor = 'operator:ann'").await;
                assert_eq!(after, entries, "{name}: what was refused is no act");
            }
            // Out of the way of the next case.
            world.put_off().await;
            rescue(&world.store, Which::All, &world.timing).await.unwrap();
            world.put_off().await;
        }
    }
    let twice = in_state(&world, S::Failed, "twice").await;
    delivery::resolve(&world.store, twice, by()).await.unwrap();
    let again = delivery::resolve(&world.store, twice, by()).await.unwrap_err().fault();
    assert_eq!((again.code, again.message.contains("operator:ann")), (&code::WRONG_STATE, true), "{again}");
}

async fn a_held_delivery_comes_back_as_what_it_was(world: World) {
    world.define(&["a"], None).await;
    let id = in_state(&world, DeliveryState::Queued, "f").await;
    delivery::hold(&world.store, id, by()).await.unwrap();
    assert!(world.claim().await.sends.is_empty());
    delivery::release(&world.store, id, by()).await.unwrap();
    let send = world.claim_one().await;
    world.fail(&send, &code::REMOTE_FAILURE).await;
    delivery::hold(&world.store, id, by()).await.unwrap();
    delivery::release(&world.store, id, by()).await.unwrap();
    assert_eq!(world.state(id).await, DeliveryState::Retrying, "it was tried before");
    assert_eq!(
        world.number("SELECT count(*) AS n FROM history WHERE event IN ('held', 'released')").await,
        4
    );
    assert_eq!(world.claim().await.sends.len(), 1, "released is due now");
}

async fn what_is_hastened_is_claimed_at_once(world: World) {
    world.define(&["a"], None).await;
    let id = in_state(&world, DeliveryState::Retrying, "f").await;
    assert!(world.claim().await.sends.is_empty(), "it waits");
    delivery::retry(&world.store, id, by()).await.unwrap();
    world.assert_invariants().await;
    assert_eq!(world.claim_one().await.delivery_id, id);
}

fn intent() -> RenameIntent {
    RenameIntent { temp_path: ".f.part".into(), ..RenameIntent::default() }
}

async fn a_cancelled_send_stops_at_its_fence(world: World) {
    world.define(&["a"], None).await;
    let id = in_state(&world, DeliveryState::Queued, "f").await;
    let send = world.claim_one().await;
    let cancelled = delivery::cancel(&world.store, id, by()).await.unwrap();
    assert_eq!(cancelled, Cancelled { was: DeliveryState::Sending, stage: Some(Stage::Connecting) });
    world.assert_invariants().await;
    assert!(!world.enter_renaming(&send, intent()).await);
    assert!(after_cancel::is_cancelled(&world.store, id, send.lease).await.unwrap());
    assert_eq!(world.fail(&send, &code::REMOTE_FAILURE).await, Finished::LeaseLost);
    let detail = outport_store::list::deliveries::show(&world.store, id).await.unwrap().unwrap();
    assert_eq!(detail.attempt[0].outcome.as_deref(), Some("cancelled"));
    assert_eq!(detail.delivery.fault_code.as_deref(), Some("delivery.cancelled"));
    assert!(
        detail.delivery.fault.unwrap().contains("operator:ann cancelled the delivery: the partner asked")
    );
    assert_eq!(world.number("SELECT count(*) AS n FROM history WHERE event LIKE '%after_cancel'").await, 0);
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty(), "it is over");
}

async fn a_cancel_that_came_too_late_is_told(world: World) {
    world.define(&["a"], None).await;
    let lost = || End::Unknown { fault: Fault::new(&code::ENDPOINT_RESET, "x"), stage: Stage::Renaming };
    for (name, event) in [("f1", "delivered_after_cancel"), ("f2", "unknown_after_cancel")] {
        let id = in_state(&world, DeliveryState::Queued, name).await;
        let send = world.claim_one().await;
        let end = if name == "f1" { delivered(&send) } else { lost() };
        assert!(world.enter_renaming(&send, intent()).await);
        let cancelled = delivery::cancel(&world.store, id, by()).await.unwrap();
        assert_eq!(cancelled.stage, Some(Stage::Renaming));
        // Twice: the answer to the first report may have been lost.
        for _ in 0..2 {
            assert_eq!(world.end(&send, end.clone()).await, Finished::LeaseLost);
        }
        world.assert_invariants().await;
        assert_eq!(world.state(id).await, DeliveryState::Cancelled, "settled is settled");
        let count = format!("SELECT count(*) AS n FROM history WHERE event = '{event}' AND actor = 'engine'");
        assert_eq!(world.number(&count).await, 1, "{event}");
    }
    // A lease that was lost in any other way leaves nothing.
    world.arrive("f3").await;
    let send = world.claim_one().await;
    world.sql("UPDATE send_job SET lease_until = 1 WHERE lease_id IS NOT NULL").await;
    rescue(&world.store, Which::Expired, &world.timing).await.unwrap();
    assert_eq!(world.deliver(&send).await, Finished::LeaseLost);
    delivery::cancel(&world.store, send.delivery_id, by()).await.unwrap();
    assert_eq!(world.deliver(&send).await, Finished::LeaseLost);
    assert_eq!(world.number("SELECT count(*) AS n FROM history WHERE event LIKE '%after_cancel'").await, 2);
}

async fn a_cancelled_delivery_leaves_the_transform_to_the_others(world: World) {
    world.define(&["a", "b"], Some("json-to-csv")).await;
    world.arrive("f.json").await;
    let waiting: Vec<DeliveryId> = world.deliveries().await.iter().map(|d| d.id).collect();
    for verb in [Act::Hold, Act::Release, Act::Retry, Act::Resolve] {
        assert!(act(&world, verb, waiting[0]).await.is_err(), "{verb:?} of a waiting delivery");
    }
    let cancelled = delivery::cancel(&world.store, waiting[0], by()).await.unwrap();
    assert_eq!(cancelled, Cancelled { was: DeliveryState::Waiting, stage: None });
    world.assert_invariants().await;
    let transform =
        claim_transforms::claim(&world.store, worker(), 10, &world.timing).await.unwrap().remove(0);
    let output = Output {
        bucket: "outputs".into(),
        key: "k".into(),
        etag: None,
        size_bytes: 9,
        sha256: SHA.into(),
        records: None,
        rejects: None,
    };
    assert!(succeed(&world.store, transform.transform_id, transform.lease, &output).await.unwrap());
    world.assert_invariants().await;
    assert_eq!(world.state(waiting[0]).await, DeliveryState::Cancelled);
    let send = world.claim_one().await;
    assert_eq!(send.delivery_id, waiting[1]);
    world.deliver(&send).await;
}

async fn cancel_and_finish_have_one_winner(world: World) {
    world.define(&["a"], None).await;
    for n in 0..30 {
        let name = format!("f{n}");
        world.arrive(&name).await;
        let send = world.claim_one().await;
        let id = send.delivery_id;
        let (cancelled, finished) =
            tokio::join!(delivery::cancel(&world.store, id, by()), world.end(&send, delivered(&send)));
        world.assert_invariants().await;
        let told = format!(
            "SELECT count(*) AS n FROM history h JOIN delivery d ON d.id = h.subject_id \
             WHERE h.event = 'delivered_after_cancel' AND d.remote_name = '{name}'"
        );
        let told = world.number(&told).await;
        match (world.state(id).await, finished) {
            (DeliveryState::Delivered, Finished::Recorded { .. }) => {
                assert_eq!((cancelled.unwrap_err().fault().code, told), (&code::WRONG_STATE, 0));
            }
            (DeliveryState::Cancelled, Finished::LeaseLost) => {
                assert_eq!((cancelled.is_ok(), told), (true, 1), "the receipt is kept");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The worker claims and ends for as long as operators hold, release, hurry and cancel beside it.
async fn acts_and_claims_do_not_deadlock(world: World) {
    world.define(&["a", "b"], None).await;
    for n in 0..40 {
        world.arrive(&format!("f{n}")).await;
    }
    let ids: Vec<DeliveryId> = world.deliveries().await.iter().map(|d| d.id).collect();
    let operators = async {
        for (n, id) in ids.iter().enumerate() {
            for verb in
                [Act::Retry, Act::Hold, Act::Release, if n % 3 == 0 { Act::Cancel } else { Act::Retry }]
            {
                if let Err(error) = act(&world, verb, *id).await {
                    assert_eq!(error.fault().code, &code::WRONG_STATE, "{error}");
                }
            }
        }
    };
    let workers = async {
        for round in 0..40 {
            for (n, send) in world.claim().await.sends.iter().enumerate() {
                if (n + round) % 2 == 0 {
                    world.fail(send, &code::REMOTE_FAILURE).await;
                } else {
                    world.deliver(send).await;
                }
            }
            world.assert_invariants().await;
        }
    };
    tokio::join!(operators, workers);
    world.assert_invariants().await;
}

async fn what_is_not_there_is_not_found(world: World) {
    let unknown = "dlv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    for verb in ACTS {
        let fault = act(&world, verb, unknown).await.unwrap_err().fault();
        assert_eq!(
            (fault.code, fault.hint().contains("delivery list")),
            (&code::NOT_FOUND, true),
            "{verb:?}"
        );
    }
}
