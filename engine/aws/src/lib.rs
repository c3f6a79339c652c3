#![doc = include_str!("../README.md")]

mod access;
mod batch;
mod failure;
mod s3;
mod secrets;
mod service;
mod sns;
mod sqs;
mod verdict;

pub use access::{Access, load};
pub use aws_config::SdkConfig;
pub use batch::{Batch, JOBS_AT_A_TIME, JobRequest, NamedJob, Unsubmitted};
pub use s3::{Checksums, ListedVersion, S3Settings, S3Store};
pub use secrets::{SecretValue, SecretsManager};
pub use sns::Topic;
pub use sqs::{Depth, MESSAGES_AT_A_TIME, Message, Queue};
