//! `outport worker`: what a Batch container runs, and what became of those that were asked for.

use clap::{Args, Subcommand};
use outport_core::settings::Span;
use outport_core::{DeliveryId, Fault, Timing, TransformId};
use outport_store::list::{Page, runs};

use super::PageArgs;
use super::batch_job::BatchJob;
use super::database::existing_store;
use super::read::parsed;
use super::signals::Signals;
use crate::config::Config;
use crate::engine::Engine;
use crate::output::{self, Format, or_dash, time};
use crate::roles::worker::{self, Work};
use crate::{crash_point, logging, roles};

#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Run due transforms for some minutes, then end
    Transform(ForArgs),
    /// Send due deliveries for some minutes, then end
    Send(ForArgs),
    /// Workers that Batch was asked for, newest first
    List {
        #[command(flatten)]
        page: PageArgs,
    },
}

#[derive(Debug, Args)]
pub struct ForArgs {
    /// Take work for this long; what was taken is done to its end
    #[arg(long = "for", value_name = "DURATION", default_value = "4m")]
    span: Span,
    /// Only this transform (trf_...) or delivery (dlv_...)
    #[arg(long, value_name = "ID")]
    only: Option<String>,
}

pub async fn run(config: &Config, command: WorkerCommand) -> Result<(), Fault> {
    match command {
        WorkerCommand::Transform(ForArgs { span, only }) => {
            let only = only.as_deref().map(parsed::<TransformId>).transpose()?;
            work(config, Work::Transforms(only), span).await
        }
        WorkerCommand::Send(ForArgs { span, only }) => {
            let only = only.as_deref().map(parsed::<DeliveryId>).transpose()?;
            work(config, Work::Sends(only), span).await
        }
        WorkerCommand::List { page } => list(config, page).await,
    }
}

async fn work(config: &Config, work: Work, claims_for: Span) -> Result<(), Fault> {
    logging::install(&config.log)?;
    if let Some(job) = BatchJob::of_this_process() {
        job.tell();
    }
    crash_point::arm()?;
    let timing = config.timing();
    let engine = Engine::open(config, Timing { drain: timing.worker_drain, ..timing }).await?;
    let signals = tokio::spawn(Signals::listen()?.stop(engine.clone()));
    let store = engine.store.clone();
    let worked = async {
        roles::begin(&engine, &format!("worker-{}", work.kind())).await?;
        tracing::info!(database = store.name(), kind = work.kind().as_str(), "the worker begins");
        worker::run(engine, work, claims_for.0).await
    };
    let outcome = worked.await;
    signals.abort();
    let closed = store.close().await.map_err(|e| e.fault());
    let taken = outcome?;
    tracing::info!(taken, "the worker is done");
    closed
}

async fn list(config: &Config, page: PageArgs) -> Result<(), Fault> {
    let store = existing_store(config).await?;
    let runs = runs::list(&store, Page { limit: page.limit }).await.map_err(|e| e.fault())?;
    if page.shape.format() == Format::Json {
        return output::json(&runs);
    }
    let rows = runs.into_iter().map(|run| {
        vec![
            run.name,
            time(run.intent_at),
            run.mode,
            run.workers.to_string(),
            run.state,
            or_dash(run.ended_at.map(time)),
            or_dash(run.fault_code),
        ]
    });
    let header = ["RUN", "ASKED FOR", "MODE", "WORKERS", "STATE", "ENDED", "FAULT"];
    output::table(&header, rows.collect())
}
