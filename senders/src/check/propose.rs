//! From what was found to an upload plan. Pure.

use outport_core::upload::{OnExisting, Rename, UploadSpec, Verify};

use super::findings::{Findings, Probe};

/// The plan that suits the server: the default, but for what it cannot do. `None`: no file can be written at all.
pub fn propose(findings: &Findings) -> Option<UploadSpec> {
    let (can, cannot) = (|probe| findings.can(probe), |probe| findings.cannot(probe));
    if !can(Probe::Write) {
        return None;
    }
    let mut spec = UploadSpec { one_handle: cannot(Probe::TwoFiles), ..UploadSpec::default() };
    if !can(Probe::Stat) {
        if can(Probe::List) {
            spec.verify = Verify::List;
        } else {
            spec.write_only = true;
            spec.one_handle |= can(Probe::Fstat);
            spec.verify = if can(Probe::Fstat) { Verify::Stat } else { Verify::None };
        }
    }
    if spec.one_handle && spec.verify == Verify::Stat && cannot(Probe::Fstat) {
        spec.verify = if can(Probe::List) { Verify::List } else { Verify::ReadBack };
    }
    let renames = can(Probe::Rename) || can(Probe::PosixRename);
    let replaces =
        can(Probe::PosixRename) || can(Probe::RenameOver) || (can(Probe::Remove) && !spec.write_only);
    if !renames {
        spec.temp = Some("none".into());
    } else if !replaces {
        spec.on_existing = OnExisting::Fail;
    }
    Some(spec)
}

/// What a plan asks for that the server cannot do, a line each.
pub fn misfits(spec: &UploadSpec, findings: &Findings) -> Vec<String> {
    let is_direct = spec.temp.as_deref() == Some("none");
    let looks = !spec.write_only;
    let asks = [
        (true, Probe::Write, "a file cannot be written"),
        (
            looks && spec.verify == Verify::Stat && !spec.one_handle,
            Probe::Stat,
            "verify = \"stat\": STAT is refused",
        ),
        (
            spec.verify == Verify::Stat && spec.one_handle,
            Probe::Fstat,
            "one_handle: an open file shows no size",
        ),
        (spec.verify == Verify::List, Probe::List, "verify = \"list\": the folder cannot be listed"),
        (spec.verify == Verify::ReadBack, Probe::ReadBack, "verify = \"read-back\": the file cannot be read"),
        (spec.verify == Verify::Checksum, Probe::Checksum, "verify = \"checksum\": the server computes none"),
        (!is_direct && spec.rename == Rename::PosixRename, Probe::PosixRename, "rename = \"posix-rename\""),
        (
            !is_direct
                && !matches!(spec.rename, Rename::PosixRename)
                && spec.on_existing != OnExisting::Replace,
            Probe::Rename,
            "a temp file cannot be renamed",
        ),
        (spec.mode.is_some(), Probe::Mode, "mode: permissions cannot be set"),
        (spec.mtime.is_some(), Probe::Mtime, "mtime: the modification time cannot be set"),
        (spec.fsync, Probe::Fsync, "fsync: the server does not flush files"),
        (spec.resume, Probe::Resume, "resume: a file that is there cannot be gone on with"),
        (spec.mkdirs, Probe::MakeFolder, "mkdirs: no folder can be made"),
        (!spec.one_handle, Probe::TwoFiles, "one_handle = false: two files cannot be open at once"),
        (
            is_direct && spec.on_existing != OnExisting::Replace,
            Probe::Exclusive,
            "on_existing: a file is opened although one is there",
        ),
    ];
    let mut lines: Vec<String> = asks
        .into_iter()
        .filter(|(asked, probe, _)| *asked && findings.cannot(*probe))
        .map(|(_, _, line)| line.to_owned())
        .collect();
    let cannot_rename = findings.cannot(Probe::Rename) && !findings.can(Probe::PosixRename);
    if !is_direct && cannot_rename && spec.on_existing == OnExisting::Replace {
        lines.push("a temp file cannot be renamed".into());
    }
    let replaces =
        findings.can(Probe::PosixRename) || findings.can(Probe::RenameOver) || findings.can(Probe::Remove);
    if !is_direct && !cannot_rename && !replaces && spec.on_existing == OnExisting::Replace {
        lines.push("on_existing = \"replace\": an old file can neither be replaced nor removed".into());
    }
    lines
}

#[cfg(test)]
mod tests {
    use outport_core::upload::UploadPlan;

    use super::super::findings::Answer;
    use super::*;

    fn findings(no: &[Probe]) -> Findings {
        use Probe::*;
        let mut findings = Findings::default();
        for probe in [
            Write,
            Fstat,
            Mode,
            Mtime,
            Fsync,
            Stat,
            List,
            ReadBack,
            Checksum,
            Resume,
            EmptyFile,
            Exclusive,
            Rename,
            RenameOver,
            PosixRename,
            TwoFiles,
            TwoConnections,
            MakeFolder,
            Remove,
        ] {
            findings.note(probe, if no.contains(&probe) { Answer::No("no".into()) } else { Answer::Yes });
        }
        findings
    }

    #[test]
    fn each_lack_changes_the_plan_and_no_more() {
        use Probe::*;
        for (no, json) in [
            (&[][..], "{}"),
            (&[Checksum, Fsync, Mode, Mtime, MakeFolder, RenameOver], "{}"),
            (&[PosixRename, RenameOver], "{}"),
            (&[PosixRename, RenameOver, Remove], r#"{"on_existing":"fail"}"#),
            (&[Stat], r#"{"verify":"list"}"#),
            (&[Stat, List], r#"{"write_only":true,"one_handle":true}"#),
            (&[Stat, List, Fstat], r#"{"verify":"none","write_only":true}"#),
            (&[Rename, RenameOver, PosixRename], r#"{"temp":"none"}"#),
            (&[TwoFiles], r#"{"one_handle":true}"#),
        ] {
            let spec = propose(&findings(no)).unwrap();
            assert_eq!(serde_json::to_string(&spec).unwrap(), json, "{no:?}");
            UploadPlan::try_from(&spec).unwrap_or_else(|problem| panic!("{no:?}: {problem}"));
            assert_eq!(misfits(&spec, &findings(no)), Vec::<String>::new(), "{no:?}: {json}");
        }
        assert_eq!(propose(&findings(&[Write])), None);
    }

    #[test]
    fn every_proposal_is_a_plan_that_fits() {
        use Probe::*;
        let some = [Fstat, Stat, List, Rename, RenameOver, PosixRename, TwoFiles, Remove, Resume];
        for bits in 0..1 << some.len() {
            let no: Vec<Probe> =
                (0..some.len()).filter(|at| bits >> at & 1 == 1).map(|at| some[at]).collect();
            let spec = propose(&findings(&no)).unwrap();
            UploadPlan::try_from(&spec).unwrap_or_else(|problem| panic!("{no:?}: {problem}"));
            assert_eq!(misfits(&spec, &findings(&no)), Vec::<String>::new(), "{no:?}");
        }
    }

    #[test]
    fn what_a_plan_asks_in_vain_is_named() {
        for (json, probe, part) in [
            ("{}", Probe::Stat, "STAT"),
            ("{}", Probe::TwoFiles, "two files"),
            (r#"{"verify":"list"}"#, Probe::List, "listed"),
            (r#"{"fsync":true}"#, Probe::Fsync, "fsync"),
            (r#"{"mode":"0640"}"#, Probe::Mode, "mode"),
            (r#"{"rename":"posix-rename"}"#, Probe::PosixRename, "posix-rename"),
            (r#"{"mkdirs":true}"#, Probe::MakeFolder, "mkdirs"),
            (r#"{"on_existing":"fail"}"#, Probe::Rename, "renamed"),
        ] {
            let spec: UploadSpec = serde_json::from_str(json).unwrap();
            let lines = misfits(&spec, &findings(&[probe]));
            assert!(lines.len() == 1 && lines[0].contains(part), "{json}: {lines:?}");
        }
    }
}
