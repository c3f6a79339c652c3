#![doc = include_str!("../README.md")]

mod blocking;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod fault;
pub mod folder;
pub mod intake;
pub mod key;
mod object;

pub use folder::FolderStore;
pub use object::{Expected, Listed, ObjectInfo, ObjectReader, ObjectWriter, Objects, PIECE_BYTES, Stored};
