//! A pod of a runtime class gets the class's overhead, and goes where the class runs.

use async_trait::async_trait;
use coracle_core::rules::same;
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::api::node::v1::{RuntimeClass, Scheduling};

use super::{Admission, Attributes};

const OTHER_OVERHEAD: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

/// Source: `plugin/pkg/admission/runtimeclass`.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClasses;

#[async_trait]
impl Admission for RuntimeClasses {
    fn name(&self) -> &'static str {
        "RuntimeClass"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.creates("", "pods")
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(pod) = object.as_any_mut().downcast_mut::<Pod>() else { return Ok(()) };
        let Some(spec) = &mut pod.spec else { return Ok(()) };
        let Some(class) = class_of(attributes, spec)? else { return Ok(()) };
        let fixed = class.overhead.as_ref().and_then(|overhead| overhead.pod_fixed.as_ref());
        if let Some(fixed) = fixed.filter(|fixed| !fixed.is_empty()) {
            if spec.overhead.as_ref().is_some_and(|set| !set.is_empty() && !same(set, fixed)) {
                return Err(attributes.forbid(OTHER_OVERHEAD));
            }
            spec.overhead = Some(fixed.clone());
        }
        class.scheduling.as_ref().map_or(Ok(()), |scheduling| schedule(attributes, scheduling, spec))
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let pod = object.and_then(|object| object.as_any().downcast_ref::<Pod>());
        let Some(spec) = pod.and_then(|pod| pod.spec.as_ref()) else { return Ok(()) };
        let class = class_of(attributes, spec)?;
        let set = spec.overhead.as_ref().filter(|set| !set.is_empty());
        match (class.as_ref().and_then(|class| class.overhead.as_ref()), set) {
            (Some(overhead), _) => {
                let fixed = overhead.pod_fixed.as_ref().filter(|fixed| !fixed.is_empty());
                if same(&fixed, &set) { Ok(()) } else { Err(attributes.forbid(OTHER_OVERHEAD)) }
            }
            (None, Some(_)) => {
                Err(attributes
                    .forbid("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"))
            }
            (None, None) => Ok(()),
        }
    }
}

fn class_of(attributes: &Attributes<'_>, spec: &PodSpec) -> Result<Option<std::sync::Arc<RuntimeClass>>, Status> {
    let Some(name) = spec.runtime_class_name.as_deref() else { return Ok(None) };
    let class = attributes.world.get::<RuntimeClass>("", name);
    class.map(Some).ok_or_else(|| attributes.forbid(format!("pod rejected: RuntimeClass \"{name}\" not found")))
}

fn schedule(attributes: &Attributes<'_>, scheduling: &Scheduling, spec: &mut PodSpec) -> Result<(), Status> {
    for (key, value) in scheduling.node_selector.iter().flatten() {
        let selector = spec.node_selector.get_or_insert_default();
        if let Some(other) = selector.insert(key.clone(), value.clone()).filter(|other| other != value) {
            return Err(attributes.forbid(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {other}"
            )));
        }
    }
    for toleration in scheduling.tolerations.iter().flatten() {
        let tolerations = spec.tolerations.get_or_insert_default();
        if !tolerations.contains(toleration) {
            tolerations.push(toleration.clone());
        }
    }
    Ok(())
}
