//! A running `outport up` and the partner it delivers to: an SFTP server in this process.

use std::path::PathBuf;

use anyhow::{Context, Result};
use outport_send::partner::{Partner as Server, PartnerConfig};
use outport_tests::site::{Login, Partner, Site};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::options::Kind;

/// The only user of the server.
const USER: &str = "outport";
const PASSWORD: &str = "load";

/// An installation, with definitions for some partners at one server.
pub struct Running {
    pub site: Site,
    /// The endpoints, as the command line names them.
    pub endpoints: Vec<String>,
    // Last, so that whoever uses them is gone when they are dropped.
    _server: Server,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Running {
    /// With the durations of a real installation.
    pub fn new(kind: Kind, partners: u32) -> Result<Self> {
        let site = match kind {
            Kind::Postgres => Site::on_postgres()?,
            Kind::Sqlite => Site::on_sqlite()?,
        };
        Self::on(site.in_real_time(), partners)
    }

    /// The same with an installation that is there.
    pub fn on(site: Site, partners: u32) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("outport-load-partner-").tempdir()?;
        // A single thread for the partner: it is not what is measured, and shares the processors with what is.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config = PartnerConfig::new(folder.path(), USER).password(PASSWORD);
        let server =
            runtime.block_on(Server::start(config)).map_err(|fault| anyhow::anyhow!("{}", fault.report()))?;
        let password = site.write("password", PASSWORD)?;
        let partner = |n| Partner {
            code: format!("p{n}"),
            address: server.address(),
            username: USER.into(),
            login: Login::password(&password),
            host_keys: vec![server.fingerprint().to_string()],
            prefix: format!("p{n}_"),
            more: String::new(),
        };
        let partners: Vec<Partner> = (0..partners).map(partner).collect();
        site.apply(&partners)?;
        let endpoints = partners.iter().map(Partner::endpoint).collect();
        Ok(Self { site, endpoints, _server: server, _runtime: runtime, _folder: folder })
    }

    /// Puts a file and waits until every partner has it.
    pub fn deliver(&self, key: &str, content: &[u8]) -> Result<()> {
        self.site.put(key, content)?;
        for endpoint in &self.endpoints {
            self.site
                .wait_for_state(key, endpoint, "delivered", 60)
                .with_context(|| format!("delivering {key}"))?;
        }
        Ok(())
    }

    /// Where the objects of the bucket lie.
    pub fn bucket(&self) -> PathBuf {
        self.site.data().join("buckets").join(outport_tests::site::BUCKET)
    }
}
