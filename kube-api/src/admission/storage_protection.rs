//! Claims and volumes stay until nobody uses them: a finalizer, which a controller takes away.

use async_trait::async_trait;
use coracle_core::{AnyResource, Status};

use super::{Admission, Attributes};

/// Source: `plugin/pkg/admission/storage/storageobjectinuseprotection`.
#[derive(Clone, Copy, Debug)]
pub struct StorageProtection;

#[async_trait]
impl Admission for StorageProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.creates("", "persistentvolumeclaims") || attributes.creates("", "persistentvolumes")
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let finalizer = match &*attributes.kind.plural {
            "persistentvolumes" => "kubernetes.io/pv-protection",
            _ => "kubernetes.io/pvc-protection",
        };
        let finalizers = object.metadata_mut().finalizers.get_or_insert_default();
        if !finalizers.iter().any(|held| held == finalizer) {
            finalizers.push(finalizer.to_owned());
        }
        Ok(())
    }
}
