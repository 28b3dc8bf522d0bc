//! Counts requests, under upstream's names. Source: apiserver `endpoints/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use coracle_core::Kinds;
use http::{HeaderMap, Response};
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::exposition::{Exposition, Histogram};
use super::negotiate::{PatchType, patch_type};
use super::query::Query;
use super::request_info::RequestInfo;

/// Bounds of `apiserver_request_duration_seconds`.
const SECONDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];

/// Every request so far, and the long-running ones that go on.
#[derive(Debug, Default)]
pub(super) struct Requests {
    answered: Mutex<BTreeMap<Labels, Answered>>,
    long_running: Mutex<BTreeMap<Labels, u64>>,
}

/// What is told of requests that are counted together. Only what the server knows becomes a label, so there is an end to them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels {
    dry_run: &'static str,
    group: String,
    resource: String,
    scope: &'static str,
    subresource: String,
    verb: &'static str,
    version: String,
}

#[derive(Debug)]
struct Answered {
    by_code: BTreeMap<u16, u64>,
    seconds: Histogram,
}

impl Default for Answered {
    fn default() -> Self {
        Self { by_code: BTreeMap::new(), seconds: Histogram::new(SECONDS) }
    }
}

/// Counts a long-running request until it is dropped.
pub(super) struct LongRunning {
    requests: Arc<Requests>,
    labels: Labels,
}

/// Marks the answer to a stream: its request goes on after it, and is counted until the stream ends.
#[derive(Clone, Default)]
pub(super) struct GoesOn(Arc<OnceLock<LongRunning>>);

impl GoesOn {
    /// Carries a stream until it or the server ends, and marks its answer.
    pub(super) fn carry<S>(answer: &mut Response<Body>, stop: CancellationToken, stream: S)
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let goes_on = Self::default();
        answer.extensions_mut().insert(goes_on.clone());
        tokio::spawn(async move {
            let _counted = goes_on;
            stop.run_until_cancelled_owned(stream).await;
        });
    }

    /// Hands a count to the stream that a request became; gives it back if the request is over with its answer.
    pub(super) fn count(answer: &mut Response<Body>, counted: Option<LongRunning>) -> Option<LongRunning> {
        let Some(Self(slot)) = answer.extensions_mut().remove() else { return counted };
        counted.and_then(|counted| slot.set(counted).err())
    }
}

impl Labels {
    /// Nothing for what the server does not know.
    pub(super) fn of(info: RequestInfo, query: &Query, headers: &HeaderMap, kinds: &Kinds) -> Option<Self> {
        let verb = verb(&info, headers)?;
        let scope = scope(&info);
        let dry_run = if info.is_resource && query.get("dryRun") == Some("All") { "All" } else { "" };
        if !info.is_resource {
            let page = info.path.split('/').nth(1).unwrap_or_default();
            let subresource = PAGES.iter().find(|known| **known == page).map(|page| format!("/{page}"))?;
            let (group, resource, version) = Default::default();
            return Some(Self { dry_run, group, resource, scope, subresource, verb, version });
        }
        let kind = kinds.get(&info.group, &info.version, &info.resource)?;
        if !info.subresource.is_empty() && kind.subresource(&info.subresource).is_none() {
            return None;
        }
        let RequestInfo { group, version, resource, subresource, .. } = info;
        Some(Self { dry_run, group, resource, scope, subresource, verb, version })
    }
}

/// The paths beside resources that are counted.
const PAGES: [&str; 8] = ["api", "apis", "healthz", "livez", "metrics", "openapi", "readyz", "version"];

/// Source: `metrics.cleanVerb`.
fn verb(info: &RequestInfo, headers: &HeaderMap) -> Option<&'static str> {
    if matches!(&*info.subresource, "attach" | "exec" | "portforward" | "proxy") {
        return Some("CONNECT");
    }
    Some(match &*info.verb {
        "get" | "head" => "GET",
        "list" => "LIST",
        "watch" => "WATCH",
        "create" | "post" => "POST",
        "update" | "put" => "PUT",
        "patch" if patch_type(headers) == Ok(PatchType::Apply) => "APPLY",
        "patch" => "PATCH",
        "delete" => "DELETE",
        "deletecollection" => "DELETECOLLECTION",
        _ => return None,
    })
}

/// Source: `metrics.CleanScope`.
fn scope(info: &RequestInfo) -> &'static str {
    match info {
        _ if !info.name.is_empty() || info.verb == "create" => "resource",
        _ if !info.namespace.is_empty() => "namespace",
        _ if info.is_resource => "cluster",
        _ => "",
    }
}

impl Requests {
    /// Counts an answer. Long-running requests have no duration: they last as long as their clients like.
    pub(super) fn answered(&self, labels: Labels, code: u16, took: Option<Duration>) {
        let mut answered = lock(&self.answered);
        let answered = answered.entry(labels).or_default();
        *answered.by_code.entry(code).or_default() += 1;
        if let Some(took) = took {
            answered.seconds.observe(took.as_secs_f64());
        }
    }

    /// Counts a long-running request while what is returned lives.
    pub(super) fn long_running(self: &Arc<Self>, labels: Labels) -> LongRunning {
        *lock(&self.long_running).entry(labels.clone()).or_default() += 1;
        LongRunning { requests: self.clone(), labels }
    }

    /// The numbers; `in_flight` are the requests under way that read, and that write.
    pub(super) fn tell(&self, in_flight: (usize, usize), text: &mut Exposition) {
        let answered = lock(&self.answered);
        text.family("apiserver_request_total", "counter", "Requests by what was asked, where, and the answer's code.");
        for (labels, answered) in &*answered {
            for (code, count) in &answered.by_code {
                let code = code.to_string();
                text.sample(&labels.pairs(true, Some(&code)), count);
            }
        }
        text.family("apiserver_request_duration_seconds", "histogram", "Seconds from request to answer.");
        for (labels, answered) in answered.iter().filter(|(_, answered)| answered.seconds.count() > 0) {
            answered.seconds.tell(&labels.pairs(true, None), text);
        }
        text.family("apiserver_longrunning_requests", "gauge", "Watches and streams that go on.");
        for (labels, count) in &*lock(&self.long_running) {
            text.sample(&labels.pairs(false, None), count);
        }
        text.family("apiserver_current_inflight_requests", "gauge", "Requests under way, but watches and streams.");
        text.sample(&[("request_kind", "mutating")], in_flight.1).sample(&[("request_kind", "readOnly")], in_flight.0);
    }
}

impl Labels {
    fn pairs<'a>(&'a self, with_dry_run: bool, code: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
        let code = code.map(|code| ("code", code));
        let dry_run = with_dry_run.then_some(("dry_run", self.dry_run));
        let rest = [
            ("group", &*self.group),
            ("resource", &*self.resource),
            ("scope", self.scope),
            ("subresource", &*self.subresource),
            ("verb", self.verb),
            ("version", &*self.version),
        ];
        code.into_iter().chain([("component", "apiserver")]).chain(dry_run).chain(rest).collect()
    }
}

impl Drop for LongRunning {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.requests.long_running).get_mut(&self.labels) {
            *count = count.saturating_sub(1);
        }
    }
}

/// A poisoned lock only means that another thread panicked between two complete steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
