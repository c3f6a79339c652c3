//! The simulation in small: what must hold whatever the numbers are.

use std::sync::OnceLock;

use outport_core::Timing;
use outport_core::batch::Sizing;
use outport_core::timing::millis;

use crate::arrivals::Shape;
use crate::day::{Day, Outcome};
use crate::scenario::{Region, Scenario};

/// Requests that Batch takes in a second from one account.
const SUBMIT_JOB: usize = 50;

/// Ten endpoints, and a fiftieth of the rest.
fn small() -> Scenario {
    let mut scenario = Scenario::large(7);
    scenario.endpoints = 10;
    scenario.deliveries = 400_000;
    scenario.shape = Shape::Flat;
    scenario.ledger = scenario.ledger.times(0.02);
    scenario.service.tasks = 3;
    scenario.process.places = 4;
    scenario.batch.sizing = Sizing { per_worker: 50, max_workers: 8 };
    scenario
}

fn run(scenario: &Scenario) -> Outcome {
    let outcome = Day::new(scenario).run();
    for hour in &outcome.hours {
        assert_eq!(hour.arrived, hour.delivered + hour.waiting + hour.given_up, "{hour:?}");
        assert!(hour.most_workers <= scenario.batch.sizing.max_workers, "{hour:?}");
    }
    let last = outcome.last();
    assert_eq!((last.arrived, last.delivered), (scenario.deliveries, scenario.deliveries), "nothing is lost");
    assert_eq!((outcome.given_up, last.waiting), (0, 0), "an outage costs no delivery");
    assert!(outcome.workers.most_asked_for <= scenario.batch.sizing.max_workers, "{outcome:?}");
    assert!(outcome.workers.most_requests_in_a_second <= SUBMIT_JOB, "{outcome:?}");
    outcome
}

fn calm() -> &'static Outcome {
    static RUN: OnceLock<Outcome> = OnceLock::new();
    RUN.get_or_init(|| run(&small()))
}

fn partners() -> &'static Outcome {
    static RUN: OnceLock<Outcome> = OnceLock::new();
    RUN.get_or_init(|| run(&small().with_outage(Region::Partners)))
}

fn ours() -> &'static Outcome {
    static RUN: OnceLock<Outcome> = OnceLock::new();
    RUN.get_or_init(|| run(&small().with_outage(Region::Ours)))
}

fn wait(outcome: &Outcome, part: f64) -> usize {
    outcome.waits_of_others.within(part).unwrap()
}

#[test]
fn the_same_seed_is_the_same_day() {
    let scenario = small().with_outage(Region::Partners);
    assert_eq!(partners(), &run(&scenario));
    assert_ne!(partners(), &run(&Scenario { seed: 8, ..scenario }));
}

#[test]
fn a_calm_day_opens_no_breaker_and_keeps_nobody_waiting() {
    let outcome = calm();
    assert_eq!((outcome.opened, outcome.logins_while_down, outcome.drained.len()), (0, 0, 0));
    assert!(wait(outcome, 0.99) <= 300, "{}", wait(outcome, 0.99));
}

#[test]
fn partners_that_are_down_wait_and_the_others_do_not() {
    let scenario = small().with_outage(Region::Partners);
    let (calm, outcome) = (calm(), partners());
    let struck = (0..scenario.endpoints).filter(|rank| scenario.is_struck(*rank)).count();
    assert_eq!(outcome.drained.len(), struck, "each of them got what had gathered");
    assert_eq!(outcome.opened, struck as u64, "each breaker once: {outcome:?}");
    // Their own waits, a day's worth of them, not made longer by the outage of others.
    assert!(wait(outcome, 0.99) <= wait(calm, 0.99) + 30, "{} {}", wait(outcome, 0.99), wait(calm, 0.99));
    assert!(outcome.workers.containers > 0, "there was enough to do for them: {outcome:?}");
    // An hour of it, and the longest wait of a breaker on top, with its jitter.
    let longest = outcome.waits_of_struck.within(1.0).unwrap() as i64;
    let breaker = millis(Timing::default().breaker_max) / 1_000 * 12 / 10;
    assert!((3_600..3_600 + 2 * breaker + 3_600).contains(&longest), "{longest}");
}

/// Up to two logins for each of the five strikes, then one at each end of a breaker's wait.
#[test]
fn a_partner_that_is_down_sees_few_logins() {
    let outcome = partners();
    let timing = Timing::default();
    let (mut wait, mut passed, mut probes) = (millis(timing.breaker), 0, 0);
    while passed < 3_600_000 {
        // The shortest that chance makes of it.
        passed += wait * 8 / 10;
        probes += 1;
        wait = (wait * 2).min(millis(timing.breaker_max));
    }
    let most = 2 * 5 + probes;
    assert!((probes / 2..=most).contains(&outcome.most_logins_while_down), "{outcome:?}");
}

#[test]
fn the_backlog_falls_after_the_outage() {
    for outcome in [partners(), ours()] {
        let waiting: Vec<u64> = outcome.hours.iter().map(|hour| hour.waiting).collect();
        let calm = waiting[9];
        assert!(waiting[10] > 10 * calm, "an hour gathers: {waiting:?}");
        let after = waiting[10..23].windows(2).take_while(|pair| pair[0] > 2 * calm);
        assert!(after.clone().count() >= 1, "{waiting:?}");
        for pair in after {
            assert!(pair[1] < pair[0], "{waiting:?}");
        }
        assert!(waiting[22] <= 2 * calm, "{waiting:?}");
    }
}

#[test]
fn our_own_outage_is_no_fault_of_a_partner() {
    let outcome = ours();
    assert_eq!((outcome.opened, outcome.logins_while_down), (0, 0));
    let hours = &outcome.hours;
    assert_eq!(hours[10].delivered, hours[9].delivered, "nothing runs");
}
