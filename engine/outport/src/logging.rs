//! Logs go to stderr: text for people, JSON for collectors.

use outport_core::{Fault, code};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Installs the process's logger.
pub fn install(log: &Log) -> Result<(), Fault> {
    // The database driver repeats every NOTICE of the server, the migrator every step that is there already.
    let filter =
        EnvFilter::try_new(format!("sqlx=warn,sea_orm_migration=warn,{}", log.level)).map_err(|error| {
            Fault::new(&code::CONFIG_INVALID, format!("log.level {:?} is no filter: {error}", log.level))
                .with_hint("use error, warn, info, debug or trace")
        })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // Its way of telling that stderr is gone (`2>&1 | head`) is a panic in whoever logs.
        .log_internal_errors(false);
    let installed = match log.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| Fault::new(&code::IO_FAILED, format!("could not install the log: {error}")))
}
