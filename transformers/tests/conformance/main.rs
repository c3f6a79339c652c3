//! Everything that `json-to-csv` promises, tried from outside through the public interface.
// Helpers of tests are tests too; clippy.toml's allowance covers only functions marked #[test].
#![allow(clippy::unwrap_used)]

mod cases;
mod cuts;
mod differential;
mod fuzz;
mod limits;
mod mapping;
mod outcome;
mod shared_cases;
mod suite;
mod threads;
mod wrapped;
