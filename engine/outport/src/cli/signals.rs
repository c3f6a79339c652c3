//! SIGTERM and SIGINT.

use std::sync::Arc;

use outport_core::{Fault, code};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::Engine;

/// The signals that ask a process to end.
pub struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// From here on they do not kill the process by themselves.
    pub fn listen() -> Result<Self, Fault> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Fault::new(&code::IO_FAILED, format!("could not listen for signals: {error}"))
            })
        };
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    /// The first signal: its number.
    pub async fn first(mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.term.recv() => SignalKind::terminate(),
            _ = self.int.recv() => SignalKind::interrupt(),
        };
        kind.as_raw_value()
    }

    /// The first signal drains, the second one ends the process at once.
    pub async fn stop(mut self, engine: Arc<Engine>) {
        for round in 0..2 {
            tokio::select! {
                _ = self.term.recv() => {}
                _ = self.int.recv() => {}
            }
            if round == 0 {
                tracing::info!("stopping: running work may end; a second signal ends it at once");
                engine.stop();
            } else {
                tracing::warn!(
                    "ended at once by a second signal; leases are freed at the next start or when they expire"
                );
                std::process::exit(1);
            }
        }
    }
}
