//! `outport endpoint check`: what a partner's server can do, and the upload plan that suits it.

mod tell;

use std::process::ExitCode;

use clap::Args;
use outport_core::remote_name::RemoteName;
use outport_core::upload::UploadSpec;
use outport_core::{EndpointId, Fault, code};
use outport_send::check::{CheckOptions, Findings, check, misfits, propose};
use outport_send::sftp::SftpConnector;
use outport_store::{list, profile};
use serde::Serialize;

pub use self::tell::profile_line;
use super::Shape;
use super::acts::{actor, name_or_id};
use super::database::existing_store;
use super::read::found;
use crate::config::Config;
use crate::output::{self, Format};
use crate::roles;
use crate::secrets::Secrets;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// SUBSCRIBER/NAME or id
    name: String,
    /// The folder on the server to try it in [default: where the login starts]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// Make a folder, too, and remove it
    #[arg(long)]
    mkdirs: bool,
    /// Keep what was found with the endpoint; `endpoint show` has it then
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    shape: Shape,
}

/// Everything that the check tells.
#[derive(Debug, Serialize)]
struct Report {
    endpoint: String,
    revision: i32,
    findings: Findings,
    /// The plan in force.
    present: UploadSpec,
    /// What it asks of the server in vain.
    misfits: Vec<String>,
    /// The plan that suits the server; `null` when no file can be written.
    proposed: Option<UploadSpec>,
}

pub async fn run(config: &Config, args: CheckArgs) -> Result<ExitCode, Fault> {
    name_or_id::<EndpointId>(&args.name)?;
    let folder = args.folder.as_deref().map(folder).transpose()?;
    let store = existing_store(config).await?;
    let shown = list::endpoints::show(&store, &args.name).await.map_err(|e| e.fault())?;
    let id = found(shown, "endpoint", &args.name)?.id;
    let endpoint = profile::endpoint(&store, id).await.map_err(|e| e.fault())?;
    let endpoint = found(endpoint, "endpoint", &args.name)?;
    let (target, _) = roles::sender::target(&endpoint, &Secrets::new(config.aws().access())).await?;
    let mark = format!("{:08x}", rand::random::<u32>());
    let options = CheckOptions { folder: folder.as_deref(), makes_folder: args.mkdirs, mark: &mark };
    let findings = check(&SftpConnector, &target, options).await.map_err(|failed| failed.fault)?;
    let present = endpoint.upload.clone();
    let report = Report {
        endpoint: endpoint.label.clone(),
        revision: endpoint.revision,
        misfits: misfits(&present, &findings),
        proposed: propose(&findings),
        present,
        findings,
    };
    if args.save {
        let found = serde_json::to_value(&report.findings)
            .map_err(|error| Fault::new(&code::IO_FAILED, format!("could not write JSON: {error}")))?;
        profile::save(&store, id, endpoint.revision, &actor(), found).await.map_err(|e| e.fault())?;
    }
    match args.shape.format() {
        Format::Json => output::json(&report)?,
        Format::Table => tell::report(&report)?,
    }
    let is_well = report.misfits.is_empty() && report.findings.left.is_empty() && report.proposed.is_some();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A folder is a remote name that may end with a slash.
fn folder(text: &str) -> Result<String, Fault> {
    if text == "/" {
        return Ok(String::new());
    }
    let name = RemoteName::new(text.trim_end_matches('/')).map_err(|error| {
        Fault::new(&code::USAGE, format!("--folder {text:?} is no folder: {}", error.problem))
    })?;
    Ok(name.as_str().to_owned())
}
