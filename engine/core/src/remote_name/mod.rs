//! Remote names: what a file is called on the subscriber's server, and the templates that make such names.
//!
//! The rules are stricter than any one server's, because a name made of parts that a stranger chose (the object's key)
//! ends up in the folders, scripts and screens of a partner.

mod parse;
mod template;

use std::fmt;

pub use template::{NameFacts, Template};

use crate::fault::{Fault, code};
use crate::key::Shown;

/// The longest segment in bytes: NAME_MAX of the usual file systems.
pub const MAX_SEGMENT_BYTES: usize = 255;
/// The longest remote name in bytes: PATH_MAX of the least generous of the usual systems.
pub const MAX_NAME_BYTES: usize = 1024;
/// The longest folder part in bytes: leaves room for the longest suffix of a temp name
/// ([`TempName`](crate::upload::TempName)) in the same folder.
pub const MAX_FOLDER_BYTES: usize = 960;

/// A path on a partner's server that is safe to write to: `/` divides, no segment is empty, `.` or `..`, none begins or
/// ends with a space or ends with a dot, and there is no backslash, no control character and no invisible formatting
/// character in it. With a slash in front it is absolute, else it is relative to where the login starts.
///
/// ```
/// use outport_core::RemoteName;
/// let name = RemoteName::new("/inbox/claims/batch.csv")?;
/// assert_eq!((name.folder(), name.file_name()), (Some("/inbox/claims"), "batch.csv"));
/// assert!(RemoteName::new("../batch.csv").is_err());
/// # Ok::<(), outport_core::remote_name::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(String);

impl RemoteName {
    /// Takes a remote name.
    ///
    /// # Errors
    /// When it is not safe; [`NameError`] turns into a [`Fault`] with the code `route.name_refused`.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        match problem(&name) {
            None => Ok(Self(name)),
            Some(problem) => Err(NameError { name, problem }),
        }
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the folder: `/` for a name directly below the root, `None` for one in the login's start folder.
    pub fn folder(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| if folder.is_empty() { "/" } else { folder })
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// Everything up to and with the last slash; empty when there is none.
    pub(crate) fn before_file_name(&self) -> &str {
        &self.0[..self.0.len() - self.file_name().len()]
    }
}

/// What keeps a text from being a [`RemoteName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// No characters at all.
    #[error("it is empty")]
    Empty,
    /// More than [`MAX_NAME_BYTES`]; holds the length.
    #[error("it has {0} bytes, more than {MAX_NAME_BYTES}")]
    TooLong(usize),
    /// A folder part of more than [`MAX_FOLDER_BYTES`]; holds the length.
    #[error("its folder has {0} bytes, more than {MAX_FOLDER_BYTES}")]
    FolderTooLong(usize),
    /// A segment of more than [`MAX_SEGMENT_BYTES`]; holds the length.
    #[error("a segment has {0} bytes, more than {MAX_SEGMENT_BYTES}")]
    SegmentTooLong(usize),
    /// `a//b`, or a slash at the end.
    #[error("a segment is empty")]
    EmptySegment,
    /// `.` or `..` as a segment.
    #[error("a segment is `.` or `..`")]
    DotSegment,
    /// A backslash, which some servers take for a slash.
    #[error("it has a backslash")]
    Backslash,
    /// C0, DEL or C1.
    #[error("it has a control character")]
    ControlCharacter,
    /// A character that is not seen, or that turns the direction of the text; holds it.
    #[error("it has the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// White space at an end of a segment.
    #[error("a segment begins or ends with a space")]
    OuterSpace,
    /// Windows drops it: `x.csv.` would become `x.csv`.
    #[error("a segment ends with a dot")]
    TrailingDot,
}

/// The first problem of a name. Characters come before segments, so that the message names the worst.
fn problem(name: &str) -> Option<NameProblem> {
    if name.is_empty() {
        return Some(NameProblem::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Some(NameProblem::TooLong(name.len()));
    }
    if let Some(problem) = name.chars().find_map(bad_character) {
        return Some(problem);
    }
    let relative = name.strip_prefix('/').unwrap_or(name);
    if let Some(problem) = relative.split('/').find_map(bad_segment) {
        return Some(problem);
    }
    let folder = name.rfind('/').unwrap_or(0);
    (folder > MAX_FOLDER_BYTES).then_some(NameProblem::FolderTooLong(folder))
}

fn bad_character(c: char) -> Option<NameProblem> {
    match c {
        '\\' => Some(NameProblem::Backslash),
        c if c.is_control() => Some(NameProblem::ControlCharacter),
        c if invisible(c) => Some(NameProblem::Invisible(c)),
        _ => None,
    }
}

/// The format characters (general category Cf) that can stand in a file name unseen, and the two line separators.
/// "fdp.exe" with U+202E before it reads as "exe.pdf" on the partner's screen.
const fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn bad_segment(segment: &str) -> Option<NameProblem> {
    match segment {
        "" => Some(NameProblem::EmptySegment),
        "." | ".." => Some(NameProblem::DotSegment),
        s if s.len() > MAX_SEGMENT_BYTES => Some(NameProblem::SegmentTooLong(s.len())),
        s if s.starts_with(char::is_whitespace) || s.ends_with(char::is_whitespace) => {
            Some(NameProblem::OuterSpace)
        }
        s if s.ends_with('.') => Some(NameProblem::TrailingDot),
        _ => None,
    }
}

/// A name that is not safe, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    /// The name as it was made.
    pub name: String,
    /// Why it is refused.
    pub problem: NameProblem,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the remote name {:?} is refused: {}", Shown(&self.name), self.problem)
    }
}
impl std::error::Error for NameError {}

impl From<NameError> for Fault {
    fn from(error: NameError) -> Self {
        Fault::new(&code::ROUTE_NAME_REFUSED, error.to_string())
    }
}

impl TryFrom<&str> for RemoteName {
    type Error = NameError;
    fn try_from(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}
impl TryFrom<String> for RemoteName {
    type Error = NameError;
    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}
impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl AsRef<str> for RemoteName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_safe_name_falls_into_folder_and_file() {
        let cases = [
            ("a.csv", None, "a.csv"),
            ("in/a b.csv", Some("in"), "a b.csv"),
            ("/a", Some("/"), "a"),
            ("/in/deep/a", Some("/in/deep"), "a"),
            (".hidden", None, ".hidden"),
            ("...a", None, "...a"),
            ("été/日本.csv", Some("été"), "日本.csv"),
            ("a:b|c*?\"<>'$`", None, "a:b|c*?\"<>'$`"),
        ];
        for (text, folder, file) in cases {
            let name = RemoteName::new(text).unwrap();
            assert_eq!((name.folder(), name.file_name()), (folder, file), "{text:?}");
            assert_eq!(format!("{}{}", name.before_file_name(), name.file_name()), text);
        }
    }

    #[test]
    fn an_unsafe_name_is_refused_by_name() {
        use NameProblem::*;
        let (segment, total) = ("s".repeat(256), "a/".repeat(512) + "a");
        let folder =
            "f".repeat(200) + "/" + &"f".repeat(200) + "/" + &"f".repeat(200) + "/" + &"f".repeat(200);
        let (folder_fits, folder_long) =
            (format!("{folder}/{}/a", "g".repeat(156)), format!("{folder}/{}/a", "g".repeat(157)));
        let cases = [
            ("", Empty),
            (total.as_str(), TooLong(1025)),
            (segment.as_str(), SegmentTooLong(256)),
            (folder_long.as_str(), FolderTooLong(961)),
            ("/", EmptySegment),
            ("//a", EmptySegment),
            ("a//b", EmptySegment),
            ("a/", EmptySegment),
            (".", DotSegment),
            ("..", DotSegment),
            ("../a", DotSegment),
            ("/../a", DotSegment),
            ("a/../b", DotSegment),
            ("a/./b", DotSegment),
            ("a/..", DotSegment),
            ("a\\b", Backslash),
            ("..\\a", Backslash),
            ("a\0", ControlCharacter),
            ("a\r\nb", ControlCharacter),
            ("a\u{7f}", ControlCharacter),
            ("a\u{85}b", ControlCharacter),
            ("\u{1b}[31m", ControlCharacter),
            (" a", OuterSpace),
            ("a ", OuterSpace),
            ("in /a", OuterSpace),
            ("in/ a", OuterSpace),
            ("\u{a0}a", OuterSpace),
            ("a\u{3000}", OuterSpace),
            ("a.", TrailingDot),
            ("in./a", TrailingDot),
            ("...", TrailingDot),
            ("a. .", TrailingDot),
        ];
        for (text, want) in cases {
            assert_eq!(RemoteName::new(text).unwrap_err().problem, want, "{text:?}");
        }
        assert!(RemoteName::new("s".repeat(255)).is_ok());
        assert!(RemoteName::new(folder_fits).is_ok());
        for c in "\u{ad}\u{61c}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\
            \u{202d}\u{202e}\u{2060}\u{2064}\u{2066}\u{2067}\u{2068}\u{2069}\u{206f}\u{feff}\u{fff9}\u{e0001}\u{e007f}"
            .chars()
        {
            assert_eq!(RemoteName::new(format!("a{c}b")).unwrap_err().problem, Invisible(c));
        }
    }

    #[test]
    fn the_fault_is_one_line_and_escaped() {
        let fault = Fault::from(RemoteName::new("a\u{202e}fdp.exe").unwrap_err());
        assert_eq!(fault.code, &code::ROUTE_NAME_REFUSED);
        assert_eq!(
            fault.message,
            r#"the remote name "a\u{202e}fdp.exe" is refused: it has the invisible character U+202E"#
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_keeps_the_promises(text in r"([a. /]|\\|\PC){0,12}") {
            if let Ok(name) = RemoteName::new(text.as_str()) {
                prop_assert_eq!(name.as_str(), text.as_str());
                prop_assert!(!text.contains('\\') && !text.ends_with('/'));
                for segment in text.trim_start_matches('/').split('/') {
                    prop_assert!(!segment.is_empty() && segment.trim() == segment && !segment.ends_with('.'));
                }
            }
        }
    }
}
