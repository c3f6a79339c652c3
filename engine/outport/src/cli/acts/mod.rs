//! What operators do by hand: the commands with a `--reason`.

mod delivery;
mod endpoint;
mod subscription;

use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use outport_core::{Class, Fault, Reason};
use outport_store::StoreError;
use outport_store::acts::By;

pub use delivery::{DeliveryAct, run as delivery};
pub use endpoint::{EndpointAct, run as endpoint};
pub use subscription::{SubscriptionAct, run as subscription};

use super::read::parsed;
use crate::output;

/// Why; every act wants it.
#[derive(Debug, Args)]
pub struct Why {
    /// Why, for the history: 1 to 255 characters
    #[arg(long = "reason", value_name = "TEXT")]
    reason: String,
}

impl Why {
    /// Who acts and why, checked before anything is opened.
    fn signed(&self) -> Result<Signed, Fault> {
        Ok(Signed { actor: actor(), reason: self.reason.parse()? })
    }
}

/// An act's signature.
struct Signed {
    actor: String,
    reason: Reason,
}

impl Signed {
    fn by(&self) -> By<'_> {
        By { actor: &self.actor, reason: &self.reason }
    }
}

/// `operator:NAME`, for the history: `OUTPORT_ACTOR` (a ticket system, a shared login), else the login name.
pub fn actor() -> String {
    let name = ["OUTPORT_ACTOR", "SUDO_USER", "USER"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .map(|name| name.trim().chars().filter(|c| !c.is_control()).take(64).collect::<String>())
        .find(|name| !name.is_empty());
    format!("operator:{}", name.as_deref().unwrap_or("unknown"))
}

/// A name, or an id of the right kind: an id of another kind is a slip, not a name of nothing.
pub fn name_or_id<T: FromStr>(text: &str) -> Result<(), Fault>
where
    T::Err: std::fmt::Display,
{
    let looks_like_an_id =
        text.split_once('_').is_some_and(|(kind, digits)| kind.len() == 3 && digits.len() == 26);
    if looks_like_an_id && !text.contains('/') { parsed::<T>(text).map(|_| ()) } else { Ok(()) }
}

/// The fault of an act on a thing that is named like this.
fn could_not<'a>(verb: &'a str, name: &'a str) -> impl Fn(StoreError) -> Fault + 'a {
    move |error| {
        let fault = error.fault();
        Fault { message: format!("could not {verb} {name}: {}", fault.message), ..fault }
    }
}

/// Acts on one thing after the other, each in its own transaction: one line each, and what failed on stderr. When the
/// database fails, the rest is not tried.
async fn each<T>(things: &[T], act: impl AsyncFn(&T) -> Result<String, Fault>) -> Result<ExitCode, Fault> {
    let (mut done, mut failed) = (0, 0);
    let count = |done: usize| {
        if things.len() > 1 {
            output::note(&format!("{done} of {} done", things.len()));
        }
    };
    for thing in things {
        match act(thing).await {
            Ok(line) => {
                output::line(&output::safe(&line))?;
                done += 1;
            }
            Err(fault) if fault.class() == Class::Engine => {
                count(done);
                return Err(fault);
            }
            Err(fault) => {
                output::note(&format!("error: {}", output::safe_report(&fault.report())));
                failed += 1;
            }
        }
    }
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    count(done);
    Ok(ExitCode::FAILURE)
}
