//! Where lanes are written.

use std::marker::PhantomData;

use super::{Lane, WIDTH};

/// The end of a vector, written without a call for each cell. Its length lives here until the drop.
pub(in super::super) struct Out<'a> {
    start: *mut u8,
    len: usize,
    capacity: usize,
    vec: *mut Vec<u8>,
    borrow: PhantomData<&'a mut Vec<u8>>,
}

impl<'a> Out<'a> {
    pub(in super::super) fn new(vec: &'a mut Vec<u8>) -> Self {
        Self {
            start: vec.as_mut_ptr(),
            len: vec.len(),
            capacity: vec.capacity(),
            vec: std::ptr::from_mut(vec),
            borrow: PhantomData,
        }
    }

    #[inline(always)]
    pub(in super::super) fn len(&self) -> usize {
        self.len
    }

    /// Takes back what was written behind `len`.
    #[inline(always)]
    pub(in super::super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes room for `more` bytes.
    #[inline(always)]
    fn room(&mut self, more: usize) {
        if self.capacity - self.len < more {
            self.grow(more);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        // SAFETY: `vec` is borrowed for 'a by this value alone. `len` never exceeds the capacity, and all bytes below it were
        // written (`lane` and `bytes` write before they count).
        unsafe {
            let vec = &mut *self.vec;
            vec.set_len(self.len);
            vec.reserve(more);
            self.start = vec.as_mut_ptr();
            self.capacity = vec.capacity();
        }
    }

    /// The first `keep` bytes of the lane, sixteen at most.
    #[inline(always)]
    pub(in super::super) fn lane(&mut self, lane: Lane, keep: usize) {
        self.room(WIDTH);
        // SAFETY: `room` left at least sixteen bytes behind `len`.
        unsafe { lane.0.store(self.start.add(self.len)) };
        self.len += keep.min(WIDTH);
    }

    /// The first bytes of one lane and of another: as many as stand beside each, sixteen at most.
    #[inline(always)]
    pub(in super::super) fn two(&mut self, first: (Lane, usize), second: (Lane, usize)) {
        self.room(2 * WIDTH);
        let between = self.len + first.1.min(WIDTH);
        // SAFETY: `room` left at least thirty-two bytes behind `len`, and `between` lies at most sixteen behind it.
        unsafe {
            first.0.0.store(self.start.add(self.len));
            second.0.0.store(self.start.add(between));
        }
        self.len = between + second.1.min(WIDTH);
    }

    #[inline(always)]
    pub(in super::super) fn byte(&mut self, byte: u8) {
        self.room(1);
        // SAFETY: `room` left at least one byte behind `len`.
        unsafe { self.start.add(self.len).write(byte) };
        self.len += 1;
    }

    #[inline]
    pub(in super::super) fn bytes(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        // SAFETY: `room` left `bytes.len()` bytes behind `len`; the two do not overlap, since the vector is borrowed mutably.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(self.len), bytes.len()) };
        self.len += bytes.len();
    }

    /// Takes the byte at `at` out, and moves what stands behind it up.
    #[cold]
    pub(in super::super) fn remove(&mut self, at: usize) {
        if at < self.len {
            // SAFETY: the bytes behind `at` up to `len` are initialised and inside the vector.
            unsafe { std::ptr::copy(self.start.add(at + 1), self.start.add(at), self.len - at - 1) };
            self.len -= 1;
        }
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        // SAFETY: as in `grow`.
        unsafe { (*self.vec).set_len(self.len) };
    }
}
