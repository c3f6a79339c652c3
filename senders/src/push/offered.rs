//! What a plan needs of a server, before any byte is sent. Pure.

use outport_core::upload::{Naming, Rename, UploadPlan, Verify};
use outport_core::{Fault, code};

use crate::remote::Offers;

/// Refuses a plan that this server cannot follow.
pub(super) fn check(plan: &UploadPlan, offers: Offers) -> Result<(), Fault> {
    let posix = matches!(plan.naming(), Naming::Temp { rename: Rename::PosixRename, .. });
    let needs = [
        (plan.fsync(), offers.fsync, "fsync", "fsync@openssh.com", "leave upload.fsync out"),
        (posix, offers.posix_rename, "rename", "posix-rename@openssh.com", "write upload.rename = \"auto\""),
        (
            plan.verify() == Verify::Checksum,
            offers.checksum,
            "verify",
            "check-file",
            "write upload.verify = \"read-back\", or \"stat\"",
        ),
    ];
    match needs.into_iter().find(|(needed, offered, ..)| *needed && !offered) {
        None => Ok(()),
        Some((_, _, key, extension, instead)) => {
            let message = format!(
                "could not send: upload.{key} of the endpoint needs {extension}, which the server does not offer"
            );
            Err(Fault::new(&code::REMOTE_UNSUPPORTED, message)
                .with_hint(format!("{instead}; `outport endpoint check` shows what the server can do")))
        }
    }
}
