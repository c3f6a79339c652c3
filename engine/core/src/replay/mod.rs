//! Replay: what is settled is sent again, by one reviewed command (docs/STATES.md, "Replay").

mod filter;
mod pace;
mod skip;
mod standing;
mod when;

pub use filter::{Filter, NameGlob};
pub use pace::{AHEAD, Pace};
pub use skip::{Facts, Newer, Skip, Stored};
pub use standing::Standing;
pub use when::{Moment, When};

use crate::state::{Illegal, words};

/// The longest idempotency key, in characters.
pub const MAX_KEY_CHARS: usize = 255;

/// The most that a rate limit may ask for: one a millisecond.
pub const MAX_PER_MINUTE: u32 = 60_000;

words! {
    /// What "again" means.
    ReplayMode, "replay mode" {
        /// The same artifact under the same name.
        Redeliver = "redeliver",
        /// Routed and transformed again, with today's rules and subscriptions.
        Reprocess = "reprocess",
    }
}

words! {
    /// Where a redelivered file goes.
    ReplayConfig, "replay configuration" {
        /// Where the subscription sends its files today, by today's retry policy.
        Current = "current",
        /// Where it was sent before, by the policy of that time.
        AsSent = "as_sent",
    }
}

words! {
    /// Where a replay stands.
    ReplayState, "replay state" {
        /// Its deliveries are being created.
        Running = "running",
        /// An operator stopped it; what it has not sent is held.
        Paused = "paused",
        /// All its deliveries are created. They are sent like any other.
        Done = "done",
        /// An operator ended it; what it had not sent is cancelled.
        Cancelled = "cancelled",
    }
}

/// What can happen to a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayEvent {
    /// Operator: create and send no more until resumed.
    Pause,
    /// Operator: go on.
    Resume,
    /// Operator: never send the rest.
    Cancel,
    /// The runner found nothing more to create.
    Exhausted,
}

impl ReplayState {
    /// The state after `event`. `open`: some of its deliveries are not settled yet, so that pausing or cancelling one
    /// whose deliveries are all created still stops something.
    ///
    /// ```
    /// use outport_core::replay::{ReplayEvent, ReplayState};
    /// assert_eq!(ReplayState::Running.step(ReplayEvent::Pause, true), Ok(ReplayState::Paused));
    /// assert!(ReplayState::Done.step(ReplayEvent::Cancel, false).is_err());
    /// ```
    ///
    /// # Errors
    /// [`Illegal`] for a step that is not drawn in docs/STATES.md.
    pub fn step(self, event: ReplayEvent, open: bool) -> Result<Self, Illegal> {
        use {ReplayEvent as E, ReplayState as S};
        match (self, event) {
            (S::Running, E::Pause) => Ok(S::Paused),
            (S::Paused, E::Resume) => Ok(S::Running),
            (S::Running, E::Exhausted) => Ok(S::Done),
            (S::Running | S::Paused, E::Cancel) => Ok(S::Cancelled),
            (S::Done, E::Pause) if open => Ok(S::Paused),
            (S::Done, E::Cancel) if open => Ok(S::Cancelled),
            _ => Err(Illegal::new("replay", self.as_str(), event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_as_drawn() {
        use {ReplayEvent as E, ReplayState as S};
        let events = [E::Pause, E::Resume, E::Cancel, E::Exhausted];
        // With open deliveries, then without.
        let table = [
            (S::Running, [Some(S::Paused), None, Some(S::Cancelled), Some(S::Done)], [None; 4]),
            (S::Paused, [None, Some(S::Running), Some(S::Cancelled), None], [None; 4]),
            (
                S::Done,
                [Some(S::Paused), None, Some(S::Cancelled), None],
                [Some(None), None, Some(None), None],
            ),
            (S::Cancelled, [None; 4], [None; 4]),
        ];
        assert_eq!(table.len(), S::ALL.len());
        for (state, open, settled) in table {
            for (n, event) in events.into_iter().enumerate() {
                assert_eq!(state.step(event, true).ok(), open[n], "{state} + {event:?}, open");
                // The same, but where the table says otherwise.
                assert_eq!(
                    state.step(event, false).ok(),
                    settled[n].unwrap_or(open[n]),
                    "{state} + {event:?}"
                );
            }
        }
    }
}
