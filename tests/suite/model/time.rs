//! Time in the model: the database's clock, and how far it was turned. An instant that a verb takes from the clock lies
//! between two looks at it; once the store's value was seen, it is that.

use outport_core::Millis;
use outport_core::lane::{Lane, NEVER};

/// An instant, or a duration, that lies between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    pub lo: Millis,
    pub hi: Millis,
}

impl When {
    pub fn exactly(at: Millis) -> Self {
        Self { lo: at, hi: at }
    }

    pub fn plus(self, ms: Millis) -> Self {
        Self { lo: self.lo + ms, hi: self.hi + ms }
    }

    /// The earlier of the two.
    pub fn least(self, other: Self) -> Self {
        Self { lo: self.lo.min(other.lo), hi: self.hi.min(other.hi) }
    }

    /// Whether it is over at `now`. Before each step the clock is turned past whatever would come to pass within it.
    pub fn is_over(self, now: Self) -> bool {
        self.hi <= now.lo
    }

    /// Takes the store's value; `false`: it cannot be that.
    pub fn adopt(&mut self, seen: Millis) -> bool {
        let good = (self.lo..=self.hi).contains(&seen);
        (self.lo, self.hi) = (seen, seen);
        good
    }
}

/// A lane as a step leaves it, at the earliest and at the latest.
#[derive(Debug, Clone)]
pub struct Health {
    pub early: Lane,
    pub late: Lane,
}

impl Health {
    pub fn new(lane: Lane) -> Self {
        Self { early: lane.clone(), late: lane }
    }

    pub fn change(&mut self, now: When, change: impl Fn(&Lane, Millis) -> Lane) {
        self.early = change(&self.early, now.lo);
        self.late = change(&self.late, now.hi);
    }

    /// How long it has been closed at `now`.
    pub fn closed_for(&self, now: When) -> When {
        let all = [(&self.early, now.lo), (&self.early, now.hi), (&self.late, now.lo), (&self.late, now.hi)];
        let all = all.map(|(lane, now)| lane.closed_for(now));
        When { lo: all.into_iter().min().unwrap(), hi: all.into_iter().max().unwrap() }
    }

    /// Takes the store's lane; what differs, if anything does.
    pub fn adopt(&mut self, seen: &Lane) -> Result<(), String> {
        let within = |what, of: fn(&Lane) -> Option<Millis>| {
            let good = match (of(&self.early), of(seen), of(&self.late)) {
                (Some(early), Some(seen), Some(late)) => early.min(late) <= seen && seen <= early.max(late),
                (early, seen, late) => early.is_none() && seen.is_none() && late.is_none(),
            };
            if good {
                Ok(())
            } else {
                Err(format!("{what}: {seen:?} is not from {:?} to {:?}", self.early, self.late))
            }
        };
        within("blocked_until", |lane| Some(lane.blocked_until))?;
        within("opened_at", |lane| lane.opened_at)?;
        within("failing_since", |lane| lane.failing_since)?;
        within("recovered_at", |lane| lane.recovered_at)?;
        within("suspended_at", |lane| lane.suspended_at)?;
        within("closed_since", |lane| lane.closed_since)?;
        within("closed_ms", |lane| Some(lane.closed_ms))?;
        let timeless = |lane: &Lane| Lane {
            blocked_until: 0,
            opened_at: None,
            failing_since: None,
            recovered_at: None,
            suspended_at: None,
            closed_since: None,
            closed_ms: 0,
            ..lane.clone()
        };
        if timeless(&self.early) != timeless(seen) {
            return Err(format!("should be {:?}, is {seen:?}", self.early));
        }
        (self.early, self.late) = (seen.clone(), seen.clone());
        Ok(())
    }
}

/// An instant of the store on the model's clock. Never and always stay what they are.
pub fn turned(at: Millis, by: Millis) -> Millis {
    if at == 0 || at >= NEVER { at } else { at + by }
}
