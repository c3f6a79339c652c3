//! SFTP over SSH: [`SftpConnector`] connects, checks the host key and logs in; what it gives is a [`Remote`](crate::Remote).
//!
//! The framing is our own ([`wire`]), because a client that dies on a status code it does not know loses every file in
//! flight when a server refuses one rename with code 11.

mod checksum;
mod classify;
mod client;
mod connect;
mod diagnose;
mod file;
mod keys;
mod login;
mod peer;
mod reader;
mod second_channel;
mod session;
mod trust;
pub mod wire;

pub use connect::SftpConnector;
