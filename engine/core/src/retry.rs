//! After an attempt ended with a fault: again, when, and at whose cost (docs/STATES.md, "Faults and retry").

use std::time::Duration;

use crate::fault::{Class, Fault, Retry};
use crate::timing::{Millis, millis};

/// The limits of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Charged attempts before the delivery fails.
    pub max_attempts: u32,
    /// Looked at only when a charged attempt ends.
    pub deadline_at: Millis,
}

/// What has happened to the delivery before the attempt that just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past<'a> {
    /// Charged attempts so far, without this one.
    pub charged: u32,
    /// Attempts so far, with this one.
    pub attempts: u32,
    /// The code of the fault before this one.
    pub last_code: Option<&'a str>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Another attempt at `due_at`.
    Again {
        /// When.
        due_at: Millis,
        /// Whether this attempt counts against the limits.
        charged: bool,
    },
    /// The delivery fails with this fault.
    GiveUp {
        /// Whether this attempt counts against the limits.
        charged: bool,
    },
}

/// Decides about one ended attempt. `random` is uniform in `0.0..1.0`.
///
/// Only a [`Class::Remote`] fault is charged: the partner's own refusals use up the delivery's tries, an outage, a
/// refused login or a bug of ours never does.
///
/// ```
/// use outport_core::{Fault, code, retry::{self, Decision, Limits, Past}};
/// let fault = Fault::new(&code::ENDPOINT_REFUSED, "could not connect");
/// let limits = Limits { max_attempts: 12, deadline_at: 0 };
/// let past = Past { charged: 0, attempts: 900, last_code: Some("endpoint.refused") };
/// let table = outport_core::Timing::default().retry;
/// // Nine hundred tries into an outage, long after the deadline: still tried again, still free of charge.
/// assert!(matches!(retry::decide(&fault, past, limits, &table, 5_000, 0.5), Decision::Again { charged: false, .. }));
/// ```
pub fn decide(
    fault: &Fault,
    past: Past<'_>,
    limits: Limits,
    table: &[Duration],
    now: Millis,
    random: f64,
) -> Decision {
    match (fault.class(), fault.code.retry) {
        // The lane decides when it opens again; the delivery only has to be due by then.
        (Class::Endpoint | Class::Credential | Class::Identity, _) | (Class::Config, Retry::Operator) => {
            Decision::Again { due_at: now + delay(table, 0, random), charged: false }
        }
        (Class::Remote, retry) => {
            let repeated = retry == Retry::Once && past.last_code == Some(fault.code.name);
            let used_up = past.charged + 1 >= limits.max_attempts || now >= limits.deadline_at;
            if retry == Retry::Never || repeated || used_up {
                Decision::GiveUp { charged: true }
            } else {
                Decision::Again { due_at: now + delay(table, past.charged, random), charged: true }
            }
        }
        // Ours to repair: the first four steps of the table (up to 30 minutes), for as long as it takes.
        (Class::Engine | Class::Artifact, Retry::Later) => {
            let step = past.attempts.saturating_sub(1).min(3);
            Decision::Again { due_at: now + delay(table, step, random), charged: false }
        }
        _ => Decision::GiveUp { charged: false },
    }
}

/// Equal jitter: half the table's wait for certain, the other half by chance. The table's last entry repeats.
pub fn delay(table: &[Duration], step: u32, random: f64) -> Millis {
    let index = (step as usize).min(table.len().saturating_sub(1));
    let half = table.get(index).map_or(0, |wait| millis(*wait)) / 2;
    half + (half as f64 * random.clamp(0.0, 1.0)) as Millis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timing, code};

    const LIMITS: Limits = Limits { max_attempts: 3, deadline_at: 1_000_000 };

    fn run(code: &'static crate::Code, charged: u32, last: Option<&str>, now: Millis) -> Decision {
        let past = Past { charged, attempts: charged + 1, last_code: last };
        decide(&Fault::new(code, "x"), past, LIMITS, &Timing::default().retry, now, 0.0)
    }

    #[test]
    fn table_of_cases() {
        let again = |after: Millis, charged| Decision::Again { due_at: 1_000 + after, charged };
        let over = |charged| Decision::GiveUp { charged };
        let cases = [
            ("a timeout is free", run(&code::ENDPOINT_TIMEOUT, 0, None, 1_000), again(15_000, false)),
            ("a refused login is free", run(&code::CREDENTIAL_REFUSED, 2, None, 1_000), again(15_000, false)),
            ("a changed host key is free", run(&code::HOSTKEY_CHANGED, 2, None, 1_000), again(15_000, false)),
            ("a full disk is charged", run(&code::REMOTE_DISK_FULL, 0, None, 1_000), again(15_000, true)),
            ("the second wait is longer", run(&code::REMOTE_DISK_FULL, 1, None, 1_000), again(60_000, true)),
            ("the third charge is the last", run(&code::REMOTE_DISK_FULL, 2, None, 1_000), over(true)),
            (
                "a permanent refusal: once more",
                run(&code::REMOTE_PERMISSION_DENIED, 0, None, 1_000),
                again(15_000, true),
            ),
            (
                "the same permanent refusal again: over",
                run(&code::REMOTE_PERMISSION_DENIED, 1, Some("remote.permission_denied"), 1_000),
                over(true),
            ),
            ("a missing artifact: over", run(&code::ARTIFACT_MISSING, 0, None, 1_000), over(false)),
            (
                "our own disk: free, again",
                run(&code::OBJECT_STORE_FULL, 0, None, 1_000),
                again(15_000, false),
            ),
        ];
        for (what, got, want) in cases {
            assert_eq!(got, want, "{what}");
        }
    }

    #[test]
    fn the_deadline_counts_only_for_charged_faults() {
        assert_eq!(run(&code::REMOTE_FAILURE, 0, None, 2_000_000), Decision::GiveUp { charged: true });
        assert!(matches!(run(&code::ENDPOINT_RESET, 0, None, 2_000_000), Decision::Again { .. }));
    }

    proptest::proptest! {
        #[test]
        fn jitter_stays_between_half_and_whole(step in 0u32..40, random in 0.0f64..1.0) {
            let table = Timing::default().retry;
            let whole = millis(table[(step as usize).min(table.len() - 1)]);
            let got = delay(&table, step, random);
            proptest::prop_assert!(got >= whole / 2 && got <= whole);
        }
    }
}
