//! Random histories against the real store, compared after every step with a small model of docs/STATES.md and with the
//! invariants. A failure shrinks to a short history that still fails.
//!
//! `OUTPORT_TEST_SEED` chooses the histories; without it they are new ones each time.

mod action;
mod driver;
mod ledger;
mod rules;
mod seen;
mod setting;
mod time;

use std::sync::Arc;

use outport_tests::set::{self, Set};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::runtime::Handle;

use crate::conformance::on_both;
use crate::conformance::world::World;
use action::Action;
use driver::Driver;

on_both!(any_history_is_as_the_rules_say);

async fn any_history_is_as_the_rules_say(world: World) {
    let (cases, length) = if set::set() == Set::Full { (500, 120) } else { (24, 60) };
    let seed = set::seed();
    let database = world.store.dialect();
    set::tell(&format!("{database:?}, OUTPORT_TEST_SEED={seed}: {cases} histories"));
    let world = Arc::new(world);
    let searched = world.clone();
    let failed = tokio::task::spawn_blocking(move || search(&searched, seed, cases, length));
    let failed = failed.await.expect("the search panicked");
    if let Some((history, problem)) = failed {
        let (story, again) = run(&world, &history).await;
        let story: Vec<String> =
            story.iter().enumerate().map(|(n, line)| format!("{:4}. {line}", n + 1)).collect();
        let again = again.map_or_else(|again| again, |()| format!("not the second time; it was: {problem}"));
        panic!("{database:?}, OUTPORT_TEST_SEED={seed}\n{}\n{again}", story.join("\n"));
    }
}

/// The shortest history that fails, and how it does.
fn search(world: &World, seed: u64, cases: u32, length: usize) -> Option<(Vec<Action>, String)> {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 3_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let histories = proptest::collection::vec(action::any(), 1..length);
    let outcome = runner.run(&histories, |history| {
        let (_, ended) = Handle::current().block_on(run(world, &history));
        ended.map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(reason, history)) => Some((history, reason.to_string())),
        Err(TestError::Abort(reason)) => panic!("no histories were made: {reason}"),
    }
}

/// One history from a fresh world to its end; what was done, and what was wrong then.
async fn run(world: &World, history: &[Action]) -> (Vec<String>, Result<(), String>) {
    let mut driver = Driver::new(world).await.unwrap();
    let ended = async {
        for action in history {
            driver.step(action).await?;
        }
        driver.story.push("the end:".into());
        driver.finale().await
    }
    .await;
    (driver.story, ended.map_err(|problem| format!("{problem:#}")))
}
