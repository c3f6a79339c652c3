//! The trait: bytes in, bytes out, driven from outside.

use outport_core::Fault;
use serde::Serialize;

/// How much output one call of [`Transform::push`] gathers before it hands back, in bytes: 256 KiB, which stays in a core's cache
/// until it is written out.
///
/// Without it, a chunk of tiny records under a wide header (3 bytes in, 10,000 commas out) would grow `out`
/// by thousands of times the chunk.
pub const OUT_FULL: usize = 256 << 10;

/// Bytes in, bytes out, in bounded memory; no I/O and no waiting, so that a file, a pipe, an object store's
/// stream and a test that cuts the input at every byte can all drive it ([`run`](crate::run) does so for
/// readers).
///
/// One use of a transform is one or more *passes* over the same bytes. In each pass the driver pushes the
/// whole input, then calls [`finish`](Transform::finish):
///
/// ```
/// # use outport_core::Fault;
/// use outport_transform::{Finish, Summary, Transform};
///
/// fn drive(transform: &mut dyn Transform, input: &[u8], sink: &mut Vec<u8>) -> Result<Summary, Fault> {
///     let mut out = Vec::new();
///     loop {
///         let mut rest = input;
///         while !rest.is_empty() {
///             let taken = transform.push(rest, &mut out)?;
///             rest = &rest[taken..];
///             sink.append(&mut out);
///         }
///         let mut finish = transform.finish(&mut out)?;
///         sink.append(&mut out);
///         while finish == Finish::More {
///             finish = transform.finish(&mut out)?;
///             sink.append(&mut out);
///         }
///         match finish {
///             // What was put out so far is void.
///             Finish::Again => sink.clear(),
///             Finish::Done(summary) => return Ok(summary),
///             Finish::More => unreachable!("asked for below until there is no more"),
///         }
///     }
/// }
/// # let mut csv = Vec::new();
/// # let mut transform = outport_transform::JsonToCsv::new();
/// # assert_eq!(drive(&mut transform, b"{\"a\":1}", &mut csv).unwrap().records, Some(1));
/// # assert_eq!(csv, b"a\n1\n");
/// ```
///
/// After a fault the output so far is worthless and must not become visible; every further call returns the
/// same fault.
pub trait Transform: Send {
    /// Says before the first push that output cannot be taken back (a pipe): nothing may be put out before it is certain
    /// that no pass ends with [`Finish::Again`] behind it. May cost a pass more.
    fn write_once(&mut self) {}

    /// Says before the first push how many threads may work at once, the caller's counted. The output and the faults do not depend on
    /// it; memory does, by a few MiB a thread.
    fn use_threads(&mut self, _threads: usize) {}

    /// Says before the first push what is known of the input, for columns that have it.
    fn about(&mut self, _about: &About) {}

    /// Appends to `out` what was rejected since the last call: lines of JSON, each a record that was left out and why. Asked after
    /// each push and finish; void like the output after [`Finish::Again`] or a fault.
    fn take_rejects(&mut self, _out: &mut Vec<u8>) {}

    /// Takes bytes from the front of `chunk`, appends finished output to `out`, and says how many bytes it
    /// took: fewer than all, or none, once `out` holds [`OUT_FULL`]. The caller
    /// then empties `out` and pushes the rest. Where the input is cut into chunks has no influence on the
    /// output or on a fault.
    ///
    /// # Errors
    /// The input cannot be transformed; nothing of it may be delivered.
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault>;

    /// Ends a pass: checks that the input was complete and appends the tail.
    ///
    /// # Errors
    /// The input ends too early, or holds nothing that can be transformed.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault>;
}

/// What comes after a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the output may have to be written anew, or go on"]
pub enum Finish {
    /// The output is not complete: empty `out` and finish once more.
    More,
    /// The same bytes have to be pushed once more, from the beginning. What was put out until now is void (nothing was, after
    /// [`Transform::write_once`]).
    Again,
    /// The output is complete.
    Done(Summary),
}

/// What is known of an input beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its object key, or the name of its file.
    pub source_key: String,
    /// When the transform started: RFC 3339 in UTC.
    pub run_time: String,
}

/// What a transform has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records read; none for a transform that does not look at records.
    pub records: Option<u64>,
    /// Records of these that were left out because they were bad.
    pub rejected: u64,
    /// Columns of the output; none for a transform whose output has no columns.
    pub columns: Option<u64>,
    /// Size of the input in bytes (counted once, however many passes there were).
    pub bytes_in: u64,
    /// Size of the output in bytes.
    pub bytes_out: u64,
}
