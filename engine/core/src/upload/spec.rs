//! The upload plan as it is written: `[subscriber.endpoint.upload]`, and the same in the database.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::plan::UploadPlan;

/// How files are put on a server, as written down. `{}` is complete: a temp file beside the final one, its size compared,
/// then a rename that replaces.
///
/// ```
/// use outport_core::upload::{OnExisting, UploadPlan, UploadSpec};
/// let spec: UploadSpec = serde_json::from_str(r#"{"on_existing": "unique", "mode": "0640"}"#).unwrap();
/// let plan = UploadPlan::try_from(&spec).unwrap();
/// assert_eq!(plan.on_existing(), OnExisting::Unique);
///
/// let spec: UploadSpec = serde_json::from_str(r#"{"temp": "none", "resume": true}"#).unwrap();
/// assert!(UploadPlan::try_from(&spec).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UploadSpec {
    /// The name while it is being written: a pattern of `{name}`, `{delivery}` and `{attempt}`, or `none` for a file
    /// that is written under its final name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp: Option<String>,
    /// The folder of the temp file: with a slash in front as it is, else below the final file's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_folder: Option<String>,
    /// How the temp file gets its final name.
    #[serde(skip_serializing_if = "is_default")]
    pub rename: Rename,
    /// What to do when a file of the final name is there.
    #[serde(skip_serializing_if = "is_default")]
    pub on_existing: OnExisting,
    /// How to find out that the server has what was sent.
    #[serde(skip_serializing_if = "is_default")]
    pub verify: Verify,
    /// Make the folders of the path that are missing.
    #[serde(skip_serializing_if = "is_default")]
    pub mkdirs: bool,
    /// Permissions to set, in octal. Left out: whatever the server gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The modification time to set. Left out: the time of writing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Mtime>,
    /// Have the server flush the file to its disk before it is renamed (`fsync@openssh.com`).
    #[serde(skip_serializing_if = "is_default")]
    pub fsync: bool,
    /// A drop box: nothing is looked at and nothing removed, the server would refuse it.
    #[serde(skip_serializing_if = "is_default")]
    pub write_only: bool,
    /// A server that has one open file at a time: files go one after the other, and are looked at before they are closed.
    #[serde(skip_serializing_if = "is_default")]
    pub one_handle: bool,
    /// Go on with what an earlier attempt of the same delivery left under its temp name.
    #[serde(skip_serializing_if = "is_default")]
    pub resume: bool,
    /// Name of a file with the SHA-256 in it, written after the file: a pattern of `{name}`, `{stem}` and `{ext}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Name of an empty file that is made last of all: a pattern of `{name}`, `{stem}` and `{ext}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl UploadSpec {
    /// What is wrong with the plan, if anything.
    pub fn problem(&self) -> Option<PlanProblem> {
        UploadPlan::try_from(self).err()
    }
}

/// Why a spec is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanProblem {
    /// What does not go together, or which value is not possible.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl PlanProblem {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for PlanProblem {}

/// How the temp file gets its final name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rename {
    /// `posix-rename@openssh.com` where the server offers it, else RENAME, and where that does not replace, the old file
    /// is removed first.
    #[default]
    Auto,
    /// `posix-rename@openssh.com` only: replaces in one step.
    PosixRename,
    /// RENAME only; a file that is in the way stays.
    Rename,
    /// RENAME, and where a file is in the way, it is removed first.
    DeleteRename,
    /// There is no temp file.
    None,
}

/// What to do when a file of the final name is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnExisting {
    /// It is replaced.
    #[default]
    Replace,
    /// It stays, and the delivery fails.
    Fail,
    /// It stays, and ours gets a number: `a-2.csv`.
    Unique,
}

/// How to find out that the server has what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// The size that a STAT shows.
    #[default]
    Stat,
    /// The size in the listing of the folder, where STAT is refused.
    List,
    /// Every byte, by reading the file again.
    ReadBack,
    /// The SHA-256 that the server computes (`check-file`).
    Checksum,
    /// Not at all: what the server confirmed is believed.
    None,
}

/// The modification time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mtime {
    /// That of the source.
    Keep,
}

/// POSIX permissions, written in octal.
///
/// ```
/// use outport_core::upload::Mode;
/// assert_eq!("0640".parse::<Mode>().unwrap().bits(), 0o640);
/// assert_eq!("640".parse::<Mode>().unwrap().to_string(), "0640");
/// assert!("0999".parse::<Mode>().is_err());
/// assert!("4755".parse::<Mode>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// The nine bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl FromStr for Mode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| is_octal && *bits <= 0o777);
        bits.map(Self).ok_or_else(|| format!("{text:?} is not a mode; write it in octal, such as \"0640\""))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
