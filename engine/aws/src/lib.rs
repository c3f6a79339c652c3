#![doc = include_str!("../README.md")]

mod access;
mod failure;
mod s3;

pub use access::{Access, load};
pub use aws_config::SdkConfig;
pub use s3::{Checksums, S3Settings, S3Store};
