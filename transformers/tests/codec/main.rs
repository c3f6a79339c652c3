//! What the adapters of `codec` promise, tried from outside through the public interface.
// Helpers of tests are tests too; clippy.toml's allowance covers only functions marked #[test].
#![allow(clippy::unwrap_used)]

mod compressing;
mod damaged;
mod decompressing;
mod driving;
mod order;
mod passes;
mod reading_text;
mod samples;
mod writing_text;
