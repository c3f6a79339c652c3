//! Who does a kind of work: this process's own workers, or workers that Batch starts.

use std::time::Duration;

use outport_core::batch::{Executor, WorkKind};
use outport_core::{DeliveryId, TransformId};
use outport_store::batch_runs::Backlog;
use outport_store::claim_sends::HandOver;
use outport_store::claim_transforms::Wanted;

/// How the work is shared out. Sizes in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Executors {
    pub transform: Executor,
    pub send: Executor,
    /// Hybrid: transforms of files up to this size are the service's.
    pub local_up_to: u64,
    /// Larger files have a worker each.
    pub single_above: u64,
    /// Hybrid: workers of Batch help with what has been due for longer.
    pub help_after: Duration,
    /// Hybrid: the service takes over what Batch has not begun for so long.
    pub patience: Duration,
}

/// Which deliveries a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedSends {
    /// All, but those that it hands over.
    Due(Option<HandOver>),
    /// This one.
    Only(DeliveryId),
}

impl Executors {
    /// Those that are not this process's own alone.
    pub fn of_batch(&self) -> impl Iterator<Item = (WorkKind, Executor)> {
        [(WorkKind::Transform, self.transform), (WorkKind::Send, self.send)]
            .into_iter()
            .filter(|(_, executor)| *executor != Executor::Local)
    }

    /// Which transforms the workers of the service take; `None`: that is left to Batch.
    pub fn transforms_of_service(&self) -> Option<Wanted> {
        match self.transform {
            Executor::Local => Some(Wanted::Any),
            Executor::Hybrid => {
                Some(Wanted::UpTo { bytes: self.local_up_to, or_due_for: Some(self.patience) })
            }
            Executor::Batch => None,
        }
    }

    /// Which deliveries the workers of the service take; `None`: that is left to Batch.
    pub fn sends_of_service(&self) -> Option<WantedSends> {
        match self.send {
            Executor::Local => Some(WantedSends::Due(None)),
            Executor::Hybrid => Some(WantedSends::Due(Some(self.hand_over()))),
            Executor::Batch => None,
        }
    }

    /// Which transforms a worker of Batch takes.
    pub fn transforms_of_batch(&self, only: Option<TransformId>) -> Wanted {
        match (only, self.transform) {
            (Some(only), _) => Wanted::Only(only),
            // Started by hand, and nobody else would take the large ones.
            (None, Executor::Local) => Wanted::Any,
            (None, _) => Wanted::UpTo { bytes: self.single_above, or_due_for: None },
        }
    }

    /// Which deliveries a worker of Batch takes.
    pub fn sends_of_batch(&self, only: Option<DeliveryId>) -> WantedSends {
        match (only, self.send) {
            (Some(only), _) => WantedSends::Only(only),
            (None, Executor::Local) => WantedSends::Due(None),
            (None, _) => WantedSends::Due(Some(self.hand_over())),
        }
    }

    fn hand_over(&self) -> HandOver {
        HandOver { above_bytes: self.single_above, wait: self.patience }
    }

    /// Which work workers of Batch are asked for.
    pub fn backlog(&self, executor: Executor) -> Backlog {
        Backlog {
            local_up_to: (executor == Executor::Hybrid).then_some(self.local_up_to),
            help_after: self.help_after,
            single_above: self.single_above,
        }
    }
}
