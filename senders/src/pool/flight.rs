//! One login, for every file that waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outport_core::{Fault, code};
use tokio::sync::watch;

use super::Inner;
use crate::outcome::Stage;
use crate::remote::ConnectFault;
use crate::target::Target;

/// One login under way, for every file that waits for it.
#[derive(Default)]
pub(super) struct Flight {
    result: watch::Sender<Option<Result<(), ConnectFault>>>,
    reported: AtomicBool,
}

impl Flight {
    /// Its result; all but the first who learn of a failure get it marked as shared.
    pub(super) async fn wait(&self) -> Result<(), ConnectFault> {
        let mut result = self.result.subscribe();
        let landed = result.wait_for(Option::is_some).await.ok().and_then(|result| result.clone());
        match landed {
            Some(Err(failed)) if self.reported.swap(true, Ordering::SeqCst) => {
                Err(ConnectFault { fault: failed.fault.as_shared(), ..failed })
            }
            Some(result) => result,
            None => Ok(()),
        }
    }
}

/// Sees to it that a login under way ends for those who wait, even when it ends by a bug.
struct Landing {
    inner: Arc<Inner>,
    target: Target,
    flight: Arc<Flight>,
    outcome: Option<Result<(), ConnectFault>>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            let message = format!("the login to {} ended by a bug", self.target.place());
            Err(ConnectFault { stage: Stage::Connecting, fault: Fault::new(&code::ENGINE_PANIC, message) })
        });
        // Only after a bug is there still something to clear.
        self.inner.admit(&self.target, &self.flight, None);
        self.flight.result.send_replace(Some(outcome));
        self.inner.changed();
    }
}

/// Logs in and puts the connection into the pool.
pub(super) async fn connect(inner: Arc<Inner>, target: Target, flight: Arc<Flight>) {
    let connector = Arc::clone(&inner.connector);
    let mut landing = Landing { inner, target, flight, outcome: None };
    match connector.connect(&landing.target).await {
        Ok(remote) => {
            let outdated = landing.inner.admit(&landing.target, &landing.flight, Some(remote));
            landing.outcome = Some(Ok(()));
            drop(landing);
            if let Some(remote) = outdated {
                remote.close().await;
            }
        }
        Err(failed) => landing.outcome = Some(Err(failed)),
    }
}
