//! The claims, volumes and classes that the volumes of pods depend on.

use std::collections::HashMap;
use std::sync::Arc;

use coracle_core::{Event, World};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

/// Everything about storage, by name.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    claims: HashMap<String, Arc<PersistentVolumeClaim>>,
    volumes: HashMap<String, Arc<PersistentVolume>>,
    classes: HashMap<String, Arc<StorageClass>>,
}

impl Storage {
    pub(super) fn load(&mut self, world: &World) {
        let key = |claim: &PersistentVolumeClaim| coracle_core::ObjectKey::of(&claim.metadata).to_string();
        self.claims = world.list::<PersistentVolumeClaim>().map(|claim| (key(&claim), claim)).collect();
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        self.volumes = world.list::<PersistentVolume>().map(|it| (name(&it.metadata.name), it)).collect();
        self.classes = world.list::<StorageClass>().map(|it| (name(&it.metadata.name), it)).collect();
    }

    /// Takes in an event; says whether it was about storage.
    pub(super) fn apply(&mut self, event: &Event) -> bool {
        let object = &event.object;
        if let Some(claim) = object.shared() {
            set(&mut self.claims, object.key().to_string(), claim, event.deleted);
        } else if let Some(volume) = object.shared() {
            set(&mut self.volumes, object.name().to_owned(), volume, event.deleted);
        } else if let Some(class) = object.shared() {
            set(&mut self.classes, object.name().to_owned(), class, event.deleted);
        } else {
            return false;
        }
        true
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&Arc<PersistentVolumeClaim>> {
        self.claims.get(&format!("{namespace}/{name}"))
    }

    /// A volume.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&Arc<PersistentVolume>> {
        self.volumes.get(name)
    }

    /// A class.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Arc<StorageClass>> {
        self.classes.get(name)
    }

    /// All volumes, in no order.
    pub fn volumes(&self) -> impl Iterator<Item = &Arc<PersistentVolume>> {
        self.volumes.values()
    }
}

fn set<K>(all: &mut HashMap<String, Arc<K>>, key: String, object: Arc<K>, deleted: bool) {
    if deleted { drop(all.remove(&key)) } else { drop(all.insert(key, object)) }
}
