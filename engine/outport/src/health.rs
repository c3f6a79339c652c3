//! /healthz, /readyz and /metrics.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use outport_core::{Fault, code};
use tokio::net::TcpListener;

use crate::engine::Engine;

/// Binds the address; serving begins with [`Server::run`].
pub struct Server(TcpListener);

impl Server {
    /// # Errors
    /// `local.io_failed` when the address is taken or is none.
    pub async fn bind(listen: &str) -> Result<Self, Fault> {
        TcpListener::bind(listen).await.map(Self).map_err(|error| {
            Fault::new(&code::IO_FAILED, format!("could not serve health on {listen}: {error}")).with_hint(
                "another process has the port; set health.listen (OUTPORT_HEALTH_LISTEN), empty for none",
            )
        })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Serves until the engine stops.
    pub async fn run(self, engine: Arc<Engine>) {
        let app = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(engine.clone());
        let until = async move { engine.stopped().await };
        if let Err(error) = axum::serve(self.0, app).with_graceful_shutdown(until).await {
            tracing::error!("the health server ended: {error}");
        }
    }
}

/// Ready: the database answers with the schema that this binary needs.
async fn ready(State(engine): State<Arc<Engine>>) -> (StatusCode, String) {
    match engine.store.require_schema().await {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", error.fault().code.name)),
    }
}

async fn metrics(State(engine): State<Arc<Engine>>) -> (StatusCode, String) {
    match engine.metrics.text(engine.store.statements()) {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
