//! A worker that Batch starts: takes work of one kind for some minutes, then ends.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outport_core::batch::WorkKind;
use outport_core::{DeliveryId, Fault, TransformId};

use super::leases::Leases;
use super::{Tasks, sender, supervise, transformer};
use crate::engine::Engine;

/// What a worker is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// All transforms that are due, or one.
    Transforms(Option<TransformId>),
    /// All deliveries that are due, or one.
    Sends(Option<DeliveryId>),
}

impl Work {
    pub fn kind(self) -> WorkKind {
        match self {
            Self::Transforms(_) => WorkKind::Transform,
            Self::Sends(_) => WorkKind::Send,
        }
    }

    fn is_one(self) -> bool {
        matches!(self, Self::Transforms(Some(_)) | Self::Sends(Some(_)))
    }
}

/// Runs until there is nothing to do, or `claims_for` is over and all that was taken is done. How much it took.
pub async fn run(engine: Arc<Engine>, work: Work, claims_for: Duration) -> Result<u64, Fault> {
    let leases = Arc::new(Leases::new(&engine.timing));
    let clock = close_in_time(engine.clone(), leases.clone(), work, claims_for);
    run_by(clock, engine, leases, work).await
}

/// Runs until `clock` has closed the engine, and all that was taken is done. How much it took.
async fn run_by(
    clock: impl Future<Output = ()> + Send + 'static,
    engine: Arc<Engine>,
    leases: Arc<Leases>,
    work: Work,
) -> Result<u64, Fault> {
    let mut tasks = Tasks::new();
    let (worker, held) = (engine.clone(), leases.clone());
    match work {
        Work::Transforms(only) => {
            let wanted = engine.executors.transforms_of_batch(only);
            tasks.spawn(async move { ("transformer", transformer::run(worker, held, wanted).await) });
        }
        Work::Sends(only) => {
            let wanted = engine.executors.sends_of_batch(only);
            tasks.spawn(async move { ("sender", sender::run(worker, held, wanted).await) });
        }
    }
    // Supervised as a role is: a worker whose clock was lost would stay for ever, and cost as much. The first role that ends stops
    // all others, so it outlasts the worker's.
    let closed = engine.clone();
    tasks.spawn(async move {
        clock.await;
        closed.stopped().await;
        ("clock", Ok(()))
    });
    supervise(engine, leases.clone(), tasks).await.map(|()| leases.count().1)
}

/// Closes the engine when its time is over, when it found nothing for a while, or when its one piece of work is done.
async fn close_in_time(engine: Arc<Engine>, leases: Arc<Leases>, work: Work, claims_for: Duration) {
    let began = Instant::now();
    let (mut busy_at, mut seen) = (began, 0);
    loop {
        engine.pause(engine.timing.poll).await;
        if engine.is_stopping() {
            return;
        }
        let (held, claimed) = leases.count();
        if held > 0 || claimed > seen {
            (busy_at, seen) = (Instant::now(), claimed);
        }
        let is_done = work.is_one() && claimed > 0 && held == 0;
        if is_done || began.elapsed() >= claims_for || busy_at.elapsed() >= engine.timing.worker_idle {
            return engine.close();
        }
        if work.is_one() {
            // No bell rings for what was handed over: it is not due. Its lane may have room by now.
            engine.bells.send.notify_one();
            engine.bells.transform.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use outport_core::code;

    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn a_worker_whose_clock_fails_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (config, _) = Config::load(None, Some(folder.path())).unwrap();
        let engine = Engine::open(&config, config.timing()).await.unwrap();
        let (leases, store) = (Arc::new(Leases::new(&engine.timing)), engine.store.clone());
        let bug = async { panic!("a bug of the clock") };
        let run = run_by(bug, engine, leases, Work::Transforms(None));
        let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
        store.close().await.unwrap();
        let fault = ended.expect("it runs without a clock").unwrap_err();
        assert_eq!(fault.code, &code::ENGINE_PANIC, "{fault}");
    }
}
