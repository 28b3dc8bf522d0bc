//! The fields of each kind that a field selector may name: a table of names and getters.
//!
//! Source: `pkg/apis/*/v1/conversion.go` (which names) and the strategies' `ToSelectableFields` (which values) of upstream.

use std::borrow::Cow;

use coracle_core::{Kind, Object, Status};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod, ReplicationController, Secret, Service};
use k8s_openapi::api::resource::v1::ResourceSlice;

/// Reads one field as text.
#[derive(Clone, Debug)]
pub enum Getter {
    /// A field of a built-in kind, or one that every kind has.
    Known(Read),
    /// A selectable field of a custom kind, such as `.spec.color`.
    Path(String),
}

/// Reads one field as text; `None` counts as empty.
pub type Read = for<'a> fn(&'a Object) -> Option<Cow<'a, str>>;

type Row = (&'static str, Read);

impl Getter {
    /// The field's text; `None` counts as empty.
    #[must_use]
    pub fn text<'a>(&self, object: &'a Object) -> Option<Cow<'a, str>> {
        match self {
            Self::Known(read) => read(object),
            Self::Path(path) => crate::custom::text_at(object, path).map(Cow::Owned),
        }
    }
}

/// The getter of a field that a selector names.
///
/// # Errors
/// 400 if the kind cannot be selected by that field.
pub fn getter(kind: &Kind, path: &str) -> Result<Getter, Status> {
    let common: &[Row] = if kind.namespaced { &NAMESPACED } else { &CLUSTER_SCOPED };
    let own = own_fields(kind);
    let found = common.iter().chain(own).find(|(name, _)| *name == path);
    let selected = || crate::custom::selected(kind, path).map(|path| Getter::Path(path.to_owned()));
    let getter = found.map(|(_, read)| Getter::Known(*read)).or_else(selected);
    getter.ok_or_else(|| unsupported(kind, own.is_empty(), path))
}

/// Kinds with fields of their own have their own words for what they do not know.
fn unsupported(kind: &Kind, has_no_own: bool, path: &str) -> Status {
    let core = kind.group.is_empty();
    Status::bad_request(match (&*kind.kind, has_no_own) {
        ("Job", _) => format!("field label {path:?} not supported for Job"),
        (_, true) if !core => {
            format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
        _ => format!("field label not supported: {path}"),
    })
}

const NAMESPACED: [Row; 2] = [("metadata.name", name), ("metadata.namespace", namespace)];
const CLUSTER_SCOPED: [Row; 1] = [("metadata.name", name)];

fn own_fields(kind: &Kind) -> &'static [Row] {
    match (&*kind.group, &*kind.kind) {
        ("", "Pod") => &POD,
        ("", "Node") => &[("spec.unschedulable", |object| {
            let node = object.get::<Node>()?;
            flag(node.spec.as_ref().and_then(|spec| spec.unschedulable))
        })],
        ("", "Namespace") => {
            &[("status.phase", |object| text(object.get::<Namespace>()?.status.as_ref()?.phase.as_ref()))]
        }
        ("", "Secret") => &[("type", |object| text(object.get::<Secret>()?.type_.as_ref()))],
        ("", "Service") => &[
            ("spec.clusterIP", |object| text(object.get::<Service>()?.spec.as_ref()?.cluster_ip.as_ref())),
            ("spec.type", |object| text(object.get::<Service>()?.spec.as_ref()?.type_.as_ref())),
        ],
        ("", "ReplicationController") => &[("status.replicas", |object| {
            number(object.get::<ReplicationController>()?.status.as_ref().map_or(0, |status| status.replicas))
        })],
        ("apps", "ReplicaSet") => &[("status.replicas", |object| {
            number(object.get::<ReplicaSet>()?.status.as_ref().map_or(0, |status| status.replicas))
        })],
        ("batch", "Job") => &[("status.successful", |object| {
            number(object.get::<Job>()?.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0))
        })],
        ("", "Event") => &EVENT,
        ("events.k8s.io", "Event") => &NEW_EVENT,
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            &[("spec.signerName", |object| text(Some(&object.get::<CertificateSigningRequest>()?.spec.signer_name)))]
        }
        ("resource.k8s.io", "ResourceSlice") => &[
            ("spec.nodeName", |object| text(object.get::<ResourceSlice>()?.spec.node_name.as_ref())),
            ("spec.driver", |object| text(Some(&object.get::<ResourceSlice>()?.spec.driver))),
        ],
        _ => &[],
    }
}

const POD: [Row; 10] = [
    ("spec.nodeName", |object| text(object.get::<Pod>()?.spec.as_ref()?.node_name.as_ref())),
    ("spec.restartPolicy", |object| text(object.get::<Pod>()?.spec.as_ref()?.restart_policy.as_ref())),
    ("spec.schedulerName", |object| text(object.get::<Pod>()?.spec.as_ref()?.scheduler_name.as_ref())),
    ("spec.serviceAccountName", |object| text(object.get::<Pod>()?.spec.as_ref()?.service_account_name.as_ref())),
    ("spec.hostNetwork", |object| flag(object.get::<Pod>()?.spec.as_ref()?.host_network)),
    ("spec.host", |object| text(object.get::<Pod>()?.spec.as_ref()?.node_name.as_ref())),
    ("status.phase", |object| text(object.get::<Pod>()?.status.as_ref()?.phase.as_ref())),
    ("status.podIP", |object| text(object.get::<Pod>()?.status.as_ref()?.pod_ip.as_ref())),
    ("status.podIPs", |object| {
        text(object.get::<Pod>()?.status.as_ref()?.pod_ips.as_ref()?.first().map(|first| &first.ip))
    }),
    ("status.nominatedNodeName", |object| text(object.get::<Pod>()?.status.as_ref()?.nominated_node_name.as_ref())),
];

const EVENT: [Row; 11] = [
    ("involvedObject.kind", involved_kind),
    ("involvedObject.namespace", involved_namespace),
    ("involvedObject.name", involved_name),
    ("involvedObject.uid", involved_uid),
    ("involvedObject.apiVersion", involved_api_version),
    ("involvedObject.resourceVersion", involved_resource_version),
    ("involvedObject.fieldPath", involved_field_path),
    ("reason", event_reason),
    ("reportingComponent", event_reporter),
    ("source", event_source),
    ("type", event_type),
];

const NEW_EVENT: [Row; 10] = [
    ("regarding.kind", involved_kind),
    ("regarding.namespace", involved_namespace),
    ("regarding.name", involved_name),
    ("regarding.uid", involved_uid),
    ("regarding.apiVersion", involved_api_version),
    ("regarding.resourceVersion", involved_resource_version),
    ("regarding.fieldPath", involved_field_path),
    ("reason", event_reason),
    ("reportingController", event_reporter),
    ("type", event_type),
];

fn name(object: &Object) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(object.name()))
}

fn namespace(object: &Object) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(object.namespace()))
}

fn involved_kind(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.involved_object.kind.as_ref())
}

fn involved_namespace(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.involved_object.namespace.as_ref())
}

fn involved_name(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.involved_object.name.as_ref())
}

fn involved_uid(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.involved_object.uid.as_ref())
}

fn involved_api_version(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.involved_object.api_version.as_ref())
}

fn involved_resource_version(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.involved_object.resource_version.as_ref())
}

fn involved_field_path(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.involved_object.field_path.as_ref())
}

fn event_reason(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.reason.as_ref())
}

fn event_reporter(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.reporting_component.as_ref())
}

/// The old field, or the one that replaced it.
fn event_source(object: &Object) -> Option<Cow<'_, str>> {
    let event = object.get::<Event>()?;
    let source = event.source.as_ref().and_then(|source| source.component.as_ref());
    text(source.filter(|source| !source.is_empty()).or(event.reporting_component.as_ref()))
}

fn event_type(object: &Object) -> Option<Cow<'_, str>> {
    text(object.get::<Event>()?.type_.as_ref())
}

fn text(value: Option<&String>) -> Option<Cow<'_, str>> {
    value.map(|value| Cow::Borrowed(value.as_str()))
}

/// Source: upstream prints booleans with `strconv.FormatBool` and takes an absent one as false.
fn flag(value: Option<bool>) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(if value == Some(true) { "true" } else { "false" }))
}

fn number(value: i32) -> Option<Cow<'static, str>> {
    Some(Cow::Owned(value.to_string()))
}
