//! What an autoscaler scales: any object with a scale, and the pods behind it.

use std::sync::Arc;

use coracle_core::kind::split_api_version;
use coracle_core::selector::Selector;
use coracle_core::{Action, Body, GroupResource, Kind, ObjectKey, Request, Status, World, scale};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;

/// The target of one autoscaler, as it was when looked at.
#[derive(Debug)]
pub(super) struct Target {
    resource: GroupResource,
    version: String,
    scale: Scale,
    /// The pods that its selector names, in key order; or why there is no telling.
    pub(super) pods: Result<Vec<Arc<Pod>>, NoPods>,
}

/// Why it is not known which pods are scaled: the reason of event and condition, and their texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoPods {
    pub(super) reason: &'static str,
    pub(super) event: String,
    pub(super) condition_reason: &'static str,
    pub(super) condition: String,
}

impl Target {
    /// The target of an autoscaler.
    ///
    /// # Errors
    /// Why there is none, as conditions tell it.
    pub(super) fn find(autoscaler: &HorizontalPodAutoscaler, world: &World) -> Result<Self, String> {
        let (kind, scale) = find_scale(autoscaler, world)?;
        let pods = find_pods(autoscaler, &scale, world);
        let (resource, version) = (kind.group_resource(), kind.version.to_string());
        Ok(Self { resource, version, scale, pods })
    }

    /// How many replicas are wanted now.
    pub(super) fn replicas(&self) -> i32 {
        self.scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)
    }

    /// How many replicas there are.
    pub(super) fn status_replicas(&self) -> i32 {
        self.scale.status.as_ref().map_or(0, |status| status.replicas)
    }

    /// The request for another size; refused if the target has changed since.
    pub(super) fn scaled(&self, replicas: i32) -> Request {
        let metadata = &self.scale.metadata;
        let text = |text: &Option<String>| text.clone().unwrap_or_default().into();
        let target = coracle_core::Target {
            resource: self.resource.clone(),
            version: Some(self.version.clone().into()),
            namespace: text(&metadata.namespace),
            name: text(&metadata.name),
            subresource: "scale".into(),
        };
        let scale = Scale { spec: Some(ScaleSpec { replicas: Some(replicas) }), ..self.scale.clone() };
        Request::new(target, Action::Update(Body::Value(Box::new(scale))))
    }
}

fn find_scale(autoscaler: &HorizontalPodAutoscaler, world: &World) -> Result<(Arc<Kind>, Scale), String> {
    let reference = &autoscaler.spec.scale_target_ref;
    let api_version = reference.api_version.as_deref().unwrap_or("");
    let (group, _) = split_api_version(api_version);
    let kinds = world.kinds();
    let same_group = || kinds.iter().find(|kind| kind.group == group && kind.kind == reference.kind);
    let kind = kinds.by_kind(api_version, &reference.kind).or_else(same_group);
    let kind = kind.ok_or_else(|| format!("no matches for kind {:?} in group {group:?}", reference.kind))?;
    let namespace = if kind.namespaced { autoscaler.metadata.namespace.as_deref().unwrap_or("") } else { "" };
    let object = world.object(&kind.storage, ObjectKey::new(namespace, &reference.name).as_str());
    let missing = || Status::not_found(&kind.group_resource(), &reference.name).message().to_owned();
    let scale = scale(kind, object.ok_or_else(missing)?);
    Ok((kind.clone(), scale.ok_or("the server could not find the requested resource")?))
}

/// Source: `validateAndParseSelector`.
fn find_pods(autoscaler: &HorizontalPodAutoscaler, scale: &Scale, world: &World) -> Result<Vec<Arc<Pod>>, NoPods> {
    let text = selector_of(scale);
    if text.is_empty() {
        return Err(NoPods {
            reason: "SelectorRequired",
            event: "selector is required".to_owned(),
            condition_reason: "InvalidSelector",
            condition: "the HPA target's scale is missing a selector".to_owned(),
        });
    }
    let same = |reason, text: String| NoPods { reason, event: text.clone(), condition_reason: reason, condition: text };
    let selector = Selector::parse(text).map_err(|error| {
        let why = format!("couldn't convert selector into a corresponding internal selector object: {error}");
        same("InvalidSelector", why)
    })?;
    let namespace = autoscaler.metadata.namespace.as_deref().unwrap_or("");
    let pods = world.list_in::<Pod>(namespace);
    let pods: Vec<_> = pods.filter(|pod| selector.matches_optional(pod.metadata.labels.as_ref())).collect();
    let rivals = rivals(autoscaler, &pods, world);
    if rivals.len() > 1 {
        let why = format!("pods by selector {text} are controlled by multiple HPAs: [{}]", rivals.join(" "));
        return Err(same("AmbiguousSelector", why));
    }
    Ok(pods)
}

fn selector_of(scale: &Scale) -> &str {
    scale.status.as_ref().and_then(|status| status.selector.as_deref()).unwrap_or("")
}

/// Every autoscaler, this one too, that scales some of these pods.
fn rivals(autoscaler: &HorizontalPodAutoscaler, pods: &[Arc<Pod>], world: &World) -> Vec<String> {
    let namespace = autoscaler.metadata.namespace.as_deref().unwrap_or("");
    let scales_one_of_them = |other: &HorizontalPodAutoscaler| {
        let Ok((_, scale)) = find_scale(other, world) else { return false };
        let Ok(selector) = Selector::parse(selector_of(&scale)) else { return false };
        !selector.is_everything() && pods.iter().any(|pod| selector.matches_optional(pod.metadata.labels.as_ref()))
    };
    let all = world.list_in::<HorizontalPodAutoscaler>(namespace);
    all.filter(|other| scales_one_of_them(other)).map(|other| ObjectKey::of(&other.metadata).to_string()).collect()
}
