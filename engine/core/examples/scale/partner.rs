//! One endpoint of the simulation: its lane by the engine's own rules, its backlog as a number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use outport_core::lane::{FILES_PER_CONNECTION, Health, Lane, Signal};
use outport_core::retry::{self, Decision, Limits, Past};
use outport_core::settings::{EndpointSettings, RetryPolicy};
use outport_core::timing::millis;
use outport_core::{Fault, Millis, Timing, code};

use crate::arrivals::{Profile, Stream};
use crate::chance::Chance;
use crate::claims::Grant;
use crate::share::Want;

/// The version of the secret: nobody changes it in a simulation.
const SECRET: &str = "simulated";

/// What all endpoints have in common.
#[derive(Debug)]
pub struct Rules {
    pub timing: Timing,
    pub policy: RetryPolicy,
    /// How a connection ends when its endpoint goes away, and how a login does while it is.
    reset: Fault,
    unreachable: Fault,
}

impl Rules {
    pub fn new() -> Self {
        Self {
            timing: Timing::default(),
            policy: RetryPolicy::default(),
            reset: Fault::new(&code::ENDPOINT_RESET, "simulated"),
            unreachable: Fault::new(&code::ENDPOINT_TIMEOUT, "simulated"),
        }
    }
}

/// Logins that wait for an answer that does not come, and the files that wait for them.
#[derive(Debug)]
struct Try {
    process: u32,
    ends_at: Millis,
    logins: u64,
    files: u64,
}

/// Connections that a process holds.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    pub process: u32,
    pub connections: u32,
    /// The second in which it last had a file.
    pub used_at: i64,
}

/// One endpoint.
#[derive(Debug)]
pub struct Partner {
    pub stream: Stream,
    /// It lies in the region that goes down.
    pub struck: bool,
    pub down: bool,
    settings: EndpointSettings,
    file_s: f64,
    pub lane: Lane,
    /// A file that works changes nothing in the lane any more.
    settled: bool,
    /// Events that came, deliveries that the ledger knows of them, and those that are done.
    pub arrived: u64,
    pub dispatched: u64,
    pub delivered: u64,
    /// Deliveries that nobody has, due now and later.
    due: u64,
    later: BinaryHeap<Reverse<Millis>>,
    trying: Option<Try>,
    /// The part of a file that is sent.
    part: f64,
    in_flight: u64,
    pub seats: Vec<Seat>,
    /// The second in which the oldest undelivered one came.
    oldest: i64,
    pub given_up: u64,
    pub logins_while_down: u64,
    pub opened: u64,
}

impl Partner {
    pub fn new(stream: Stream, settings: EndpointSettings, file_s: f64, struck: bool) -> Self {
        // It has logged in before: no probation.
        let lane =
            Lane { login_ok_version: Some(SECRET.to_owned()), ..Lane::new(i32::from(settings.max_files)) };
        Self {
            stream,
            struck,
            down: false,
            settings,
            file_s,
            lane,
            settled: false,
            arrived: 0,
            dispatched: 0,
            delivered: 0,
            due: 0,
            later: BinaryHeap::new(),
            trying: None,
            part: 0.0,
            in_flight: 0,
            seats: Vec::new(),
            oldest: 0,
            given_up: 0,
            logins_while_down: 0,
            opened: 0,
        }
    }

    /// Everything that came and is not delivered: in the queue, due, waiting for its time, in somebody's hands.
    pub fn waiting(&self) -> u64 {
        self.arrived - self.delivered - self.given_up
    }

    /// The same from its parts. The two are equal, or something was lost or doubled.
    pub fn waiting_by_place(&self) -> u64 {
        let tried = self.trying.as_ref().map_or(0, |tried| tried.files);
        (self.arrived - self.dispatched) + self.due + self.later.len() as u64 + tried
    }

    pub fn dispatch(&mut self, deliveries: u64) {
        self.dispatched += deliveries;
        self.due += deliveries;
    }

    /// Those of its deliveries that another worker could send and that are due since before `older_than`. As the ledger
    /// counts them for Batch: of a lane that is not healthy none, and none where every connection is taken.
    pub fn due_since(&self, profile: &Profile, older_than: i64, now: Millis) -> u64 {
        let is_open = self.lane.health == Health::Closed && self.lane.blocked_until <= now;
        if self.due == 0 || !is_open || self.seats_free() == 0 {
            return 0;
        }
        let old = self.stream.arrived(profile, older_than).min(self.dispatched);
        old.saturating_sub(self.delivered).min(self.due)
    }

    /// Connections that nobody has.
    pub fn seats_free(&self) -> u32 {
        u32::from(self.settings.max_connections).saturating_sub(self.seats_taken())
    }

    /// What becomes due, and logins that end without an answer.
    pub fn wake(&mut self, rules: &Rules, now: Millis, chance: &mut Chance) {
        while self.later.peek().is_some_and(|Reverse(at)| *at <= now) {
            self.later.pop();
            self.due += 1;
        }
        if let Some(tried) = self.trying.take_if(|tried| tried.ends_at <= now) {
            self.failed(tried.logins, tried.files, &rules.unreachable, rules, now, chance);
        }
    }

    /// It goes away: every connection breaks, and the files on it fail.
    pub fn go_down(&mut self, rules: &Rules, now: Millis, chance: &mut Chance) {
        self.down = true;
        let files = self.in_flight.min(self.due);
        if files > 0 {
            self.due -= files;
            let connections = u64::from(self.seats_taken()).clamp(1, files);
            self.failed(connections, files, &rules.reset, rules, now, chance);
        }
        self.forget_connections();
    }

    /// Its senders are gone, whatever they had: the ledger frees it.
    pub fn orphan(&mut self) {
        if let Some(tried) = self.trying.take() {
            self.due += tried.files;
        }
        self.forget_connections();
    }

    fn forget_connections(&mut self) {
        self.seats.clear();
        self.in_flight = 0;
        self.part = 0.0;
    }

    /// `files` attempts end with a fault; the first of each connection or login tells the lane, the others share it.
    fn failed(
        &mut self,
        tellers: u64,
        files: u64,
        fault: &Fault,
        rules: &Rules,
        now: Millis,
        chance: &mut Chance,
    ) {
        let shared = fault.as_shared();
        self.settled = false;
        let limits = Limits {
            max_attempts: rules.policy.max_attempts.into(),
            deadline_at: now + millis(rules.policy.deadline.0),
        };
        for n in 0..files {
            let fault = if n < tellers { fault } else { &shared };
            let before = self.lane.health;
            let signal = Signal::of_fault(fault, Some(SECRET));
            self.lane = self.lane.after(&signal, &rules.timing, now, chance.draw());
            self.opened += u64::from(before == Health::Closed && self.lane.health == Health::Open);
            let past = Past { charged: 0, attempts: 1, last_code: None };
            match retry::decide(fault, past, limits, &rules.timing.retry, now, chance.draw()) {
                Decision::Again { due_at, .. } => self.later.push(Reverse(due_at)),
                Decision::GiveUp { .. } => self.given_up += 1,
            }
        }
    }

    /// Places that are taken by logins without an answer, and whose.
    pub fn held(&self) -> Option<(u32, f64)> {
        self.trying.as_ref().map(|tried| (tried.process, tried.files as f64))
    }

    pub fn seats_taken(&self) -> u32 {
        self.seats.iter().map(|seat| seat.connections).sum()
    }

    /// The process had a file there.
    pub fn sat(&mut self, process: u32, now: i64) {
        for seat in self.seats.iter_mut().filter(|seat| seat.process == process) {
            seat.used_at = now;
        }
    }

    /// What it could use in this second.
    pub fn want(&self, now: Millis) -> Want {
        if self.due == 0 || self.trying.is_some() || self.lane.blocked_until > now {
            return Want { places: 0.0, files_per_place: 0.0 };
        }
        let room = f64::from(self.lane.room());
        let due = self.due as f64;
        if self.down {
            return Want { places: due.min(room), files_per_place: 0.0 };
        }
        Want { places: (due * self.file_s.min(1.0)).min(room), files_per_place: 1.0 / self.file_s }
    }

    pub fn connections_allowed(&self) -> u32 {
        let allowed = self.lane.connections(self.settings.max_connections.into());
        u32::try_from(allowed).unwrap_or(1).max(1)
    }

    /// Uses its places for a second; how many files arrived at the partner.
    pub fn work(&mut self, grant: Grant, rules: &Rules, now: Millis, chance: &mut Chance) -> u64 {
        if grant.places <= 0.0 {
            self.in_flight = 0;
            return 0;
        }
        let files = (grant.places.ceil() as u64).clamp(1, self.due.max(1));
        if self.down {
            // Nothing is open there: each connection is a login, and its files wait for it.
            let logins = files.div_ceil(FILES_PER_CONNECTION.unsigned_abs());
            self.logins_while_down += logins;
            self.due -= files;
            let ends_at = now + millis(self.settings.connect_timeout.0);
            self.trying = Some(Try { process: grant.process, ends_at, logins, files });
            return 0;
        }
        self.in_flight = files;
        self.part += grant.places / self.file_s;
        // A billionth, for what additions lose.
        let sent = ((self.part + 1e-9) as u64).min(self.due);
        self.part = if sent == self.due { 0.0 } else { (self.part - sent as f64).max(0.0) };
        self.due -= sent;
        self.delivered += sent;
        self.worked(sent, rules, now, chance);
        sent
    }

    /// File by file, until one more would change nothing.
    fn worked(&mut self, files: u64, rules: &Rules, now: Millis, chance: &mut Chance) {
        for _ in 0..files {
            if self.settled {
                return;
            }
            // Whether it was a login's first file matters to refused logins alone.
            let worked = Signal::Worked { logged_in: None };
            let after = self.lane.after(&worked, &rules.timing, now, chance.draw());
            self.settled = after == self.lane;
            self.lane = after;
        }
    }

    /// How long the oldest undelivered one waits, or the last delivered one did, in seconds. The oldest goes first.
    pub fn wait(&mut self, profile: &Profile, now: i64) -> i64 {
        let done = self.delivered + self.given_up;
        while self.oldest < now && self.stream.arrived(profile, self.oldest) <= done {
            self.oldest += 1;
        }
        now - self.oldest
    }
}
