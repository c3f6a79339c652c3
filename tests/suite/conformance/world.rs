//! A small world for store tests: definitions, arrivals, claims, ends.

use std::future::Future;
use std::sync::LazyLock;

use outport_core::definitions::Definitions;
use outport_core::delivery::{DeliveryState, Stage};
use outport_core::event::{EventSource, ObjectEvent};
use outport_core::version::version_of;
use outport_core::{Code, DeliveryId, Fault, FileId, ObjectKey, Reason, Timing, WorkerId};
use outport_store::Store;
use outport_store::acts::By;
use outport_store::claim_sends::{self, ArtifactRow, Claim, ClaimedSend, Limits, RenameIntent};
use outport_store::enqueue::{self, Arrival, Dispatched};
use outport_store::finish_send::{End, Finished, Receipt, Report, finish};
use outport_store::list::{self, Page};
use outport_store::stage::{Entering, enter_renaming};
use outport_tests::invariants;
use outport_tests::servers::postgres::Database;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;
use uuid::Uuid;

pub const SHA: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
pub const ALL: Limits = Limits { lanes: 100, deliveries: 1_000, per_lane: 1_000 };

static REASON: LazyLock<Reason> = LazyLock::new(|| "the partner asked".parse().unwrap());

/// An operator with a reason.
pub fn by() -> By<'static> {
    By { actor: "operator:ann", reason: &REASON }
}

pub struct World {
    pub store: Store,
    /// Beside the store: for questions and for meddling.
    pub raw: DatabaseConnection,
    pub timing: Timing,
    pub worker: WorkerId,
}

pub fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("outport.db").display());
    block_on(&url, test);
}

pub fn on_postgres<F: Future<Output = ()>>(database: &Database, test: impl FnOnce(World) -> F) {
    block_on(database.url(), test);
}

fn block_on<F: Future<Output = ()>>(url: &str, test: impl FnOnce(World) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(url).await.unwrap();
        store.migrate().await.unwrap();
        let raw = invariants::connect(url).await.unwrap();
        let world =
            World { store: store.clone(), raw: raw.clone(), timing: Timing::default(), worker: worker() };
        test(world).await;
        invariants::assert_all(&raw).await.unwrap();
        raw.close().await.unwrap();
        store.close().await.unwrap();
    });
}

pub fn worker() -> WorkerId {
    WorkerId::from_uuid(Uuid::now_v7())
}

/// One file group `files` on bucket `in`, and the named subscribers, each with an endpoint and a subscription.
pub fn definitions(subscribers: &[&str], transform: Option<&str>) -> Definitions {
    let subscriber = |code: &&str| {
        json!({"code": code, "endpoint": [{
            "name": "sftp", "protocol": "sftp", "host": "127.0.0.1", "port": 2222, "username": "u",
            "password": "env:PW", "host_keys": [],
        }]})
    };
    let subscription = |code: &&str| {
        json!({
            "code": format!("{code}-files"), "subscriber": code, "file_group": "files", "endpoint": "sftp",
            "transform": transform.map(|_| "spec"), "remote_name": "{name}",
        })
    };
    let transforms: Vec<_> = transform.iter().map(|kind| json!({"name": "spec", "kind": kind})).collect();
    serde_json::from_value(json!({
        "file_group": [{"name": "files", "rule": [{"bucket": "in", "key": "**"}]}],
        "subscriber": subscribers.iter().map(subscriber).collect::<Vec<_>>(),
        "transform": transforms,
        "subscription": subscribers.iter().map(subscription).collect::<Vec<_>>(),
    }))
    .unwrap()
}

pub fn arrival(key: &str, version: &str) -> Arrival {
    Arrival {
        event: ObjectEvent {
            bucket: "in".into(),
            key: ObjectKey::new(key).unwrap(),
            version_id: None,
            sequencer: None,
            etag: None,
            size_bytes: Some(3),
            event_at: 1,
            source: EventSource::Watch,
            message_id: None,
        },
        version: version_of(Some(version), None, None).unwrap(),
        original: ArtifactRow {
            bucket: "originals".into(),
            key: Uuid::now_v7().to_string(),
            version_id: None,
            etag: None,
            size_bytes: 3,
            sha256: Some(SHA.into()),
        },
        signature: None,
        modified_at: None,
    }
}

impl World {
    /// Applies [`definitions`] for these subscribers, and makes their lanes healthy: no probation.
    pub async fn define(&self, subscribers: &[&str], transform: Option<&str>) {
        let definitions = definitions(subscribers, transform);
        outport_store::definitions::apply(&self.store, &definitions, "test").await.unwrap();
        self.sql("UPDATE lane SET login_ok_version = 'v1'").await;
    }

    pub async fn arrive(&self, key: &str) -> FileId {
        match self.dispatch(&arrival(key, "v1")).await {
            Dispatched::Routed { file, .. } => file,
            other => panic!("{key} was not routed: {other:?}"),
        }
    }

    pub async fn dispatch(&self, arrival: &Arrival) -> Dispatched {
        enqueue::dispatch(&self.store, arrival, |_, _| Some("csv")).await.unwrap()
    }

    pub async fn claim(&self) -> Claim {
        self.claim_as(self.worker).await
    }

    pub async fn claim_as(&self, worker: WorkerId) -> Claim {
        claim_sends::claim(&self.store, worker, ALL, &self.timing).await.unwrap()
    }

    /// Claims exactly one delivery.
    pub async fn claim_one(&self) -> ClaimedSend {
        let mut claim = self.claim().await;
        assert_eq!(claim.sends.len(), 1, "one delivery should be due");
        claim.sends.remove(0)
    }

    /// The fenced stage write of this attempt.
    pub async fn enter_renaming(&self, send: &ClaimedSend, intent: RenameIntent) -> bool {
        let entering = Entering { delivery_id: send.delivery_id, lease: send.lease, intent };
        enter_renaming(&self.store, entering).await.unwrap()
    }

    pub async fn end(&self, send: &ClaimedSend, end: End) -> Finished {
        finish(&self.store, &report(send, end), &self.timing, 0.5).await.unwrap()
    }

    pub async fn deliver(&self, send: &ClaimedSend) -> Finished {
        self.end(send, delivered(send)).await
    }

    pub async fn fail(&self, send: &ClaimedSend, code: &'static Code) -> Finished {
        self.end(send, fault(code)).await
    }

    pub async fn state(&self, delivery: DeliveryId) -> DeliveryState {
        let detail = list::deliveries::show(&self.store, delivery).await.unwrap().unwrap();
        detail.delivery.state.parse().unwrap()
    }

    pub async fn deliveries(&self) -> Vec<list::deliveries::DeliveryView> {
        list::deliveries::list(&self.store, &list::deliveries::Filter::default(), Page { limit: 100_000 })
            .await
            .unwrap()
    }

    /// Makes every waiting job due now, as if time had passed.
    pub async fn pass_time(&self) {
        self.sql("UPDATE send_job SET due_at = 1 WHERE lease_id IS NULL").await;
        self.sql("UPDATE lane SET next_due_at = 1").await;
    }

    /// Makes every free job due in an hour.
    pub async fn put_off(&self) {
        let in_an_hour = format!("{} + 3600000", invariants::now(&self.raw));
        self.sql(&format!("UPDATE send_job SET due_at = {in_an_hour} WHERE lease_id IS NULL")).await;
    }

    pub async fn sql(&self, sql: &str) -> u64 {
        let backend = self.raw.get_database_backend();
        self.raw.execute_raw(Statement::from_string(backend, sql)).await.unwrap().rows_affected()
    }

    /// A number that `sql` returns as column `n`.
    pub async fn number(&self, sql: &str) -> i64 {
        let backend = self.raw.get_database_backend();
        let row = self.raw.query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    }

    pub async fn assert_invariants(&self) {
        invariants::assert_all(&self.raw).await.unwrap();
    }
}

pub fn report(send: &ClaimedSend, end: End) -> Report {
    Report {
        delivery_id: send.delivery_id,
        endpoint_id: send.endpoint_id,
        lease: send.lease,
        secret_version: Some("v1".into()),
        remote_temp: None,
        duration_ms: 5,
        possible_duplicate: false,
        end,
    }
}

pub fn delivered(send: &ClaimedSend) -> End {
    End::Delivered(Receipt {
        remote_final: send.remote_name.clone(),
        size_bytes: send.artifact.size_bytes,
        sha256: send.artifact.sha256.clone().unwrap(),
        peer_identity: "SHA256:x".into(),
        agreed: outport_core::ssh::Agreed::default(),
        confirmed_by: "reply",
        fresh_login: true,
    })
}

pub fn fault(code: &'static Code) -> End {
    End::Fault { fault: Fault::new(code, "x"), stage: Stage::Uploading, bytes_sent: 0 }
}
