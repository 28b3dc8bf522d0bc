//! What pods of a namespace may ask for, by its labels.

use std::collections::BTreeMap;

use async_trait::async_trait;
use coracle_core::pod_security::{Level, LevelVersion, Policy, details, reasons, violations};
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Pod, PodSpec, PodTemplate, PodTemplateSpec, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Admission, Attributes, Operation};

/// Pods that are looked at when the level of a namespace changes.
const EXEMPT: &str = "pod-security.kubernetes.io/exempt";
const PODS_MAX: usize = 3000;

/// Source: `k8s.io/pod-security-admission`.
#[derive(Clone, Debug, Default)]
pub struct PodSecurity {
    /// What holds for namespaces without labels. Default: everything is privileged.
    pub defaults: Policy,
    /// What is not looked at. Default: nothing.
    pub exemptions: Exemptions,
}

/// Pods that are not looked at.
#[derive(Clone, Debug, Default)]
pub struct Exemptions {
    /// Those that these users make.
    pub users: Vec<String>,
    /// Those in these namespaces.
    pub namespaces: Vec<String>,
    /// Those of these runtime classes.
    pub runtime_classes: Vec<String>,
}

#[async_trait]
impl Admission for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        let (group, kind) = (&*attributes.kind.group, &*attributes.kind.kind);
        let looked_at = match (group, kind) {
            ("", "Pod") => matches!(&*attributes.target.subresource, "" | "ephemeralcontainers" | "resize"),
            ("", "Namespace" | "PodTemplate" | "ReplicationController")
            | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
            | ("batch", "Job" | "CronJob") => attributes.target.subresource.is_empty(),
            _ => false,
        };
        looked_at && attributes.operation != Operation::Delete
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let Some(object) = object.map(AnyResource::as_any) else { return Ok(()) };
        if let Some(namespace) = object.downcast_ref::<Namespace>() {
            return self.review_namespace(attributes, namespace);
        }
        let name = &attributes.target.namespace;
        let namespace = attributes.world.get::<Namespace>("", name);
        let labels = namespace.as_ref().and_then(|namespace| namespace.metadata.labels.as_ref());
        let (policy, _) = Policy::of(labels, self.defaults);
        if [policy.enforce, policy.audit, policy.warn].iter().all(|mode| mode.level == Level::Privileged) {
            return Ok(());
        }
        let Exemptions { users, namespaces, .. } = &self.exemptions;
        let exempt = [
            ("namespace", namespaces.iter().any(|exempt| exempt == name)),
            ("user", users.contains(&attributes.user.name)),
        ];
        if let Some((why, _)) = exempt.into_iter().find(|(_, is_exempt)| *is_exempt) {
            attributes.notes.annotate(EXEMPT, why);
            return Ok(());
        }
        if let Some(pod) = object.downcast_ref::<Pod>() {
            let old = attributes.old.and_then(|old| old.get::<Pod>());
            if old.is_some_and(|old| !is_significant(pod, old)) {
                return Ok(());
            }
            let Some(spec) = &pod.spec else { return Ok(()) };
            return self.review_pod(attributes, policy, &pod.metadata, spec, true);
        }
        let template = template(object);
        let Some((metadata, spec)) = template.and_then(|it| Some((it.metadata.as_ref(), it.spec.as_ref()?))) else {
            return Ok(());
        };
        let none = ObjectMeta::default();
        self.review_pod(attributes, policy, metadata.unwrap_or(&none), spec, false)
    }
}

impl PodSecurity {
    fn review_pod(
        &self,
        attributes: &Attributes<'_>,
        policy: Policy,
        metadata: &ObjectMeta,
        spec: &PodSpec,
        enforce: bool,
    ) -> Result<(), Status> {
        if self.is_exempt(spec) {
            attributes.notes.annotate(EXEMPT, "runtimeClass");
            return Ok(());
        }
        let mut refused = None;
        if enforce {
            attributes.notes.annotate("pod-security.kubernetes.io/enforce-policy", policy.enforce.to_string());
            let found = violations(policy.enforce, metadata, spec);
            if !found.is_empty() {
                let why = format!("violates PodSecurity \"{}\": {}", policy.enforce, details(&found));
                refused = Some(attributes.forbid(why));
            }
        }
        let found = violations(policy.audit, metadata, spec);
        if !found.is_empty() {
            let what = format!("would violate PodSecurity \"{}\": {}", policy.audit, details(&found));
            attributes.notes.annotate("pod-security.kubernetes.io/audit-violations", what);
        }
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        let found = violations(policy.warn, metadata, spec);
        if !found.is_empty() {
            attributes.notes.warn(format!("would violate PodSecurity \"{}\": {}", policy.warn, details(&found)));
        }
        Ok(())
    }

    /// Labels must be right, or at least as wrong as before; pods that a stricter level would refuse are told of.
    fn review_namespace(&self, attributes: &Attributes<'_>, namespace: &Namespace) -> Result<(), Status> {
        let name = namespace.metadata.name.as_deref().unwrap_or("");
        let (policy, errors) = Policy::of(namespace.metadata.labels.as_ref(), self.defaults);
        let old = attributes.old.and_then(|old| old.get::<Namespace>());
        let old = old.map(|old| Policy::of(old.metadata.labels.as_ref(), self.defaults));
        if !errors.is_empty() && old.as_ref().is_none_or(|(_, before)| *before != errors) {
            return Err(Status::invalid(("", "Namespace"), name, errors.to_causes()));
        }
        let Some((old, _)) = old else { return Ok(()) };
        let (new, old) = (policy.enforce, old.enforce);
        let relaxed = new.version == old.version && new.level <= old.level;
        let exempt = self.exemptions.namespaces.iter().any(|exempt| exempt == name);
        if !new.is_equivalent(&old) && new.level != Level::Privileged && !relaxed && !exempt {
            self.warn_of_pods(attributes, name, new);
        }
        Ok(())
    }

    fn warn_of_pods(&self, attributes: &Attributes<'_>, namespace: &str, enforce: LevelVersion) {
        let pods: Vec<_> = attributes.world.list_in::<Pod>(namespace).collect();
        // Pods with the same violations are told of once, by the first name.
        let mut found: BTreeMap<String, (&str, usize)> = BTreeMap::new();
        for pod in pods.iter().take(PODS_MAX) {
            let Some(spec) = pod.spec.as_ref().filter(|spec| !self.is_exempt(spec)) else { continue };
            let violations = violations(enforce, &pod.metadata, spec);
            if !violations.is_empty() {
                let name = pod.metadata.name.as_deref().unwrap_or("");
                found.entry(reasons(&violations)).or_insert((name, 0)).1 += 1;
            }
        }
        let count = pods.len();
        if count > PODS_MAX {
            attributes.notes.warn(format!(
                "new PodSecurity enforce level only checked against the first {PODS_MAX} of {count} existing pods"
            ));
        }
        if found.is_empty() {
            return;
        }
        attributes.notes.warn(format!(
            "existing pods in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{enforce}\""
        ));
        let mut warnings: Vec<_> =
            found.into_iter().map(|(why, (name, count))| with_others(name, count, &why)).collect();
        warnings.sort_unstable();
        warnings.into_iter().for_each(|warning| attributes.notes.warn(warning));
    }

    fn is_exempt(&self, spec: &PodSpec) -> bool {
        let class = spec.runtime_class_name.as_ref().filter(|class| !class.is_empty());
        class.is_some_and(|class| self.exemptions.runtime_classes.contains(class))
    }
}

/// `web-1 (and 2 other pods): privileged`
fn with_others(name: &str, count: usize, why: &str) -> String {
    match count {
        1 => format!("{name}: {why}"),
        2 => format!("{name} (and 1 other pod): {why}"),
        _ => format!("{name} (and {} other pods): {why}", count - 1),
    }
}

/// The template of the pods that a workload makes.
fn template(object: &dyn std::any::Any) -> Option<&PodTemplateSpec> {
    if let Some(it) = object.downcast_ref::<PodTemplate>() {
        return it.template.as_ref();
    }
    if let Some(it) = object.downcast_ref::<ReplicationController>() {
        return it.spec.as_ref()?.template.as_ref();
    }
    if let Some(it) = object.downcast_ref::<ReplicaSet>() {
        return it.spec.as_ref()?.template.as_ref();
    }
    if let Some(it) = object.downcast_ref::<Deployment>() {
        return Some(&it.spec.as_ref()?.template);
    }
    if let Some(it) = object.downcast_ref::<DaemonSet>() {
        return Some(&it.spec.as_ref()?.template);
    }
    if let Some(it) = object.downcast_ref::<StatefulSet>() {
        return Some(&it.spec.as_ref()?.template);
    }
    if let Some(it) = object.downcast_ref::<Job>() {
        return Some(&it.spec.as_ref()?.template);
    }
    let it = object.downcast_ref::<CronJob>()?;
    Some(&it.spec.job_template.spec.as_ref()?.template)
}

/// Whether an update changes what checks look at: images, containers, profiles in annotations.
fn is_significant(new: &Pod, old: &Pod) -> bool {
    const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/";
    fn annotations(pod: &Pod) -> Vec<(&String, &String)> {
        pod.metadata.annotations.iter().flatten().filter(|(key, _)| key.contains(SECCOMP)).collect()
    }
    fn images(pod: &Pod) -> Vec<(&str, Option<&str>)> {
        let spec = pod.spec.iter();
        let containers = spec.clone().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
        let ephemeral = spec.flat_map(|spec| spec.ephemeral_containers.iter().flatten());
        let containers = containers.map(|container| (container.name.as_str(), container.image.as_deref()));
        containers.chain(ephemeral.map(|container| (container.name.as_str(), container.image.as_deref()))).collect()
    }
    annotations(new) != annotations(old) || images(new) != images(old)
}
