//! How large a record and a schema may get.

/// The limits that keep memory bounded whatever the input. Going over one is a fault with the place, never a
/// cut.
///
/// ```
/// use outport_transform::{JsonToCsv, Limits, run};
/// let mut transform = JsonToCsv::with_limits(Limits { columns: 1, ..Limits::default() });
/// let fault = run(&mut transform, || Ok(&b"{\"a\":1,\"b\":2}"[..]), &mut Vec::new()).unwrap_err();
/// assert_eq!(fault.code.name, "json.too_many_columns");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one record from `{` to `}` as they stand in the input. Default 64 MiB, never above 1 GiB.
    pub record_bytes: u64,
    /// Containers open at once inside a record, the record itself being the first. Default 128.
    pub depth: usize,
    /// Columns of the output. Default 10,000.
    pub columns: usize,
    /// Bytes of all paths together that the input uses. Default 16 MiB: 10,000 columns of 1,600 bytes each,
    /// so only input whose keys are data meets it.
    pub name_bytes: usize,
}

impl Limits {
    /// Offsets inside a record are kept in 32 bits; a record may therefore not be larger than this.
    pub(super) const MOST_RECORD_BYTES: u64 = 1 << 30;
}

impl Default for Limits {
    fn default() -> Self {
        Self { record_bytes: 64 << 20, depth: 128, columns: 10_000, name_bytes: 16 << 20 }
    }
}
