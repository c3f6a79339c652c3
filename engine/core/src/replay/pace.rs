//! How fast a replay creates: a rate, and never far ahead of it.

use crate::timing::Millis;

/// What a replay creates is due at most so far in the future, so that pausing it leaves little behind.
pub const AHEAD: Millis = 60_000;

/// The rate of one replay, and when its next item is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    per_minute: Option<u32>,
    base: Millis,
}

impl Pace {
    /// Goes on at `now` where the last page left off (`next_due_at`). A runner that was away does not catch up in a burst.
    pub fn new(per_minute: Option<u32>, next_due_at: Option<Millis>, now: Millis) -> Self {
        Self { per_minute, base: next_due_at.map_or(now, |next| next.max(now)) }
    }

    /// How many may be created at `now`, `page` at most.
    ///
    /// ```
    /// use outport_core::replay::Pace;
    /// assert_eq!(Pace::new(Some(120), None, 1_000).slots(1_000, 200), 120);
    /// assert_eq!(Pace::new(Some(120), Some(31_000), 1_000).slots(1_000, 200), 60);
    /// assert_eq!(Pace::new(None, None, 1_000).slots(1_000, 200), 200);
    /// ```
    pub fn slots(&self, now: Millis, page: u32) -> u32 {
        let Some(rate) = self.per_minute else { return page };
        let room = (now + AHEAD - self.base).max(0);
        let slots = ceil(room * i64::from(rate), AHEAD);
        page.min(u32::try_from(slots).unwrap_or(u32::MAX))
    }

    /// When the `n`-th item of this page is due; for `n` = the number created, when the next page begins. Rounded up:
    /// never faster than the rate.
    pub fn due(&self, n: u32) -> Millis {
        match self.per_minute {
            Some(rate) => self.base + ceil(i64::from(n) * 60_000, i64::from(rate.max(1))),
            None => self.base,
        }
    }
}

/// Division that rounds up, of numbers that are not negative.
const fn ceil(number: i64, by: i64) -> i64 {
    (number + by - 1) / by
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_rate_everything_is_due_now() {
        let pace = Pace::new(None, Some(5), 1_000);
        assert_eq!((pace.due(0), pace.due(1_000_000), pace.slots(1_000, 7)), (1_000, 1_000, 7));
    }

    proptest! {
        /// Whatever the pages and the pauses of the runner: in no minute more than the rate, and nothing beyond `AHEAD`.
        #[test]
        fn no_minute_has_more_than_the_rate(
            rate in 1u32..=2_000,
            steps in prop::collection::vec((0i64..120_000, 1u32..=300), 1..30),
        ) {
            let (mut now, mut next, mut dues) = (1_000_000, None, Vec::new());
            for (wait, page) in steps {
                now += wait;
                let pace = Pace::new(Some(rate), next, now);
                let slots = pace.slots(now, page);
                prop_assert!(slots <= page);
                for n in 0..slots {
                    let due = pace.due(n);
                    prop_assert!(due >= now && due <= now + AHEAD, "{due} at {now}");
                    dues.push(due);
                }
                next = Some(pace.due(slots));
            }
            prop_assert!(dues.is_sorted());
            for window in dues.windows(rate as usize + 1) {
                prop_assert!(window[rate as usize] - window[0] >= 60_000, "{window:?}");
            }
        }

        /// A runner that is asked often keeps up with the rate: rounding costs less than a tenth of it.
        #[test]
        fn a_steady_runner_keeps_up(rate in 1u32..=2_000) {
            let (mut now, mut next, mut created) = (0, None, 0);
            while now < 3_600_000 {
                let pace = Pace::new(Some(rate), next, now);
                let slots = pace.slots(now, 200);
                created += slots;
                next = Some(pace.due(slots));
                now += if slots == 200 { 0 } else { 5_000 };
            }
            prop_assert!(f64::from(created) >= f64::from(rate) * 60.0 * 0.9, "{created} of {}", rate * 60);
        }
    }
}
