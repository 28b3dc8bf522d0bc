//! What the server says about itself: version and health.

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::Status;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::Body;
use super::query::Query;
use super::respond;

/// Something that must be well for the server to be ready.
#[async_trait]
pub trait HealthCheck: Send + Sync + 'static {
    /// Its name, one path segment, such as `store`.
    fn name(&self) -> &str;

    /// Nothing if it is well, else why not.
    async fn check(&self) -> Result<(), String>;
}

/// The answer of `/version`. Source: apimachinery `version.Info`.
#[must_use]
pub fn version() -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "gitVersion": concat!("v1.36.0+coracle.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{architecture}", std::env::consts::OS),
    })
}

/// Answers `/healthz`, `/livez` and `/readyz` and single checks below them; `None` for other paths.
///
/// `?verbose` tells each check, `?exclude=name` leaves one out. Source: apiserver `server/healthz`.
pub(super) async fn answer(
    path: &str,
    query: &Query,
    checks: &[Arc<dyn HealthCheck>],
    is_shutting_down: bool,
) -> Option<Result<Response<Body>, Status>> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let page = segments.next().filter(|page| matches!(*page, "healthz" | "livez" | "readyz"))?;
    let only = segments.next();
    let mut results = vec![("ping".to_owned(), Ok(()))];
    for check in checks {
        results.push((check.name().to_owned(), check.check().await));
    }
    if page == "readyz" {
        let state = if is_shutting_down { Err("process is shutting down".to_owned()) } else { Ok(()) };
        results.push(("shutdown".to_owned(), state));
    }
    if let Some(only) = only {
        results.retain(|(name, _)| name == only);
        if results.is_empty() {
            return Some(Err(Status::no_such_path()));
        }
    }
    let excluded: Vec<_> = query.all("exclude").collect();
    results.retain(|(name, _)| !excluded.contains(&&**name));
    Some(Ok(report(page, &results, query.get("verbose").is_some())))
}

fn report(page: &str, results: &[(String, Result<(), String>)], verbose: bool) -> Response<Body> {
    let line = |(name, result): &(String, Result<(), String>)| match result {
        Ok(()) => format!("[+]{name} ok\n"),
        Err(why) => format!("[-]{name} failed: {why}\n"),
    };
    let lines: String = results.iter().map(line).collect();
    let is_well = results.iter().all(|(_, result)| result.is_ok());
    match (is_well, verbose) {
        (true, false) => respond::text(StatusCode::OK, "ok"),
        (true, true) => respond::text(StatusCode::OK, format!("{lines}{page} check passed\n")),
        (false, _) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{page} check failed\n")),
    }
}
