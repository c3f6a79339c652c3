#![doc = include_str!("../README.md")]

pub mod codec;
mod drive;
mod json_csv;
mod kinds;
mod pass_through;
mod transform;

pub use drive::{Once, Output, run};
pub use json_csv::{JsonToCsv, Limits};
pub use kinds::{KindInfo, build, kinds};
pub use pass_through::PassThrough;
pub use transform::{Finish, OUT_FULL, Summary, Transform};
