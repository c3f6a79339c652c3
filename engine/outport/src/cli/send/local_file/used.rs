//! Buffers that were sent, to be read into again: a new one for each piece costs the kernel 64 pages to clear, a twentieth of
//! all that a large file costs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// See the module.
#[derive(Default, Clone)]
pub(super) struct Used(Arc<Mutex<Vec<Vec<u8>>>>);

impl Used {
    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer; a new one has that much room.
    pub(super) fn take(&self, room: usize) -> Vec<u8> {
        let used = self.buffers().pop();
        used.unwrap_or_else(|| Vec::with_capacity(room))
    }

    /// A piece of the file; its buffer comes back once nobody needs it any more.
    pub(super) fn piece(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Piece { bytes, used: self.clone() })
    }
}

struct Piece {
    bytes: Vec<u8>,
    used: Used,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.used.buffers().push(bytes);
    }
}
