//! Places where the crash tests have this process killed, or frozen, at one exact line.
//!
//! `OUTPORT_CRASH_AT=before_rename` kills the process when it gets there first, as `kill -9` would: nothing is unwound,
//! flushed or said. `OUTPORT_CRASH_AT=before_rename:stop` freezes it once (SIGSTOP), until somebody sends SIGCONT.
//!
//! Only builds with debug assertions have them: in a release build every function here is empty.

#[cfg(debug_assertions)]
mod armed;
#[cfg(debug_assertions)]
mod connector;

use std::sync::Arc;

use outport_core::Fault;
use outport_send::Connector;

/// One line of the product, named after what has just happened or is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(debug_assertions), allow(dead_code, reason = "a release build has no crash points"))]
pub enum Point {
    /// The snapshot of an arrived file is stored, the ledger knows nothing of it.
    AfterSnapshot,
    /// The ledger knows the file and what it owes, the intake does not know that.
    AfterDispatch,
    /// The output of a transform is stored, the ledger does not know.
    AfterTransform,
    /// The end of a transform is recorded, nobody has been told.
    AfterTransformRecorded,
    /// A delivery is claimed, nothing was done about it.
    AfterLease,
    /// Logged in to the partner.
    AfterConnect,
    /// The server has confirmed a part of the temp file. Only files of more than 4 MiB come here: of a smaller one the
    /// sender waits for no answer before it has sent everything.
    MidUpload,
    /// The temp file is whole and closed, nothing is verified.
    AfterUpload,
    /// The intent to rename is stored, the request has not gone out.
    BeforeRename,
    /// The server has answered the rename.
    AfterRename,
    /// The attempt has ended, its end is not recorded.
    BeforeFinish,
    /// The end is recorded, the worker has not moved on.
    AfterFinish,
    /// A page of a replay is written, its transaction is not committed.
    BeforePage,
    /// It is committed, nobody has been told.
    AfterPage,
    /// Batch has a worker's job, the ledger does not know.
    AfterSubmit,
}

#[cfg(debug_assertions)]
impl Point {
    const ALL: [Self; 15] = [
        Self::AfterSnapshot,
        Self::AfterDispatch,
        Self::AfterTransform,
        Self::AfterTransformRecorded,
        Self::AfterLease,
        Self::AfterConnect,
        Self::MidUpload,
        Self::AfterUpload,
        Self::BeforeRename,
        Self::AfterRename,
        Self::BeforeFinish,
        Self::AfterFinish,
        Self::BeforePage,
        Self::AfterPage,
        Self::AfterSubmit,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::AfterSnapshot => "after_snapshot",
            Self::AfterDispatch => "after_dispatch",
            Self::AfterTransform => "after_transform",
            Self::AfterTransformRecorded => "after_transform_recorded",
            Self::AfterLease => "after_lease",
            Self::AfterConnect => "after_connect",
            Self::MidUpload => "mid_upload",
            Self::AfterUpload => "after_upload",
            Self::BeforeRename => "before_rename",
            Self::AfterRename => "after_rename",
            Self::BeforeFinish => "before_finish",
            Self::AfterFinish => "after_finish",
            Self::BeforePage => "before_page",
            Self::AfterPage => "after_page",
            Self::AfterSubmit => "after_submit",
        }
    }
}

/// Reads `OUTPORT_CRASH_AT`. To be called once, before any role runs.
///
/// # Errors
/// `usage` for a word that names no point: a test with a typing error must not pass for lack of a crash.
pub fn arm() -> Result<(), Fault> {
    #[cfg(debug_assertions)]
    armed::arm()?;
    Ok(())
}

/// The process is at `point`: the end of it, if it is the armed one.
pub fn reached(point: Point) {
    #[cfg(debug_assertions)]
    armed::reached(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// A connector whose connections tell when they reach the points of an upload; `inner` itself when none is armed.
pub fn connector(inner: Arc<dyn Connector>) -> Arc<dyn Connector> {
    #[cfg(debug_assertions)]
    let inner = connector::wrapped(inner);
    inner
}
