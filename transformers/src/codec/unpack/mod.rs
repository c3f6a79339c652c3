//! Decompression.

mod damage;
mod gzip;
mod gzip_header;
mod sniffed;
mod zstd;

pub(super) use self::gzip::Gzip;
pub(super) use self::sniffed::Sniffed;
pub(super) use self::zstd::Zstd;
