//! The upload plan: how a file is put on one endpoint's server, as data. What is written in the definitions is an
//! [`UploadSpec`]; only one whose parts go together becomes an [`UploadPlan`].

mod companion;
mod pattern;
mod plan;
mod spec;
mod temp;

pub use companion::CompanionName;
pub use pattern::numbered;
pub use plan::{Naming, UploadPlan};
pub use spec::{Mode, Mtime, OnExisting, PlanProblem, Rename, UploadSpec, Verify};
pub use temp::{TempName, TempOf};
