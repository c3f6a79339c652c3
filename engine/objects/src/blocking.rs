//! The file system's calls block; they run on tokio's blocking threads.

use outport_core::{Fault, code};

/// Runs `work` on a blocking thread. What it owns is dropped there when nobody waits for it any more.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(Fault::new(&code::ENGINE_PANIC, format!("a file system task ended early: {error}")))
        }
    }
}
