//! `outport endpoint pause|resume|retry|accept-key`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outport_core::trust::HostKey;
use outport_core::{EndpointId, Fault, code};
use outport_send::HostKeyPin;
use outport_store::Store;
use outport_store::acts::endpoint::{self, Accepted};
use outport_store::list::{self, endpoints::EndpointView};

use super::{Why, actor, could_not, name_or_id};
use crate::cli::database::existing_store;
use crate::cli::lane;
use crate::cli::read::found;
use crate::config::Config;
use crate::output;

#[derive(Debug, Args)]
pub struct Named {
    /// SUBSCRIBER/NAME or id
    name: String,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Subcommand)]
pub enum EndpointAct {
    /// Start nothing new there; what is being sent goes on, the rest waits
    Pause(Named),
    /// End a pause, or a suspension after long failure
    Resume(Named),
    /// Lift every block of an endpoint's lane and try one file now
    #[command(after_help = "A changed host key is not accepted by this: see `outport endpoint accept-key`.")]
    Retry {
        /// SUBSCRIBER/NAME or id
        name: String,
    },
    /// Accept one more host key, and lift the block that it caused
    #[command(
        after_help = "Ask the partner for the fingerprint by another channel than the network, then name it here:\n  outport endpoint accept-key acme/sftp --fingerprint SHA256:... --reason \"new server, by telephone with Ms Doe\""
    )]
    AcceptKey {
        /// The fingerprint as `ssh-keygen -l` prints it; `outport endpoint show` has the one that was seen
        #[arg(long, value_name = "SHA256:...")]
        fingerprint: String,
        #[command(flatten)]
        of: Named,
    },
}

pub async fn run(config: &Config, act: EndpointAct) -> Result<ExitCode, Fault> {
    match act {
        EndpointAct::Pause(Named { name, why }) => {
            let signed = why.signed()?;
            let (store, e) = open(config, &name).await?;
            endpoint::pause(&store, e.id, signed.by()).await.map_err(could_not("pause", &e.name))?;
            output::line(&format!("{} paused", e.name))?;
            output::note("what is being sent goes on; nothing new is started");
        }
        EndpointAct::Resume(Named { name, why }) => {
            let signed = why.signed()?;
            let (store, e) = open(config, &name).await?;
            let was =
                endpoint::resume(&store, e.id, signed.by()).await.map_err(could_not("resume", &e.name))?;
            output::line(&format!("{} resumed", e.name))?;
            if was.suspended {
                output::note("it was suspended: one file is tried now, the others follow if it works");
            }
        }
        EndpointAct::Retry { name } => {
            let (store, e) = open(config, &name).await?;
            endpoint::retry(&store, e.id, &actor()).await.map_err(could_not("retry", &e.name))?;
            output::line(&format!("{} retried", e.name))?;
            output::note("blocks lifted; one file is tried now, the others follow if it works");
        }
        EndpointAct::AcceptKey { fingerprint, of: Named { name, why } } => {
            let signed = why.signed()?;
            let pin = fingerprint.parse::<HostKeyPin>().map_err(|e| {
                Fault::new(&code::USAGE, e.to_string())
                    .with_hint("copy it from `outport endpoint show`, after the partner has confirmed it")
            })?;
            let (store, e) = open(config, &name).await?;
            let pin = pin.to_string();
            let accepted = endpoint::accept_key(&store, e.id, &pin, signed.by())
                .await
                .map_err(could_not("accept a key of", &e.name))?;
            output::line(&format!("{} accepts {pin}", e.name))?;
            note_accepted(&e, &pin, &accepted);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(config: &Config, name: &str) -> Result<(Store, EndpointView), Fault> {
    name_or_id::<EndpointId>(name)?;
    let store = existing_store(config).await?;
    let endpoint =
        found(list::endpoints::show(&store, name).await.map_err(|e| e.fault())?, "endpoint", name)?;
    Ok((store, endpoint))
}

fn note_accepted(e: &EndpointView, pin: &str, accepted: &Accepted) {
    if let Some(seen) = accepted.seen.as_deref().filter(|seen| *seen != pin) {
        output::note(&output::safe(&format!(
            "warning: the server last showed {seen}, which is not this key; the lane is blocked again if it still does"
        )));
    }
    // The definitions are the truth of `apply`: without this line it would take the key back, and say so in its plan.
    let name = &e.name;
    output::note(&match lane::asks_at_first_use(e) {
        true => format!(
            "it stays for as long as {name} has first_use = \"ask\" and no host_keys in partners.toml; or put this there:"
        ),
        false => format!(
            "put this into partners.toml, at {name}; the next `outport apply` takes the key out again without it:"
        ),
    });
    let pins: Vec<String> = accepted.pins.iter().map(|pin| output::safe(&as_toml(pin))).collect();
    output::note(&format!("    host_keys = [{}]", pins.join(", ")));
}

/// A host key as it stands in `partners.toml`.
fn as_toml(key: &HostKey) -> String {
    let date = |name: &str, at: Option<jiff::Timestamp>| {
        at.map(|at| format!(", {name} = \"{at}\"")).unwrap_or_default()
    };
    if key.is_undated() {
        return format!("{:?}", key.fingerprint);
    }
    format!("{{ fingerprint = {:?}{}{} }}", key.fingerprint, date("from", key.from), date("until", key.until))
}
