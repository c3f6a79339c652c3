//! What a server can do, found out by doing it: a scripted probe with names of its own, all of which it takes away again.

mod findings;
mod propose;
mod script;

pub use findings::{Answer, Finding, Findings, Probe};
pub use propose::{misfits, propose};
pub use script::{CheckOptions, check};
