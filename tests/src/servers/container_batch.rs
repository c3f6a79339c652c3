//! Batch of a small AWS whose jobs are real containers of the image.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, ensure};
use aws_sdk_batch::Client;
use aws_sdk_batch::types::{
    CeState, CeType, ComputeEnvironmentOrder, ContainerProperties, Host, JobDefinitionType, JqState,
    KeyValuePair, MountPoint, ResourceRequirement, ResourceType, Volume,
};
use tempfile::TempDir;

use super::cloud::Cloud;
use super::open_folder;
use super::podman::{Podman, give_to_the_image};
use crate::site::Site;

/// What workers do, each kind in a queue and with a definition of its own.
const KINDS: [&str; 2] = ["transform", "send"];

/// Where jobs find the password of the database: a file, because everybody who may look at a job sees its environment.
const PASSWORDS: &str = "/run/outport";

/// A job as Batch tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The name it was submitted with.
    pub name: String,
    /// `RUNNABLE`, `RUNNING`, `SUCCEEDED`, `FAILED`...
    pub status: String,
}

/// Queues and job definitions as the template makes them, in moto. Dropping it ends the containers of their jobs.
#[derive(Debug)]
pub struct ContainerBatch {
    client: Client,
    podman: Podman,
    // Mounted into the jobs.
    _passwords: TempDir,
}

impl ContainerBatch {
    /// Makes them for the workers of `site`, which must be in `cloud` and on PostgreSQL.
    ///
    /// # Errors
    /// What moto says, or a site without a database.
    pub fn make(cloud: &Cloud, podman: &Podman, site: &Site) -> anyhow::Result<Self> {
        let database = site.database().context("workers in containers need PostgreSQL")?;
        let (url, password) = database.url_and_password_line()?;
        let passwords = open_folder(&std::env::temp_dir())?;
        let file = passwords.path().join("database");
        std::fs::write(&file, password)?;
        // Others' passwords are ignored in a file that others may read.
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        give_to_the_image(&file)?;
        let mut environment = site.environment();
        environment.retain(|(name, _)| name != "OUTPORT_DATABASE");
        environment.push(("OUTPORT_DATABASE".to_owned(), url));
        environment.push(("PGPASSFILE".to_owned(), format!("{PASSWORDS}/database")));
        let folder = passwords.path().to_str().context("the temporary folder's name is no UTF-8")?.to_owned();
        let batch = Self { client: Client::new(&cloud.sdk), podman: podman.clone(), _passwords: passwords };
        batch.make_queues(cloud)?;
        for kind in KINDS {
            batch.define(cloud, kind, &folder, &environment)?;
        }
        Ok(batch)
    }

    fn make_queues(&self, cloud: &Cloud) -> anyhow::Result<()> {
        let role = make_role(cloud.endpoint())?;
        let made = self
            .client
            .create_compute_environment()
            .compute_environment_name("workers")
            .r#type(CeType::Unmanaged)
            .state(CeState::Enabled)
            .service_role(role);
        let place = cloud.wait(made.send())?.compute_environment_arn.context("no ARN")?;
        for kind in KINDS {
            let order = ComputeEnvironmentOrder::builder().order(1).compute_environment(&place).build();
            let queue = self.client.create_job_queue().job_queue_name(kind).state(JqState::Enabled);
            cloud.wait(queue.priority(1).compute_environment_order(order).send())?;
        }
        Ok(())
    }

    fn define(
        &self,
        cloud: &Cloud,
        kind: &str,
        passwords: &str,
        environment: &[(String, String)],
    ) -> anyhow::Result<()> {
        let needs = |what, value| ResourceRequirement::builder().r#type(what).value(value).build();
        let environment =
            environment.iter().map(|(name, value)| KeyValuePair::builder().name(name).value(value).build());
        let mount = MountPoint::builder().source_volume("passwords").container_path(PASSWORDS);
        let volume = Volume::builder().name("passwords").host(Host::builder().source_path(passwords).build());
        let container = ContainerProperties::builder()
            .image(self.podman.image())
            // As in the template; the executor may say otherwise when it submits a job.
            .set_command(Some(["worker", kind, "--for", "4m"].map(str::to_owned).into()))
            .set_environment(Some(environment.collect()))
            .resource_requirements(needs(ResourceType::Vcpu, "1"))
            .resource_requirements(needs(ResourceType::Memory, "2048"))
            .mount_points(mount.read_only(true).build())
            .volumes(volume.build())
            .build();
        let definition = self.client.register_job_definition().job_definition_name(format!("outport-{kind}"));
        let definition = definition.r#type(JobDefinitionType::Container).container_properties(container);
        cloud.wait(definition.send()).map(|_| ())
    }

    /// The settings of an installation all of whose workers are here.
    pub fn settings(&self, site: Site) -> Site {
        site.with("OUTPORT_EXECUTOR_TRANSFORM", "batch")
            .with("OUTPORT_EXECUTOR_SEND", "batch")
            .with("OUTPORT_BATCH_TRANSFORM_QUEUE", "transform")
            .with("OUTPORT_BATCH_TRANSFORM_JOB", "outport-transform")
            .with("OUTPORT_BATCH_SEND_QUEUE", "send")
            .with("OUTPORT_BATCH_SEND_JOB", "outport-send")
    }

    /// Every job so far of workers of this kind (`transform`, `send`).
    ///
    /// # Errors
    /// What moto says.
    pub fn jobs(&self, cloud: &Cloud, kind: &str) -> anyhow::Result<Vec<Job>> {
        // Without a state moto lists jobs in any.
        let listed = cloud.wait(self.client.list_jobs().job_queue(kind).send())?;
        let jobs = listed.job_summary_list().iter().map(|job| Job {
            name: job.job_name().unwrap_or_default().to_owned(),
            status: job.status().map_or("", |status| status.as_str()).to_owned(),
        });
        Ok(jobs.collect())
    }

    /// The containers of their jobs that are there now, ended ones too.
    ///
    /// # Errors
    /// What podman says.
    pub fn containers(&self) -> anyhow::Result<Vec<String>> {
        // podman's own filter for mounts knows volumes with names alone.
        let printed = self.podman.told(["ps", "--all", "--format", "{{.Names}} {{.Mounts}}"])?;
        let ours = printed.lines().filter_map(|line| line.split_once(' ')).filter(|(_, mounts)| {
            mounts.trim_matches(['[', ']']).split([' ', ',']).any(|mounted| mounted == PASSWORDS)
        });
        Ok(ours.map(|(name, _)| name.to_owned()).collect())
    }
}

impl Drop for ContainerBatch {
    fn drop(&mut self) {
        let removed = self.containers().and_then(|names| {
            names.iter().try_for_each(|name| {
                self.podman.told(["rm", "--force", "--ignore", "--time", "0", name]).map(drop)
            })
        });
        if let Err(fault) = removed {
            eprintln!("containers of Batch are left behind: {fault:#}");
        }
    }
}

/// moto wants a role of IAM that exists; this one request is not worth a client. Its ARN.
fn make_role(endpoint: &str) -> anyhow::Result<String> {
    let address = endpoint.strip_prefix("http://").context("moto's address is no http://")?;
    let mut stream = TcpStream::connect(address)?;
    // HTTP/1.0: the answer ends where the connection does. Of the signature, moto reads which service is meant.
    write!(
        stream,
        "GET /?Action=CreateRole&RoleName=batch&AssumeRolePolicyDocument=%7B%7D&Version=2010-05-08 HTTP/1.0\r\n\
         Host: {address}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=outport-test/20260101/us-east-1/iam/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let arn = answer.split_once("<Arn>").and_then(|(_, rest)| rest.split_once("</Arn>"));
    ensure!(answer.contains(" 200 "), "moto made no role: {answer}");
    Ok(arn.with_context(|| format!("moto made no role: {answer}"))?.0.to_owned())
}
