//! `outport delivery hold|release|cancel|retry|resolve ID... --reason TEXT`

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outport_core::delivery::{DeliveryState, Stage};
use outport_core::{DeliveryId, Fault};
use outport_store::acts::delivery::{self, Cancelled};
use outport_store::{Store, list};

use super::{Signed, Why, each};
use crate::cli::database::existing_store;
use crate::cli::lane;
use crate::cli::read::parsed;
use crate::config::Config;
use crate::output;

#[derive(Debug, Args)]
pub struct Deliveries {
    /// dlv_..., one or several; each is done by itself
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Subcommand)]
pub enum DeliveryAct {
    /// Set queued or retrying deliveries aside
    Hold(Deliveries),
    /// Put held deliveries back, due now
    Release(Deliveries),
    /// Stop open deliveries; what is being sent stops before its rename
    #[command(
        after_help = "A file that was renamed before the cancel was seen stays where it is; `outport why FILE` shows it as delivered_after_cancel."
    )]
    Cancel(Deliveries),
    /// Make queued or retrying deliveries due now; what is settled is sent again by a replay
    Retry(Deliveries),
    /// Say that failed or unconfirmed deliveries are dealt with
    Resolve(Deliveries),
}

/// The same without their arguments.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Hold,
    Release,
    Cancel,
    Retry,
    Resolve,
}

pub async fn run(config: &Config, act: DeliveryAct) -> Result<ExitCode, Fault> {
    let (verb, Deliveries { ids, why }) = match act {
        DeliveryAct::Hold(of) => (Verb::Hold, of),
        DeliveryAct::Release(of) => (Verb::Release, of),
        DeliveryAct::Cancel(of) => (Verb::Cancel, of),
        DeliveryAct::Retry(of) => (Verb::Retry, of),
        DeliveryAct::Resolve(of) => (Verb::Resolve, of),
    };
    // Everything is understood before anything is done.
    let signed = why.signed()?;
    let mut ids = ids.iter().map(|id| parsed(id)).collect::<Result<Vec<DeliveryId>, Fault>>()?;
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
    let store = existing_store(config).await?;
    let code = each(&ids, async |id| one(&store, verb, *id, &signed).await).await?;
    if matches!(verb, Verb::Release | Verb::Retry) {
        note_closed_lanes(&store, &ids).await?;
    }
    Ok(code)
}

async fn one(store: &Store, verb: Verb, id: DeliveryId, signed: &Signed) -> Result<String, Fault> {
    let by = signed.by();
    let done = match verb {
        Verb::Hold => delivery::hold(store, id, by).await.map(|()| "held"),
        Verb::Release => delivery::release(store, id, by).await.map(|()| "released, due now"),
        Verb::Retry => delivery::retry(store, id, by).await.map(|()| "due now"),
        Verb::Resolve => delivery::resolve(store, id, by).await.map(|()| "resolved"),
        Verb::Cancel => delivery::cancel(store, id, by).await.map(|cancelled| {
            note_cancelled(id, cancelled);
            "cancelled"
        }),
    };
    Ok(format!("{id} {}", done.map_err(|e| e.fault())?))
}

fn note_cancelled(id: DeliveryId, cancelled: Cancelled) {
    if cancelled.stage.is_some_and(Stage::may_have_arrived) {
        output::note(&format!(
            "{id}: its rename had begun, so the file may be at the partner; `outport why` shows what its worker found"
        ));
    } else if cancelled.was == DeliveryState::Sending {
        output::note(&format!("{id}: it was being sent; its worker stops before the rename"));
    }
}

/// Due is not sent: says which lanes take nothing now.
async fn note_closed_lanes(store: &Store, ids: &[DeliveryId]) -> Result<(), Fault> {
    let mut lanes = BTreeSet::new();
    for id in ids {
        if let Some(detail) = list::deliveries::show(store, *id).await.map_err(|e| e.fault())?
            && detail.delivery.due_at.is_some()
        {
            lanes.insert(detail.delivery.endpoint);
        }
    }
    for name in lanes {
        if let Some(endpoint) = list::endpoints::show(store, &name).await.map_err(|e| e.fault())? {
            for obstacle in lane::obstacles(&endpoint) {
                output::note(&output::safe(&format!("{name} takes nothing now: {obstacle}")));
            }
        }
    }
    Ok(())
}
