//! The upload plan of `outport send`, from its flags.

use clap::Args;
use outport_core::Fault;
use outport_core::upload::{Mode, Mtime, OnExisting, UploadPlan, UploadSpec, Verify};
use serde::de::DeserializeOwned;
use serde::de::value::{Error, StrDeserializer};

use super::usage;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "How the files are put there (as [subscriber.endpoint.upload])")]
pub struct PlanArgs {
    /// Write each file under its final name at once, without a temp name
    #[arg(long)]
    direct: bool,
    /// Make missing folders
    #[arg(long)]
    mkdirs: bool,
    /// How to find out that the server has it: stat, list, read-back, checksum or none
    #[arg(long, value_name = "HOW", value_parser = word::<Verify>)]
    verify: Option<Verify>,
    /// What to do when a file of that name is there: replace, fail or unique
    #[arg(long, value_name = "WHAT", value_parser = word::<OnExisting>)]
    on_existing: Option<OnExisting>,
    /// Permissions to set, in octal: 0640
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// Keep the files' modification times
    #[arg(long)]
    keep_mtime: bool,
    /// Have the server flush each file to its disk
    #[arg(long)]
    fsync: bool,
    /// Make an empty file after each, of this name: \"{name}.done\"
    #[arg(long, value_name = "PATTERN")]
    trigger: Option<String>,
    /// Write the SHA-256 of each beside it, into a file of this name: \"{name}.sha256\"
    #[arg(long, value_name = "PATTERN")]
    checksum: Option<String>,
}

impl PlanArgs {
    /// The plan, or what does not go together.
    pub(super) fn plan(&self) -> Result<UploadPlan, Fault> {
        let spec = UploadSpec {
            temp: self.direct.then(|| "none".to_owned()),
            mkdirs: self.mkdirs,
            verify: self.verify.unwrap_or_default(),
            on_existing: self.on_existing.unwrap_or_default(),
            mode: self.mode,
            mtime: self.keep_mtime.then_some(Mtime::Keep),
            fsync: self.fsync,
            trigger: self.trigger.clone(),
            checksum: self.checksum.clone(),
            ..UploadSpec::default()
        };
        UploadPlan::try_from(&spec).map_err(|problem| usage(problem.message).with_hint(problem.hint))
    }
}

/// A word of the definitions file.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(StrDeserializer::<Error>::new(text)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_definitions() {
        assert_eq!(word::<Verify>("read-back"), Ok(Verify::ReadBack));
        assert_eq!(word::<OnExisting>("unique"), Ok(OnExisting::Unique));
        assert!(word::<Verify>("size").unwrap_err().contains("read-back"));
    }

    #[test]
    fn flags_make_a_plan_or_say_why_not() {
        assert_eq!(PlanArgs::default().plan().unwrap(), UploadPlan::default());
        let same = PlanArgs { trigger: Some("{name}".into()), ..PlanArgs::default() };
        assert_eq!(same.plan().unwrap_err().code, &outport_core::code::USAGE);
    }
}
