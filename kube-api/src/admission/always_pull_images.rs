//! Every start of a container asks the registry, so that nobody runs an image that they may not pull. Off unless added.

use async_trait::async_trait;
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::core::v1::Pod;

use super::{Admission, Attributes, Operation};

/// Source: `plugin/pkg/admission/alwayspullimages`.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysPullImages;

#[async_trait]
impl Admission for AlwaysPullImages {
    fn name(&self) -> &'static str {
        "AlwaysPullImages"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.operation != Operation::Delete && attributes.is_of("", "pods")
    }

    async fn admit(&self, _attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(pod) = object.as_any_mut().downcast_mut::<Pod>() else { return Ok(()) };
        let Some(spec) = &mut pod.spec else { return Ok(()) };
        let containers = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
        let policies = containers.map(|container| &mut container.image_pull_policy);
        let ephemeral =
            spec.ephemeral_containers.iter_mut().flatten().map(|container| &mut container.image_pull_policy);
        policies.chain(ephemeral).for_each(|policy| *policy = Some("Always".to_owned()));
        Ok(())
    }
}
