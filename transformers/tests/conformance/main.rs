//! Everything that the transforms promise, tried from outside through the public interface.
// Helpers of tests are tests too; clippy.toml's allowance covers only functions marked #[test].
#![allow(clippy::unwrap_used)]

mod apart;
mod cases;
mod contract;
mod csv_to_json;
mod csv_to_json_oracle;
mod cuts;
mod differential;
mod fuzz;
mod limits;
mod mapping;
mod outcome;
mod shared_cases;
mod special;
mod strings;
mod suite;
mod threads;
mod wrapped;
