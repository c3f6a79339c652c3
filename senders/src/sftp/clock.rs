//! The time, for what decides by it.

use std::time::{SystemTime, UNIX_EPOCH};

use outport_core::Millis;

/// Milliseconds since 1970 by this machine's clock.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
