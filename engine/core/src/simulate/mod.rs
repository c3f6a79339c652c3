//! The retry policy on a virtual clock: what an outage of an endpoint would look like, by the very functions that decide
//! in production ([`Lane::after`], [`Lane::room`], [`retry::decide`](crate::retry::decide), maintenance windows, news).
//!
//! What is of the simulation's own: how long things take, and how files share connections. A connection carries 32 files,
//! is closed after 30 s without one and after an hour; when the endpoint goes down, a fault of class endpoint breaks the
//! open ones, a refused login leaves them alone. One process sends, and it is never short of anything.

mod connections;
mod outage;
mod timeline;
mod world;

use serde::Serialize;

use crate::Code;
use crate::settings::{EndpointSettings, RetryPolicy};
use crate::timing::{Millis, Timing};

pub use outage::{Outage, instant};
pub use timeline::{Line, Row, What};

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Scenario<'a> {
    /// When the first file arrives.
    pub from: Millis,
    /// When the endpoint is down.
    pub outages: &'a [Outage],
    /// How it answers then.
    pub fault: &'static Code,
    /// How many files arrive.
    pub files: u32,
    /// How long after the one before each file arrives, in ms; 0: all of them at once.
    pub every_ms: Millis,
    /// How long one file takes to send, in ms.
    pub file_ms: Millis,
    /// The endpoint's settings.
    pub settings: &'a EndpointSettings,
    /// The subscription's retry policy.
    pub policy: RetryPolicy,
    /// The engine's durations.
    pub timing: &'a Timing,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Simulation {
    /// In the order of time, equal neighbours in one.
    pub lines: Vec<Line>,
    /// The numbers.
    pub summary: Summary,
}

/// The numbers of a simulation. Times in ms since 1970, durations in ms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Files that arrived.
    pub files: u32,
    /// Of them delivered.
    pub delivered: u32,
    /// Of them failed for good.
    pub failed: u32,
    /// Of them neither: they wait for an operator, or for more than 400 days.
    pub waiting: u32,
    /// Attempts in all.
    pub attempts: u64,
    /// The most attempts that one file took.
    pub most_attempts: u32,
    /// Tries to log in (or to connect).
    pub logins: u64,
    /// Of them while the endpoint was down.
    pub logins_while_down: u64,
    /// Messages to people about the lane. Failed deliveries come on top of them, up to 500 in one.
    pub notices: u64,
    /// When the last outage ended.
    pub outage_ended_at: Option<Millis>,
    /// The first delivery after that.
    pub first_delivery_at: Option<Millis>,
    /// When the last file was delivered, if all of them were.
    pub all_delivered_at: Option<Millis>,
    /// The time that a delivery has, without what the lane was closed.
    pub deadline_ms: Millis,
    /// The most of it that one delivery used.
    pub deadline_used_ms: Millis,
    /// Since when an operator has to act, if so.
    pub waits_for_operator_since: Option<Millis>,
}

/// Runs a scenario to its end: every file settled, nothing left that happens by itself, or 400 days over. `random` is
/// uniform in `0.0..1.0`, once for each ended attempt; the same numbers give the same simulation.
///
/// ```
/// use outport_core::{Timing, code, settings::{EndpointSettings, RetryPolicy}};
/// use outport_core::simulate::{Scenario, simulate};
/// let scenario = Scenario {
///     from: 0,
///     outages: &["1970-01-01T00:00:00Z..1970-01-01T12:00:00Z".parse().unwrap()],
///     fault: &code::ENDPOINT_REFUSED,
///     files: 100,
///     every_ms: 0,
///     file_ms: 1_000,
///     settings: &EndpointSettings::default(),
///     policy: RetryPolicy::default(),
///     timing: &Timing::default(),
/// };
/// let summary = simulate(&scenario, || 0.5).summary;
/// assert_eq!((summary.delivered, summary.failed), (100, 0));
/// ```
pub fn simulate(scenario: &Scenario<'_>, random: impl FnMut() -> f64) -> Simulation {
    world::World::new(*scenario, random).run()
}

#[cfg(test)]
mod tests;
