//! Slow duties. One process does for all: lanes are derived again from their jobs, endpoints that stay down are given up
//! where that was asked for, and what is old goes. Each process does for itself: a changed secret lifts a credential block,
//! stored objects that belong to no file go, and replays are carried out.

mod batch;
mod figures;
mod garbage;
mod reconcile;
mod replays;
mod retain;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use outport_core::credential::CredentialRef;
use outport_core::{EndpointId, Fault};
use outport_store::{StoreError, duty, give_up, lanes, list};

pub use batch::Workforce;

use crate::engine::Engine;
use crate::secrets::is_shared;

pub async fn run(engine: Arc<Engine>) -> Result<(), Fault> {
    // Without its settings nothing would ever be started: better to stop and say so. The others end when the engine stops.
    let workers = async {
        let ended = batch::run(&engine).await;
        if ended.is_err() {
            engine.stop();
        }
        ended
    };
    let (ended, (), swept, workers, ()) = tokio::join!(
        repair(engine.clone()),
        replays::run(engine.clone()),
        reconcile::run(&engine),
        workers,
        figures::run(&engine)
    );
    ended.and(swept).and(workers)
}

async fn repair(engine: Arc<Engine>) -> Result<(), Fault> {
    let mut collected_at = Instant::now();
    let mut retained_at = None;
    let mut seen = Seen::new();
    while !engine.is_stopping() {
        engine.pause(engine.timing.rederive).await;
        if engine.is_stopping() {
            break;
        }
        if let Err(error) = shared_duties(&engine, &mut retained_at).await {
            tracing::warn!(code = error.fault().code.name, "{error}");
            if error.is_outage() {
                continue;
            }
        }
        if let Err(fault) = lift_changed_secrets(&engine, &mut seen).await {
            tracing::warn!(code = fault.code.name, "{fault}");
        }
        if collected_at.elapsed() >= engine.timing.garbage {
            collected_at = Instant::now();
            match garbage::collect(&engine).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "removed stored objects that belong to no file"),
                Err(fault) => tracing::warn!(code = fault.code.name, "{fault}"),
            }
        }
    }
    Ok(())
}

/// What one process does for all. `retained_at`: when nothing old was left.
async fn shared_duties(engine: &Engine, retained_at: &mut Option<Instant>) -> Result<(), StoreError> {
    // Longer than the pause between two rounds: the holder keeps it until it vanishes.
    let term = 3 * engine.timing.rederive;
    let Some(duty) = duty::hold(&engine.store, "maintenance", engine.worker, term).await? else {
        return Ok(());
    };
    let corrected = lanes::rederive(&engine.store).await?;
    if corrected > 0 {
        engine.metrics.lane_corrections.inc_by(corrected);
        tracing::error!(corrected, "lanes would have slept past their work; please report this");
        engine.bells.ask.notify_one();
    }
    let failed = give_up::give_up(&engine.store).await?;
    if failed > 0 {
        tracing::warn!(
            failed,
            "deliveries failed whose endpoint has been down for longer than its give_up_after"
        );
    }
    // Its sixteen statements in every round would be half of what an idle engine may say.
    if retained_at.is_none_or(|at| at.elapsed() >= engine.timing.retain) {
        *retained_at = if retain::retain(engine, duty).await? { None } else { Some(Instant::now()) };
    }
    Ok(())
}

/// What this process saw of the secret of each lane that waits for a new one.
type Seen = BTreeMap<EndpointId, Option<String>>;

/// The version of a file or variable says something only on the machine and in the process that it was read in. Where this
/// process is the only one (embedded), and where all lies with AWS, whose versions are the same for everybody, the refused
/// version tells whether the secret changed, also across a restart. Where there may be others (PostgreSQL), a change counts
/// that this process saw itself, since its own refusal or its first look: two processes that compared each other's versions
/// would lift each other's blocks and hammer the partner's login.
async fn lift_changed_secrets(engine: &Engine, seen: &mut Seen) -> Result<(), Fault> {
    let refused = list::endpoints::refused(&engine.store).await.map_err(|e| e.fault())?;
    seen.retain(|endpoint, _| refused.iter().any(|(blocked, ..)| blocked == endpoint));
    for (endpoint, credential, refused_version) in refused {
        let Ok(credential) = CredentialRef::from_stored(&credential) else { continue };
        let now = match engine.secrets.version(&credential, "a blocked endpoint").await {
            Ok(version) => Some(version),
            // On this machine there may be none; of AWS, who may not look would never see a new one.
            Err(_) if !is_shared(&credential) => None,
            Err(fault) => {
                tracing::warn!(%endpoint, code = fault.code.name, hint = fault.hint(), "{fault}");
                None
            }
        };
        let alone = engine.lock.is_some() || is_shared(&credential);
        let refused_here =
            engine.refused.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint).cloned();
        let before = seen
            .insert(endpoint, now.clone())
            .or_else(|| alone.then_some(refused_version))
            .or_else(|| refused_here.map(Some));
        // A secret that cannot be read is no new secret; the first look of one process among several proves nothing.
        if now.is_some() && before.is_some_and(|before| before != now) {
            lift(engine, endpoint).await?;
        }
    }
    Ok(())
}

async fn lift(engine: &Engine, endpoint: EndpointId) -> Result<(), Fault> {
    let tx = engine.store.begin("lifting a block").await.map_err(|e| e.fault())?;
    lanes::lift(&tx, endpoint).await.map_err(|e| e.fault())?;
    tx.commit().await.map_err(|e| e.fault())?;
    tracing::info!(%endpoint, "the secret changed: the lane tries to log in again");
    engine.bells.ask.notify_one();
    Ok(())
}
