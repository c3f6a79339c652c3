//! File attributes (section 5).

use bytes::{BufMut, BytesMut};

use super::WireError;
use super::fields::Fields;

const SIZE: u32 = 0x1;
const UIDGID: u32 = 0x2;
const PERMISSIONS: u32 = 0x4;
const ACMODTIME: u32 = 0x8;
const EXTENDED: u32 = 0x8000_0000;

/// POSIX file type bits inside `permissions`.
const TYPE_MASK: u32 = 0o170_000;
const TYPE_FOLDER: u32 = 0o040_000;

/// Each field is there or not; vendor extensions are read over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attrs {
    /// Size in bytes.
    pub size: Option<u64>,
    /// User and group number.
    pub owner: Option<(u32, u32)>,
    /// POSIX mode, type bits included.
    pub permissions: Option<u32>,
    /// Access and modification time in seconds since 1970.
    pub times: Option<(u32, u32)>,
}

impl Attrs {
    /// Whether the type bits say folder.
    pub fn is_folder(&self) -> bool {
        self.permissions.is_some_and(|mode| mode & TYPE_MASK == TYPE_FOLDER)
    }

    pub(super) fn encode(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(32);
        let bit = |is_there: bool, flag: u32| if is_there { flag } else { 0 };
        out.put_u32(
            bit(self.size.is_some(), SIZE)
                | bit(self.owner.is_some(), UIDGID)
                | bit(self.permissions.is_some(), PERMISSIONS)
                | bit(self.times.is_some(), ACMODTIME),
        );
        if let Some(size) = self.size {
            out.put_u64(size);
        }
        if let Some((user, group)) = self.owner {
            out.put_u32(user);
            out.put_u32(group);
        }
        if let Some(mode) = self.permissions {
            out.put_u32(mode);
        }
        if let Some((accessed, modified)) = self.times {
            out.put_u32(accessed);
            out.put_u32(modified);
        }
        out
    }

    pub(super) fn decode(fields: &mut Fields) -> Result<Self, WireError> {
        let flags = fields.u32()?;
        let has = |flag: u32| flags & flag != 0;
        let mut attrs = Self::default();
        if has(SIZE) {
            attrs.size = Some(fields.u64()?);
        }
        if has(UIDGID) {
            attrs.owner = Some((fields.u32()?, fields.u32()?));
        }
        if has(PERMISSIONS) {
            attrs.permissions = Some(fields.u32()?);
        }
        if has(ACMODTIME) {
            attrs.times = Some((fields.u32()?, fields.u32()?));
        }
        if has(EXTENDED) {
            // A count is only a claim; the loop ends with the packet.
            for _ in 0..fields.u32()? {
                fields.string()?;
                fields.string()?;
            }
        }
        Ok(attrs)
    }
}
