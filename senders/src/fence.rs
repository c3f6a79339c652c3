//! The fence: the engine's word on whether this attempt may still act.

use async_trait::async_trait;
pub use outport_core::delivery::IntentStep;

use crate::remote::RemoteStat;

/// Why an attempt has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The lease is lost, or so old that no remote write may start any more.
    #[error("the lease is lost")]
    LeaseLost,
    /// An operator cancelled the delivery.
    #[error("the delivery is cancelled")]
    Cancelled,
}

/// What is about to happen to the final name. It is stored before, so that whoever comes after a crash can tell whether
/// it happened (docs/STATES.md, "Probe").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameIntent {
    /// How far it has come.
    pub step: IntentStep,
    /// The whole and verified temp file; empty for a file that is written under its final name.
    pub temp_path: String,
    /// The name that the file gets: the one that was asked for, or a free one near it.
    pub final_path: String,
    /// What stood under the final name before; `None`: nothing did, or nothing may be looked at.
    pub before: Option<RemoteStat>,
    /// An earlier attempt may have delivered the same file already: kept with the delivery from now on, whatever becomes
    /// of this attempt.
    pub possible_duplicate: bool,
}

/// Implemented by the engine over its lease and the database.
#[async_trait]
pub trait Fence: Send + Sync {
    /// Asked before every stage and every piece: cheap, no I/O.
    ///
    /// # Errors
    /// Why to stop.
    fn check(&self) -> Result<(), Stop>;

    /// Writes down what the attempt is about to do to the final name, under its lease. It is done only after `Ok`. Said
    /// again when the attempt has come further; the last word counts.
    ///
    /// # Errors
    /// Why to stop; then it is not done.
    async fn enter_renaming(&self, intent: &RenameIntent) -> Result<(), Stop>;
}

/// For sends without a database: nobody else acts on the file.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFence;

#[async_trait]
impl Fence for NoFence {
    fn check(&self) -> Result<(), Stop> {
        Ok(())
    }

    async fn enter_renaming(&self, _intent: &RenameIntent) -> Result<(), Stop> {
        Ok(())
    }
}
