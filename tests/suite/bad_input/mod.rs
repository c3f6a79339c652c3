//! What a careless or hostile outside can do to Outport: each time a clear fault, and nothing lost.

mod command_line;
mod configuration;
mod contents;
mod database_damaged;
mod database_locked;
mod definitions;
mod disk_full;
mod gate;
mod half_written;
mod names;
mod names_of_trouble;
mod replaced;
mod replay;
mod secrets;
pub mod site;
