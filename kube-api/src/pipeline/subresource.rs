//! What is asked below an object: an order (bind, evict), another view of it (scale), or a part of it.

use std::any::Any;
use std::sync::Arc;

use coracle_core::{
    AnyResource, Body, Effect, GroupResource, Object, Patch, Request, Response, Status, Target, disruption, patch,
    scale,
};
use coracle_store::Expect;
use k8s_openapi::Resource as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::{Binding, Namespace, Pod, PodCondition, ReplicationController};
use k8s_openapi::api::policy::v1::{Eviction, PodDisruptionBudget};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause;

use serde_json::{Value, json};

use super::{Call, Overtaken, Pipeline, Prepared, encode};
use crate::admission::Operation;

/// Puts back everything but the part of the object that a subresource is about.
pub(super) fn keep_rest(part: &str, value: &mut dyn AnyResource, old: &dyn Any) {
    match part {
        "ephemeralcontainers" => keep(value, old, |new: &mut Pod, mut kept: Pod| {
            let wanted = new.spec.as_mut().and_then(|spec| spec.ephemeral_containers.take());
            kept.spec.get_or_insert_default().ephemeral_containers = wanted;
            kept
        }),
        "resize" => keep(value, old, |new: &mut Pod, mut kept: Pod| {
            let wanted = new.spec.take().unwrap_or_default();
            let wanted = || wanted.containers.iter().chain(wanted.init_containers.iter().flatten());
            let kept_spec = kept.spec.get_or_insert_default();
            let all = kept_spec.containers.iter_mut().chain(kept_spec.init_containers.iter_mut().flatten());
            for container in all {
                if let Some(wanted) = wanted().find(|wanted| wanted.name == container.name) {
                    container.resources.clone_from(&wanted.resources);
                    container.resize_policy.clone_from(&wanted.resize_policy);
                }
            }
            kept
        }),
        "finalize" => keep(value, old, |new: &mut Namespace, mut kept: Namespace| {
            kept.spec = new.spec.take();
            kept
        }),
        "approval" => keep(value, old, |new: &mut CertificateSigningRequest, mut kept: CertificateSigningRequest| {
            let wanted = new.status.take().and_then(|status| status.conditions);
            kept.status.get_or_insert_default().conditions = wanted;
            kept
        }),
        _ => {}
    }
}

fn keep<K: Clone + 'static>(value: &mut dyn AnyResource, old: &dyn Any, merge: fn(&mut K, K) -> K) {
    if let (Some(new), Some(old)) = (value.as_any_mut().downcast_mut::<K>(), old.downcast_ref::<K>()) {
        *new = merge(new, old.clone());
    }
}

impl Pipeline {
    /// Source: `BindingREST.setPodNodeAndMetadata`.
    pub(super) async fn bind(&self, call: &mut Call<'_>, body: &Body) -> Result<Prepared, Status> {
        let mut binding: Binding = order(body)?;
        let existing = call.existing()?;
        self.admit_order(call, Operation::Create, None, &mut binding).await?;
        let mut value = existing.value().duplicate();
        let Some(pod) = value.as_any_mut().downcast_mut::<Pod>() else { return Err(Status::method_not_allowed()) };
        check_binding(call, &binding, pod)?;
        self.review(call, Operation::Create, Some(&existing), Some(&binding)).await?;
        let node = binding.target.name.clone().unwrap_or_default();
        let spec = pod.spec.get_or_insert_default();
        spec.node_name = Some(node);
        for (key, value) in binding.metadata.annotations.into_iter().flatten() {
            pod.metadata.annotations.get_or_insert_default().insert(key, value);
        }
        let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
        conditions.retain(|condition| condition.type_ != "PodScheduled");
        conditions.push(PodCondition {
            type_: "PodScheduled".to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(self.clock.time()),
            observed_generation: existing.metadata().generation,
            ..PodCondition::default()
        });
        let stored = encode(&mut *value)?;
        call.submit(value, stored, Expect::Revision(existing.revision()), Effect::Updated, None)
    }

    /// Source: `EvictionREST.Create`.
    pub(super) async fn evict(&self, call: &mut Call<'_>, body: &Body) -> Result<Prepared, Status> {
        let mut eviction = eviction(body)?;
        let existing = call.existing()?;
        self.admit_order(call, Operation::Create, None, &mut eviction).await?;
        let Some(pod) = existing.shared::<Pod>() else { return Err(Status::method_not_allowed()) };
        if eviction.metadata.name.as_deref().is_some_and(|name| !name.is_empty() && name != call.target.name) {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        self.review(call, Operation::Create, Some(&existing), Some(&eviction)).await?;
        let mut options = eviction.delete_options.unwrap_or_default();
        let mut how = call.options.clone();
        how.dry_run |= options.dry_run.as_ref().is_some_and(|values| !values.is_empty());
        let free = existing.is_terminating() || is_over(&pod);
        let spent = if free {
            Spent::Nothing("of the pod".to_owned())
        } else {
            self.spend_budget(call, &pod, how.dry_run).await?
        };
        // Marking makes a new version; who asked for the one that is there means that one.
        let now = existing.revision().to_string();
        let asked = options.preconditions.as_mut().and_then(|asked| asked.resource_version.take_if(|it| *it == now));
        let outdated = options.preconditions.as_ref().is_some_and(|asked| asked.resource_version.is_some());
        if !existing.is_terminating() && !outdated {
            // Who is let go because it is not ready may not have become ready meanwhile.
            let version = pod.metadata.resource_version.clone();
            let spared = match spent {
                Spent::Nothing(budget) if !is_terminal(&pod) => Some(disruption::still_processed(&budget)),
                _ => asked.map(|_| Status::stale(&call.kind.group_resource(), &call.target.name)),
            };
            self.mark_evicted(call, version.zip(spared), how.dry_run).await?;
        }
        let mut delete = Request::delete_object(&existing, options);
        delete.options = how;
        // The order was admitted; the deletion is only how it is carried out.
        let response = Box::pin(self.run_one(delete, true)).await?;
        let warnings = call.take_warnings();
        Ok(Prepared::Done(Response { effect: Effect::Created, warnings, ..response }))
    }

    /// Says in the pod's status why it goes; if it must be of `only` one version, others are refused so. Source: `addConditionAndDeletePod`.
    async fn mark_evicted(&self, call: &Call<'_>, only: Option<(String, Status)>, dry_run: bool) -> Result<(), Status> {
        let now = self.clock.time();
        let edit = move |pod: &mut Pod| {
            if let Some((version, refusal)) = &only
                && pod.metadata.resource_version.as_ref() != Some(version)
            {
                return Err(refusal.clone());
            }
            let generation = pod.metadata.generation;
            let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
            conditions.retain(|condition| condition.type_ != "DisruptionTarget");
            conditions.push(PodCondition {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
                reason: Some("EvictionByEvictionAPI".to_owned()),
                message: Some("Eviction API: evicting".to_owned()),
                last_transition_time: Some(now.clone()),
                observed_generation: generation,
                ..PodCondition::default()
            });
            Ok(())
        };
        let target = Target::named::<Pod>(&call.target.namespace, &call.target.name).below("status");
        let mut request = Request::edit(target, edit);
        request.options.dry_run = dry_run;
        Box::pin(self.run_one(request, true)).await.map(drop)
    }

    /// Takes one disruption from the pod's budget, if it has one and the pod counts for it.
    async fn spend_budget(&self, call: &Call<'_>, pod: &Pod, dry_run: bool) -> Result<Spent, Status> {
        let budgets: Vec<_> = call
            .world
            .list_in::<PodDisruptionBudget>(&call.target.namespace)
            .filter(|budget| disruption::covers(budget, pod))
            .collect();
        let budget = match budgets.as_slice() {
            [] => return Ok(Spent::Free),
            [one] => one,
            _ => {
                let why =
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(Status::internal(why));
            }
        };
        if disruption::spares(budget, pod) {
            return Ok(Spent::Nothing(budget.metadata.name.clone().unwrap_or_default()));
        }
        let (pod, now) = (call.target.name.clone().into_owned(), self.clock.time());
        let edit = move |budget: &mut PodDisruptionBudget| disruption::spend(budget, &pod, &now);
        let mut request = Request::edit(Target::of(&**budget).below("status"), edit);
        request.options.dry_run = dry_run;
        Box::pin(self.run(request)).await.map(|_| Spent::One)
    }

    pub(super) async fn update_scale(&self, call: &mut Call<'_>, body: &Body) -> Result<Prepared, Status> {
        let existing = call.existing()?;
        let wanted: Scale = order(body)?;
        let stale = super::create::revision_of(&wanted.metadata).map(|_| Overtaken::Stale(call.kind.clone()));
        self.set_scale(call, &existing, wanted, stale).await
    }

    pub(super) async fn patch_scale(&self, call: &mut Call<'_>, wish: &Patch) -> Result<Prepared, Status> {
        let existing = call.existing()?;
        if let Patch::Apply { body, force } = wish
            && call.kind.custom.is_none()
        {
            let applied = call.configuration(body)?;
            check_scale(&applied)?;
            let replicas = applied.pointer("/spec/replicas").and_then(Value::as_i64).map(|it| it as i32);
            let mut wanted = Scale { spec: Some(ScaleSpec { replicas }), ..Scale::default() };
            self.admit_scale(call, &existing, &mut wanted).await?;
            let whole = call.scaled(&applied, &wanted);
            return self.apply(call, whole, *force).await;
        }
        let current = scale(&call.kind, &existing).ok_or_else(Status::no_such_path)?;
        let mut scale = serde_json::to_value(&current).map_err(Status::internal)?;
        let (Patch::Json(text) | Patch::Merge(text) | Patch::Strategic(text) | Patch::Apply { body: text, .. }) = wish;
        let text = super::patch::parse(text)?;
        let patched = if matches!(wish, Patch::Json(_)) {
            patch::json(&mut scale, &text)
        } else {
            patch::merge(&mut scale, &text)
        };
        patched.map_err(|error| call.refuse(&error))?;
        let wanted = serde_json::from_value(scale).map_err(|error| Status::bad_request(error.to_string()))?;
        // If another writer comes first, the patch is made again, of the newer scale.
        self.set_scale(call, &existing, wanted, None).await
    }

    async fn set_scale(
        &self,
        call: &mut Call<'_>,
        existing: &Arc<Object>,
        mut wanted: Scale,
        stale: Option<Overtaken>,
    ) -> Result<Prepared, Status> {
        self.admit_scale(call, existing, &mut wanted).await?;
        let replicas = wanted.spec.and_then(|spec| spec.replicas).unwrap_or(0);
        if replicas < 0 {
            let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
            let cause = StatusCause {
                field: Some("spec.replicas".to_owned()),
                message: Some(message),
                reason: Some("FieldValueInvalid".to_owned()),
            };
            return Err(Status::invalid(("autoscaling", "Scale"), &call.target.name, vec![cause]));
        }
        super::update::check_version(call, &wanted.metadata, existing)?;
        let mut value = existing.value().duplicate();
        match &call.kind.custom {
            Some(custom) => value = crate::custom::set_replicas(custom, call.stored.codec, &*value, replicas)?,
            None => *replicas_of(value.as_any_mut()).ok_or_else(Status::no_such_path)? = Some(replicas),
        }
        value.metadata_mut().resource_version = None;
        self.update(call, existing, value, stale).await
    }

    /// Admission sees the Scale, and not the object it is of.
    async fn admit_scale(&self, call: &mut Call<'_>, existing: &Arc<Object>, wanted: &mut Scale) -> Result<(), Status> {
        let current = scale(&call.kind, existing).ok_or_else(Status::no_such_path)?;
        complete(wanted, &current);
        let current = Object::transient(call.kind.clone(), Box::new(current)).map_err(Status::internal)?;
        self.admit_order(call, Operation::Update, Some(&current), wanted).await?;
        call.admitted = true;
        Ok(())
    }
}

impl Call<'_> {
    /// What an applied Scale says of the object itself. Its owner owns the object's replicas, through the subresource.
    fn scaled(&self, applied: &Value, wanted: &Scale) -> Value {
        let version = applied.pointer("/metadata/resourceVersion");
        let metadata = version.map_or_else(|| json!({}), |version| json!({ "resourceVersion": version }));
        let replicas = wanted.spec.as_ref().and_then(|spec| spec.replicas);
        let spec = replicas.map_or_else(|| json!({}), |replicas| json!({ "replicas": replicas }));
        json!({ "apiVersion": self.kind.api_version(), "kind": self.kind.kind, "metadata": metadata, "spec": spec })
    }
}

fn check_scale(applied: &Value) -> Result<(), Status> {
    let text = |name| applied.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if (api_version, kind) == ("autoscaling/v1", "Scale") {
        return Ok(());
    }
    let slash = if api_version.contains('/') { "" } else { "/" };
    Err(Status::bad_request(format!("invalid object type: {slash}{api_version}, Kind={kind}")))
}

/// Gives a wanted scale the identity of the current one, where it says nothing else.
fn complete(wanted: &mut Scale, current: &Scale) {
    let (new, old) = (&mut wanted.metadata, &current.metadata);
    for (new, old) in [(&mut new.name, &old.name), (&mut new.namespace, &old.namespace), (&mut new.uid, &old.uid)] {
        if new.as_deref().unwrap_or("").is_empty() {
            new.clone_from(old);
        }
    }
    new.creation_timestamp.clone_from(&old.creation_timestamp);
    wanted.status.clone_from(&current.status);
}

fn replicas_of(value: &mut dyn Any) -> Option<&mut Option<i32>> {
    if value.is::<Deployment>() {
        return Some(&mut value.downcast_mut::<Deployment>()?.spec.as_mut()?.replicas);
    }
    if value.is::<ReplicaSet>() {
        return Some(&mut value.downcast_mut::<ReplicaSet>()?.spec.as_mut()?.replicas);
    }
    if value.is::<StatefulSet>() {
        return Some(&mut value.downcast_mut::<StatefulSet>()?.spec.as_mut()?.replicas);
    }
    Some(&mut value.downcast_mut::<ReplicationController>()?.spec.as_mut()?.replicas)
}

/// Clients before 1.22 name an older version, which says the same. Source: `EvictionREST.AcceptsGroupVersion`.
fn eviction(body: &Body) -> Result<Eviction, Status> {
    let Body::Json(json) = body else { return order(body) };
    let refuse = |error: serde_json::Error| Status::bad_request(error.to_string());
    let mut value: serde_json::Value = serde_json::from_slice(json).map_err(refuse)?;
    if let Some(version) = value.get_mut("apiVersion").filter(|version| **version == "policy/v1beta1") {
        *version = Eviction::API_VERSION.into();
    }
    serde_json::from_value(value).map_err(refuse)
}

/// The body of an order: a value of its type, or JSON.
pub(super) fn order<K: serde::de::DeserializeOwned + Clone + 'static>(body: &Body) -> Result<K, Status> {
    match body {
        Body::Value(value) => match value.as_any().downcast_ref::<K>() {
            Some(value) => Ok(value.clone()),
            None => Err(Status::bad_request("the body is of another kind than this path takes")),
        },
        Body::Json(json) => serde_json::from_slice(json).map_err(|error| Status::bad_request(error.to_string())),
    }
}

fn check_binding(call: &Call<'_>, binding: &Binding, pod: &Pod) -> Result<(), Status> {
    let name = &call.target.name;
    let refuse = |why: String| {
        let pods = GroupResource::new("", "pods/binding");
        Err(Status::conflict(&pods, name, why))
    };
    let kind = binding.target.kind.as_deref().unwrap_or("");
    if !matches!(kind, "" | "Node") {
        return Err(Status::bad_request(format!(
            "target.kind: Unsupported value: {kind:?}: supported values: \"Node\""
        )));
    }
    if binding.target.name.as_deref().unwrap_or("").is_empty() {
        return Err(Status::bad_request("target.name: Required value"));
    }
    if binding.metadata.uid.as_ref().is_some_and(|uid| !uid.is_empty() && Some(uid) != pod.metadata.uid.as_ref()) {
        let (asked, found) = (binding.metadata.uid.as_deref().unwrap_or(""), pod.metadata.uid.as_deref().unwrap_or(""));
        return refuse(format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {found}"));
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return refuse(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let spec = pod.spec.as_ref();
    if let Some(node) = spec.and_then(|spec| spec.node_name.as_deref()).filter(|node| !node.is_empty()) {
        return refuse(format!("pod {name} is already assigned to node \"{node}\""));
    }
    if spec.and_then(|spec| spec.scheduling_gates.as_ref()).is_some_and(|gates| !gates.is_empty()) {
        return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    Ok(())
}

/// What an eviction costs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spent {
    /// The pod has no budget.
    Free,
    /// The pod does not count for its budget, which has this name.
    Nothing(String),
    /// One disruption.
    One,
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("")
}

fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the pod can go without asking its budget. Source: `canIgnorePDB`.
fn is_over(pod: &Pod) -> bool {
    is_terminal(pod) || phase(pod) == "Pending"
}
