//! What the SFTP sender does on real servers.

mod check;
mod plan;
