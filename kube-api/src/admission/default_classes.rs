//! Claims and Ingresses that name no class get the default one, if there is one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use coracle_core::{AnyResource, Resource, Status, World};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::api::storage::v1::StorageClass;

use super::{Admission, Attributes};

/// Source: `plugin/pkg/admission/storage/storageclass/setdefault`.
#[derive(Clone, Copy, Debug)]
pub struct DefaultStorageClass;

/// Source: `plugin/pkg/admission/network/defaultingressclass`.
#[derive(Clone, Copy, Debug)]
pub struct DefaultIngressClass;

#[async_trait]
impl Admission for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.creates("", "persistentvolumeclaims")
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(claim) = object.as_any_mut().downcast_mut::<PersistentVolumeClaim>() else { return Ok(()) };
        let spec = claim.spec.get_or_insert_default();
        if spec.storage_class_name.is_none()
            && !has(&claim.metadata.annotations, "volume.beta.kubernetes.io/storage-class")
        {
            let marks =
                ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
            spec.storage_class_name = default_class::<StorageClass>(attributes.world, &marks);
        }
        Ok(())
    }
}

#[async_trait]
impl Admission for DefaultIngressClass {
    fn name(&self) -> &'static str {
        "DefaultIngressClass"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.creates("networking.k8s.io", "ingresses")
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(ingress) = object.as_any_mut().downcast_mut::<Ingress>() else { return Ok(()) };
        let spec = ingress.spec.get_or_insert_default();
        if spec.ingress_class_name.is_none() && !has(&ingress.metadata.annotations, "kubernetes.io/ingress.class") {
            let marks = ["ingressclass.kubernetes.io/is-default-class"];
            spec.ingress_class_name = default_class::<IngressClass>(attributes.world, &marks);
        }
        Ok(())
    }
}

fn has(annotations: &Option<BTreeMap<String, String>>, key: &str) -> bool {
    annotations.as_ref().is_some_and(|annotations| annotations.contains_key(key))
}

/// The newest class that is marked as the default, by name if several are as new.
fn default_class<K: Resource>(world: &World, marks: &[&str]) -> Option<String> {
    let is_marked = |class: &std::sync::Arc<K>| {
        let annotations = AnyResource::metadata(&**class).annotations.as_ref();
        let holds = |mark: &&str| annotations.and_then(|it| it.get(*mark)).is_some_and(|value| value == "true");
        marks.iter().any(holds)
    };
    let newest = world.list::<K>().filter(is_marked).min_by_key(|class| {
        let metadata = AnyResource::metadata(&**class);
        (Reverse(metadata.creation_timestamp.as_ref().map(|time| time.0)), metadata.name.clone())
    })?;
    AnyResource::metadata(&*newest).name.clone()
}
