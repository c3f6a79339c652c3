//! What the check tells people.

use outport_core::Fault;
use outport_core::upload::UploadSpec;
use outport_send::check::{Answer, Findings, Probe};
use outport_store::profile::Profile;

use super::Report;
use crate::output::{self, time};

pub(super) fn report(report: &Report) -> Result<(), Fault> {
    let findings = &report.findings;
    let clock = match findings.clock_ahead_s {
        None => "-".to_owned(),
        Some(0) => "as ours".to_owned(),
        Some(ahead) if ahead > 0 => format!("{ahead} s ahead of ours"),
        Some(behind) => format!("{} s behind ours", -behind),
    };
    output::pairs(&[
        ("endpoint", format!("{} (revision {})", report.endpoint, report.revision)),
        ("server", findings.banner.clone()),
        ("host key", findings.host_key.clone()),
        ("extensions", findings.extensions.join(" ")),
        ("bytes of a write", findings.write_bytes.to_string()),
        ("clock", clock),
    ])?;
    output::line("")?;
    let rows = findings.found.iter().map(|finding| {
        let (answer, why) = match &finding.answer {
            Answer::Yes => ("yes".to_owned(), String::new()),
            Answer::No(why) => ("no".to_owned(), why.clone()),
            Answer::Refused { code, message } => (format!("refused ({code})"), message.clone()),
            Answer::Skipped(why) => ("not tried".to_owned(), why.clone()),
        };
        vec![words(finding.probe).to_owned(), answer, why]
    });
    output::table(&["can it", "answer", "why"], rows.collect())?;
    for path in &findings.left {
        output::note(&output::safe(&format!("left on the server, it could not be removed: {path}")));
    }
    for line in &report.misfits {
        output::note(&output::safe(&format!("the present upload plan does not suit the server: {line}")));
    }
    match &report.proposed {
        None => {
            output::note("no file can be written there: no upload plan helps; see the first line for why")
        }
        Some(proposed) if *proposed == report.present => {
            output::note("the present upload plan is the one that would be proposed");
        }
        Some(proposed) => {
            output::note(&format!("proposed, for partners.toml below the endpoint {}:", report.endpoint));
            output::line("")?;
            plan(proposed)?;
        }
    }
    Ok(())
}

/// The plan as the definitions file has it.
fn plan(spec: &UploadSpec) -> Result<(), Fault> {
    output::line("[subscriber.endpoint.upload]")?;
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(spec) else { return Ok(()) };
    if fields.is_empty() {
        output::line("# nothing: the defaults suit it")?;
    }
    fields.iter().try_for_each(|(name, value)| output::line(&format!("{name} = {value}")))
}

const fn words(probe: Probe) -> &'static str {
    match probe {
        Probe::Write => "write a file",
        Probe::Fstat => "show an open file",
        Probe::Mode => "set permissions",
        Probe::Mtime => "set the modification time",
        Probe::Fsync => "flush a file to disk (fsync)",
        Probe::Stat => "show a file (stat)",
        Probe::List => "list the folder",
        Probe::ReadBack => "give the same bytes back",
        Probe::Checksum => "compute the sha256",
        Probe::Resume => "go on with a file",
        Probe::EmptyFile => "make an empty file",
        Probe::Exclusive => "keep a file that is there (exclusive create)",
        Probe::Rename => "rename",
        Probe::RenameOver => "rename over a file",
        Probe::PosixRename => "rename over a file (posix-rename)",
        Probe::TwoFiles => "have two files open",
        Probe::TwoConnections => "take a second connection",
        Probe::MakeFolder => "make a folder",
        Probe::Remove => "remove a file",
    }
}

/// One line for `endpoint show`: when the stored profile was made, and what it says.
pub fn profile_line(profile: Option<&serde_json::Value>, revision: i32) -> String {
    let Some(profile) = profile else { return "- (`outport endpoint check --save` makes one)".into() };
    let Some((profile, findings)) = read(profile) else { return "unreadable; make it again".into() };
    let lacks: Vec<&str> = findings
        .found
        .iter()
        .filter(|finding| matches!(finding.answer, Answer::No(_) | Answer::Refused { .. }))
        .map(|finding| words(finding.probe))
        .collect();
    let lacks = if lacks.is_empty() {
        "it can everything".to_owned()
    } else {
        format!("it cannot: {}", lacks.join(", "))
    };
    let age = if profile.revision == revision {
        String::new()
    } else {
        " of an older revision: check again;".to_owned()
    };
    format!("{age} by {} at {}; {}; {lacks}", profile.by, time(profile.at), findings.banner)
        .trim_start()
        .to_owned()
}

fn read(value: &serde_json::Value) -> Option<(Profile, Findings)> {
    let profile: Profile = serde_json::from_value(value.clone()).ok()?;
    let findings = serde_json::from_value(profile.found.clone()).ok()?;
    Some((profile, findings))
}

#[cfg(test)]
mod tests {
    use outport_send::check::Finding;

    use super::*;

    #[test]
    fn an_older_profile_says_so() {
        let findings = Findings {
            banner: "SSH-2.0-X".into(),
            found: vec![
                Finding { probe: Probe::Stat, answer: Answer::Yes },
                Finding { probe: Probe::Checksum, answer: Answer::No("not offered".into()) },
            ],
            ..Findings::default()
        };
        let found = serde_json::to_value(&findings).unwrap();
        let profile = Profile { revision: 2, at: 1_767_323_045_678, by: "operator:eve".into(), found };
        let stored = serde_json::to_value(&profile).unwrap();
        let now = profile_line(Some(&stored), 2);
        assert_eq!(now, "by operator:eve at 2026-01-02T03:04:05Z; SSH-2.0-X; it cannot: compute the sha256");
        assert!(profile_line(Some(&stored), 3).starts_with("of an older revision"));
        assert!(profile_line(None, 3).starts_with('-'));
    }
}
