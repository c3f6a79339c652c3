//! How a run ended.

use std::fmt;

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal; 9 is what the kernel sends where memory runs out.
    Signal(i32),
    /// By us, after the time that one run is given.
    TimedOut,
}

impl End {
    /// Whether it did what it was told.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Exit(0))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "{code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => f.write_str("stopped: too long"),
        }
    }
}
