#![doc = include_str!("../README.md")]

pub mod child;
pub mod comparison;
pub mod invariants;
pub mod json_inputs;
pub mod process;
pub mod process_tree;
pub mod servers;
pub mod set;
pub mod site;
pub mod statistics;
pub mod usage;
