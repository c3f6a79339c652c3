//! `outport replay`: look at the plan, start it, watch it, stop it.

mod arguments;
mod show;

use outport_core::replay::ReplayMode;
use outport_core::{Fault, ReplayId, code};
use outport_store::list::Page;
use outport_store::replay::acts::{self, Act};
use outport_store::replay::plan::{Plan, Question, clock, plan};
use outport_store::replay::run::{self, Step};
use outport_store::replay::start::{Request, Started, known, start};
use outport_store::replay::view;
use outport_store::{Store, StoreError};
use outport_transform::output_ext;

use self::arguments::{Asked, Order, Parsed};
pub use self::arguments::{ReplayCommand, parse};
use super::acts::actor;
use super::database::existing_store;
use super::read::found;
use crate::config::Config;
use crate::output::{self, Format};

fn fault(error: StoreError) -> Fault {
    error.fault()
}

/// Carries a checked command out.
pub async fn run(config: &Config, parsed: Parsed) -> Result<(), Fault> {
    let store = existing_store(config).await?;
    match parsed {
        Parsed::Plan { asked, format } => {
            let question = question(&store, &asked).await?;
            let plan = plan(&store, &question, output_ext).await.map_err(fault)?;
            match format {
                Format::Json => output::json(&plan),
                Format::Table => show::plan(&plan),
            }
        }
        Parsed::Start { asked, order, format } => started(&store, &asked, order, format).await,
        Parsed::Status { name, format } => status(&store, &name, format).await,
        Parsed::List { limit, format } => {
            let replays = view::list(&store, Page { limit }).await.map_err(fault)?;
            match format {
                Format::Json => output::json(&replays),
                Format::Table => show::list(&replays),
            }
        }
        Parsed::Act { act, id, reason } => {
            let state = acts::act(&store, id, act, &actor(), reason.as_str()).await.map_err(fault)?;
            let changed = carry_out(&store, id).await?;
            output::line(&format!("{id} {state}"))?;
            let done = match act {
                Act::Pause => "held",
                Act::Resume => "put back into their lanes",
                Act::Cancel => "cancelled",
            };
            output::note(&format!("{changed} unsent deliveries {done}"));
            Ok(())
        }
    }
}

/// The times become instants by the database's clock, not by that of this terminal.
async fn question(store: &Store, asked: &Asked) -> Result<Question, Fault> {
    let filter = asked.filter(clock(store).await.map_err(fault)?);
    filter.check(asked.mode)?;
    Ok(Question { mode: asked.mode, config: asked.config, filter })
}

async fn started(store: &Store, asked: &Asked, order: Order, format: Format) -> Result<(), Fault> {
    let question = question(store, asked).await?;
    let request = Request {
        question,
        per_minute: order.per_minute,
        reason: order.reason.as_str().to_owned(),
        idempotency_key: order.idempotency_key,
        actor: actor(),
    };
    // Asked first: the same command said again must not fail because nothing is left to select.
    let started = match known(store, &request).await.map_err(fault)? {
        Some(known) => Started::Known(known),
        None => {
            let plan = plan(store, &request.question, output_ext).await.map_err(fault)?;
            if plan.sendable == 0 {
                return Err(nothing(&plan));
            }
            start(store, &request, &plan).await.map_err(fault)?
        }
    };
    let id = match started {
        Started::New(id) => {
            output::note(&format!(
                "started; a running `outport up` with the role maintainer creates its deliveries. Watch it with: \
                 outport replay status {id}"
            ));
            id
        }
        Started::Known(id) => {
            output::note("this idempotency key was started before; nothing was started now");
            id
        }
    };
    status(store, &id.to_string(), format).await
}

fn nothing(plan: &Plan) -> Fault {
    let reasons: Vec<String> = plan
        .examples
        .iter()
        .chain(&plan.left_out)
        .take(3)
        .map(|example| format!("{}: {}", example.id, example.reason))
        .collect();
    let why = match (plan.selected, reasons.is_empty()) {
        (0, true) => "the filter takes nothing".to_owned(),
        (0, false) => format!("the filter takes nothing ({})", reasons.join("; ")),
        (n, true) => format!("none of the {n} that the filter takes can be sent"),
        (n, false) => format!("none of the {n} that the filter takes can be sent ({})", reasons.join("; ")),
    };
    Fault::new(&code::REPLAY_NOTHING, format!("nothing to replay: {why}"))
}

async fn status(store: &Store, name: &str, format: Format) -> Result<(), Fault> {
    let detail = found(view::show(store, name).await.map_err(fault)?, "replay", name)?;
    match format {
        Format::Json => output::json(&detail),
        Format::Table => show::status(&detail),
    }
}

/// What an act means for deliveries that are not sent yet, at once and here. What this does not get to (a delivery that is
/// being sent now, a terminal that is closed) the runner finishes.
async fn carry_out(store: &Store, replay: ReplayId) -> Result<u32, Fault> {
    let mut changed = 0;
    loop {
        match run::step(store, replay, 0, output_ext).await.map_err(fault)? {
            Step::Chore(some) => changed += some,
            Step::Busy => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Step::Nothing | Step::Page { .. } => return Ok(changed),
        }
    }
}

/// `redeliver` for `--redeliver`.
const fn option(mode: ReplayMode) -> &'static str {
    match mode {
        ReplayMode::Redeliver => "--redeliver",
        ReplayMode::Reprocess => "--reprocess",
    }
}
