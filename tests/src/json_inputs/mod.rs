//! JSON files of any size, made from a seed: the same seed, shape and size give the same bytes on every machine.
//!
//! ```
//! use outport_tests::json_inputs::{Shape, write};
//!
//! let mut file = Vec::new();
//! let written = write(Shape::Late, 7, 10_000, &mut file)?;
//! assert_eq!(written.bytes, file.len() as u64);
//! assert_eq!(written.records, file.split(|b| *b == b'\n').count() as u64 - 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod flat;
mod nested;
mod random;
mod shape;
mod size;
#[cfg(test)]
mod tests;
mod wide;

use std::io::{self, Write};

use random::Random;
pub use shape::Shape;
pub use size::Size;

/// What a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its length.
    pub bytes: u64,
    /// Its records: rows of the CSV without the header.
    pub records: u64,
}

/// Writes records until `size_bytes` are reached, so a file is at most one record and its frame larger. One record is in memory
/// at a time.
///
/// # Errors
/// Those of `out`.
pub fn write(shape: Shape, seed: u64, size_bytes: u64, out: &mut impl Write) -> io::Result<Written> {
    let mut random = Random::new(seed);
    let frame = shape.frame();
    let mut record = Vec::from(frame.before);
    let mut written = Written { bytes: 0, records: 0 };
    while written.bytes < size_bytes || written.records == 0 {
        if written.records > 0 {
            record.extend_from_slice(frame.between.as_bytes());
        }
        shape.record(&mut random, written.records, &mut record);
        flush(&mut record, out, &mut written)?;
        written.records += 1;
    }
    if shape == Shape::Late {
        record.extend_from_slice(frame.between.as_bytes());
        flat::late_record(&mut random, written.records, &mut record);
        written.records += 1;
    }
    record.extend_from_slice(frame.after.as_bytes());
    flush(&mut record, out, &mut written)?;
    Ok(written)
}

fn flush(record: &mut Vec<u8>, out: &mut impl Write, written: &mut Written) -> io::Result<()> {
    out.write_all(record)?;
    written.bytes += record.len() as u64;
    record.clear();
    Ok(())
}

/// Writing into memory cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        std::io::Write::write_fmt($out, format_args!($($arg)*)).expect("a Vec takes everything")
    };
}
use put;
