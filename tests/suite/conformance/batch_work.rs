//! What is left to workers of Batch: who takes what, how many are asked for, and what was written down of them.

mod room;

use std::time::Duration;

use outport_core::batch::{Demand, RunMode, RunState, WorkKind, Workers};
use outport_core::delivery::DeliveryState;
use outport_core::{Fault, code};
use outport_store::batch_runs::{self, Backlog};
use outport_store::claim_sends::{self, Claim, HandOver};
use outport_store::claim_transforms::{self, Wanted};
use outport_store::list::{self, problems::Waits};
use outport_store::{duty, figures};

use super::on_both;
use super::world::{ALL, World, arrival, worker};

on_both!(
    a_large_delivery_is_handed_over_and_taken_by_its_worker,
    what_nobody_took_in_time_stays_with_whoever_claims_it,
    a_worker_of_one_delivery_respects_its_lane,
    transforms_are_taken_by_size,
    demand_counts_what_another_worker_could_do,
    a_large_file_asks_for_one_worker_and_not_again_at_once,
    a_run_is_written_down_before_it_is_submitted,
    a_late_answer_changes_nothing,
    a_run_that_is_asked_for_again_is_in_doubt_from_then_on,
    only_workers_that_take_more_count_as_help,
    large_deliveries_get_a_worker_for_each_free_connection,
    only_the_holder_of_the_duty_decides,
    workers_that_are_let_go_are_nobodys_problem,
    figures_say_what_waits,
);

const LARGE: u64 = 5_000;
const OVER: HandOver = HandOver { above_bytes: 4_000, wait: Duration::from_secs(600) };
const MINUTE: Duration = Duration::from_secs(60);
/// More work than any test here has.
const ENOUGH: u64 = 1_000;
const BACKLOG: Backlog =
    Backlog { local_up_to: Some(1_000), help_after: Duration::ZERO, single_above: 4_000 };

async fn claim_handing_over(world: &World) -> Claim {
    claim_sends::claim_again(&world.store, world.worker, ALL, &[], Some(OVER), &world.timing).await.unwrap()
}

/// A file of this size for everybody.
async fn arrive_with(world: &World, key: &str, size_bytes: u64) {
    let mut arrival = arrival(key, "v1");
    arrival.original.size_bytes = size_bytes;
    world.dispatch(&arrival).await;
}

async fn a_large_delivery_is_handed_over_and_taken_by_its_worker(world: World) {
    world.define(&["a"], None).await;
    arrive_with(&world, "large", LARGE).await;
    arrive_with(&world, "small", 10).await;
    let claim = claim_handing_over(&world).await;
    assert_eq!(claim.sends.len(), 1);
    assert_eq!(claim.sends[0].artifact.size_bytes, 10, "the small one");
    let large = world.deliveries().await.into_iter().find(|d| d.key == "large").unwrap();
    assert_eq!((large.state.as_str(), large.attempts), ("queued", 0), "nothing is charged");
    // It is not due, so nobody meets it again: no lane is looked at for it.
    assert!(claim_handing_over(&world).await.sends.is_empty());
    world.assert_invariants().await;
    let single = batch_runs::singles(&world.store, WorkKind::Send, BACKLOG, MINUTE, 10).await.unwrap();
    assert_eq!(single, [large.id.uuid()]);
    let own = claim_sends::claim_one(&world.store, worker(), large.id, &world.timing).await.unwrap();
    assert_eq!(own.sends.len(), 1);
    assert_eq!(own.endpoints.len(), 1);
    let again = claim_sends::claim_one(&world.store, worker(), large.id, &world.timing).await.unwrap();
    assert!(again.sends.is_empty(), "once");
    world.assert_invariants().await;
    // A failed try is handed over anew when it is due.
    world.fail(&own.sends[0], &code::ENDPOINT_TIMEOUT).await;
    world.deliver(&claim.sends[0]).await;
    world.pass_time().await;
    assert!(claim_handing_over(&world).await.sends.is_empty());
    // Both have closed their connections.
    world.sql("DELETE FROM seat").await;
    let single = batch_runs::singles(&world.store, WorkKind::Send, BACKLOG, MINUTE, 10).await.unwrap();
    assert_eq!(single, [large.id.uuid()]);
    assert_eq!(world.state(large.id).await, DeliveryState::Retrying);
}

async fn what_nobody_took_in_time_stays_with_whoever_claims_it(world: World) {
    world.define(&["a"], None).await;
    arrive_with(&world, "large", LARGE).await;
    assert!(claim_handing_over(&world).await.sends.is_empty());
    world.pass_time().await;
    let claim = claim_handing_over(&world).await;
    assert_eq!(claim.sends.len(), 1, "not handed over a second time");
    world.deliver(&claim.sends[0]).await;
    world.assert_invariants().await;
}

async fn a_worker_of_one_delivery_respects_its_lane(world: World) {
    world.define(&["a"], None).await;
    arrive_with(&world, "large", LARGE).await;
    assert!(claim_handing_over(&world).await.sends.is_empty());
    let delivery = world.deliveries().await[0].id;
    let one = async || {
        claim_sends::claim_one(&world.store, worker(), delivery, &world.timing).await.unwrap().sends.len()
    };
    for closed in [
        "paused_by = 'x', pause_reason = 'y', paused_at = 1",
        "suspended_at = 1",
        "blocked_until = 99999999999999, blocked_reason = 'settings'",
    ] {
        world.sql(&format!("UPDATE lane SET {closed}")).await;
        assert_eq!(one().await, 0, "{closed}");
        world
            .sql(
                "UPDATE lane SET paused_by = NULL, pause_reason = NULL, paused_at = NULL, suspended_at = NULL, \
                 blocked_until = 0, blocked_reason = NULL, cap = 64, ramp = 64",
            )
            .await;
    }
    // Somebody else's connections fill the endpoint.
    world
        .sql(
            "INSERT INTO seat (endpoint_id, worker_id, connections, until) \
             SELECT endpoint_id, endpoint_id, max_connections, 99999999999999 FROM lane",
        )
        .await;
    assert_eq!(one().await, 0, "no seat");
    world.sql("DELETE FROM seat").await;
    assert_eq!(one().await, 1);
}

async fn transforms_are_taken_by_size(world: World) {
    world.define(&["a"], Some("json-to-csv")).await;
    for (key, size) in [("small.json", 10), ("medium.json", 2_000), ("large.json", LARGE)] {
        arrive_with(&world, key, size).await;
    }
    let claim = async |wanted| {
        let claimed = claim_transforms::claim_wanted(&world.store, worker(), wanted, 10, &world.timing).await;
        claimed.unwrap().into_iter().map(|work| work.file_key).collect::<Vec<_>>()
    };
    let up_to = |bytes, or_due_for| Wanted::UpTo { bytes, or_due_for };
    assert_eq!(claim(up_to(1_000, Some(MINUTE))).await, ["small.json"]);
    assert_eq!(claim(up_to(1_000, Some(MINUTE))).await, Vec::<String>::new());
    assert_eq!(claim(up_to(4_000, None)).await, ["medium.json"]);
    let ids = batch_runs::singles(&world.store, WorkKind::Transform, BACKLOG, MINUTE, 10).await.unwrap();
    assert_eq!(ids.len(), 1);
    // Nobody came for it: after a while the service takes it itself.
    world.sql("UPDATE transform SET due_at = due_at - 70000 WHERE state = 'pending'").await;
    assert_eq!(claim(up_to(4_000, None)).await, Vec::<String>::new());
    assert_eq!(claim(up_to(1_000, Some(MINUTE))).await, ["large.json"]);
}

async fn demand_counts_what_another_worker_could_do(world: World) {
    world.define(&["a", "b"], None).await;
    for n in 0..5 {
        world.arrive(&format!("f{n}")).await;
    }
    let due =
        async |backlog| batch_runs::demand(&world.store, WorkKind::Send, backlog, ENOUGH).await.unwrap().due;
    let of_batch = Backlog { local_up_to: None, help_after: MINUTE, ..BACKLOG };
    let hybrid = Backlog { help_after: MINUTE, ..BACKLOG };
    assert_eq!((due(of_batch).await, due(hybrid).await), (10, 0), "hybrid helps with what has waited");
    world.sql("UPDATE send_job SET due_at = due_at - 61000").await;
    assert_eq!(due(hybrid).await, 10);
    let some = batch_runs::demand(&world.store, WorkKind::Send, hybrid, 7).await.unwrap();
    assert_eq!(some.due, 7, "more would not ask for more workers");
    world
        .sql(
            "UPDATE lane SET blocked_until = 99999999999999, blocked_reason = 'settings' WHERE endpoint_id = \
             (SELECT e.id FROM endpoint e JOIN subscriber s ON s.id = e.subscriber_id WHERE s.code = 'a')",
        )
        .await;
    assert_eq!(due(hybrid).await, 5, "nothing of a closed lane");
    world
        .sql(
            "INSERT INTO seat (endpoint_id, worker_id, connections, until) \
             SELECT endpoint_id, endpoint_id, max_connections, 99999999999999 FROM lane",
        )
        .await;
    assert_eq!(due(hybrid).await, 0, "nobody else could connect");

    world.sql("UPDATE seat SET connections = connections - 1").await;
    let demand = batch_runs::demand(&world.store, WorkKind::Send, hybrid, ENOUGH).await.unwrap();
    assert_eq!(demand, Demand { due: 5, room: 1 }, "one more could connect");
    world.sql("UPDATE seat SET connections = connections + 1").await;
    let demand = batch_runs::demand(&world.store, WorkKind::Send, hybrid, ENOUGH).await.unwrap();
    assert_eq!(demand, Demand { due: 0, room: 0 });
    let other = batch_runs::demand(&world.store, WorkKind::Transform, hybrid, ENOUGH).await.unwrap();
    assert_eq!(other, Demand { due: 0, room: u32::MAX }, "a transform needs no connection");
}

async fn a_large_file_asks_for_one_worker_and_not_again_at_once(world: World) {
    world.define(&["a"], Some("json-to-csv")).await;
    arrive_with(&world, "large.json", LARGE).await;
    let kind = WorkKind::Transform;
    let asked = async || batch_runs::singles(&world.store, kind, BACKLOG, MINUTE, 10).await.unwrap();
    let only = asked().await;
    assert_eq!(only.len(), 1);
    let duty = duty::hold(&world.store, "batch", world.worker, MINUTE).await.unwrap().unwrap();
    let runs = batch_runs::intend_singles(&world.store, duty, kind, &only).await.unwrap().unwrap();
    assert_eq!((runs[0].mode, runs[0].only), (RunMode::Single, Some(only[0])));
    assert!(asked().await.is_empty(), "it has one");
    let workers = batch_runs::workers(&world.store, kind, MINUTE).await.unwrap();
    assert_eq!(workers, Workers { finishing: 1, ..Workers::default() });
    let demand = batch_runs::demand(&world.store, kind, BACKLOG, ENOUGH).await.unwrap();
    assert_eq!(demand, Demand { due: 0, room: u32::MAX }, "those that drain leave it alone");
    let fault = Fault::new(&code::BATCH_WORKER_FAILED, "it ended badly");
    assert!(batch_runs::over(&world.store, runs[0].id, RunState::Failed, Some(&fault)).await.unwrap());
    assert!(asked().await.is_empty(), "not at once again");
    world.sql("UPDATE batch_run SET ended_at = ended_at - 70000").await;
    assert_eq!(asked().await, only);
}

async fn a_run_is_written_down_before_it_is_submitted(world: World) {
    let (store, kind) = (&world.store, WorkKind::Send);
    let duty = duty::hold(store, "batch", world.worker, MINUTE).await.unwrap().unwrap();
    let runs = batch_runs::intend(store, duty, kind, &[1, 3]).await.unwrap().unwrap();
    let open = batch_runs::open(store).await.unwrap();
    assert_eq!(open.len(), 2);
    assert!(open.iter().all(|run| run.state == RunState::Intent && run.job.is_none()));
    assert_eq!((runs[0].mode, runs[1].mode, runs[1].size), (RunMode::Drain, RunMode::Array, 3));
    assert!(runs.iter().all(|run| run.name.starts_with("outport-send-") && run.name.len() <= 128));
    batch_runs::submitted(store, runs[0].id, "job-1").await.unwrap();
    batch_runs::stands(store, runs[0].id, RunState::Running, None).await.unwrap();
    let now = batch_runs::open(store).await.unwrap();
    let first = now.iter().find(|run| run.id == runs[0].id).unwrap();
    assert_eq!((first.state, first.job.as_deref()), (RunState::Running, Some("job-1")));
    assert_eq!(batch_runs::failures(store, kind).await.unwrap().in_a_row, 0);
    let fault = Fault::new(&code::BATCH_WORKER_FAILED, "it ended badly");
    assert!(batch_runs::over(store, runs[0].id, RunState::Failed, Some(&fault)).await.unwrap());
    let late = batch_runs::over(store, runs[0].id, RunState::Succeeded, None).await.unwrap();
    assert!(!late, "it is over once");
    assert_eq!(batch_runs::failures(store, kind).await.unwrap().in_a_row, 1);
    assert!(batch_runs::over(store, runs[1].id, RunState::Succeeded, None).await.unwrap());
    world.sql("UPDATE batch_run SET ended_at = ended_at + 5 WHERE state = 'succeeded'").await;
    assert_eq!(batch_runs::failures(store, kind).await.unwrap().in_a_row, 0, "one that ended well");
}

async fn a_late_answer_changes_nothing(world: World) {
    let store = &world.store;
    let duty = duty::hold(store, "batch", world.worker, MINUTE).await.unwrap().unwrap();
    let run = batch_runs::intend(store, duty, WorkKind::Send, &[1]).await.unwrap().unwrap().remove(0);
    batch_runs::submitted(store, run.id, "job-1").await.unwrap();
    batch_runs::stands(store, run.id, RunState::Running, None).await.unwrap();
    batch_runs::submitted(store, run.id, "job-2").await.unwrap();
    let now = batch_runs::open(store).await.unwrap().remove(0);
    assert_eq!((now.state, now.job.as_deref()), (RunState::Running, Some("job-1")));
}

async fn a_run_that_is_asked_for_again_is_in_doubt_from_then_on(world: World) {
    let store = &world.store;
    let duty = duty::hold(store, "batch", world.worker, MINUTE).await.unwrap().unwrap();
    let run = batch_runs::intend(store, duty, WorkKind::Send, &[1]).await.unwrap().unwrap().remove(0);
    world.sql("UPDATE batch_run SET intent_at = intent_at - 70000").await;
    let stood = async || batch_runs::open(store).await.unwrap()[0].stood;
    assert!(stood().await >= 70_000);
    batch_runs::asks_again(store, run.id).await.unwrap();
    assert!(stood().await < 60_000, "{}", stood().await);
}

async fn only_workers_that_take_more_count_as_help(world: World) {
    let (store, kind) = (&world.store, WorkKind::Send);
    let duty = duty::hold(store, "batch", world.worker, MINUTE).await.unwrap().unwrap();
    let runs = batch_runs::intend(store, duty, kind, &[1, 1, 7]).await.unwrap().unwrap();
    let workers = async || batch_runs::workers(store, kind, 4 * MINUTE).await.unwrap();
    assert_eq!(workers().await, Workers { starting: 9, ..Workers::default() });
    for (n, left) in [(1, None), (2, Some(7))] {
        batch_runs::submitted(store, runs[n].id, &format!("job-{n}")).await.unwrap();
        batch_runs::stands(store, runs[n].id, RunState::Running, left).await.unwrap();
    }
    assert_eq!(workers().await, Workers { starting: 1, taking: 8, finishing: 0 });
    // Six children are over; the last one, and the other worker, have been at it for longer than they take work.
    world.sql("UPDATE batch_run SET state_at = state_at - 240001 WHERE state = 'running'").await;
    batch_runs::stands(store, runs[2].id, RunState::Running, Some(1)).await.unwrap();
    assert_eq!(workers().await, Workers { starting: 1, taking: 0, finishing: 2 });
    // It lost its machine: it starts again, and the six stay over.
    batch_runs::stands(store, runs[2].id, RunState::Submitted, Some(1)).await.unwrap();
    assert_eq!(workers().await, Workers { starting: 2, taking: 0, finishing: 1 });
    let other = batch_runs::workers(store, WorkKind::Transform, MINUTE).await.unwrap();
    assert_eq!(other, Workers::default());
}

async fn large_deliveries_get_a_worker_for_each_free_connection(world: World) {
    world.define(&["a"], None).await;
    for n in 0..5 {
        arrive_with(&world, &format!("large{n}"), LARGE).await;
    }
    assert!(claim_handing_over(&world).await.sends.is_empty());
    world.sql("UPDATE lane SET max_connections = 2").await;
    let waiting =
        async || batch_runs::singles(&world.store, WorkKind::Send, BACKLOG, MINUTE, 10).await.unwrap();
    let first = waiting().await;
    assert_eq!(first.len(), 2, "the partner takes two connections");
    let duty = duty::hold(&world.store, "batch", world.worker, MINUTE).await.unwrap().unwrap();
    batch_runs::intend_singles(&world.store, duty, WorkKind::Send, &first).await.unwrap().unwrap();
    assert!(waiting().await.is_empty(), "those two are on their way");
    world
        .sql(
            "INSERT INTO seat (endpoint_id, worker_id, connections, until) \
             SELECT endpoint_id, endpoint_id, 1, 99999999999999 FROM lane",
        )
        .await;
    world.sql("UPDATE batch_run SET ended_at = intent_at - 70000, state = 'succeeded'").await;
    assert_eq!(waiting().await, first[..1], "one connection is left");
}

async fn only_the_holder_of_the_duty_decides(world: World) {
    let duty = duty::hold(&world.store, "batch", world.worker, MINUTE).await.unwrap().unwrap();
    world.sql("UPDATE duty SET until = 0").await;
    assert!(duty::hold(&world.store, "batch", worker(), MINUTE).await.unwrap().is_some());
    let runs = batch_runs::intend(&world.store, duty, WorkKind::Send, &[1]).await.unwrap();
    assert_eq!(runs, None, "a holder that was away decides nothing");
    assert!(batch_runs::open(&world.store).await.unwrap().is_empty());
}

async fn workers_that_are_let_go_are_nobodys_problem(world: World) {
    let (store, kind) = (&world.store, WorkKind::Send);
    let duty = duty::hold(store, "batch", world.worker, MINUTE).await.unwrap().unwrap();
    let runs = batch_runs::intend(store, duty, kind, &[1, 1, 1]).await.unwrap().unwrap();
    let other = batch_runs::intend(store, duty, WorkKind::Transform, &[1]).await.unwrap().unwrap();
    let fault = Fault::new(&code::BATCH_WORKER_FAILED, "it ended badly");
    assert!(batch_runs::over(store, runs[0].id, RunState::Failed, Some(&fault)).await.unwrap());
    batch_runs::submitted(store, runs[1].id, "job-1").await.unwrap();
    world.sql("UPDATE batch_run SET state_at = state_at - 70000 WHERE state = 'submitted'").await;
    let of_workers = async || {
        let problems = list::problems::list(store).await.unwrap();
        problems.into_iter().filter(|problem| matches!(problem.waits, Waits::Workers { .. })).count()
    };
    assert_eq!(of_workers().await, 1);
    let let_go = Fault::new(&code::BATCH_LET_GO, "executor.send is local");
    assert_eq!(batch_runs::let_go(store, duty, kind, &let_go).await.unwrap(), Some(2));
    assert_eq!(of_workers().await, 0);
    assert_eq!(batch_runs::failures(store, kind).await.unwrap().in_a_row, 0, "the next one need not wait");
    let open = batch_runs::open(store).await.unwrap();
    assert_eq!(open.iter().map(|run| run.id).collect::<Vec<_>>(), [other[0].id], "the other kind goes on");
    let known = "SELECT count(*) AS n FROM batch_run WHERE kind = 'send' AND state = 'lost' AND fault_code = 'batch.let_go'";
    assert_eq!(world.number(known).await, 2);
    let since_then = format!("{known} AND ended_at - state_at < 60000");
    assert_eq!(world.number(&since_then).await, 2, "that is how they stand since then");
    // What fails after that is a problem again.
    let again = batch_runs::intend(store, duty, kind, &[1]).await.unwrap().unwrap();
    assert!(batch_runs::over(store, again[0].id, RunState::Failed, Some(&fault)).await.unwrap());
    assert_eq!((of_workers().await, batch_runs::failures(store, kind).await.unwrap().in_a_row), (1, 1));
    // Whoever lost the duty lets nobody go.
    world.sql("UPDATE duty SET until = 0").await;
    duty::hold(store, "batch", worker(), MINUTE).await.unwrap().unwrap();
    assert_eq!(batch_runs::let_go(store, duty, WorkKind::Transform, &let_go).await.unwrap(), None);
}

async fn figures_say_what_waits(world: World) {
    world.define(&["a", "b"], None).await;
    let before = figures::read(&world.store).await.unwrap();
    assert_eq!((before.lanes_open, before.oldest_due_ms), (0, 0));
    world.arrive("f").await;
    world.sql("UPDATE send_job SET due_at = due_at - 90000").await;
    let waiting = figures::read(&world.store).await.unwrap();
    assert!((90_000..150_000).contains(&waiting.oldest_due_ms), "{waiting:?}");
    let failed = async || {
        figures::failed_between(&world.store, before.now - 60_000, before.now + 600_000).await.unwrap()
    };
    assert_eq!(failed().await, 0);
    world.fail(&world.claim().await.sends[0], &code::ARTIFACT_MISSING).await;
    assert_eq!(failed().await, 1);
    world.sql("UPDATE lane SET blocked_until = 99999999999999, blocked_reason = 'settings'").await;
    let blocked = figures::read(&world.store).await.unwrap();
    assert_eq!((blocked.lanes_open, blocked.oldest_due_ms), (2, 0), "what cannot go does not wait for us");
}
