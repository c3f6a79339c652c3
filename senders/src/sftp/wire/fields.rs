//! The few field types of the protocol (section 3): integers in network order, strings with a length.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::WireError;

/// Reads the fields of one packet.
pub(super) struct Fields {
    kind: u8,
    rest: Bytes,
}

impl Fields {
    /// The packet's type, and the fields after it.
    pub(super) fn of(mut packet: Bytes) -> Result<(u8, Self), WireError> {
        let kind = packet.try_get_u8().map_err(|_| WireError::Empty)?;
        Ok((kind, Self { kind, rest: packet }))
    }

    fn short(&self) -> WireError {
        WireError::Short { kind: self.kind }
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.rest.try_get_u32().map_err(|_| self.short())
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        self.rest.try_get_u64().map_err(|_| self.short())
    }

    /// A string, without a copy.
    pub(super) fn string(&mut self) -> Result<Bytes, WireError> {
        let length = self.u32()? as usize;
        if length > self.rest.len() {
            return Err(self.short());
        }
        Ok(self.rest.split_to(length))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(self) -> Bytes {
        self.rest
    }
}

/// Builds one packet, length field included.
pub(super) struct Packet(BytesMut);

impl Packet {
    pub(super) fn new(kind: u8) -> Self {
        let mut bytes = BytesMut::with_capacity(64);
        bytes.put_u32(0);
        bytes.put_u8(kind);
        Self(bytes)
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.put_u32(value);
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.0.put_u64(value);
        self
    }

    pub(super) fn string(mut self, value: &[u8]) -> Self {
        self.0.put_u32(length(value.len()));
        self.0.put_slice(value);
        self
    }

    pub(super) fn raw(mut self, value: &[u8]) -> Self {
        self.0.put_slice(value);
        self
    }

    pub(super) fn finish(self) -> Bytes {
        self.followed_by(0)
    }

    /// The start of a packet whose last `more` bytes are sent separately.
    pub(super) fn followed_by(mut self, more: usize) -> Bytes {
        let size = length(self.0.len() - 4 + more);
        self.0[..4].copy_from_slice(&size.to_be_bytes());
        self.0.freeze()
    }
}

/// A length field. Nothing near 4 GiB is ever built; the receiver would refuse a capped one as a broken packet.
fn length(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
