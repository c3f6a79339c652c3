//! Every test that needs more than one crate, in one program.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod aws;
mod bad_input;
mod binary;
mod conformance;
mod connection;
mod containers;
mod crash;
mod database_faults;
mod docs;
mod e2e;
mod model;
mod operators;
mod s3;
mod servers;
mod sftp;
mod workers;
