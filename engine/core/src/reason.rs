//! Why an operator did something: required with every act, kept in the history.

use std::fmt;
use std::str::FromStr;

use crate::fault::{Fault, code};

/// The longest reason, in characters.
pub const MAX_REASON_CHARS: usize = 255;

/// 1 to 255 characters, without blanks around them.
///
/// ```
/// use outport_core::Reason;
/// let reason: Reason = "  the partner asked for it ".parse()?;
/// assert_eq!(reason.as_str(), "the partner asked for it");
/// assert!("  ".parse::<Reason>().is_err());
/// # Ok::<(), outport_core::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reason {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        let problem = match text.chars().count() {
            0 => "the reason is empty".to_owned(),
            n if n > MAX_REASON_CHARS => format!("the reason has {n} characters"),
            _ => return Ok(Self(text.to_owned())),
        };
        Err(Fault::new(&code::USAGE, problem).with_hint(format!(
            "write why, in 1 to {MAX_REASON_CHARS} characters, for whoever reads the history next year"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_255_characters_after_trimming() {
        for (text, good) in [
            ("x".to_owned(), true),
            ("ü".repeat(255), true),
            (format!("  {}\n", "x".repeat(255)), true),
            (String::new(), false),
            (" \t\n".to_owned(), false),
            ("x".repeat(256), false),
        ] {
            let parsed = text.parse::<Reason>();
            assert_eq!(parsed.is_ok(), good, "{text:?}");
            if let Err(fault) = parsed {
                assert_eq!(fault.code, &code::USAGE);
                assert!(fault.hint().contains("1 to 255"), "{}", fault.hint());
            }
        }
    }
}
