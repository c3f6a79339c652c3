//! What the remote names tell about a rename whose answer never came (docs/STATES.md, "Probe"). Pure.

use crate::fence::IntentStep;
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

/// What a look at the final name means for a file that is written there at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirectFinding {
    /// The whole file is there.
    Arrived,
    /// Part of it is there.
    Half,
    /// Nothing was written yet.
    NotBegun,
    /// It cannot be told.
    CannotTell,
}

/// Judges by how far the earlier attempt said that it was, and what stands under the final name now and stood there
/// `before`. `replaces`: whether the plan lets a file of that name be written over. Where not, no byte is sent before it is
/// stored that the attempt made the file; what stands there without that is not ours.
pub(crate) fn judge_direct(
    size_bytes: u64,
    step: IntentStep,
    replaces: bool,
    last: Option<RemoteStat>,
    before: Option<RemoteStat>,
) -> DirectFinding {
    use DirectFinding::{Arrived, CannotTell, Half, NotBegun};
    if !replaces && step == IntentStep::Writing {
        return NotBegun;
    }
    // Gone: taken away whole by the partner, or never there.
    let Some(last) = last else { return CannotTell };
    if !differs(&last, before) {
        return if last.size_bytes == Some(size_bytes) { CannotTell } else { NotBegun };
    }
    match last.size_bytes {
        _ if last.is_folder => CannotTell,
        Some(size) if size == size_bytes => Arrived,
        Some(size) if size < size_bytes => Half,
        _ => CannotTell,
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
    fn every_case_of_a_direct_file() {
        use DirectFinding::{Arrived, CannotTell, Half, NotBegun};
        use IntentStep::{Created, Writing};
        // (step, replaces, final now, final before, finding), for a file of 10 bytes
        let table = [
            (Writing, true, None, None, CannotTell),
            (Writing, true, None, stat(3, 1), CannotTell),
            (Writing, true, stat(10, 5), None, Arrived),
            (Writing, true, stat(10, 5), stat(3, 1), Arrived),
            (Writing, true, stat(10, 5), stat(10, 1), Arrived),
            (Writing, true, stat(10, 5), stat(10, 5), CannotTell),
            (Writing, true, stat(4, 5), None, Half),
            (Writing, true, stat(0, 5), stat(10, 1), Half),
            (Writing, true, stat(3, 1), stat(3, 1), NotBegun),
            (Writing, true, stat(11, 5), None, CannotTell),
            (Writing, true, SIZELESS, None, CannotTell),
            (Writing, true, FOLDER, None, CannotTell),
            (Writing, false, None, None, NotBegun),
            (Writing, false, stat(4, 5), None, NotBegun),
            (Writing, false, stat(10, 5), None, NotBegun),
            (Created, false, None, None, CannotTell),
            (Created, false, stat(4, 5), None, Half),
            (Created, false, stat(10, 5), None, Arrived),
            (Created, false, stat(11, 5), None, CannotTell),
        ];
        for (step, replaces, last, before, finding) in table {
            let found = judge_direct(10, step, replaces, last, before);
            assert_eq!(found, finding, "{step} replaces {replaces}, final {last:?}, before {before:?}");
        }
    }

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
