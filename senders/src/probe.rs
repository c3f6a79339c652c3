//! What the remote names tell about a rename whose answer never came (docs/STATES.md, "Probe"). Pure.

use crate::remote::RemoteStat;

/// What a look at the two names means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The whole temp file is there: the rename did not happen, and can be done without sending again.
    StillTemp,
    /// The file stands under its final name.
    Arrived,
    /// It cannot be told. The partner may have taken the file away already, or another one of equal size and time
    /// stands there.
    CannotTell,
}

/// Judges by what `stat` shows now of the temp and the final name, and what it showed of the final name `before` the
/// rename. Sizes alone are not enough: yesterday's file of the same name often has the same size.
pub(crate) fn judge(
    size_bytes: u64,
    temp: Option<RemoteStat>,
    last: Option<RemoteStat>,
    before: Option<RemoteStat>,
) -> Finding {
    let is_ours = |stat: &RemoteStat| stat.size_bytes == Some(size_bytes) && !stat.is_folder;
    if let Some(temp) = temp {
        return if is_ours(&temp) { Finding::StillTemp } else { Finding::CannotTell };
    }
    match last {
        Some(last) if is_ours(&last) && differs(&last, before) => Finding::Arrived,
        _ => Finding::CannotTell,
    }
}

/// Whether the file under the final name is certainly another one than before.
fn differs(now: &RemoteStat, before: Option<RemoteStat>) -> bool {
    let Some(before) = before else { return true };
    let sizes = before.size_bytes.is_some() && before.size_bytes != now.size_bytes;
    let times = before.mtime_s.is_some() && now.mtime_s.is_some() && before.mtime_s != now.mtime_s;
    sizes || times
}

#[cfg(test)]
mod tests {
    use super::Finding::{Arrived, CannotTell, StillTemp};
    use super::*;

    const fn stat(size: u64, mtime: i64) -> Option<RemoteStat> {
        Some(RemoteStat { size_bytes: Some(size), mtime_s: Some(mtime), is_folder: false })
    }
    const fn timeless(size: u64) -> Option<RemoteStat> {
        Some(RemoteStat { size_bytes: Some(size), mtime_s: None, is_folder: false })
    }
    const SIZELESS: Option<RemoteStat> =
        Some(RemoteStat { size_bytes: None, mtime_s: Some(9), is_folder: false });
    const FOLDER: Option<RemoteStat> =
        Some(RemoteStat { size_bytes: Some(10), mtime_s: Some(9), is_folder: true });

    #[test]
    fn every_case_of_the_probe() {
        // (temp now, final now, final before the rename, finding), for a file of 10 bytes
        let table = [
            (stat(10, 5), None, None, StillTemp),
            (stat(10, 5), stat(10, 1), stat(10, 1), StillTemp),
            (stat(10, 5), stat(10, 5), None, StillTemp),
            (stat(9, 5), None, None, CannotTell),
            (SIZELESS, None, None, CannotTell),
            (FOLDER, None, None, CannotTell),
            (None, stat(10, 5), None, Arrived),
            (None, stat(10, 5), stat(10, 4), Arrived),
            (None, stat(10, 5), stat(7, 5), Arrived),
            (None, stat(10, 5), timeless(7), Arrived),
            (None, stat(10, 5), stat(10, 5), CannotTell),
            (None, stat(10, 5), timeless(10), CannotTell),
            (None, timeless(10), stat(10, 5), CannotTell),
            (None, timeless(10), SIZELESS, CannotTell),
            (None, stat(9, 5), None, CannotTell),
            (None, SIZELESS, None, CannotTell),
            (None, FOLDER, None, CannotTell),
            (None, None, None, CannotTell),
            (None, None, stat(10, 5), CannotTell),
        ];
        for (temp, last, before, finding) in table {
            assert_eq!(
                judge(10, temp, last, before),
                finding,
                "temp {temp:?}, final {last:?}, before {before:?}"
            );
        }
    }
}
