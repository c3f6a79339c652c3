//! `outport apply`: the plan, then the deed.

use std::path::Path;

use outport_core::Fault;
use outport_core::definitions::{Change, Definitions, Verb, diff};
use outport_core::ssh::Profile;
use outport_store::list::history::accepted_keys;
use outport_store::{Store, definitions as stored};

use super::acts::actor;
use super::database::ready_store;
use super::lane::OLD_ALGORITHMS;
use crate::config::Config;
use crate::definitions;
use crate::output;

pub async fn run(config: &Config, file: &Path, check: bool) -> Result<(), Fault> {
    let desired = definitions::read(file)?;
    let store = ready_store(config).await?;
    let current = stored::current(&store).await.map_err(|e| e.fault())?;
    let plan = diff(&current, &desired);
    show(&plan)?;
    warn_of_old_algorithms(&desired);
    if plan.iter().any(|change| change.fields.iter().any(|field| field.starts_with("host_keys"))) {
        warn_of_accepted_keys(&store, &current, &desired).await?;
    }
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

/// Said each time: an exception that nobody is reminded of stays for ever.
fn warn_of_old_algorithms(desired: &Definitions) {
    for subscriber in &desired.subscribers {
        for endpoint in subscriber.endpoints.iter().filter(|e| e.settings.ssh.profile == Profile::Compat) {
            output::note(&format!(
                "warning: {}/{} has ssh.profile = \"compat\"{OLD_ALGORITHMS}",
                subscriber.code, endpoint.name
            ));
        }
    }
}

/// A host key that an operator accepted by hand and that the file does not name is taken out: that may be meant, but it
/// must not be overlooked.
async fn warn_of_accepted_keys(
    store: &Store,
    current: &Definitions,
    desired: &Definitions,
) -> Result<(), Fault> {
    for key in accepted_keys(store).await.map_err(|e| e.fault())? {
        let pins = |definitions: &Definitions| pins(definitions, &key.endpoint, &key.fingerprint);
        if pins(current) == Some(true) && pins(desired) == Some(false) {
            output::note(&output::safe(&format!(
                "warning: {} was accepted for {} by {} at {}, and the file does not name it",
                key.fingerprint,
                key.endpoint,
                key.actor,
                output::time(key.at)
            )));
        }
    }
    Ok(())
}

/// Whether `endpoint` pins this key; `None`: there is no such endpoint.
fn pins(definitions: &Definitions, endpoint: &str, fingerprint: &str) -> Option<bool> {
    let (subscriber, name) = endpoint.split_once('/')?;
    let subscriber = definitions.subscribers.iter().find(|s| s.code == subscriber)?;
    let endpoint = subscriber.endpoints.iter().find(|e| e.name == name)?;
    Some(
        endpoint.leaves_host_keys_to_operators()
            || endpoint.host_keys.iter().any(|pin| pin.fingerprint.trim_end_matches('=') == fingerprint),
    )
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
