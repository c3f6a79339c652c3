//! The transform's state machine (docs/STATES.md, "Transform").

use crate::state::{Illegal, words};

words! {
    /// Where a transform stands.
    TransformState, "transform state" {
        /// Due now or later.
        Pending = "pending",
        /// A worker holds its lease.
        Running = "running",
        /// Its artifacts exist.
        Succeeded = "succeeded",
        /// Given up; its waiting deliveries failed with it.
        Failed = "failed",
        /// Stopped by an operator.
        Cancelled = "cancelled",
    }
}

/// What can happen to a transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransformEvent {
    /// A worker took the lease.
    Claimed,
    /// The output is stored.
    Succeeded,
    /// The input is bad, or the tries are used up.
    Failed,
    /// A fault of ours; again later.
    Retry,
    /// The lease expired or was given back.
    Freed,
    /// Operator.
    Cancel,
}

impl TransformState {
    /// Terminal states never change again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The state after `event`.
    pub fn step(self, event: TransformEvent) -> Result<Self, Illegal> {
        use {TransformEvent as E, TransformState as S};
        match (self, event) {
            (S::Pending, E::Claimed) => Ok(S::Running),
            (S::Running, E::Succeeded) => Ok(S::Succeeded),
            (S::Running, E::Failed) => Ok(S::Failed),
            (S::Running, E::Retry | E::Freed) => Ok(S::Pending),
            (S::Pending | S::Running, E::Cancel) => Ok(S::Cancelled),
            _ => Err(Illegal::new("transform", self.as_str(), event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_as_drawn() {
        use {TransformEvent as E, TransformState as S};
        let events = [E::Claimed, E::Succeeded, E::Failed, E::Retry, E::Freed, E::Cancel];
        let table = [
            (S::Pending, [Some(S::Running), None, None, None, None, Some(S::Cancelled)]),
            (
                S::Running,
                [
                    None,
                    Some(S::Succeeded),
                    Some(S::Failed),
                    Some(S::Pending),
                    Some(S::Pending),
                    Some(S::Cancelled),
                ],
            ),
            (S::Succeeded, [None; 6]),
            (S::Failed, [None; 6]),
            (S::Cancelled, [None; 6]),
        ];
        for (state, wanted) in table {
            for (event, want) in events.iter().zip(wanted) {
                assert_eq!(state.step(*event).ok(), want, "{state} + {event:?}");
            }
        }
    }
}
