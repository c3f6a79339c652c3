//! `outport apply`: the plan, then the deed.

use std::path::Path;

use outport_core::Fault;
use outport_core::definitions::{Change, Verb, diff};
use outport_store::definitions as stored;

use super::up::ready_store;
use crate::config::Config;
use crate::definitions;
use crate::output;

pub async fn run(config: &Config, file: &Path, check: bool) -> Result<(), Fault> {
    let desired = definitions::read(file)?;
    let store = ready_store(config).await?;
    let plan = diff(&stored::current(&store).await.map_err(|e| e.fault())?, &desired);
    show(&plan)?;
    if plan.is_empty() {
        output::note("nothing to change");
    } else if check {
        output::note(&format!("{} change(s) would be made; run it without --check to make them", plan.len()));
    } else {
        let done = stored::apply(&store, &desired, &actor()).await.map_err(|e| e.fault())?;
        output::note(&format!("{} change(s) made", done.len()));
    }
    Ok(())
}

/// `operator:NAME`, for the history.
pub fn actor() -> String {
    let name =
        std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "unknown".into());
    format!("operator:{name}")
}

fn show(plan: &[Change]) -> Result<(), Fault> {
    for change in plan {
        let sign = match change.verb {
            Verb::Create => '+',
            Verb::Change => '~',
            Verb::Retire => '-',
        };
        output::line(&format!(
            "{sign} {} {} {}",
            change.verb.as_str(),
            change.noun,
            output::safe(&change.name)
        ))?;
        for field in &change.fields {
            output::line(&format!("    {}", output::safe(field)))?;
        }
    }
    Ok(())
}
