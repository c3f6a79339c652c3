//! The image of the Dockerfile in real containers: what it is, as a service, and as a worker that Batch starts.
//!
//! The binary in it is the one of the other tests; its base is made of Debian's packages (`tests/machine/containers.sh`).

mod batch;
mod image;
mod service;

/// The template of AWS, which starts the same image.
const TEMPLATE: &str = include_str!("../../../deploy/outport.yaml");
