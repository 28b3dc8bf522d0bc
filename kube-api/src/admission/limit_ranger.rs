//! What containers get that ask for nothing, and how little and how much may be asked for in a namespace.

use async_trait::async_trait;
use coracle_core::{AnyResource, GroupResource, Status, limits};
use k8s_openapi::api::core::v1::{LimitRange, PersistentVolumeClaim, Pod};

use super::{Admission, Attributes, Operation};

/// Source: `plugin/pkg/admission/limitranger`.
#[derive(Clone, Copy, Debug)]
pub struct LimitRanger;

#[async_trait]
impl Admission for LimitRanger {
    fn name(&self) -> &'static str {
        "LimitRanger"
    }

    /// Pods are looked at when they are made or resized, claims whenever they change.
    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        let resized = attributes.target.subresource == "resize";
        let claims = attributes.operation != Operation::Delete && attributes.is_of("", "persistentvolumeclaims");
        (resized || claims || attributes.creates("", "pods"))
            && attributes.world.count(&GroupResource::of::<LimitRange>()) > 0
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(pod) = object.as_any_mut().downcast_mut::<Pod>() else { return Ok(()) };
        let ranges = attributes.world.list_in::<LimitRange>(&attributes.target.namespace);
        ranges.for_each(|range| limits::fill(&range, pod));
        Ok(())
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let Some(object) = object.map(AnyResource::as_any) else { return Ok(()) };
        let wrong = |range: &LimitRange| {
            let pod = object.downcast_ref::<Pod>().and_then(|pod| limits::check_pod(range, pod));
            let claim = || object.downcast_ref::<PersistentVolumeClaim>();
            pod.or_else(|| limits::check_claim(range, claim()?))
        };
        let mut ranges = attributes.world.list_in::<LimitRange>(&attributes.target.namespace);
        ranges.find_map(|range| wrong(&range)).map_or(Ok(()), |why| Err(attributes.forbid(why)))
    }
}
