//! Folder intake: an arrived file becomes a snapshot, then a row in the ledger with everything it owes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use outport_core::timing::millis;
use outport_core::{Class, Fault, Millis, code};
use outport_objects::intake::{Arrived, Intake, Settings};
use outport_store::{enqueue, routes};
use tokio::task::JoinHandle;

use super::recording::{Prepared, Taken, prepare, record, unknown};
use crate::engine::Engine;
use crate::roles::after_failure;
use crate::storage::Folders;

/// Files copied side by side: each waits for the disk twice, and disks serve several waits at once. As many are recorded
/// together, for little more than the price of one.
const AT_A_TIME: usize = enqueue::TOGETHER;

/// Since when the rules of each bucket hold; asked by every sweep, refreshed by the dispatcher.
type Since = Arc<Mutex<BTreeMap<String, Millis>>>;

/// Files are copied side by side and recorded in the order in which they arrived: that is the order of a subscription
/// whose files go one after the other.
pub(super) async fn run(engine: Arc<Engine>, folders: &Folders) -> Result<(), Fault> {
    let since = Since::default();
    refresh(&engine, &since).await?;
    let mut intake = Intake::start(&folders.buckets, settings(&engine, &since));
    let mut sweeps = intake.sweeps();
    let mut copies = Copies::default();
    let mut failures = 0;
    loop {
        tokio::select! {
            arrived = intake.next_ones(AT_A_TIME - copies.0.len()), if copies.0.len() < AT_A_TIME => {
                if arrived.is_empty() {
                    return Err(bug("the intake of folders"));
                }
                match unknown(&engine, arrived).await {
                    Ok(unknown) => unknown.into_iter().for_each(|arrived| copies.start(folders, arrived)),
                    // Not acknowledged: the next sweep reports them again.
                    Err(fault) => {
                        let told = engine.told(&fault);
                        tracing::warn!(code = fault.code.name, hint = fault.hint(), "{told}");
                        failures += 1;
                        engine.pause(after_failure(failures)).await;
                    }
                }
            }
            Some(oldest) = copies.oldest() => {
                let copied = copies.and_finished(oldest?).await?;
                let recorded = record(&engine, copied).await;
                failures = settle(&engine, recorded, failures).await;
            }
            Ok(()) = sweeps.changed() => {
                // Rules may have been applied by another process since.
                if let Err(fault) = refresh(&engine, &since).await {
                    tracing::warn!(code = fault.code.name, "{fault}");
                }
            }
            () = engine.stopped() => break,
        }
    }
    // What is only copied is not recorded: it arrives again after the next start.
    drop(copies);
    intake.stop().await;
    Ok(())
}

/// Copies under way, in the order of their arrival. Tasks of their own, so that they go on while this role waits for the
/// database. Dropped, they end.
#[derive(Default)]
struct Copies(VecDeque<JoinHandle<Copied>>);

type Copied = (Arrived, Result<Prepared, Fault>);

impl Copies {
    fn start(&mut self, folders: &Folders, arrived: Arrived) {
        let folders = folders.clone();
        self.0.push_back(tokio::spawn(async move {
            let prepared = prepare(&folders, &arrived).await;
            (arrived, prepared)
        }));
    }

    /// The oldest, when it has ended; `None` when there is none. Nothing is lost when this is dropped.
    async fn oldest(&mut self) -> Option<Result<Copied, Fault>> {
        let ended = self.0.front_mut()?.await;
        self.0.pop_front();
        Some(ended.map_err(|_| bug("the copy of an arrived file")))
    }

    /// The oldest, and those behind it that have ended, too.
    async fn and_finished(&mut self, oldest: Copied) -> Result<Vec<Copied>, Fault> {
        let mut copied = vec![oldest];
        while self.0.front().is_some_and(JoinHandle::is_finished) {
            let Some(next) = self.oldest().await else { break };
            copied.push(next?);
        }
        Ok(copied)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        for copy in &self.0 {
            copy.abort();
        }
    }
}

fn bug(what: &str) -> Fault {
    Fault::new(&code::ENGINE_PANIC, format!("{what} ended by a bug"))
}

fn settings(engine: &Engine, since: &Since) -> Settings {
    let started_at = Timestamp::now().as_millisecond();
    let since = since.clone();
    Settings {
        quiet: engine.timing.quiet,
        sweep: engine.timing.sweep,
        since: Arc::new(move |bucket| {
            let rules = since.lock().unwrap_or_else(PoisonError::into_inner);
            // A bucket without rules: what arrives from now on is recorded as unrouted, what lies there is left alone.
            rules.get(bucket).copied().unwrap_or(started_at)
        }),
    }
}

async fn refresh(engine: &Engine, since: &Since) -> Result<(), Fault> {
    let rules = routes::watched_since(&engine.store, millis(engine.horizon)).await.map_err(|e| e.fault())?;
    *since.lock().unwrap_or_else(PoisonError::into_inner) = rules.into_iter().collect();
    Ok(())
}

/// Tells the intake what became of the files. `failures` of ours in a row, before and after.
async fn settle(engine: &Engine, recorded: Vec<(Arrived, Result<Taken, Fault>)>, failures: u32) -> u32 {
    let (mut are_done, mut have_failed) = (false, false);
    for (arrived, taken) in recorded {
        match taken {
            Ok(Taken::Done) => {
                are_done = true;
                arrived.done();
            }
            Ok(Taken::Changed) => arrived.look_again(),
            Ok(Taken::Gone) => arrived.done(),
            Err(fault) => {
                // Not acknowledged: the next sweep reports it again.
                let (bucket, hint) = (arrived.bucket.as_str(), fault.hint());
                tracing::warn!(code = fault.code.name, bucket, hint, "{}", engine.told(&fault));
                // Trouble of one file is no reason to let the others wait; trouble of ours would meet them, too.
                have_failed |= fault.class() == Class::Engine;
            }
        }
    }
    if have_failed {
        engine.pause(after_failure(failures + 1)).await;
        return failures + 1;
    }
    if are_done { 0 } else { failures }
}
