//! Which point is armed in this process, and what happens there.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outport_core::{Fault, code};
use rustix::process::{Signal, getpid, kill_process};

use super::Point;

const UNTIL_IT_STOPS: Duration = Duration::from_millis(20);

const VARIABLE: &str = "OUTPORT_CRASH_AT";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Kill,
    Freeze,
}

struct Armed {
    point: Point,
    deed: Deed,
    /// A process that was frozen and woken goes on past the same point.
    is_done: AtomicBool,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

pub(super) fn arm() -> Result<(), Fault> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let text = text.to_string_lossy();
    let Some((point, deed)) = parse(&text) else {
        let known: Vec<_> = Point::ALL.iter().map(|point| point.as_str()).collect();
        return Err(Fault::new(&code::USAGE, format!("{VARIABLE}={text} names no crash point")).with_hint(
            format!("use one of {}; `:stop` behind it freezes instead of killing", known.join(", ")),
        ));
    };
    tracing::warn!(point = point.as_str(), "a crash point is armed: this process will not live long");
    ARMED.get_or_init(|| Armed { point, deed, is_done: AtomicBool::new(false) });
    Ok(())
}

fn parse(text: &str) -> Option<(Point, Deed)> {
    let (name, deed) = match text.split_once(':') {
        None => (text, Deed::Kill),
        Some((name, "stop")) => (name, Deed::Freeze),
        Some(_) => return None,
    };
    Point::ALL.into_iter().find(|point| point.as_str() == name).map(|point| (point, deed))
}

pub(super) fn is_armed() -> bool {
    ARMED.get().is_some()
}

pub(super) fn reached(point: Point) {
    let Some(armed) = ARMED.get() else { return };
    if armed.point != point || armed.is_done.swap(true, Ordering::SeqCst) {
        return;
    }
    let done = match armed.deed {
        // Takes this thread with it before kill(2) returns to it.
        Deed::Kill => kill_process(getpid(), Signal::KILL).map_err(Into::into),
        Deed::Freeze => freeze(),
    };
    if let Err(error) = done {
        tracing::error!(point = point.as_str(), "the crash point did not work: {error}");
    }
}

/// Freezes the process, and this thread at this line until SIGCONT comes: a SIGSTOP may be taken by another thread first,
/// and this one would go on for some microseconds.
fn freeze() -> std::io::Result<()> {
    kill_process(getpid(), Signal::STOP)?;
    std::thread::sleep(UNTIL_IT_STOPS);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_exactly() {
        for point in Point::ALL {
            assert_eq!(parse(point.as_str()), Some((point, Deed::Kill)));
        }
        assert_eq!(parse("mid_upload:stop"), Some((Point::MidUpload, Deed::Freeze)));
        for wrong in ["", "mid-upload", "mid_upload:", "mid_upload:halt", ":stop"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
