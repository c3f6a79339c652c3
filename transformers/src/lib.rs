#![doc = include_str!("../README.md")]

mod chain;
pub mod codec;
mod drive;
mod json_csv;
mod kinds;
mod pass_through;
pub mod spec;
mod transform;

pub use drive::{Once, Output, run, run_with_rejects};
pub use json_csv::{JsonToCsv, Limits, infer};
pub use kinds::{KindInfo, build, kinds, output_ext};
pub use pass_through::PassThrough;
pub use spec::Spec;
pub use transform::{About, Finish, OUT_FULL, Summary, Transform};
