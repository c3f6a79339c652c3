//! Going on with what an earlier attempt of the same delivery left under its temp name (docs/STATES.md, "Resume").

use super::folders::name_of;
use super::{End, Run};
use crate::remote::{Opening, RemoteFile, RenameWith};

/// So much at the end of a partial file is sent again: what a connection has in flight at most. A server may have written
/// a later piece before an earlier one, and broken off between them.
pub(super) const BACK_OFF_BYTES: u64 = if cfg!(test) { 4 } else { 4 * 1024 * 1024 };

/// From which byte on a partial file of `size` is continued; `None`: not worth it, or not ours.
pub(super) fn kept(size: u64, whole: u64, back_off: u64) -> Option<u64> {
    let kept = size.checked_sub(back_off)?;
    (size <= whole && kept > 0).then_some(kept)
}

impl Run<'_> {
    /// Opens the temp file of this attempt, and says how many bytes of the source are in it already.
    ///
    /// The newest partial file is renamed to this attempt's own temp name first: that succeeds for one attempt only, and an
    /// older one that wakes up late finds nothing under its name, neither to rename nor to remove. What its open handle
    /// still writes are the same bytes at the same place: a delivery's artifact never changes.
    pub(super) async fn open_temp(&self, temp_path: &str) -> Result<(Box<dyn RemoteFile>, u64), End> {
        if self.upload.plan.resumes() {
            for old in &self.upload.stale_temps {
                if let Some(opened) = self.take_over(old, temp_path).await? {
                    return Ok(opened);
                }
            }
        }
        Ok((self.open(temp_path, Opening::Replace).await?, 0))
    }

    async fn take_over(&self, old: &str, temp_path: &str) -> Result<Option<(Box<dyn RemoteFile>, u64)>, End> {
        name_of(old)?;
        let shown = self.look(old).await?.filter(|shown| !shown.is_folder);
        let size = shown.and_then(|shown| shown.size_bytes);
        let Some(at) = size.and_then(|size| kept(size, self.size_bytes, BACK_OFF_BYTES)) else {
            return Ok(None);
        };
        self.fence.check()?;
        if let Err(error) = self.remote.rename(old, temp_path, RenameWith::Rename).await {
            let fault = error.into_fault();
            if !self.remote.alive() {
                return Err(fault.into());
            }
            tracing::debug!(code = fault.code.name, "a partial temp file could not be taken over");
            return Ok(None);
        }
        match self.remote.create(temp_path, Opening::Continue { at }).await {
            Ok(file) => {
                tracing::debug!(bytes = at, "an earlier attempt's temp file is continued");
                Ok(Some((file, at)))
            }
            Err(fault) if !self.remote.alive() => Err(fault.into()),
            Err(fault) => {
                // One that its server does not open again is of no use.
                tracing::debug!(code = fault.code.name, "a partial temp file could not be opened again");
                self.remove_quietly(temp_path).await;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_kept() {
        for (size, whole, kept_bytes) in [
            (0, 100, None),
            (10, 100, None),
            (11, 100, Some(1)),
            (60, 100, Some(50)),
            (100, 100, Some(90)),
            (101, 100, None),
        ] {
            assert_eq!(kept(size, whole, 10), kept_bytes, "{size} of {whole}");
        }
    }
}
