//! A plan whose parts go together.

use super::companion::CompanionName;
use super::spec::{Mode, Mtime, OnExisting, PlanProblem, Rename, UploadSpec, Verify};
use super::temp::TempName;

/// How files are put on a server. Made from an [`UploadSpec`] only, so that contradictions cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPlan {
    naming: Naming,
    on_existing: OnExisting,
    verify: Verify,
    mkdirs: bool,
    mode: Option<Mode>,
    keeps_mtime: bool,
    fsync: bool,
    write_only: bool,
    one_handle: bool,
    checksum: Option<CompanionName>,
    trigger: Option<CompanionName>,
}

/// Under which names a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// Under a temp name first.
    Temp {
        /// Its pattern.
        name: TempName,
        /// How it gets its final name; never [`Rename::None`].
        rename: Rename,
        /// Whether an attempt goes on with what an earlier one left.
        resume: bool,
    },
    /// Under its final name at once: the partner can see half of it.
    Direct,
}

impl UploadPlan {
    /// Under which names it is written.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// What to do when a file of the final name is there.
    pub fn on_existing(&self) -> OnExisting {
        self.on_existing
    }

    /// How to find out that the server has what was sent.
    pub fn verify(&self) -> Verify {
        self.verify
    }

    /// Whether missing folders are made.
    pub fn mkdirs(&self) -> bool {
        self.mkdirs
    }

    /// The permissions to set, if any.
    pub fn mode(&self) -> Option<Mode> {
        self.mode
    }

    /// Whether the file gets the source's modification time.
    pub fn keeps_mtime(&self) -> bool {
        self.keeps_mtime
    }

    /// Whether the server flushes the file to its disk before the rename.
    pub fn fsync(&self) -> bool {
        self.fsync
    }

    /// Whether nothing may be looked at or removed.
    pub fn write_only(&self) -> bool {
        self.write_only
    }

    /// Whether files go one after the other and are looked at before they are closed.
    pub fn one_handle(&self) -> bool {
        self.one_handle
    }

    /// Whether an attempt goes on with what an earlier one left under its temp name.
    pub fn resumes(&self) -> bool {
        matches!(self.naming, Naming::Temp { resume: true, .. })
    }

    /// The name of the file with the checksum, if there is to be one.
    pub fn checksum(&self) -> Option<&CompanionName> {
        self.checksum.as_ref()
    }

    /// The name of the trigger file, if there is to be one.
    pub fn trigger(&self) -> Option<&CompanionName> {
        self.trigger.as_ref()
    }

    /// Whether anything follows the file itself.
    pub fn has_companions(&self) -> bool {
        self.checksum.is_some() || self.trigger.is_some()
    }
}

impl Default for UploadPlan {
    fn default() -> Self {
        Self {
            naming: Naming::Temp { name: TempName::default(), rename: Rename::Auto, resume: false },
            on_existing: OnExisting::Replace,
            verify: Verify::Stat,
            mkdirs: false,
            mode: None,
            keeps_mtime: false,
            fsync: false,
            write_only: false,
            one_handle: false,
            checksum: None,
            trigger: None,
        }
    }
}

impl TryFrom<&UploadSpec> for UploadPlan {
    type Error = PlanProblem;

    fn try_from(spec: &UploadSpec) -> Result<Self, PlanProblem> {
        let naming = naming(spec)?;
        existing(spec, &naming)?;
        if spec.write_only {
            write_only(spec)?;
        }
        let checksum =
            spec.checksum.as_deref().map(|text| CompanionName::parse("checksum", text)).transpose()?;
        let trigger =
            spec.trigger.as_deref().map(|text| CompanionName::parse("trigger", text)).transpose()?;
        if let (Some(checksum), Some(trigger)) = (&checksum, &trigger)
            && checksum == trigger
        {
            let message = "checksum and trigger have the same name";
            return Err(PlanProblem::new(message, "give them different endings, such as .sha256 and .done"));
        }
        Ok(Self {
            naming,
            on_existing: spec.on_existing,
            verify: spec.verify,
            mkdirs: spec.mkdirs,
            mode: spec.mode,
            keeps_mtime: spec.mtime == Some(Mtime::Keep),
            fsync: spec.fsync,
            write_only: spec.write_only,
            one_handle: spec.one_handle,
            checksum,
            trigger,
        })
    }
}

fn naming(spec: &UploadSpec) -> Result<Naming, PlanProblem> {
    let refused = |message: &str, hint: &str| Err(PlanProblem::new(message, hint));
    if spec.temp.as_deref() != Some("none") {
        if spec.rename == Rename::None {
            return refused(
                "rename = \"none\" does not go with a temp name: the file would keep it",
                "write temp = \"none\" as well, for a file that is written under its final name",
            );
        }
        let name = TempName::parse(spec.temp.as_deref(), spec.temp_folder.as_deref())?;
        return Ok(Naming::Temp { name, rename: spec.rename, resume: spec.resume });
    }
    if !matches!(spec.rename, Rename::Auto | Rename::None) {
        return refused(
            "rename does not go with temp = \"none\": there is nothing to rename",
            "leave rename out",
        );
    }
    if spec.temp_folder.is_some() {
        return refused(
            "temp_folder does not go with temp = \"none\"",
            "leave temp_folder out, or leave temp out to have a temp name",
        );
    }
    if spec.resume {
        return refused(
            "resume does not go with temp = \"none\": only a temp file is left for the next attempt",
            "leave resume out, or leave temp out to have a temp name",
        );
    }
    Ok(Naming::Direct)
}

fn existing(spec: &UploadSpec, naming: &Naming) -> Result<(), PlanProblem> {
    let Naming::Temp { rename, .. } = naming else { return Ok(()) };
    let word = match spec.on_existing {
        OnExisting::Replace if *rename == Rename::Rename => {
            return Err(PlanProblem::new(
                "on_existing = \"replace\" does not go with rename = \"rename\", which replaces nothing",
                "write rename = \"delete-rename\", or on_existing = \"fail\"",
            ));
        }
        OnExisting::Replace => return Ok(()),
        OnExisting::Fail => "fail",
        OnExisting::Unique => "unique",
    };
    if matches!(rename, Rename::PosixRename | Rename::DeleteRename) {
        return Err(PlanProblem::new(
            format!("on_existing = \"{word}\" does not go with a rename that replaces"),
            "leave rename out: a plain RENAME is used, which does not replace",
        ));
    }
    Ok(())
}

fn write_only(spec: &UploadSpec) -> Result<(), PlanProblem> {
    let refused = |what: &str, hint: &str| {
        Err(PlanProblem::new(format!("{what} does not go with write_only = true"), hint))
    };
    match spec.verify {
        Verify::None => {}
        Verify::Stat if spec.one_handle => {}
        _ => {
            return refused(
                "looking at what was written (verify)",
                "write verify = \"none\"; or one_handle = true, where the server shows the size of a file that is open",
            );
        }
    }
    if spec.on_existing == OnExisting::Unique {
        return refused(
            "on_existing = \"unique\"",
            "a free name is found by looking; use {sequence} in remote_name",
        );
    }
    if spec.rename == Rename::DeleteRename {
        return refused("rename = \"delete-rename\"", "use a remote_name that differs for each file");
    }
    if spec.resume {
        return refused("resume", "how far an earlier attempt came is found by looking");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<UploadPlan, PlanProblem> {
        UploadPlan::try_from(&serde_json::from_str::<UploadSpec>(json).unwrap())
    }

    #[test]
    fn an_empty_spec_is_the_default_plan() {
        assert_eq!(plan("{}").unwrap(), UploadPlan::default());
        assert_eq!(serde_json::to_string(&UploadSpec::default()).unwrap(), "{}");
    }

    #[test]
    fn specs_survive_being_stored() {
        let text = r#"{"temp":"{delivery}-{attempt}","temp_folder":"/t","rename":"posix-rename","verify":"read-back",
            "mkdirs":true,"mode":"0640","mtime":"keep","fsync":true,"one_handle":true,"resume":true,
            "checksum":"{name}.sha256","trigger":"{name}.done"}"#;
        let spec: UploadSpec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.problem(), None);
        let stored = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<UploadSpec>(&stored).unwrap(), spec);
        assert!(serde_json::from_str::<UploadSpec>(r#"{"tmp":"x"}"#).is_err());
        assert!(serde_json::from_str::<UploadSpec>(r#"{"verify":"size"}"#).is_err());
    }

    #[test]
    fn what_goes_together_is_taken() {
        for json in [
            r#"{"temp":"none"}"#,
            r#"{"temp":"none","rename":"none","on_existing":"unique"}"#,
            r#"{"on_existing":"fail","rename":"rename"}"#,
            r#"{"rename":"delete-rename"}"#,
            r#"{"write_only":true,"verify":"none","on_existing":"fail"}"#,
            r#"{"write_only":true,"one_handle":true}"#,
            r#"{"write_only":true,"temp":"none","verify":"none","trigger":"{name}.done"}"#,
        ] {
            plan(json).unwrap_or_else(|problem| panic!("{json}: {problem}"));
        }
    }

    #[test]
    fn contradictions_are_refused_with_a_hint() {
        for (json, part) in [
            (r#"{"rename":"none"}"#, "temp name"),
            (r#"{"temp":"none","rename":"posix-rename"}"#, "rename"),
            (r#"{"temp":"none","temp_folder":"/t"}"#, "temp_folder"),
            (r#"{"temp":"none","resume":true}"#, "resume"),
            (r#"{"rename":"rename"}"#, "replace"),
            (r#"{"on_existing":"fail","rename":"posix-rename"}"#, "fail"),
            (r#"{"on_existing":"unique","rename":"delete-rename"}"#, "unique"),
            (r#"{"write_only":true}"#, "verify"),
            (r#"{"write_only":true,"verify":"list"}"#, "verify"),
            (r#"{"write_only":true,"verify":"none","on_existing":"unique"}"#, "unique"),
            (r#"{"write_only":true,"verify":"none","rename":"delete-rename"}"#, "delete-rename"),
            (r#"{"write_only":true,"verify":"none","resume":true}"#, "resume"),
            (r#"{"trigger":"{name}"}"#, "file itself"),
            (r#"{"trigger":"{name}.x","checksum":"{name}.x"}"#, "same name"),
            (r#"{"temp":"{name}.part"}"#, "{delivery}"),
        ] {
            let problem = plan(json).unwrap_err();
            assert!(problem.message.contains(part), "{json}: {problem}");
            assert!(!problem.hint.is_empty(), "{json}");
        }
    }
}
