//! From an errno to a fault that names the path.

use std::path::Path;

use outport_core::{Fault, code};
use rustix::io::Errno;

/// A name from the file system, fit for one line of a message: control characters are escaped.
pub(crate) fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A path, fit for one line of a message.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

/// The fault of a store: `doing` says what was being done ("could not write").
pub(crate) fn store_fault(doing: &str, path: &Path, cause: impl Into<std::io::Error>) -> Fault {
    let cause = cause.into();
    let full = [Errno::NOSPC, Errno::DQUOT].map(|errno| Some(errno.raw_os_error()));
    let code = if full.contains(&cause.raw_os_error()) {
        &code::OBJECT_STORE_FULL
    } else {
        &code::OBJECT_STORE_FAILED
    };
    Fault::new(code, format!("{doing} {}: {cause}", shown_path(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let cases = [
            (Errno::NOSPC, &code::OBJECT_STORE_FULL),
            (Errno::DQUOT, &code::OBJECT_STORE_FULL),
            (Errno::IO, &code::OBJECT_STORE_FAILED),
            (Errno::ACCESS, &code::OBJECT_STORE_FAILED),
            (Errno::MFILE, &code::OBJECT_STORE_FAILED),
        ];
        for (errno, want) in cases {
            let fault = store_fault("could not write", Path::new("/data/a\nb"), errno);
            assert_eq!(fault.code, want, "{errno:?}");
            assert!(fault.message.starts_with("could not write /data/a\\nb: "), "{}", fault.message);
        }
    }
}
