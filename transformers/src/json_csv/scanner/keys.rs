//! Keys of the objects inside arrays. They make no columns, but a key that stands twice is wrong there as
//! well.

/// The keys of the open objects, innermost last. Memory is bounded by the record's size.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// All keys, one after the other.
    text: Vec<u8>,
    /// Where each key ends in `text`; it begins where the one before it ends.
    ends: Vec<usize>,
    /// How many keys there were when each object was opened.
    objects: Vec<usize>,
    /// Reused for sorting.
    sorted: Vec<usize>,
}

impl Keys {
    pub(super) fn open(&mut self) {
        self.objects.push(self.ends.len());
    }

    pub(super) fn add(&mut self, key: &[u8]) {
        self.text.extend_from_slice(key);
        self.ends.push(self.text.len());
    }

    /// Bytes of all keys that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Ends the innermost object; true when all its keys differ. Sorting once at the end costs n log n at
    /// worst and needs no hashing, whatever keys an attacker picks.
    pub(super) fn close(&mut self) -> bool {
        let first = self.objects.pop().unwrap_or(0);
        let Self { text, ends, sorted, .. } = self;
        let key = |at: usize| &text[if at == 0 { 0 } else { ends[at - 1] }..ends[at]];
        sorted.clear();
        sorted.extend(first..ends.len());
        sorted.sort_unstable_by_key(|at| key(*at));
        let differ = sorted.windows(2).all(|pair| key(pair[0]) != key(pair[1]));
        let keep = if first == 0 { 0 } else { ends[first - 1] };
        text.truncate(keep);
        ends.truncate(first);
        differ
    }

    /// Forgets everything and gives back what one huge array took.
    pub(super) fn clear(&mut self) {
        const KEEP: usize = 1 << 16;
        self.objects.clear();
        self.text.clear();
        self.text.shrink_to(KEEP);
        for list in [&mut self.ends, &mut self.sorted] {
            list.clear();
            list.shrink_to(KEEP);
        }
    }

    #[cfg(test)]
    pub(super) fn retained_bytes(&self) -> usize {
        self.text.capacity() + size_of::<usize>() * (self.ends.capacity() + self.sorted.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_within_one_object_only() {
        let mut keys = Keys::default();
        keys.open();
        keys.add(b"a");
        keys.add(b"");
        keys.open();
        keys.add(b"a");
        keys.add(b"b");
        assert!(keys.close(), "the outer a is another one");
        keys.add(b"b");
        assert!(keys.close());
        assert_eq!((keys.text.len(), keys.ends.len()), (0, 0), "nothing is left behind");

        keys.open();
        keys.add(b"ab");
        keys.add(b"c");
        keys.open();
        assert!(keys.close());
        keys.add(b"a");
        keys.add(b"bc");
        keys.add(b"ab");
        assert!(!keys.close());
    }
}
