//! SFTP over SSH: [`SftpConnector`] connects, checks the host key and logs in; what it gives is a [`Remote`](crate::Remote).
//!
//! The framing is our own ([`wire`]), because a client that dies on a status code it does not know loses every file in
//! flight when a server refuses one rename with code 11.

mod algorithms;
mod checksum;
mod classify;
mod client;
mod clock;
mod connect;
mod connection;
mod diagnose;
mod file;
mod first_words;
mod host_certificate;
mod keys;
mod login;
mod peer;
mod reach;
mod reader;
mod second_channel;
mod session;
mod trust;
mod user_certificate;
pub mod wire;

pub use algorithms::{Algorithms, UnknownAlgorithm};
pub use connect::SftpConnector;
