//! What to put where.

use outport_core::remote_name::RemoteName;
use outport_core::upload::{Naming, TempOf, UploadPlan};
use outport_core::{DeliveryId, Fault};

use crate::fence::RenameIntent;
use crate::sha256::Sha256Sum;

/// One file, its names, and how it is to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The name the partner is to see. Relative to the folder one logs in to, unless it starts with a slash.
    pub final_path: String,
    /// The name while it is being written; of this attempt alone (a function of delivery id and attempt number), so that
    /// a worker that wakes up late cannot write into a newer attempt's file. `None`: written under the final name.
    pub temp_path: Option<String>,
    /// The same for the file with the checksum, if there is to be one.
    pub checksum_temp_path: Option<String>,
    /// How each step is done.
    pub plan: UploadPlan,
    /// The recorded hash; `None` when none is recorded (a local file sent by hand).
    pub sha256: Option<Sha256Sum>,
    /// The source's modification time in seconds since 1970, for plans that keep it.
    pub mtime_s: Option<i64>,
    /// The last attempt that came as far as the final name and did not end with a definite answer (it was abandoned, ended
    /// as [`Outcome::Unknown`](crate::Outcome::Unknown), or left something that only the next attempt can go on with).
    pub earlier: Option<Earlier>,
    /// What to do when a look at the remote names does not tell whether that attempt delivered.
    pub on_unconfirmed: OnUnconfirmed,
    /// Temp names that earlier attempts may have left, newest first: gone on with where the plan says so, and removed once
    /// the file is delivered, as far as possible.
    pub stale_temps: Vec<String>,
}

impl Upload {
    /// A first attempt by the default plan.
    pub fn new(final_path: impl Into<String>, temp_path: impl Into<String>) -> Self {
        Self { temp_path: Some(temp_path.into()), ..Self::named(final_path.into(), UploadPlan::default()) }
    }

    /// One attempt of a delivery, its temp names made by the plan. `unfinished`: the numbers of earlier attempts that may
    /// have left theirs, newest first.
    ///
    /// # Errors
    /// `route.name_refused` when a name of the plan cannot be made for this file.
    pub fn planned(
        plan: UploadPlan,
        name: &RemoteName,
        delivery: DeliveryId,
        attempt: u32,
        unfinished: &[u32],
    ) -> Result<Self, Fault> {
        // Before anything is sent: these depend on the name alone.
        for companion in [plan.checksum(), plan.trigger()].into_iter().flatten() {
            companion.of(name)?;
        }
        let Naming::Temp { name: temp, .. } = plan.naming() else {
            return Ok(Self::named(name.as_str().to_owned(), plan));
        };
        let of = |attempt: u32, what: TempOf| -> Result<String, Fault> {
            Ok(temp.of(name, delivery, attempt, what)?.as_str().to_owned())
        };
        let checksum_temp_path = plan.checksum().map(|_| of(attempt, TempOf::Checksum)).transpose()?;
        let mut stale_temps = Vec::new();
        for n in unfinished {
            stale_temps.push(of(*n, TempOf::Payload)?);
        }
        if plan.checksum().is_some() {
            for n in unfinished {
                stale_temps.push(of(*n, TempOf::Checksum)?);
            }
        }
        let temp_path = Some(of(attempt, TempOf::Payload)?);
        Ok(Self { temp_path, checksum_temp_path, stale_temps, ..Self::named(name.as_str().to_owned(), plan) })
    }

    fn named(final_path: String, plan: UploadPlan) -> Self {
        Self {
            final_path,
            temp_path: None,
            checksum_temp_path: None,
            plan,
            sha256: None,
            mtime_s: None,
            earlier: None,
            on_unconfirmed: OnUnconfirmed::Resend,
            stale_temps: Vec::new(),
        }
    }
}

/// What an earlier attempt stored before it touched the final name: its [`RenameIntent`].
pub type Earlier = RenameIntent;

/// What to do with a file that may have arrived (`on_unconfirmed` of the subscription).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnconfirmed {
    /// Send again and mark the receipt as a possible duplicate.
    Resend,
    /// Send nothing; a person decides.
    Hold,
}
