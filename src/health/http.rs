//! `/healthz`, `/readyz` and `/metrics` over plain HTTP, for probes and scrapers.
//!
//! Read only, without secrets and without the text of any row. Where it listens is the configuration's word (`[health] listen`,
//! off by default): the caller binds.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::guests::Guests;
use super::{Health, metrics, verdict};
use crate::clock;

/// How long answers under way may take once the agent stops.
const GRACE: Duration = Duration::from_millis(500);

/// Answers until `stop` turns true or its sender is gone.
pub async fn serve(listener: TcpListener, health: Arc<Health>, stop: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health);
    let server = axum::serve(Guests::new(listener), router).with_graceful_shutdown(stopped(stop.clone()));
    let overdue = async {
        stopped(stop).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        // Accepting is retried inside; the server ends by `stop` alone.
        _ = server.into_future() => {}
        () = overdue => {}
    }
}

/// Returns when `stop` is true or its sender is gone.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone: whoever would have said stop has ended.
    let _ = stop.wait_for(|&stop| stop).await;
}

async fn healthz(State(health): State<Arc<Health>>) -> Response {
    answer(verdict::dead(&health, clock::unix_ms()).into_iter().collect())
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    answer(verdict::unready(&health, clock::unix_ms()))
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    match metrics::text(&health) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        // Writing to a string does not fail; the formatter's signature says that it may.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// 200 `ok` when there is no reason against it, else 503 with one reason a line.
fn answer(reasons: Vec<String>) -> Response {
    if reasons.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
}
