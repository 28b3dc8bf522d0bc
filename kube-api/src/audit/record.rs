//! What is told of a request: upstream's `audit.k8s.io/v1` `Event`.

use std::collections::BTreeMap;

use coracle_core::User;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::Serialize;
use serde_json::Value;

use super::policy::{Level, Stage};
use crate::http::request_info::RequestInfo;

/// One thing that happened to one request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Always `Event`.
    pub kind: &'static str,
    /// Always `audit.k8s.io/v1`.
    pub api_version: &'static str,
    /// How much is told.
    pub level: Level,
    /// The same for all records of a request; also its answer's header `Audit-Id`.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// When this was.
    pub stage: Stage,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// What was asked: `get`, `list`, `create` and so on.
    pub verb: String,
    /// Who asked.
    pub user: Account,
    /// As whom, if the caller stood for someone else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impersonated_user: Option<Account>,
    /// From where; the caller's word in `X-Forwarded-For` is not taken.
    #[serde(rename = "sourceIPs", skip_serializing_if = "Vec::is_empty")]
    pub source_ips: Vec<String>,
    /// With which program, by its own account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    /// About what; none for paths that are no resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_ref: Option<Reference>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_status: Option<Outcome>,
    /// What was sent, from level `Request` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object: Option<Value>,
    /// What was answered, at level `RequestResponse`. Lists that are sent piece by piece and watches are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_object: Option<Value>,
    /// When the request came.
    pub request_received_timestamp: MicroTime,
    /// When this stage was reached.
    pub stage_timestamp: MicroTime,
    /// Why it was allowed or refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A user.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Account {
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        let User { name, uid, groups, extra } = user;
        Self { username: name.clone(), uid: uid.clone(), groups: groups.clone(), extra: extra.clone() }
    }
}

/// What a request is about.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    #[serde(skip_serializing_if = "String::is_empty")]
    resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subresource: String,
}

impl Reference {
    pub(super) fn of(info: &RequestInfo) -> Option<Self> {
        info.is_resource.then(|| Self {
            resource: info.resource.clone(),
            namespace: info.namespace.clone(),
            name: info.name.clone(),
            api_group: info.group.clone(),
            api_version: info.version.clone(),
            subresource: info.subresource.clone(),
        })
    }
}

/// How a request ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Status code.
    pub code: u16,
    /// `Success` or `Failure`; empty if the answer was no `Status`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The refusal's reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The refusal's message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

pub(super) fn micro_time(at: Timestamp) -> MicroTime {
    MicroTime(at)
}
