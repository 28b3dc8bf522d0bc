//! One request's records, while it is handled.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coracle_core::remarks::Told;
use coracle_core::{Clock, Status, User};
use futures::StreamExt as _;
use http::header::USER_AGENT;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::policy::{Level, Stage, Verdict};
use super::record::{Account, Outcome, Record, Reference, micro_time};
use super::{Audit, Sink};
use crate::auth::Decision;
use crate::http::body::{self, Body, RequestBody};
use crate::http::request_info::RequestInfo;

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// Characters of an id that a client may choose. Source: apiserver `pkg/audit` `WithAuditID`.
const ID_LENGTH_MAX: usize = 64;

/// A request, and who asks.
pub(crate) struct Asked<'a> {
    pub(crate) info: &'a RequestInfo,
    pub(crate) parts: &'a http::request::Parts,
    /// Who showed credentials; nobody if they were no good.
    pub(crate) caller: Option<&'a User>,
    /// As whom the caller asks, if not as itself.
    pub(crate) impersonated: Option<&'a User>,
}

/// What is known so far, and what is to be told of it.
pub(crate) struct Trail {
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    verdict: Verdict,
    record: Box<Record>,
    is_long: bool,
}

impl Audit {
    /// The trail of a request; `None` if nothing is to be told of it. `fresh_id` is used unless the client brings an id.
    pub(crate) fn begin(&self, asked: &Asked<'_>, clock: &Arc<dyn Clock>, fresh_id: String) -> Option<Trail> {
        let nobody = User::default();
        let caller = asked.caller.unwrap_or(&nobody);
        let verdict = self.policy.verdict(asked.impersonated.unwrap_or(caller), asked.info);
        if verdict.level == Level::None {
            return None;
        }
        let header = |name: &HeaderName| asked.parts.headers.get(name).and_then(|value| value.to_str().ok());
        let given_id = header(&AUDIT_ID).filter(|id| !id.is_empty() && id.len() <= ID_LENGTH_MAX);
        let peer = asked.parts.extensions.get::<std::net::SocketAddr>();
        let now = micro_time(clock.now());
        let record = Box::new(Record {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: verdict.level,
            audit_id: given_id.map_or(fresh_id, str::to_owned),
            stage: Stage::RequestReceived,
            request_uri: asked.parts.uri.to_string(),
            verb: asked.info.verb.clone(),
            user: caller.into(),
            impersonated_user: asked.impersonated.map(Account::from),
            source_ips: peer.map(|peer| peer.ip().to_string()).into_iter().collect(),
            user_agent: header(&USER_AGENT).unwrap_or_default().to_owned(),
            object_ref: Reference::of(asked.info),
            response_status: None,
            request_object: None,
            response_object: None,
            request_received_timestamp: now.clone(),
            stage_timestamp: now,
            annotations: BTreeMap::new(),
        });
        let (sink, clock) = (self.sink.clone(), clock.clone());
        let trail = Trail { sink, clock, verdict, record, is_long: asked.info.is_long_running() };
        trail.tell(Stage::RequestReceived);
        Some(trail)
    }
}

impl Trail {
    /// Notes why the request was allowed or refused.
    pub(crate) fn decided(&mut self, decision: &Decision) {
        let (word, reason) = match decision {
            Decision::Allow(reason) => ("allow", reason),
            Decision::Deny(reason) => ("forbid", reason),
        };
        let annotations = &mut self.record.annotations;
        annotations.insert("authorization.k8s.io/decision".to_owned(), word.to_owned());
        annotations.insert("authorization.k8s.io/reason".to_owned(), reason.clone());
    }

    /// Reads the body if it is to be told.
    ///
    /// # Errors
    /// As [`body::collect`].
    pub(crate) async fn sent(&mut self, sent: RequestBody) -> Result<RequestBody, Status> {
        if self.verdict.level < Level::Request || self.is_long {
            return Ok(sent);
        }
        let bytes = body::collect(sent).await?;
        self.record.request_object = self.document(&bytes);
        Ok(http_body_util::Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
    }

    /// Tells how it ended, with what was remarked on the way, now or when the last of the answer is sent.
    pub(crate) fn answered(mut self, mut response: Response<Body>, told: Told) -> Response<Body> {
        let shows_bodies = self.verdict.level >= Level::Request;
        let told = told.annotations.into_iter().filter(|(_, annotation)| shows_bodies || !annotation.shows_body);
        self.record.annotations.extend(told.map(|(key, annotation)| (key, annotation.value)));
        if let Ok(id) = HeaderValue::from_str(&self.record.audit_id) {
            response.headers_mut().insert(AUDIT_ID, id);
        }
        let code = response.status();
        let mut outcome = Outcome { code: code.as_u16(), ..Outcome::default() };
        if let Body::Full(bytes) = response.body() {
            if !code.is_success() {
                outcome.explain(bytes);
            }
            if self.verdict.level == Level::RequestResponse {
                self.record.response_object = self.document(bytes);
            }
        }
        self.record.response_status = Some(outcome);
        if self.is_long && (code.is_success() || code == StatusCode::SWITCHING_PROTOCOLS) {
            self.tell(Stage::ResponseStarted);
        }
        if matches!(response.body(), Body::Full(_)) {
            self.tell(Stage::ResponseComplete);
            return response;
        }
        response.map(|body| match body {
            Body::Full(bytes) => Body::Full(bytes),
            Body::Stream(stream) => {
                let told = AtTheEnd(self);
                Body::Stream(
                    stream
                        .inspect(move |_| {
                            let _until_the_end = &told;
                        })
                        .boxed(),
                )
            }
        })
    }

    /// A body as it is told: its JSON, without `managedFields` if so ruled; nothing if it is no JSON.
    fn document(&self, bytes: &Bytes) -> Option<Value> {
        let mut document: Value = serde_json::from_slice(bytes).ok()?;
        if self.verdict.omit_managed_fields
            && let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("managedFields");
        }
        Some(document)
    }

    fn tell(&self, stage: Stage) {
        if self.verdict.records(stage) {
            let now = micro_time(self.clock.now());
            self.sink.record(&Record { stage, stage_timestamp: now, ..(*self.record).clone() });
        }
    }
}

/// Tells the end of an answer that is sent piece by piece, when it is sent or given up.
struct AtTheEnd(Trail);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0.tell(Stage::ResponseComplete);
    }
}

impl Outcome {
    fn explain(&mut self, body: &[u8]) {
        let Ok(status) = serde_json::from_slice::<Value>(body) else { return };
        let text = |field: &str| status.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        (self.status, self.reason, self.message) = (text("status"), text("reason"), text("message"));
    }
}
