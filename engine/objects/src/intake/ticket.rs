//! The way back from whoever took an arrived file.

use std::path::PathBuf;

use tokio::sync::mpsc;

use super::Signature;

/// What became of a reported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    LookAgain,
    /// Dropped: an error, a shutdown.
    Released,
}

/// The answer to one report.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) path: PathBuf,
    pub(super) signature: Signature,
    pub(super) fate: Fate,
}

/// Answers exactly once; dropped, it answers that nothing was done.
#[derive(Debug)]
pub(super) struct Ticket {
    answer: mpsc::UnboundedSender<Settled>,
    report: Option<(PathBuf, Signature)>,
}

impl Ticket {
    pub(super) fn new(answer: mpsc::UnboundedSender<Settled>, path: PathBuf, signature: Signature) -> Self {
        Self { answer, report: Some((path, signature)) }
    }

    pub(super) fn done(mut self) {
        self.settle(Fate::Done);
    }

    pub(super) fn look_again(mut self) {
        self.settle(Fate::LookAgain);
    }

    fn settle(&mut self, fate: Fate) {
        if let Some((path, signature)) = self.report.take() {
            // The intake may have stopped meanwhile; after a restart it asks again.
            self.answer.send(Settled { path, signature, fate }).unwrap_or_default();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle(Fate::Released);
    }
}
