//! Compression.

mod gzip;
mod zstd;

pub(super) use self::gzip::Gzip;
pub(super) use self::zstd::Zstd;
