//! The delivery's and the attempt's state machines (docs/STATES.md, "Delivery").

use crate::state::{Illegal, words};

words! {
    /// Where a delivery stands.
    DeliveryState, "delivery state" {
        /// Its transform has not finished.
        Waiting = "waiting",
        /// Due, never tried.
        Queued = "queued",
        /// A worker holds its lease.
        Sending = "sending",
        /// Tried before, due again later.
        Retrying = "retrying",
        /// Set aside by an operator.
        Held = "held",
        /// It may have arrived; waits for a person.
        Unconfirmed = "unconfirmed",
        /// At the endpoint, with a receipt.
        Delivered = "delivered",
        /// Given up, with the fault.
        Failed = "failed",
        /// Stopped by an operator, or superseded.
        Cancelled = "cancelled",
    }
}

/// What can happen to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEvent {
    /// Its transform produced the artifact.
    TransformSucceeded,
    /// Its transform failed for good.
    TransformFailed,
    /// A worker took the lease.
    Claimed,
    /// The push ended with a receipt.
    Delivered,
    /// The push failed; another try follows.
    Retry,
    /// The push failed for good, or the claimer found it beyond its limits.
    Failed,
    /// Nobody can tell whether it arrived.
    Unconfirmed,
    /// The lease expired or was given back: the work is free again.
    Freed,
    /// Operator: set aside.
    Hold,
    /// Operator: back in the queue.
    Release {
        /// It had an attempt before it was held.
        attempted: bool,
    },
    /// Operator: due now, however long its wait would still be.
    Hasten,
    /// Operator, or superseded by a newer version.
    Cancel,
}

impl DeliveryState {
    /// Terminal states never change again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Unconfirmed | Self::Delivered | Self::Failed | Self::Cancelled)
    }

    /// Exactly the deliveries in these states have a send job (invariant I1).
    pub const fn has_send_job(self) -> bool {
        matches!(self, Self::Queued | Self::Retrying | Self::Sending)
    }

    /// Waits for a person to say that it is dealt with: `delivery resolve`, or a replay of it that is delivered.
    pub const fn wants_resolving(self) -> bool {
        matches!(self, Self::Unconfirmed | Self::Failed)
    }

    /// The state after `event`.
    ///
    /// ```
    /// use outport_core::delivery::{DeliveryEvent, DeliveryState};
    /// assert_eq!(DeliveryState::Queued.step(DeliveryEvent::Claimed), Ok(DeliveryState::Sending));
    /// assert!(DeliveryState::Delivered.step(DeliveryEvent::Claimed).is_err());
    /// ```
    pub fn step(self, event: DeliveryEvent) -> Result<Self, Illegal> {
        use {DeliveryEvent as E, DeliveryState as S};
        match (self, event) {
            (S::Waiting, E::TransformSucceeded) => Ok(S::Queued),
            (S::Waiting, E::TransformFailed) => Ok(S::Failed),
            (S::Queued | S::Retrying, E::Claimed) => Ok(S::Sending),
            (S::Sending, E::Delivered) => Ok(S::Delivered),
            (S::Sending, E::Retry | E::Freed) => Ok(S::Retrying),
            (S::Sending, E::Failed) => Ok(S::Failed),
            (S::Sending, E::Unconfirmed) => Ok(S::Unconfirmed),
            (S::Queued | S::Retrying, E::Hold) => Ok(S::Held),
            (S::Held, E::Release { attempted: false }) => Ok(S::Queued),
            (S::Held, E::Release { attempted: true }) => Ok(S::Retrying),
            (S::Queued, E::Hasten) => Ok(S::Queued),
            (S::Retrying, E::Hasten) => Ok(S::Retrying),
            (S::Waiting | S::Queued | S::Sending | S::Retrying | S::Held, E::Cancel) => Ok(S::Cancelled),
            _ => Err(Illegal::new("delivery", self.as_str(), event)),
        }
    }
}

words! {
    /// How far an attempt came.
    Stage, "stage" {
        /// Name look-up, TCP, key exchange, host key.
        Connecting = "connecting",
        /// Login.
        Authenticating = "authenticating",
        /// Writing the temp file.
        Uploading = "uploading",
        /// Comparing the temp file with the artifact.
        Verifying = "verifying",
        /// From the fenced write on, the final name may exist.
        Renaming = "renaming",
        /// Looking at the final name.
        Confirming = "confirming",
    }
}

impl Stage {
    /// From here on, a vanished worker may have delivered: the next attempt probes before it sends.
    pub const fn may_have_arrived(self) -> bool {
        matches!(self, Self::Renaming | Self::Confirming)
    }

    /// An open attempt only moves forward.
    pub fn step(self, next: Self) -> Result<Self, Illegal> {
        if next >= self { Ok(next) } else { Err(Illegal::new("attempt", self.as_str(), next)) }
    }
}

words! {
    /// What the intent of an attempt says, from the stage `renaming` on (docs/STATES.md, "Probe").
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    IntentStep, "step of an intent" {
        /// The whole temp file is about to get its final name.
        #[default]
        Renaming = "renaming",
        /// The file is about to be opened under its final name.
        Writing = "writing",
        /// It was made there by this attempt, where nothing stood; its bytes follow.
        Created = "created",
        /// The file is whole under its final name; its checksum and trigger follow.
        Placed = "placed",
    }
}

words! {
    /// How an attempt ended.
    AttemptOutcome, "attempt outcome" {
        /// With a receipt.
        Delivered = "delivered",
        /// With a fault; another attempt follows.
        Retry = "retry",
        /// With a fault, the last one.
        Failed = "failed",
        /// The server's last answer was lost: it may have arrived.
        Unknown = "unknown",
        /// Its worker vanished.
        Abandoned = "abandoned",
        /// Its worker gave the lease back while shutting down.
        Released = "released",
        /// By an operator.
        Cancelled = "cancelled",
    }
}

words! {
    /// What to do when a probe cannot tell whether the file arrived.
    OnUnconfirmed, "on_unconfirmed policy" {
        /// Send again and say `possible_duplicate`.
        Resend = "resend",
        /// Settle as unconfirmed and wait for a person.
        Hold = "hold",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [DeliveryEvent; 13] = [
        DeliveryEvent::TransformSucceeded,
        DeliveryEvent::TransformFailed,
        DeliveryEvent::Claimed,
        DeliveryEvent::Delivered,
        DeliveryEvent::Retry,
        DeliveryEvent::Failed,
        DeliveryEvent::Unconfirmed,
        DeliveryEvent::Freed,
        DeliveryEvent::Hold,
        DeliveryEvent::Release { attempted: false },
        DeliveryEvent::Release { attempted: true },
        DeliveryEvent::Cancel,
        DeliveryEvent::Hasten,
    ];

    /// The whole table: for each state, the events that it takes, in the order of `EVENTS`.
    #[test]
    fn every_pair_is_as_drawn() {
        use DeliveryState as S;
        let table: [(S, [Option<S>; 13]); 9] = [
            (S::Waiting, row(&[(0, S::Queued), (1, S::Failed), (11, S::Cancelled)])),
            (S::Queued, row(&[(2, S::Sending), (8, S::Held), (11, S::Cancelled), (12, S::Queued)])),
            (
                S::Sending,
                row(&[
                    (3, S::Delivered),
                    (4, S::Retrying),
                    (5, S::Failed),
                    (6, S::Unconfirmed),
                    (7, S::Retrying),
                    (11, S::Cancelled),
                ]),
            ),
            (S::Retrying, row(&[(2, S::Sending), (8, S::Held), (11, S::Cancelled), (12, S::Retrying)])),
            (S::Held, row(&[(9, S::Queued), (10, S::Retrying), (11, S::Cancelled)])),
            (S::Unconfirmed, row(&[])),
            (S::Delivered, row(&[])),
            (S::Failed, row(&[])),
            (S::Cancelled, row(&[])),
        ];
        assert_eq!(table.len(), S::ALL.len());
        for (state, wanted) in table {
            for (event, want) in EVENTS.iter().zip(wanted) {
                assert_eq!(state.step(*event).ok(), want, "{state} + {event:?}");
            }
        }
    }

    fn row(cells: &[(usize, DeliveryState)]) -> [Option<DeliveryState>; 13] {
        let mut row = [None; 13];
        for (column, state) in cells {
            row[*column] = Some(*state);
        }
        row
    }

    #[test]
    fn words_round_trip_and_strangers_are_refused() {
        for state in DeliveryState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert!("sent".parse::<DeliveryState>().is_err());
    }

    #[test]
    fn stages_only_go_forward() {
        assert_eq!(Stage::Connecting.step(Stage::Renaming), Ok(Stage::Renaming));
        assert!(Stage::Renaming.step(Stage::Uploading).is_err());
    }
}
