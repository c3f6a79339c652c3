//! How the S3 store works.

/// When checksums beyond TLS go with requests. AWS and most stores take them always; some stores that only resemble S3
/// refuse the trailers that they come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksums {
    /// A CRC32 with every upload, and the store's own compared on every whole download.
    #[default]
    WhenSupported,
    /// Only where S3 demands one.
    WhenRequired,
}

/// How the S3 store works. The defaults are for AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// `http://host/bucket` instead of `http://bucket.host`; `None`: wherever the endpoint is not AWS's own.
    pub path_style: Option<bool>,
    /// When checksums are sent and compared.
    pub checksums: Checksums,
    /// Large objects are read in ranges of this many bytes, several at a time. Also what a small read may hold in memory.
    pub range_bytes: usize,
    /// Ranges of one object that are read at a time, at most; with one more being handed out, so that a reader holds at most
    /// `(ranges_ahead + 1) * range_bytes`.
    pub ranges_ahead: usize,
    /// Ranges read ahead by all readers together. A reader always has one on its way; the others come out of this, so that
    /// many readers at a time cost `2 * range_bytes` each and this many ranges in all.
    pub ranges_shared: usize,
    /// Parts of one multipart upload that are on their way at a time. A writer holds at most two parts more: one waiting,
    /// one being filled.
    pub parts_in_flight: usize,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            path_style: None,
            checksums: Checksums::default(),
            // Measured over loopback: 4 ranges of 8 MiB are 3 times as fast as one stream, at 107 MiB of memory. 4 MiB are
            // twice the requests at half the memory.
            range_bytes: 4 * 1024 * 1024,
            ranges_ahead: 3,
            ranges_shared: 32,
            parts_in_flight: 3,
        }
    }
}
