//! One attempt: from the claimed row to the recorded end.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt;
use outport_core::credential::CredentialRef;
use outport_core::delivery::OnUnconfirmed;
use outport_core::delivery::Stage;
use outport_core::upload::UploadPlan;
use outport_core::{Class, Fault, Millis, RemoteName, code};
use outport_objects::Expected;
use outport_send::{Fence, Outcome, Pool, RemoteStat, RenameIntent, Stop, Target, Timeouts, Upload, deliver};
use outport_store::claim_sends::{self, ClaimedSend, EndpointRow, FinalSeen};
use outport_store::finish_send::{End, Finished, Receipt, Report};
use outport_store::stage::Entering;

use super::source::Artifact;
use crate::connection;
use crate::crash_point::{self, Point};
use crate::engine::{Engine, ours};
use crate::roles::leases::Held;
use crate::secrets::Secrets;

pub async fn run(
    engine: &Engine,
    pool: &Pool,
    endpoint: &EndpointRow,
    connections: u32,
    send: &ClaimedSend,
    held: &Held,
) {
    crash_point::reached(Point::AfterLease);
    engine.metrics.sends_in_flight.inc();
    let started = Instant::now();
    // A panic in here is a bug of ours: it ends this attempt, not the process.
    let attempt = AssertUnwindSafe(push(engine, pool, endpoint, connections, send, held)).catch_unwind();
    let pushed = attempt.await.unwrap_or_else(|_| {
        let message = format!("the attempt to send {} ended by a bug", send.delivery_id);
        // How far it came is not known here: the next attempt probes if its row says that it was renaming.
        let fault = Fault::new(&code::ENGINE_PANIC, message);
        let end = Some(End::Unknown { fault, stage: Stage::Connecting });
        Pushed { end, secret_version: None, temp_path: None, possible_duplicate: false }
    });
    engine.metrics.sends_in_flight.dec();
    let Some(end) = pushed.end else {
        engine.metrics.leases_lost.inc();
        tracing::warn!(delivery = %send.delivery_id, attempt = send.attempt, "stopped: the lease is lost");
        return;
    };
    log_end(engine, endpoint, send, &end, started.elapsed());
    let report = Report {
        delivery_id: send.delivery_id,
        endpoint_id: send.endpoint_id,
        lease: send.lease,
        secret_version: pushed.secret_version,
        remote_temp: pushed.temp_path,
        duration_ms: Millis::try_from(started.elapsed().as_millis()).unwrap_or(Millis::MAX),
        possible_duplicate: pushed.possible_duplicate,
        end,
    };
    note_refusal(engine, endpoint, &report);
    crash_point::reached(Point::BeforeFinish);
    record(engine, Arc::new(report), held).await;
    crash_point::reached(Point::AfterFinish);
}

/// Remembers with which secret this process was refused, so that the maintainer sees a new one also when it came before
/// its first look.
fn note_refusal(engine: &Engine, endpoint: &EndpointRow, report: &Report) {
    let refused = report.end.fault().is_some_and(|fault| fault.class() == Class::Credential);
    if let (true, Some(version)) = (refused, &report.secret_version) {
        let mut seen = engine.refused.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(report.endpoint_id, version.clone());
        if let Ok(credential) = CredentialRef::from_stored(&endpoint.credential_ref) {
            engine.secrets.forget(&credential);
        }
    }
}

/// How a push went, in the store's words. `end: None`: the lease is lost, report nothing.
struct Pushed {
    end: Option<End>,
    secret_version: Option<String>,
    temp_path: Option<String>,
    possible_duplicate: bool,
}

impl Pushed {
    fn failed(fault: Fault, stage: Stage) -> Self {
        let end = End::Fault { fault, stage, bytes_sent: 0 };
        Self { end: Some(end), secret_version: None, temp_path: None, possible_duplicate: false }
    }
}

async fn push(
    engine: &Engine,
    pool: &Pool,
    endpoint: &EndpointRow,
    connections: u32,
    send: &ClaimedSend,
    held: &Held,
) -> Pushed {
    let (upload, target, secret_version) = match prepare(endpoint, send, &engine.secrets).await {
        Ok(prepared) => prepared,
        Err(fault) => return Pushed::failed(fault, Stage::Connecting),
    };
    let artifact = &send.artifact;
    let expected = Expected { version: artifact.version_id.clone(), etag: artifact.etag.clone() };
    let mut source = match engine.artifacts().open(&artifact.bucket, &artifact.key, expected).await {
        Ok(reader) => {
            let limit = endpoint.settings.max_bytes_per_second;
            Artifact { reader, throttle: engine.throttles.of(endpoint.endpoint_id, limit) }
        }
        Err(fault) => return Pushed::failed(ours(fault), Stage::Connecting),
    };
    let fence = LeaseFence { engine, send, held };
    let outcome = deliver(pool, &target, connections as usize, &upload, &mut source, &fence).await;
    let (end, possible_duplicate) = end_of(outcome);
    Pushed { end, secret_version: Some(secret_version), temp_path: upload.temp_path, possible_duplicate }
}

/// Where to connect and as whom, secrets resolved; and the version of the secret.
pub async fn target(endpoint: &EndpointRow, secrets: &Secrets) -> Result<(Target, String), Fault> {
    let credential = CredentialRef::from_stored(&endpoint.credential_ref).map_err(|problem| {
        Fault::new(
            &code::ENDPOINT_SECRET_UNUSABLE,
            format!("the credential of {}: {problem}", endpoint.label),
        )
    })?;
    let login = secrets.login(&credential, &endpoint.label).await?;
    // Checked when they were applied, by whatever version did that. It is no file's fault if they are not good any more.
    let stored = |fault: Fault| match fault.code == &code::CONFIG_INVALID {
        true => Fault { code: &code::ENDPOINT_SETTINGS_UNUSABLE, ..fault },
        false => fault,
    };
    let (route, proxy_version) =
        connection::route(&endpoint.settings, &endpoint.label, secrets).await.map_err(stored)?;
    // A new password of the proxy makes a new connection, as a new one of the endpoint does.
    let proxy_version = proxy_version.unwrap_or_default();
    let target = Target {
        endpoint: endpoint.endpoint_id.to_string(),
        revision: format!("{} {} {proxy_version}", endpoint.revision, login.version),
        label: endpoint.label.clone(),
        host: endpoint.host.clone(),
        port: endpoint.port,
        username: endpoint.username.clone(),
        auth: login.auth,
        login_order: endpoint.settings.login.clone(),
        host_key_pins: connection::pins(&endpoint.identity_pins, &endpoint.label).map_err(stored)?,
        host_authorities: connection::authorities(&endpoint.host_cas, &endpoint.label).map_err(stored)?,
        first_use: endpoint.settings.first_use,
        algorithms: connection::algorithms(&endpoint.settings.ssh, &endpoint.label).map_err(stored)?,
        route,
        timeouts: Timeouts {
            connect: endpoint.settings.connect_timeout.0,
            login: endpoint.settings.login_timeout.0,
            progress: endpoint.settings.progress_timeout.0,
            ..Timeouts::default()
        },
        second_channel: endpoint.settings.second_channel,
    };
    Ok((target, login.version))
}

async fn prepare(
    endpoint: &EndpointRow,
    send: &ClaimedSend,
    secrets: &Secrets,
) -> Result<(Upload, Target, String), Fault> {
    let (target, secret_version) = target(endpoint, secrets).await?;
    let name = RemoteName::new(send.remote_name.clone()).map_err(Fault::from)?;
    let plan = UploadPlan::try_from(&endpoint.upload).map_err(|problem| {
        let message = format!("the upload plan of {} cannot be used: {problem}", endpoint.label);
        Fault::new(&code::CONFIG_INVALID, message).with_hint(problem.hint)
    })?;
    let mut upload = Upload::planned(plan, &name, send.delivery_id, send.attempt, &send.unfinished)?;
    upload.mtime_s = Some(send.modified_at.div_euclid(1000));
    upload.sha256 = send.artifact.sha256.as_deref().and_then(|hex| hex.parse().ok());
    upload.on_unconfirmed = match claim_sends::on_unconfirmed(&send.snapshot) {
        OnUnconfirmed::Resend => outport_send::OnUnconfirmed::Resend,
        OnUnconfirmed::Hold => outport_send::OnUnconfirmed::Hold,
    };
    upload.earlier = send.probe.as_ref().map(|intent| RenameIntent {
        step: intent.step,
        final_path: intent.final_path.clone().unwrap_or_else(|| name.as_str().to_owned()),
        temp_path: intent.temp_path.clone(),
        possible_duplicate: intent.possible_duplicate,
        before: intent.final_before.map(|seen| RemoteStat {
            size_bytes: seen.size_bytes,
            mtime_s: seen.mtime_s,
            is_folder: false,
        }),
    });
    Ok((upload, target, secret_version))
}

fn end_of(outcome: Outcome) -> (Option<End>, bool) {
    match outcome {
        Outcome::Delivered(receipt) => {
            let possible_duplicate = receipt.possible_duplicate;
            let receipt = Receipt {
                remote_final: receipt.remote_final,
                size_bytes: receipt.size_bytes,
                sha256: receipt.sha256.to_string(),
                peer_identity: receipt.peer.proof(),
                agreed: receipt.peer.agreed,
                confirmed_by: receipt.confirmed_by.as_str(),
                fresh_login: receipt.fresh_login,
            };
            (Some(End::Delivered(receipt)), possible_duplicate)
        }
        Outcome::Failed { fault, stage, bytes_sent } => {
            (Some(End::Fault { fault, stage, bytes_sent }), false)
        }
        Outcome::Unknown { fault, stage, .. } => (Some(End::Unknown { fault, stage }), false),
        Outcome::Unconfirmed { fault } => (Some(End::Unconfirmed { fault }), false),
        // A cancelled delivery lost its send job with its lease: whoever cancelled has recorded everything.
        _ => (None, false),
    }
}

fn log_end(engine: &Engine, endpoint: &EndpointRow, send: &ClaimedSend, end: &End, took: Duration) {
    let (delivery, attempt, label) = (send.delivery_id, send.attempt, endpoint.label.as_str());
    let (remote_name, duration_ms) = (engine.shown(&send.remote_name), took.as_millis());
    match end {
        End::Delivered(receipt) => {
            engine.metrics.deliveries_delivered.inc();
            engine.metrics.bytes_sent.inc_by(receipt.size_bytes);
            tracing::info!(%delivery, attempt, endpoint = label, remote_name, size_bytes = receipt.size_bytes,
                duration_ms, confirmed_by = receipt.confirmed_by, "delivered");
        }
        End::Fault { fault, .. } | End::Unknown { fault, .. } | End::Unconfirmed { fault } => {
            engine.metrics.attempts_failed.inc();
            tracing::warn!(%delivery, attempt, endpoint = label, duration_ms, code = fault.code.name,
                "{}", engine.told(fault));
        }
    }
}

/// Records the end, for as long as the lease is ours: the writer waits while the database is away. The write is fenced,
/// and one that was recorded before its answer was lost is answered again. Given up, the lease runs out and the next
/// attempt looks first.
async fn record(engine: &Engine, report: Arc<Report>, held: &Held) {
    let delivery = report.delivery_id;
    let recorded = tokio::select! {
        recorded = engine.writer.finish(report.clone(), rand::random()) => recorded,
        // By a cancel, perhaps, that a heartbeat told before the end came.
        () = held.expired() => engine.late.record(&engine.store, &report).await.map(|_| Finished::LeaseLost),
    };
    match recorded {
        Ok(Finished::Recorded { .. }) => return,
        Ok(Finished::LeaseLost) => {
            tracing::warn!(%delivery, "the end was not recorded: the lease is lost");
        }
        Err(error) => {
            let fault = error.fault();
            tracing::error!(%delivery, code = fault.code.name, "{fault}");
        }
    }
    engine.metrics.leases_lost.inc();
}

/// The engine's word on whether an attempt may go on: its lease by this process's clock, then by the database.
struct LeaseFence<'a> {
    engine: &'a Engine,
    send: &'a ClaimedSend,
    held: &'a Held,
}

impl LeaseFence<'_> {
    /// A cancelled delivery has no heir: its temp file may go. When in doubt somebody took over, and may need it.
    async fn why_lost(&self) -> Stop {
        let (engine, send) = (self.engine, self.send);
        match engine.late.is_cancelled(&engine.store, send.delivery_id, send.lease).await {
            true => Stop::Cancelled,
            false => Stop::LeaseLost,
        }
    }
}

#[async_trait]
impl Fence for LeaseFence<'_> {
    fn check(&self) -> Result<(), Stop> {
        if self.held.is_live() { Ok(()) } else { Err(Stop::LeaseLost) }
    }

    async fn enter_renaming(&self, intent: &RenameIntent) -> Result<(), Stop> {
        self.check()?;
        let row = claim_sends::RenameIntent {
            step: intent.step,
            final_path: (intent.final_path != self.send.remote_name).then(|| intent.final_path.clone()),
            temp_path: intent.temp_path.clone(),
            possible_duplicate: intent.possible_duplicate,
            final_before: intent
                .before
                .as_ref()
                .map(|seen| FinalSeen { size_bytes: seen.size_bytes, mtime_s: seen.mtime_s }),
        };
        let (delivery_id, lease) = (self.send.delivery_id, self.send.lease);
        let entering = Entering { delivery_id, lease, intent: row };
        let entered = tokio::select! {
            entered = self.engine.writer.enter_renaming(entering) => entered,
            () = self.held.expired() => Ok(false),
        };
        match entered {
            // The answer may have taken long.
            Ok(true) => self.check(),
            Ok(false) => Err(self.why_lost().await),
            Err(error) => {
                // Without the database's word nothing is renamed: the attempt is abandoned and begins anew.
                tracing::warn!(delivery = %delivery_id, code = error.fault().code.name, "{error}");
                Err(Stop::LeaseLost)
            }
        }
    }
}
