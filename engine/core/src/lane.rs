//! An endpoint's health: strikes, breaker, login block, ramp. A pure function, stored with every finish.

use crate::fault::{Class, Fault, Retry, code};
use crate::state::words;
use crate::timing::{Millis, Timing, millis};

/// "Until an operator acts": later than any date, and far enough from overflow to add to.
pub const NEVER: Millis = 9_000_000_000_000_000;

words! {
    /// The breaker's position.
    Health, "lane health" {
        /// Work flows.
        Closed = "closed",
        /// Nothing is tried before `blocked_until`.
        Open = "open",
        /// One file tries whether the endpoint is back.
        HalfOpen = "half_open",
    }
}

words! {
    /// Why a lane is blocked.
    BlockReason, "block reason" {
        /// Too many failures in a row; opens by itself.
        Breaker = "breaker",
        /// Two refused logins; one try after the wait, or when the secret changes.
        Credential = "credential",
        /// The host key is not a pinned one; waits for an operator.
        Identity = "identity",
        /// The endpoint's settings cannot work; waits for an operator.
        Settings = "settings",
        /// Outside of the endpoint's hours.
        Window = "window",
    }
}

/// The part of a lane that its endpoint's behaviour changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Breaker position.
    pub health: Health,
    /// Files in flight at most, when healthy.
    pub cap: i32,
    /// Files in flight at most for now; grows back to `cap` after trouble.
    pub ramp: i32,
    /// Failures in a row.
    pub strikes: i32,
    /// The last 20 results, newest in bit 0, 1 = failed.
    pub recent: i64,
    /// How many of `recent` are real.
    pub recent_n: i32,
    /// Refused logins in a row.
    pub login_strikes: i32,
    /// The secret's version at the last successful login.
    pub login_ok_version: Option<String>,
    /// The secret's version at the last refused login.
    pub refused_version: Option<String>,
    /// Nothing is claimed before this.
    pub blocked_until: Millis,
    /// Why.
    pub blocked_reason: Option<BlockReason>,
    /// The host key that was seen in place of a pinned one.
    pub seen_identity: Option<String>,
    /// How long the breaker's present or last opening was meant to last.
    pub open_ms: Millis,
    /// When the breaker opened.
    pub opened_at: Option<Millis>,
    /// When the present row of failures began.
    pub failing_since: Option<Millis>,
    /// When its last trouble ended.
    pub recovered_at: Option<Millis>,
    /// Since when the engine tries no more, after failing for days; an operator resumes it.
    pub suspended_at: Option<Millis>,
    /// Set by an operator's pause.
    pub paused: bool,
    /// Since when nothing could be sent, whatever the reason.
    pub closed_since: Option<Millis>,
    /// How long it was closed before that, in all. The difference of two readings of [`closed_for`](Lane::closed_for) is
    /// what a delivery's deadline does not count.
    pub closed_ms: Millis,
}

/// What one ended attempt says about the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal<'a> {
    /// The server let us in and did its part, whatever became of the file.
    Worked {
        /// The version of the secret of a login that was made for this very file. An older connection proves nothing
        /// about logins.
        logged_in: Option<&'a str>,
    },
    /// A fault of the endpoint, its login or its identity.
    Fault {
        /// The fault.
        fault: &'a Fault,
        /// The version of the secret in use.
        secret_version: Option<&'a str>,
    },
    /// Nothing was learned about the endpoint: our own fault, or another file reported it already.
    Nothing,
}

impl<'a> Signal<'a> {
    /// What the fault of an ended attempt says about its endpoint.
    pub fn of_fault(fault: &'a Fault, secret_version: Option<&'a str>) -> Self {
        if fault.shared {
            return Self::Nothing;
        }
        match fault.class() {
            // The server answered: whatever it refused, it is up and let us in.
            Class::Remote => Self::Worked { logged_in: None },
            Class::Artifact | Class::Engine | Class::Cancelled | Class::Input => Self::Nothing,
            Class::Endpoint | Class::Credential | Class::Identity | Class::Config => {
                Self::Fault { fault, secret_version }
            }
        }
    }
}

/// Files that one connection carries at once; a lane with more of them asks for a further one.
pub const FILES_PER_CONNECTION: i64 = 32;

const WINDOW: i32 = 20;
const STRIKES_TO_OPEN: i32 = 5;
const FAILED_OF_WINDOW_TO_OPEN: u32 = 10;
const LOGIN_STRIKES_TO_BLOCK: i32 = 2;

impl Lane {
    /// A lane that has seen nothing yet.
    pub fn new(cap: i32) -> Self {
        Self {
            health: Health::Closed,
            cap,
            ramp: cap,
            strikes: 0,
            recent: 0,
            recent_n: 0,
            login_strikes: 0,
            login_ok_version: None,
            refused_version: None,
            blocked_until: 0,
            blocked_reason: None,
            seen_identity: None,
            open_ms: 0,
            opened_at: None,
            failing_since: None,
            recovered_at: None,
            suspended_at: None,
            paused: false,
            closed_since: None,
            closed_ms: 0,
        }
    }

    /// How long the lane has been closed until `now`, since it exists.
    pub fn closed_for(&self, now: Millis) -> Millis {
        self.closed_ms + self.closed_since.map_or(0, |since| (now - since).max(0))
    }

    /// The lane inside of a maintenance window that ends at `until`.
    #[must_use]
    pub fn in_window(&self, now: Millis, until: Millis) -> Self {
        let mut next = self.clone();
        next.block(until, BlockReason::Window);
        next.mark_closed(now);
        next
    }

    /// The lane after its maintenance window. Nothing changes when it was not in one.
    #[must_use]
    pub fn after_window(&self, now: Millis) -> Self {
        let mut next = self.clone();
        if next.blocked_reason == Some(BlockReason::Window) {
            next.unblock();
            next.mark_closed(now);
        }
        next
    }

    /// The lane after an operator's pause or its end.
    #[must_use]
    pub fn with_pause(&self, paused: bool, now: Millis) -> Self {
        let mut next = self.clone();
        next.paused = paused;
        next.mark_closed(now);
        next
    }

    /// Keeps the account of closed time.
    fn mark_closed(&mut self, now: Millis) {
        let closed = self.paused
            || self.suspended_at.is_some()
            || self.blocked_reason.is_some()
            || self.health != Health::Closed;
        if closed {
            self.closed_since.get_or_insert(now);
        } else {
            self.closed_ms = self.closed_for(now);
            self.closed_since = None;
        }
    }

    /// Gives up for now on an endpoint that has failed for days.
    fn suspend_if_hopeless(&mut self, timing: &Timing, now: Millis) {
        let hopeless = self.failing_since.is_some_and(|since| now - since >= millis(timing.suspend));
        if hopeless && self.blocked_reason.is_some() {
            self.suspended_at.get_or_insert(now);
        }
    }

    /// A lane that has not proved its login, or has trouble, gets one connection and one file.
    pub fn is_on_probation(&self) -> bool {
        self.login_ok_version.is_none()
            || self.strikes > 0
            || self.login_strikes > 0
            || self.health != Health::Closed
    }

    /// Connections allowed now, of the `most` that its endpoint allows: one is enough for the one file of a probation.
    pub fn connections(&self, most: i32) -> i32 {
        if self.is_on_probation() { 1 } else { most }
    }

    /// Whether something other than an operator or the clock keeps work away, or did until the test that is under way.
    pub fn is_in_trouble(&self) -> bool {
        self.health != Health::Closed
            || self.suspended_at.is_some()
            || self.blocked_reason.is_some_and(|reason| reason != BlockReason::Window)
    }

    /// Files in flight allowed now.
    pub fn room(&self) -> i32 {
        if self.is_on_probation() { 1 } else { self.ramp.min(self.cap).max(1) }
    }

    /// Workers that could be busy here at a time: each needs a connection of the `most`, and a file.
    pub fn workers(&self, most: i32) -> i32 {
        self.connections(most).min(self.room())
    }

    /// The lane after `signal`. `random` is uniform in `0.0..1.0`.
    #[must_use]
    pub fn after(&self, signal: &Signal<'_>, timing: &Timing, now: Millis, random: f64) -> Self {
        let mut next = self.clone();
        match signal {
            Signal::Nothing => {}
            Signal::Worked { logged_in } => next.worked(*logged_in),
            Signal::Fault { fault, secret_version } => {
                let wait = |base: Millis| (base as f64 * (0.8 + 0.4 * random.clamp(0.0, 1.0))) as Millis;
                match (fault.class(), fault.code.retry) {
                    // Too many connections is our doing, not the server's illness.
                    (Class::Endpoint, _) if fault.code == &code::ENDPOINT_BUSY => {
                        next.ramp = (next.ramp / 2).max(1)
                    }
                    (Class::Endpoint, _) => next.struck(timing, now, wait),
                    (Class::Credential, _) => next.login_refused(timing, now, *secret_version),
                    (Class::Identity, _) => {
                        next.block(NEVER, BlockReason::Identity);
                        next.seen_identity.clone_from(&fault.seen_identity);
                    }
                    (Class::Config, Retry::Operator) => {
                        next.block(NEVER, BlockReason::Settings);
                        next.refused_version = secret_version.map(str::to_owned);
                    }
                    _ => {}
                }
                next.suspend_if_hopeless(timing, now);
            }
        }
        if self.is_in_trouble() && !next.is_in_trouble() {
            next.recovered_at = Some(now);
        }
        next.mark_closed(now);
        next
    }

    /// The lane after an operator said "try again", or applied new settings: blocks gone, one file tries.
    #[must_use]
    pub fn lifted(&self, now: Millis) -> Self {
        let mut next = self.clone();
        next.blocked_until = 0;
        next.blocked_reason = None;
        next.login_strikes = 0;
        next.seen_identity = None;
        next.refused_version = None;
        next.suspended_at = None;
        // The days of failing begin anew, or the next failure would suspend it again.
        next.failing_since = None;
        if next.health == Health::Open {
            next.health = Health::HalfOpen;
        }
        next.mark_closed(now);
        next
    }

    fn worked(&mut self, logged_in: Option<&str>) {
        if self.health != Health::Closed {
            self.ramp = 1;
            self.opened_at = None;
            self.open_ms = 0;
            // The old window would open the breaker again at the next single failure.
            (self.recent, self.recent_n) = (0, 0);
        } else if self.ramp < self.cap {
            self.ramp = (self.ramp * 2).min(self.cap);
        }
        self.health = Health::Closed;
        self.strikes = 0;
        if self.blocked_reason == Some(BlockReason::Breaker) {
            self.unblock();
        }
        // A healthy lane's window stays all zeros, so that its row need not be written for each file.
        if self.recent != 0 {
            self.remember(false);
        }
        if let Some(version) = logged_in {
            self.login_ok_version = Some(version.to_owned());
            self.login_strikes = 0;
            self.refused_version = None;
            // A changed host key or wrong settings wait for an operator, whatever an old connection still does.
            if self.blocked_reason == Some(BlockReason::Credential) {
                self.unblock();
            }
        }
        if self.login_strikes == 0 {
            self.failing_since = None;
        }
    }

    fn unblock(&mut self) {
        self.blocked_until = 0;
        self.blocked_reason = None;
    }

    fn struck(&mut self, timing: &Timing, now: Millis, wait: impl Fn(Millis) -> Millis) {
        self.strikes += 1;
        self.failing_since.get_or_insert(now);
        self.remember(true);
        let bad_window =
            self.recent_n >= WINDOW && (self.recent as u64).count_ones() >= FAILED_OF_WINDOW_TO_OPEN;
        // Files that were in flight when the breaker opened fail late: they are no trial of a half-open lane.
        if self.health == Health::Open && now < self.blocked_until {
            return;
        }
        let again = self.health != Health::Closed;
        if !(again || self.strikes >= STRIKES_TO_OPEN || bad_window) {
            return;
        }
        self.open_ms = if again {
            (self.open_ms * 2).clamp(millis(timing.breaker), millis(timing.breaker_max))
        } else {
            millis(timing.breaker)
        };
        self.health = Health::Open;
        self.opened_at.get_or_insert(now);
        self.block(now + wait(self.open_ms), BlockReason::Breaker);
    }

    fn login_refused(&mut self, timing: &Timing, now: Millis, secret_version: Option<&str>) {
        self.login_strikes += 1;
        self.failing_since.get_or_insert(now);
        self.refused_version = secret_version.map(str::to_owned);
        let over = self.login_strikes - LOGIN_STRIKES_TO_BLOCK;
        if over >= 0 {
            // 2^16 half hours are past the cap long before the shift could overflow.
            let wait = millis(timing.credential) << over.min(16);
            self.block(now + wait.min(millis(timing.credential_max)), BlockReason::Credential);
        }
    }

    fn block(&mut self, until: Millis, reason: BlockReason) {
        self.blocked_until = until;
        self.blocked_reason = Some(reason);
    }

    fn remember(&mut self, failed: bool) {
        self.recent = ((self.recent << 1) | i64::from(failed)) & ((1 << WINDOW) - 1);
        self.recent_n = (self.recent_n + 1).min(WINDOW);
    }
}

#[cfg(test)]
mod tests;
