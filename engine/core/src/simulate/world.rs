//! The event loop of a simulation: arrivals, claims, ends, outages, one after the other by their times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connections::{Connections, Login};
use super::outage::{down_until, next_start};
use super::timeline::{Line, Timeline, What};
use super::{Scenario, Simulation, Summary};
use crate::fault::{Class, Code, Fault, code};
use crate::lane::{FILES_PER_CONNECTION, Health, Lane, NEVER, Signal};
use crate::news::{Telling, news};
use crate::retry::{self, Decision, Limits, Past};
use crate::timing::{Millis, millis};
use crate::window;

/// A server's answer, or a connection that is refused, takes this long. Only a timeout takes longer.
const ANSWER: Millis = 100;
/// Nobody looks further ahead.
const HORIZON: Millis = 400 * 24 * 3_600_000;
/// The version of the secret: nobody changes it in a simulation.
const SECRET: &str = "simulated";

/// One delivery.
#[derive(Debug, Clone, Default)]
struct Delivery {
    created_at: Millis,
    lane_closed_ms: Millis,
    charged: u32,
    attempts: u32,
    last_code: Option<&'static str>,
}

/// An attempt that is under way. Ordered by its end.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    ends_at: Millis,
    file: usize,
    login: Login,
    /// The login was made for it.
    fresh: bool,
    /// A fault of the endpoint ends it: the scenario's, or that the connection breaks.
    ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Arrives,
    Refused,
    Breaks,
}

pub(super) struct World<'a, R> {
    scenario: Scenario<'a>,
    random: R,
    now: Millis,
    lane: Lane,
    deliveries: Vec<Delivery>,
    /// Free jobs by their due time.
    jobs: BinaryHeap<Reverse<(Millis, usize)>>,
    flights: BinaryHeap<Reverse<Flight>>,
    connections: Connections,
    /// A full lane is looked at again by this rhythm.
    full_since: Option<Millis>,
    down: bool,
    /// A recovery that will be told.
    recovery_due: Option<Millis>,
    timeline: Timeline,
    summary: Summary,
}

impl<'a, R: FnMut() -> f64> World<'a, R> {
    pub(super) fn new(scenario: Scenario<'a>, random: R) -> Self {
        let lane = Lane {
            login_ok_version: Some(SECRET.to_owned()),
            ..Lane::new(i32::from(scenario.settings.max_files))
        };
        let deadline_ms = millis(scenario.policy.deadline.0);
        Self {
            scenario,
            random,
            now: scenario.from,
            lane,
            deliveries: Vec::new(),
            jobs: BinaryHeap::new(),
            flights: BinaryHeap::new(),
            connections: Connections::default(),
            full_since: None,
            down: false,
            recovery_due: None,
            timeline: Timeline::default(),
            summary: Summary { files: scenario.files, deadline_ms, ..Summary::default() },
        }
    }

    pub(super) fn run(mut self) -> Simulation {
        self.turn_with_outage();
        while let Some(at) = self.next_event() {
            if at - self.scenario.from > HORIZON {
                break;
            }
            self.now = at;
            self.turn_with_outage();
            self.end_flights();
            self.give_up();
            self.tell_recovery();
            self.arrive();
            self.claim();
        }
        self.close()
    }

    /// When something happens next; `None`: nothing will, or nothing that matters.
    fn next_event(&self) -> Option<Millis> {
        let flight = self.flights.peek().map(|Reverse(flight)| flight.ends_at);
        let work = [flight, self.next_claim(), self.next_arrival(), self.next_give_up()];
        let work = work.into_iter().flatten().min();
        // An outage begins and ends for ever; it counts only while there is something to send.
        let outages = self.scenario.outages;
        let edge = if self.down { down_until(outages, self.now) } else { next_start(outages, self.now + 1) };
        let edge = edge.filter(|_| work.is_some());
        [work, edge, self.recovery_due].into_iter().flatten().min()
    }

    fn next_arrival(&self) -> Option<Millis> {
        let next = self.deliveries.len();
        (next < self.scenario.files as usize).then(|| self.arrival(next))
    }

    fn arrival(&self, file: usize) -> Millis {
        let file = Millis::try_from(file).unwrap_or(Millis::MAX);
        self.scenario.from.saturating_add(file.saturating_mul(self.scenario.every_ms))
    }

    fn arrive(&mut self) {
        while let Some(at) = self.next_arrival().filter(|at| *at <= self.now) {
            self.jobs.push(Reverse((at, self.deliveries.len())));
            let lane_closed_ms = self.lane.closed_for(at);
            self.deliveries.push(Delivery { created_at: at, lane_closed_ms, ..Delivery::default() });
        }
    }

    fn turn_with_outage(&mut self) {
        let down = down_until(self.scenario.outages, self.now).is_some();
        if down == self.down {
            return;
        }
        self.down = down;
        if down {
            self.timeline.add(Line::new(self.now, What::Down));
            if self.breaks_connections() {
                self.connections.broken();
            }
        } else {
            self.timeline.add(Line::new(self.now, What::Up));
            self.summary.outage_ended_at = Some(self.now);
            self.summary.first_delivery_at = None;
        }
    }

    /// A server that refuses logins keeps those that are in; one that is too busy, too.
    fn breaks_connections(&self) -> bool {
        self.scenario.fault.class == Class::Endpoint && self.scenario.fault != &code::ENDPOINT_BUSY
    }

    /// Files in flight allowed, over all connections.
    fn room(&self) -> usize {
        let connections = i64::from(self.lane.connections(self.scenario.settings.max_connections.into()));
        usize::try_from(i64::from(self.lane.room()).min(connections * FILES_PER_CONNECTION)).unwrap_or(1)
    }

    fn next_claim(&self) -> Option<Millis> {
        let Reverse((due, _)) = self.jobs.peek()?;
        if self.lane.suspended_at.is_some() || self.flights.len() >= self.room() {
            return None;
        }
        let at = self.now.max(*due).max(self.lane.blocked_until);
        if self.lane.blocked_until >= NEVER {
            return None;
        }
        Some(match self.full_since {
            // A look at a full lane every `lane_full`, as in production.
            Some(since) => {
                let rhythm = millis(self.scenario.timing.lane_full).max(1);
                let looks = ((at - since + rhythm - 1) / rhythm).max(1);
                since + looks * rhythm
            }
            None => at,
        })
    }

    fn claim(&mut self) {
        if self.next_claim() != Some(self.now) {
            return;
        }
        if let Some(until) = window::closed_until(&self.scenario.settings.maintenance, self.now) {
            self.lane = self.lane.in_window(self.now, until);
            self.timeline.add(Line { until: Some(until), ..Line::new(self.now, What::Window) });
            return;
        }
        self.lane = self.lane.after_window(self.now);
        let room = self.room().saturating_sub(self.flights.len());
        let mut files = Vec::new();
        while files.len() < room {
            let Some(Reverse((due, file))) = self.jobs.pop() else { break };
            if due > self.now {
                self.jobs.push(Reverse((due, file)));
                break;
            }
            files.push(file);
        }
        self.full_since = (files.len() == room).then_some(self.now);
        self.start(&files);
    }

    fn start(&mut self, files: &[usize]) {
        let Scenario { settings, fault, outages, file_ms, .. } = self.scenario;
        let in_all = i64::try_from(self.flights.len() + files.len()).unwrap_or(i64::MAX);
        let limit = self.lane.connections(settings.max_connections.into());
        let plan = self.connections.plan(in_all, !self.flights.is_empty(), limit, self.now);
        let refuses_logins = self.down && fault.class != Class::Remote;
        let new = (plan.logins.len() - plan.old) as u64;
        self.summary.logins += new;
        self.summary.logins_while_down += if self.down { new } else { 0 };
        if !refuses_logins {
            self.connections.opened(&plan, self.now);
        }
        let breaks_at = self.breaks_connections().then(|| next_start(outages, self.now + 1)).flatten();
        let answer =
            if fault == &code::ENDPOINT_TIMEOUT { millis(settings.connect_timeout.0) } else { ANSWER };
        for (n, file) in files.iter().enumerate() {
            let connection = n % plan.logins.len();
            let fresh = connection >= plan.old;
            let arrives_at = self.now + file_ms.max(1);
            let refused = self.down && (fresh || fault.class == Class::Remote);
            let (ends_at, ending) = match breaks_at.filter(|at| *at < arrives_at) {
                _ if refused => (self.now + answer, Ending::Refused),
                Some(breaks_at) => (breaks_at, Ending::Breaks),
                None => (arrives_at, Ending::Arrives),
            };
            let login = plan.logins[connection];
            self.flights.push(Reverse(Flight { ends_at, file: *file, login, fresh, ending }));
            self.summary.attempts += 1;
            self.deliveries[*file].attempts += 1;
            self.summary.most_attempts = self.summary.most_attempts.max(self.deliveries[*file].attempts);
        }
    }

    fn end_flights(&mut self) {
        while let Some(Reverse(flight)) = self.flights.pop() {
            if flight.ends_at > self.now {
                self.flights.push(Reverse(flight));
                return;
            }
            self.connections.used(self.now);
            let random = (self.random)();
            let before = self.lane.clone();
            let fault = self.fault_of(&flight);
            let signal = match &fault {
                Some(fault) => Signal::of_fault(fault, Some(SECRET)),
                None => Signal::Worked { logged_in: flight.fresh.then_some(SECRET) },
            };
            let is_trial = before.health != Health::Closed && before.blocked_until <= self.now;
            self.lane = before.after(&signal, self.scenario.timing, self.now, random);
            match fault {
                Some(fault) => self.failed(flight.file, &fault, &before, is_trial, random),
                None => self.delivered(flight.file, &before, is_trial),
            }
            self.note_lane(&before);
        }
    }

    fn fault_of(&mut self, flight: &Flight) -> Option<Fault> {
        let code: &'static Code = match flight.ending {
            Ending::Arrives => return None,
            Ending::Refused => self.scenario.fault,
            Ending::Breaks => &code::ENDPOINT_RESET,
        };
        let fault = Fault::new(code, "simulated");
        let shared = code.class != Class::Remote && self.connections.is_reported(flight.login);
        Some(if shared { fault.as_shared() } else { fault })
    }

    fn delivered(&mut self, file: usize, before: &Lane, is_trial: bool) {
        let what = if is_trial { What::TrialWorked } else { What::Delivered };
        self.line(file, what, None);
        self.summary.delivered += 1;
        self.summary.first_delivery_at.get_or_insert(self.now);
        if self.summary.delivered == self.scenario.files {
            self.summary.all_delivered_at = Some(self.now);
        }
        self.use_deadline(file, before);
    }

    fn failed(&mut self, file: usize, fault: &Fault, before: &Lane, is_trial: bool, random: f64) {
        let code = fault.code.name;
        let delivery = &self.deliveries[file];
        let deadline_ms = millis(self.scenario.policy.deadline.0);
        let limits = Limits {
            max_attempts: self.scenario.policy.max_attempts.into(),
            deadline_at: delivery.created_at + deadline_ms + self.closed_for(delivery, before),
        };
        let past =
            Past { charged: delivery.charged, attempts: delivery.attempts, last_code: delivery.last_code };
        let decision = retry::decide(fault, past, limits, &self.scenario.timing.retry, self.now, random);
        let opened = is_trial && self.lane.health == Health::Open && self.lane.blocked_until > self.now;
        self.deliveries[file].last_code = Some(code);
        match decision {
            Decision::Again { due_at, charged } => {
                self.deliveries[file].charged += u32::from(charged);
                self.jobs.push(Reverse((due_at, file)));
                if opened {
                    let what = What::TrialFailed { code, for_ms: self.lane.open_ms };
                    self.line(file, what, Some(self.lane.blocked_until));
                } else {
                    self.line(file, What::Failed { code }, None);
                }
            }
            Decision::GiveUp { .. } => {
                self.summary.failed += 1;
                self.line(file, What::GaveUp { code }, None);
            }
        }
        self.use_deadline(file, before);
    }

    /// How long the lane was closed since the delivery was made.
    fn closed_for(&self, delivery: &Delivery, lane: &Lane) -> Millis {
        (lane.closed_for(self.now) - delivery.lane_closed_ms).max(0)
    }

    fn use_deadline(&mut self, file: usize, before: &Lane) {
        let delivery = &self.deliveries[file];
        let used = self.now - delivery.created_at - self.closed_for(delivery, before);
        self.summary.deadline_used_ms = self.summary.deadline_used_ms.max(used);
    }

    /// What became of the lane.
    fn note_lane(&mut self, before: &Lane) {
        let after = self.lane.clone();
        let at = |what| Line::new(self.now, what);
        let until = (after.blocked_until < NEVER).then_some(after.blocked_until);
        if before.health == Health::Closed && after.health == Health::Open {
            self.timeline.add(Line { until, ..at(What::Opened { for_ms: after.open_ms }) });
        } else if (before.blocked_reason, before.blocked_until) != (after.blocked_reason, after.blocked_until)
            && after.health == Health::Closed
            && let Some(reason) = after.blocked_reason
        {
            self.timeline.add(Line { until, ..at(What::Blocked { reason: reason.as_str() }) });
        }
        if after.suspended_at.is_some() && before.suspended_at.is_none() {
            self.timeline.add(at(What::Suspended));
        }
        if after.room() != before.room() && after.health == Health::Closed {
            self.timeline.add(at(What::Ramp { files: after.room() }));
        }
        let Some(news) = news(before, &after, self.scenario.timing, self.now) else { return };
        let about = news.event.as_str();
        match news.telling {
            Telling::Nothing => {}
            Telling::At(due) => self.recovery_due = Some(due),
            Telling::TakeBack if self.recovery_due.take().is_some() => {}
            Telling::Now | Telling::TakeBack => {
                self.recovery_due = None;
                self.notice(about);
            }
        }
    }

    fn tell_recovery(&mut self) {
        if self.recovery_due.is_some_and(|due| due <= self.now) {
            self.recovery_due = None;
            self.notice(crate::news::LaneEvent::Recovered.as_str());
        }
    }

    fn notice(&mut self, about: &'static str) {
        self.summary.notices += 1;
        self.timeline.add(Line::new(self.now, What::Notice { about }));
    }

    fn line(&mut self, file: usize, what: What, until: Option<Millis>) {
        let attempt = Some(self.deliveries[file].attempts);
        let file = u32::try_from(file + 1).ok();
        self.timeline.add(Line { until, file, attempt, ..Line::new(self.now, what) });
    }

    fn next_give_up(&self) -> Option<Millis> {
        let limit = millis(self.scenario.settings.give_up_after?.0);
        let since = self.lane.failing_since.filter(|_| !self.jobs.is_empty())?;
        // The maintainer's round.
        Some((since + limit).max(self.now + millis(self.scenario.timing.rederive).max(1)))
    }

    /// Fails what is older than `give_up_after`, of an endpoint that has been failing for as long.
    fn give_up(&mut self) {
        let Some(limit) = self.scenario.settings.give_up_after.map(|limit| millis(limit.0)) else { return };
        if self.lane.failing_since.is_none_or(|since| self.now - since < limit) {
            return;
        }
        let jobs = std::mem::take(&mut self.jobs).into_vec();
        let is_old = |job: &Reverse<(Millis, usize)>| self.deliveries[job.0.1].created_at < self.now - limit;
        let (old, young): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_old);
        self.jobs = young.into();
        for Reverse((_, file)) in old {
            self.summary.failed += 1;
            self.line(file, What::GaveUp { code: code::ENDPOINT_GAVE_UP.name }, None);
        }
    }

    fn close(mut self) -> Simulation {
        self.summary.waiting = self.scenario.files - self.summary.delivered - self.summary.failed;
        if self.summary.waiting > 0 && (self.lane.suspended_at.is_some() || self.lane.blocked_until >= NEVER)
        {
            self.summary.waits_for_operator_since = self.lane.suspended_at.or(self.lane.closed_since);
        }
        Simulation { lines: self.timeline.folded(), summary: self.summary }
    }
}
