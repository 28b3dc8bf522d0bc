//! Volumes that are folders of this machine, for nodes of this process.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use coracle_controllers::Provisioner;
use coracle_controllers::persistent_volume::VolumeWish;
use coracle_core::{Gateway, Request, Status};
use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume,
    PersistentVolumeSpec, VolumeNodeAffinity,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The provisioner and its default StorageClass.
const PROVISIONER: &str = "coracle.dev/local-dir";
const CLASS: &str = "local-dir";

/// Gives each volume a folder of its own, which goes with the volume. Sizes are noted, not enforced.
#[derive(Clone, Debug)]
pub(crate) struct LocalVolumes {
    root: PathBuf,
}

impl LocalVolumes {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The default class: its volumes are made for the node of their first pod, can grow, and go with their claims.
    pub(crate) async fn ensure_class(gateway: &dyn Gateway) -> Result<(), Status> {
        let annotations = [("storageclass.kubernetes.io/is-default-class".to_owned(), "true".to_owned())];
        let class = StorageClass {
            metadata: ObjectMeta {
                name: Some(CLASS.to_owned()),
                annotations: Some(annotations.into()),
                ..ObjectMeta::default()
            },
            provisioner: PROVISIONER.to_owned(),
            reclaim_policy: Some("Delete".to_owned()),
            volume_binding_mode: Some("WaitForFirstConsumer".to_owned()),
            allow_volume_expansion: Some(true),
            ..StorageClass::default()
        };
        match gateway.execute(Request::create(class)).await {
            Err(status) if !status.is_already_exists() => Err(status),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Provisioner for LocalVolumes {
    fn name(&self) -> &str {
        PROVISIONER
    }

    /// The node makes the folder when the first pod mounts it.
    async fn provision(&self, wish: &VolumeWish) -> Result<PersistentVolumeSpec, Status> {
        let path = self.root.join(&wish.name).display().to_string();
        let host_path = HostPathVolumeSource { path, type_: Some("DirectoryOrCreate".to_owned()) };
        let node = wish.node.as_ref().and_then(|node| node.metadata.name.clone());
        Ok(PersistentVolumeSpec {
            host_path: Some(host_path),
            node_affinity: node.map(only_on),
            ..PersistentVolumeSpec::default()
        })
    }

    async fn delete(&self, volume: &PersistentVolume) -> Result<(), Status> {
        let place = volume.spec.as_ref().and_then(|spec| spec.host_path.as_ref());
        // Nobody can talk it into removing anything but its own folders.
        let own = place.map(|place| PathBuf::from(&place.path)).filter(|path| {
            path.parent() == Some(&self.root) && path.file_name().is_some_and(|name| name != ".." && name != ".")
        });
        let Some(path) = own else { return Err(Status::internal("the volume is no folder of this provisioner")) };
        let removed = tokio::task::spawn_blocking(move || remove(&path)).await;
        removed.map_err(Status::internal)?.map_err(Status::internal)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn only_on(node: String) -> VolumeNodeAffinity {
    let is = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![is]), ..NodeSelectorTerm::default() };
    VolumeNodeAffinity { required: Some(NodeSelector { node_selector_terms: vec![term] }) }
}
