//! The `outport` binary.
fn main() {}
