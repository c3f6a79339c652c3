//! `outport up` is killed, or frozen, in the middle of its work, and nothing is lost, sent twice or left half done.

mod cut_connection;
mod drain;
mod files;
mod kill_loop;
mod ledger;
mod points;
mod site;
mod two_hundred_files;
mod witness;
mod zombie;
