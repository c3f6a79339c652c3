//! What an ended attempt means for its delivery and for its lane. Pure.

use outport_core::delivery::{AttemptOutcome, DeliveryEvent};
use outport_core::lane::Signal;
use outport_core::retry::{self, Decision, Limits, Past};
use outport_core::{Millis, Timing};

use super::{End, Report};

/// How the attempt and its delivery go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) event: DeliveryEvent,
    pub(super) outcome: AttemptOutcome,
    pub(super) charged: bool,
    /// When the delivery is tried again; `None`: it is settled.
    pub(super) due_at: Option<Millis>,
}

/// What the attempt says about its endpoint.
pub(super) fn signal(report: &Report) -> Signal<'_> {
    let secret_version = report.secret_version.as_deref();
    match &report.end {
        End::Delivered(receipt) => {
            Signal::Worked { logged_in: if receipt.fresh_login { secret_version } else { None } }
        }
        End::Unconfirmed { .. } => Signal::Worked { logged_in: None },
        End::Fault { fault, .. } => Signal::of_fault(fault, secret_version),
        End::Unknown { fault, .. } if fault.shared => Signal::Nothing,
        End::Unknown { fault, .. } => Signal::Fault { fault, secret_version },
    }
}

pub(super) fn judge(
    end: &End,
    past: Past<'_>,
    limits: Limits,
    resent: bool,
    timing: &Timing,
    now: Millis,
    random: f64,
) -> Verdict {
    let over = |event, outcome, charged| Verdict { event, outcome, charged, due_at: None };
    match end {
        End::Delivered(_) => over(DeliveryEvent::Delivered, AttemptOutcome::Delivered, true),
        End::Unconfirmed { .. } => over(DeliveryEvent::Unconfirmed, AttemptOutcome::Unknown, true),
        // A server that takes the file and breaks off each time must not get it for ever.
        End::Unknown { .. } if resent && past.charged + 1 >= limits.max_attempts => {
            over(DeliveryEvent::Unconfirmed, AttemptOutcome::Unknown, true)
        }
        // The first lost answer is nobody's fault: free of charge, and soon, because the file may be waiting under its
        // final name. One after a resend is charged.
        End::Unknown { .. } => Verdict {
            event: DeliveryEvent::Retry,
            outcome: AttemptOutcome::Unknown,
            charged: resent,
            due_at: Some(now + retry::delay(&timing.retry, 0, random)),
        },
        End::Fault { fault, .. } => match retry::decide(fault, past, limits, &timing.retry, now, random) {
            Decision::Again { due_at, charged } => Verdict {
                event: DeliveryEvent::Retry,
                outcome: AttemptOutcome::Retry,
                charged,
                due_at: Some(due_at),
            },
            Decision::GiveUp { charged } => over(DeliveryEvent::Failed, AttemptOutcome::Failed, charged),
        },
    }
}
