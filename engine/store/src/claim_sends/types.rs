//! What a claim asks for and what it gives.

use std::collections::BTreeMap;

use outport_core::delivery::{IntentStep, OnUnconfirmed};
use outport_core::settings::EndpointSettings;
use outport_core::trust::{HostCa, HostKey};
use outport_core::upload::UploadSpec;
use outport_core::{DeliveryId, EndpointId, FileId, LeaseId, Millis};

use crate::enqueue::Snapshot;

/// What may be claimed at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Lanes looked at.
    pub lanes: u32,
    /// Deliveries taken, over all lanes.
    pub deliveries: u32,
    /// Deliveries of one lane in this worker's hands at most, so that a slow partner leaves room for the others.
    pub per_lane: u32,
}

/// Claimed work and where it goes.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// The deliveries, with their fencing token.
    pub sends: Vec<ClaimedSend>,
    /// Their endpoints.
    pub endpoints: BTreeMap<EndpointId, EndpointRow>,
    /// Connections that this worker may hold, by endpoint.
    pub seats: BTreeMap<EndpointId, u32>,
    /// Lanes that have more due jobs than there is room for: they sleep for `lane_full`, see
    /// [`FullLanes`](super::FullLanes).
    pub full: Vec<EndpointId>,
}

/// One delivery in this worker's hands. Only a claim makes one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClaimedSend {
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The fencing token: every later write names it.
    pub lease: LeaseId,
    /// Where it goes.
    pub endpoint_id: EndpointId,
    /// The file it came from, for logs.
    pub file_id: FileId,
    /// The final name.
    pub remote_name: String,
    /// When the source was modified; when it was announced, where the bucket does not tell.
    pub modified_at: Millis,
    /// What to send.
    pub artifact: ArtifactRow,
    /// What the subscription said when the file arrived.
    pub snapshot: Snapshot,
    /// An earlier attempt that may have delivered: look before sending.
    pub probe: Option<RenameIntent>,
    /// Earlier attempts that may have left their temp file behind, newest first.
    pub unfinished: Vec<u32>,
}

/// What an attempt wrote down before it renamed. The attempt that comes after a lost one judges by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RenameIntent {
    /// How far it had come.
    #[serde(default)]
    pub step: IntentStep,
    /// The whole and verified temp file; empty for a file that is written under its final name.
    pub temp_path: String,
    /// The name that the file gets, where it is another than the delivery's remote name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_path: Option<String>,
    /// What stat showed under the final name before the rename.
    pub final_before: Option<FinalSeen>,
    /// An earlier attempt may have delivered the same file already.
    #[serde(default)]
    pub possible_duplicate: bool,
}

/// What a server showed under the final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FinalSeen {
    /// In bytes, where the server tells.
    pub size_bytes: Option<u64>,
    /// Modification time in seconds since 1970, where the server tells.
    pub mtime_s: Option<i64>,
}

/// A stored artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRow {
    /// The artifact bucket.
    pub bucket: String,
    /// The key in it.
    pub key: String,
    /// The exact version, where the store has versions.
    pub version_id: Option<String>,
    /// The etag, where the store has one.
    pub etag: Option<String>,
    /// In bytes.
    pub size_bytes: u64,
    /// Of the content, in hex.
    pub sha256: Option<String>,
}

/// Where and how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// Grows with each change of its definition.
    pub revision: i32,
    /// `acme/sftp`.
    pub label: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub username: String,
    /// What it logs in with, as [`CredentialRef::stored`](outport_core::credential::CredentialRef::stored) wrote it.
    pub credential_ref: String,
    /// Accepted host keys.
    pub identity_pins: Vec<HostKey>,
    /// Authorities of accepted host certificates.
    pub host_cas: Vec<HostCa>,
    /// Limits and timeouts.
    pub settings: EndpointSettings,
    /// How files are put there.
    pub upload: UploadSpec,
}

/// What the subscription says when a probe cannot tell.
pub fn on_unconfirmed(snapshot: &Snapshot) -> OnUnconfirmed {
    snapshot.on_unconfirmed.parse().unwrap_or(OnUnconfirmed::Resend)
}
