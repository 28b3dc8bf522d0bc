//! Pods that ask for extended resources tolerate the taints of the nodes that are kept for those. Off unless added.

use async_trait::async_trait;
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::core::v1::{Pod, Toleration};

use super::{Admission, Attributes, Operation};

/// Source: `plugin/pkg/admission/extendedresourcetoleration`.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedResourceToleration;

#[async_trait]
impl Admission for ExtendedResourceToleration {
    fn name(&self) -> &'static str {
        "ExtendedResourceToleration"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.operation != Operation::Delete && attributes.is_of("", "pods")
    }

    async fn admit(&self, _attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(pod) = object.as_any_mut().downcast_mut::<Pod>() else { return Ok(()) };
        let Some(spec) = &mut pod.spec else { return Ok(()) };
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let requests = containers.filter_map(|container| container.resources.as_ref()?.requests.as_ref());
        let names = requests.flat_map(|requests| requests.keys());
        let mut names: Vec<_> = names.filter(|name| coracle_core::quota::is_extended(name)).cloned().collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let toleration = Toleration {
                key: Some(name),
                operator: Some("Exists".to_owned()),
                effect: Some("NoSchedule".to_owned()),
                ..Toleration::default()
            };
            let tolerations = spec.tolerations.get_or_insert_default();
            if !tolerations.contains(&toleration) {
                tolerations.push(toleration);
            }
        }
        Ok(())
    }
}
