//! Claims grow only where their class allows it.

use async_trait::async_trait;
use coracle_core::quota::Amounts;
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;

use super::{Admission, Attributes, Operation};

/// Source: `plugin/pkg/admission/storage/persistentvolume/resize`.
#[derive(Clone, Copy, Debug)]
pub struct ClaimResize;

#[async_trait]
impl Admission for ClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.operation == Operation::Update && attributes.is_of("", "persistentvolumeclaims")
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let new = object.and_then(|object| object.as_any().downcast_ref::<PersistentVolumeClaim>());
        let old = attributes.old.and_then(|old| old.get::<PersistentVolumeClaim>());
        let (Some(new), Some(old)) = (new, old) else { return Ok(()) };
        if size(new) <= size(old) {
            return Ok(());
        }
        if old.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Bound") {
            return Err(attributes.forbid("Only bound persistent volume claims can be expanded"));
        }
        let class = |claim: &PersistentVolumeClaim| claim.spec.as_ref()?.storage_class_name.clone();
        let class = class(new).or_else(|| class(old)).unwrap_or_default();
        let class = attributes.world.get::<StorageClass>("", &class);
        if class.and_then(|class| class.allow_volume_expansion) == Some(true) {
            return Ok(());
        }
        Err(attributes.forbid(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        ))
    }
}

fn size(claim: &PersistentVolumeClaim) -> coracle_core::quantity::Quantity {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    Amounts::of(resources.and_then(|resources| resources.requests.as_ref())).get("storage").unwrap_or_default()
}
