//! The harness itself: the servers are real, and end when they should.

mod openssh;
mod postgres;
mod small_disk;
