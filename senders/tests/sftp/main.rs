//! The SFTP client against servers on loopback: our own partner, and one that answers by script.

// The whole crate is tests; clippy's exception for tests knows only the functions marked as such.
#![allow(clippy::unwrap_used)]

mod login;
mod odd_servers;
mod openssh_client;
mod plan;
mod proxies;
mod scripted;
mod support;
mod uploads;
mod windows;
