//! What a change of a lane is called in the history, and whether people are told of it.

use crate::lane::{BlockReason, Lane};
use crate::state::words;
use crate::timing::{Millis, Timing, millis};

words! {
    /// What happened to a lane.
    LaneEvent, "lane event" {
        /// Nothing is claimed until a time, or until an operator acts.
        Blocked = "lane_blocked",
        /// It has failed for days; an operator resumes it.
        Suspended = "lane_suspended",
        /// Work flows again.
        Recovered = "lane_recovered",
    }
}

/// An event of a lane, and who hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// For the history, always.
    pub event: LaneEvent,
    /// For people.
    pub telling: Telling,
}

/// Whether people are told. An endpoint that is up and down by turns is one trouble: it is told once, and its end when
/// the lane has stayed open for [`Timing::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// They know.
    Nothing,
    /// At once. A recovery of before that nobody was told yet is not told any more.
    Now,
    /// At this time, unless it is taken back until then.
    At(Millis),
    /// A recovery of before that nobody was told yet is taken back; it was none. If it was told already: at once.
    TakeBack,
}

/// What there is to say about a lane that was `before` and is `after` since `now`; `None`: nothing.
pub fn news(before: &Lane, after: &Lane, timing: &Timing, now: Millis) -> Option<News> {
    let say = |event, telling| Some(News { event, telling });
    if before.suspended_at.is_none() && after.suspended_at.is_some() {
        return say(LaneEvent::Suspended, Telling::Now);
    }
    if before.is_in_trouble() && !after.is_in_trouble() {
        return say(LaneEvent::Recovered, Telling::At(now + millis(timing.settle)));
    }
    let reason = after.blocked_reason?;
    if (before.blocked_reason, before.blocked_until) == (Some(reason), after.blocked_until) {
        return None;
    }
    let telling = if before.blocked_reason == Some(reason) || is_same_trouble(before, reason) {
        Telling::Nothing
    } else if reason == BlockReason::Breaker
        && before.recovered_at.is_some_and(|at| now - at < millis(timing.settle))
    {
        Telling::TakeBack
    } else {
        Telling::Now
    };
    say(LaneEvent::Blocked, telling)
}

/// A maintenance window stands in the place of a breaker's block until it ends; what follows was told before.
fn is_same_trouble(before: &Lane, reason: BlockReason) -> bool {
    reason == BlockReason::Breaker && before.is_in_trouble() && before.blocked_reason.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Code, Fault, code};
    use crate::lane::Signal;

    const MINUTE: Millis = 60_000;

    struct Story {
        lane: Lane,
        told: Vec<(LaneEvent, Telling)>,
    }

    impl Story {
        fn new() -> Self {
            let mut story = Self { lane: Lane::new(64), told: vec![] };
            story.works(0);
            story
        }

        fn step(&mut self, signal: &Signal<'_>, now: Millis) {
            let after = self.lane.after(signal, &Timing::default(), now, 0.5);
            let news = news(&self.lane, &after, &Timing::default(), now);
            self.told.extend(news.map(|news| (news.event, news.telling)));
            self.lane = after;
        }

        fn works(&mut self, now: Millis) {
            self.step(&Signal::Worked { logged_in: Some("v1") }, now);
        }

        fn fails(&mut self, code: &'static Code, times: usize, now: Millis) {
            for _ in 0..times {
                let fault = Fault::new(code, "x");
                self.step(&Signal::Fault { fault: &fault, secret_version: Some("v1") }, now);
            }
        }
    }

    #[test]
    fn an_outage_is_told_at_its_beginning_and_after_it_has_settled() {
        let mut story = Story::new();
        story.fails(&code::ENDPOINT_REFUSED, 5, MINUTE);
        story.fails(&code::ENDPOINT_REFUSED, 1, 2 * MINUTE);
        story.works(60 * MINUTE);
        story.works(61 * MINUTE);
        let expected = [
            (LaneEvent::Blocked, Telling::Now),
            (LaneEvent::Blocked, Telling::Nothing),
            (LaneEvent::Recovered, Telling::At(70 * MINUTE)),
        ];
        assert_eq!(story.told, expected);
    }

    #[test]
    fn up_and_down_by_turns_is_one_trouble() {
        let mut story = Story::new();
        for minute in 1..10 {
            story.fails(&code::ENDPOINT_REFUSED, 5, minute * MINUTE);
            story.works(minute * MINUTE + 30_000);
        }
        let tellings: Vec<Telling> = story.told.iter().map(|(_, telling)| *telling).collect();
        assert_eq!(tellings.iter().filter(|telling| **telling == Telling::Now).count(), 1);
        assert_eq!(tellings.iter().filter(|telling| **telling == Telling::TakeBack).count(), 8);
        story.fails(&code::ENDPOINT_REFUSED, 5, 20 * MINUTE);
        assert_eq!(story.told.last(), Some(&(LaneEvent::Blocked, Telling::Now)), "it had settled");
    }

    #[test]
    fn what_needs_a_person_is_told_at_once_whatever_was_before() {
        let mut story = Story::new();
        story.fails(&code::ENDPOINT_REFUSED, 5, MINUTE);
        story.works(2 * MINUTE);
        story.fails(&code::HOSTKEY_CHANGED, 1, 3 * MINUTE);
        assert_eq!(story.told.last(), Some(&(LaneEvent::Blocked, Telling::Now)));
        let mut story = Story::new();
        story.fails(&code::CREDENTIAL_REFUSED, 1, 0);
        assert_eq!(story.told, [], "one refused login is no block yet");
        story.fails(&code::CREDENTIAL_REFUSED, 2, MINUTE);
        assert_eq!(story.told, [(LaneEvent::Blocked, Telling::Now), (LaneEvent::Blocked, Telling::Nothing)]);
    }

    #[test]
    fn days_of_failing_end_in_a_suspension_that_is_told() {
        let mut story = Story::new();
        for hour in 0..121 {
            story.fails(&code::ENDPOINT_REFUSED, 5, hour * 60 * MINUTE);
        }
        let suspended = story.told.iter().filter(|told| **told == (LaneEvent::Suspended, Telling::Now));
        assert_eq!(suspended.count(), 1);
    }

    #[test]
    fn a_window_in_the_middle_of_an_outage_is_no_news() {
        let mut story = Story::new();
        story.fails(&code::ENDPOINT_REFUSED, 5, MINUTE);
        story.lane = story.lane.in_window(5 * MINUTE, 9 * MINUTE).after_window(9 * MINUTE);
        story.fails(&code::ENDPOINT_REFUSED, 1, 9 * MINUTE);
        story.works(12 * MINUTE);
        let expected = [
            (LaneEvent::Blocked, Telling::Now),
            (LaneEvent::Blocked, Telling::Nothing),
            (LaneEvent::Recovered, Telling::At(22 * MINUTE)),
        ];
        assert_eq!(story.told, expected);
    }
}
