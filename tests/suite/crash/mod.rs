//! `outport up` is killed, or frozen, in the middle of its work, and nothing is lost, sent twice or left half done.

mod cut_connection;
mod drain;
pub mod files;
mod kill_loop;
pub mod ledger;
mod points;
mod replays;
pub mod site;
mod two_hundred_files;
pub mod witness;
mod zombie;
