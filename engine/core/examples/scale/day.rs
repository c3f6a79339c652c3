//! A day and whatever it leaves behind, second by second.
//!
//! By the engine's own functions: what a lane does after each failed attempt and while it comes back, the waits between
//! tries, and how many workers are asked for. In numbers: the files of an endpoint are a count, the oldest first; those that
//! arrive at a healthy lane change nothing and are not looked at one by one; a second's places are divided in fractions.

use outport_core::Millis;
use outport_core::batch::Demand;
use outport_core::lane::Health;

use crate::arrivals::{DAY, Profile, Stream, zipf};
use crate::chance::Chance;
use crate::claims::Claims;
use crate::cost::PRICES;
use crate::partner::{Partner, Rules};
use crate::scenario::{Outage, Region, Scenario};
use crate::share::Want;
use crate::waits::Waits;
use crate::workers::{Totals, Workers};

/// Nobody looks further ahead.
const HORIZON: i64 = 3 * DAY;

/// How it stands at the end of an hour; the first four count from the beginning of the day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hour {
    pub arrived: u64,
    pub delivered: u64,
    pub given_up: u64,
    pub containers: u64,
    /// Arrived and not delivered.
    pub waiting: u64,
    /// Running workers of Batch, at most in the hour.
    pub most_workers: u32,
    /// Lanes whose breaker is not closed.
    pub open_lanes: usize,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub hours: Vec<Hour>,
    /// The most that waited at once, and when.
    pub most_waiting: (u64, i64),
    /// From the end of the outage until an endpoint had all that had come by then, in seconds, for each that was struck and
    /// had something to get; the first ones first.
    pub drained: Vec<i64>,
    pub waits_of_struck: Waits,
    pub waits_of_others: Waits,
    pub workers: Totals,
    pub service_dollars: f64,
    pub logins_while_down: u64,
    /// At one endpoint.
    pub most_logins_while_down: u64,
    /// How often a breaker opened.
    pub opened: u64,
    pub given_up: u64,
    /// The first second after which nothing waited.
    pub ended_at: i64,
}

impl Outcome {
    /// How it stood in the end.
    pub fn last(&self) -> Hour {
        self.hours.last().copied().unwrap_or_default()
    }
}

pub struct Day<'a> {
    scenario: &'a Scenario,
    rules: Rules,
    profile: Profile,
    chance: Chance,
    partners: Vec<Partner>,
    wants: Vec<Want>,
    claims: Claims,
    workers: Workers,
    /// The part of the ledger's time that sending took in the second before; all of it, if it could have used more.
    wanted: f64,
    now: i64,
    hour: Hour,
    /// For each struck endpoint that has not got it yet: what it has to get.
    owed: Vec<(usize, u64)>,
    outcome: Outcome,
}

impl<'a> Day<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        let mut chance = Chance::new(scenario.seed);
        let totals = zipf(scenario.deliveries, scenario.endpoints, scenario.skew);
        let partners = totals.into_iter().enumerate().map(|(rank, total)| {
            let gathered = scenario.gathered > 0 && rank % scenario.gathered == scenario.gathered - 1;
            let (every, first) = if gathered { (900, (rank as i64 * 37) % 900) } else { (1, 0) };
            let stream = Stream { total, every, first };
            let file_s = chance.between(scenario.file_s);
            Partner::new(stream, scenario.settings.clone(), file_s, scenario.is_struck(rank))
        });
        Self {
            scenario,
            rules: Rules::new(),
            profile: Profile::new(scenario.shape),
            partners: partners.collect(),
            wants: Vec::new(),
            claims: Claims::default(),
            workers: Workers::new(scenario.service, scenario.batch, scenario.process, PRICES),
            chance,
            wanted: 0.0,
            now: 0,
            hour: Hour::default(),
            owed: Vec::new(),
            outcome: Outcome {
                hours: Vec::new(),
                most_waiting: (0, 0),
                drained: Vec::new(),
                waits_of_struck: Waits::default(),
                waits_of_others: Waits::default(),
                workers: Totals::default(),
                service_dollars: 0.0,
                logins_while_down: 0,
                most_logins_while_down: 0,
                opened: 0,
                given_up: 0,
                ended_at: 0,
            },
        }
    }

    /// Runs until everything is delivered.
    pub fn run(mut self) -> Outcome {
        let come = self.partners.iter().map(|partner| partner.stream.end()).max().unwrap_or(DAY);
        loop {
            self.second();
            self.account();
            if (self.now >= come && self.hour.waiting == 0) || self.now >= HORIZON {
                break;
            }
            self.now += 1;
        }
        self.close()
    }

    fn second(&mut self) {
        self.arrive();
        self.turn_with_outage();
        if self.is_out(Region::Ours) {
            return;
        }
        let spent = self.dispatch();
        let now = self.millis();
        for partner in &mut self.partners {
            partner.wake(&self.rules, now, &mut self.chance);
        }
        if self.workers.is_round(self.now) {
            let older_than = self.workers.older_than(self.now);
            let of = |partner: &Partner| match partner.due_since(&self.profile, older_than, now) {
                0 => (0, 0),
                due => (due, partner.seats_free()),
            };
            let add = |all: (u64, u32), one: (u64, u32)| (all.0 + one.0, all.1 + one.1);
            let (due, room) = self.partners.iter().map(of).fold((0, 0), add);
            self.workers.round(Demand { due, room }, self.now, &mut self.chance);
        }
        self.send(1.0 - spent);
    }

    fn millis(&self) -> Millis {
        self.now * 1_000
    }

    fn is_out(&self, region: Region) -> bool {
        let is_now = |outage: Outage| (outage.from..outage.until).contains(&self.now);
        self.scenario.outage.is_some_and(|outage| outage.region == region && is_now(outage))
    }

    fn arrive(&mut self) {
        for partner in &mut self.partners {
            if self.now <= partner.stream.end() {
                partner.arrived = partner.stream.arrived(&self.profile, self.now);
            }
        }
    }

    fn turn_with_outage(&mut self) {
        let Some(outage) = self.scenario.outage else { return };
        let now = self.millis();
        let struck = self.partners.iter_mut().filter(|partner| partner.struck);
        match outage.region {
            Region::Partners if self.now == outage.from => {
                struck.for_each(|partner| partner.go_down(&self.rules, now, &mut self.chance));
            }
            Region::Partners if self.now == outage.until => struck.for_each(|partner| partner.down = false),
            Region::Ours if self.now == outage.from => {
                struck.for_each(Partner::orphan);
                self.workers.lost(outage.until);
            }
            _ => {}
        }
        if self.now == outage.until {
            let partners = self.partners.iter().enumerate();
            let owed = partners.filter(|(_, partner)| partner.struck && partner.waiting() > 0);
            self.owed = owed.map(|(rank, partner)| (rank, partner.arrived)).collect();
        }
    }

    /// Takes events from the queue, of all endpoints alike: a queue has no order. How much of the ledger's second it took.
    fn dispatch(&mut self) -> f64 {
        let queued: u64 = self.partners.iter().map(|partner| partner.arrived - partner.dispatched).sum();
        if queued == 0 {
            return 0.0;
        }
        let rate = self.scenario.ledger.files * self.scenario.deliveries_per_file;
        // Each of the two gets half of the ledger, and what the other one leaves.
        let most = (rate * (1.0 - self.wanted).max(0.5)) as u64;
        let taken = queued.min(most);
        let (mut seen, mut given) = (0, 0);
        for partner in &mut self.partners {
            seen += partner.arrived - partner.dispatched;
            // Its part of `taken`, so rounded that the parts are exactly that.
            let upto = (u128::from(seen) * u128::from(taken) / u128::from(queued)) as u64;
            partner.dispatch(upto - given);
            given = upto;
        }
        taken as f64 / rate
    }

    /// Divides the places, and sends for a second. `left`: what is left of the ledger's.
    fn send(&mut self, left: f64) {
        let now = self.millis();
        let running = self.workers.running(self.now);
        self.wants.clear();
        self.wants.extend(self.partners.iter().map(|partner| partner.want(now)));
        let rate = self.scenario.ledger.deliveries;
        self.claims.divide(
            &mut self.partners,
            &self.wants,
            &running,
            left * rate,
            self.now,
            &mut self.chance,
        );
        for (partner, grant) in self.partners.iter_mut().zip(&self.claims.grants) {
            let wait = partner.wait(&self.profile, self.now);
            let sent = partner.work(*grant, &self.rules, now, &mut self.chance);
            let outcome = &mut self.outcome;
            let waits =
                if partner.struck { &mut outcome.waits_of_struck } else { &mut outcome.waits_of_others };
            waits.add(wait, sent);
        }
        self.wanted = if self.claims.is_short { 1.0 } else { self.claims.sends / rate };
        let workers = self.workers.used(&running, self.claims.used(&running));
        self.hour.most_workers = self.hour.most_workers.max(workers);
    }

    /// Looks at how it stands after the second.
    fn account(&mut self) {
        let sum = |of: fn(&Partner) -> u64| self.partners.iter().map(of).sum::<u64>();
        self.hour.waiting = sum(Partner::waiting);
        debug_assert_eq!(
            sum(Partner::waiting_by_place),
            self.hour.waiting,
            "lost or doubled at {}",
            self.now
        );
        if self.hour.waiting > self.outcome.most_waiting.0 {
            self.outcome.most_waiting = (self.hour.waiting, self.now);
        }
        if let Some(outage) = self.scenario.outage {
            let since = self.now + 1 - outage.until;
            let (partners, drained) = (&self.partners, &mut self.outcome.drained);
            self.owed.retain(|(rank, owed)| {
                let done = partners[*rank].delivered >= *owed;
                if done {
                    drained.push(since);
                }
                !done
            });
        }
        if (self.now + 1) % 3_600 == 0 {
            self.end_hour();
        }
    }

    fn end_hour(&mut self) {
        let sum = |of: fn(&Partner) -> u64| self.partners.iter().map(of).sum::<u64>();
        let by_place = sum(Partner::waiting_by_place);
        assert_eq!(by_place, self.hour.waiting, "lost or doubled before {}", self.now);
        self.hour.arrived = sum(|partner| partner.arrived);
        self.hour.delivered = sum(|partner| partner.delivered);
        self.hour.given_up = sum(|partner| partner.given_up);
        self.hour.containers = self.workers.totals.containers;
        let is_open = |partner: &&Partner| partner.lane.health != Health::Closed;
        self.hour.open_lanes = self.partners.iter().filter(is_open).count();
        self.outcome.hours.push(self.hour);
        self.hour.most_workers = 0;
    }

    fn close(mut self) -> Outcome {
        self.end_hour();
        let partners = &self.partners;
        let most = partners.iter().map(|partner| partner.logins_while_down).max();
        Outcome {
            workers: self.workers.totals,
            service_dollars: self.workers.service_dollars(DAY),
            logins_while_down: partners.iter().map(|partner| partner.logins_while_down).sum(),
            most_logins_while_down: most.unwrap_or(0),
            opened: partners.iter().map(|partner| partner.opened).sum(),
            given_up: partners.iter().map(|partner| partner.given_up).sum(),
            ended_at: self.now,
            ..self.outcome
        }
    }
}
