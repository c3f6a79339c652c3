//! `outport subscription enable|disable CODE --reason TEXT`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outport_core::{Fault, SubscriptionId};
use outport_store::acts::subscription;
use outport_store::list;

use super::{Why, could_not, name_or_id};
use crate::cli::database::existing_store;
use crate::cli::read::found;
use crate::config::Config;
use crate::output;

#[derive(Debug, Args)]
pub struct Coded {
    /// Code or id
    name: String,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Subcommand)]
pub enum SubscriptionAct {
    /// Let new files go to this subscription again
    Enable(Coded),
    /// Let new files pass it by; open deliveries go on
    #[command(
        after_help = "Files that arrive meanwhile are not kept for it: to stop sending and keep everything, see `outport endpoint pause`."
    )]
    Disable(Coded),
}

pub async fn run(config: &Config, act: SubscriptionAct) -> Result<ExitCode, Fault> {
    let (enabled, Coded { name, why }) = match act {
        SubscriptionAct::Enable(of) => (true, of),
        SubscriptionAct::Disable(of) => (false, of),
    };
    let signed = why.signed()?;
    name_or_id::<SubscriptionId>(&name)?;
    let store = existing_store(config).await?;
    let s =
        found(list::subscriptions::show(&store, &name).await.map_err(|e| e.fault())?, "subscription", &name)?;
    let verb = if enabled { "enable" } else { "disable" };
    subscription::switch(&store, s.id, enabled, signed.by()).await.map_err(could_not(verb, &s.code))?;
    output::line(&format!("{} {verb}d", s.code))?;
    if !enabled {
        output::note("files that arrive from now on pass it by, for good; open deliveries go on");
    }
    Ok(ExitCode::SUCCESS)
}
