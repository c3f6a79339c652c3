//! What can go wrong, in one type: a stable code, a class that decides what it costs, a message and a hint.

mod catalogue;

pub use catalogue::code;

use std::fmt;

/// Who is to blame, which decides what a fault charges (docs/STATES.md, "Faults").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The partner's server cannot be reached or breaks off: a strike of the lane, never charged to the delivery.
    Endpoint,
    /// The login was refused, or our secret is missing: the lane stops logging in after the second one.
    Credential,
    /// The server is not who it was: the lane is blocked until an operator looks.
    Identity,
    /// The server understood and refused: charged to the delivery.
    Remote,
    /// What we are to send is not there or not what it was.
    Artifact,
    /// Our own fault: a bug, the database.
    Engine,
    /// An operator stopped it.
    Cancelled,
    /// The content of a file cannot be transformed.
    Input,
    /// A definition or a setting is wrong; nothing was tried.
    Config,
}

impl Class {
    /// The word in the database, in logs and in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Credential => "credential",
            Self::Identity => "identity",
            Self::Remote => "remote",
            Self::Artifact => "artifact",
            Self::Engine => "engine",
            Self::Cancelled => "cancelled",
            Self::Input => "input",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether trying again by itself can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Yes: by the retry table.
    Later,
    /// Hardly: a second try in case the server was in the middle of something, then it is over.
    Once,
    /// No.
    Never,
    /// Not before an operator acted; the lane waits.
    Operator,
}

/// One entry of the catalogue. Two codes are the same when their names are.
#[derive(Debug)]
pub struct Code {
    /// The stable dotted name: `sftp.hostkey.changed`.
    pub name: &'static str,
    /// Who is to blame.
    pub class: Class,
    /// Whether it is tried again.
    pub retry: Retry,
    /// What it means, for docs/ERRORS.md.
    pub cause: &'static str,
    /// What to do, unless the fault brings a more exact hint.
    pub hint: &'static str,
}

impl Code {
    /// The code with this name, as stored in the database.
    pub fn by_name(name: &str) -> Option<&'static Code> {
        code::ALL.iter().find(|code| code.name == name).copied()
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Code {}

/// A fault: what was being done, to what, and why it did not work.
///
/// ```
/// use outport_core::{Fault, code};
/// let fault = Fault::new(&code::ENDPOINT_REFUSED, "could not connect to acme/sftp (sftp.acme.example:22)");
/// assert!(fault.to_string().starts_with("could not connect to acme/sftp"));
/// assert!(fault.report().contains("\nhint: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which fault it is.
    pub code: &'static Code,
    /// What was being done, to what, and the cause; one line, no secret, no file content.
    pub message: String,
    /// A hint more exact than the code's own.
    pub hint: Option<String>,
    /// Another file of the same connection already reported this fault: the lane is not charged again.
    pub shared: bool,
    /// The fingerprint that the server showed, when an identity fault refused it.
    pub seen_identity: Option<String>,
}

impl Fault {
    /// A fault with the catalogue's hint.
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, shared: false, seen_identity: None }
    }

    /// The same fault with a hint that knows more than the catalogue.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault with the identity that it refused.
    #[must_use]
    pub fn with_seen_identity(mut self, fingerprint: impl Into<String>) -> Self {
        self.seen_identity = Some(fingerprint.into());
        self
    }

    /// The same fault, met by another file of the same broken connection or refused login.
    #[must_use]
    pub fn as_shared(&self) -> Self {
        Self { shared: true, ..self.clone() }
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        self.hint.as_deref().unwrap_or(self.code.hint)
    }

    /// The class of its code.
    pub fn class(&self) -> Class {
        self.code.class
    }

    /// The whole message for a person: message, code, and the hint on its own line.
    pub fn report(&self) -> String {
        format!("{} [{}]\nhint: {}", self.message, self.code.name, self.hint())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_dotted_and_complete() {
        let mut seen = std::collections::BTreeSet::new();
        for code in code::ALL {
            assert!(seen.insert(code.name), "{} stands twice", code.name);
            assert!(code.name.contains('.'), "{} has no dot", code.name);
            assert!(
                code.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'_'),
                "{}",
                code.name
            );
            assert!(!code.cause.is_empty() && !code.hint.is_empty(), "{} lacks a cause or hint", code.name);
            assert_eq!(Code::by_name(code.name), Some(*code));
        }
    }
}
