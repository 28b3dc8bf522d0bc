//! Every pod runs as some ServiceAccount of its namespace.

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{AnyResource, Entropy, Status};
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector, Pod, PodSpec,
    ProjectedVolumeSource, ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use super::{Admission, Attributes};

/// Marks pods that a node shows for those it runs by itself; they are as the node says.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Where containers find their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// An hour and a little, by which upstream tells tokens that admission mounted from those that were asked for.
const TOKEN_SECONDS: i64 = 3607;

/// Source: `plugin/pkg/admission/serviceaccount`. Tokens are mounted only where the cluster gives tokens.
#[derive(Clone, Debug, Default)]
pub struct ServiceAccounts {
    /// Where the names of volumes come from; `None` if no tokens are mounted.
    mounts: Option<Arc<Entropy>>,
}

impl ServiceAccounts {
    /// Also mounts tokens, in volumes with names drawn from here.
    #[must_use]
    pub const fn mounting(names: Arc<Entropy>) -> Self {
        Self { mounts: Some(names) }
    }
}

#[async_trait]
impl Admission for ServiceAccounts {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.creates("", "pods")
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(pod) = object.as_any_mut().downcast_mut::<Pod>() else { return Ok(()) };
        if pod.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR)) {
            return Ok(());
        }
        let Some(spec) = &mut pod.spec else { return Ok(()) };
        if spec.service_account_name.as_deref().unwrap_or("").is_empty() {
            spec.service_account_name = Some("default".to_owned());
        }
        spec.service_account.clone_from(&spec.service_account_name);
        let (namespace, name) = (&attributes.target.namespace, spec.service_account_name.as_deref().unwrap_or(""));
        let Some(account) = attributes.world.get::<ServiceAccount>(namespace, name) else {
            let why =
                format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
            return Err(attributes.forbid(why));
        };
        if spec.image_pull_secrets.as_ref().is_none_or(Vec::is_empty) {
            spec.image_pull_secrets.clone_from(&account.image_pull_secrets);
        }
        let wants = spec.automount_service_account_token.or(account.automount_service_account_token);
        if let Some(names) = self.mounts.as_ref().filter(|_| wants != Some(false)) {
            mount_token(spec, names);
        }
        Ok(())
    }
}

/// Gives every container that has nothing there the volume with token, root certificate and namespace.
fn mount_token(spec: &mut PodSpec, names: &Entropy) {
    let containers = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
    let mut bare: Vec<_> = containers
        .map(|container| container.volume_mounts.get_or_insert_default())
        .filter(|mounts| !mounts.iter().any(|mount| mount.mount_path == MOUNT_PATH))
        .collect();
    if bare.is_empty() {
        return;
    }
    let name = format!("kube-api-access-{}", names.suffix(5));
    for mounts in &mut bare {
        mounts.push(VolumeMount {
            name: name.clone(),
            mount_path: MOUNT_PATH.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    spec.volumes.get_or_insert_default().push(token_volume(name));
}

fn token_volume(name: String) -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: None,
        expiration_seconds: Some(TOKEN_SECONDS),
        path: "token".to_owned(),
    };
    let certificate = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
        optional: None,
    };
    let field = ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: "metadata.namespace".to_owned() };
    let namespace =
        DownwardAPIVolumeFile { path: "namespace".to_owned(), field_ref: Some(field), ..Default::default() };
    let sources = vec![
        VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
        VolumeProjection { config_map: Some(certificate), ..VolumeProjection::default() },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
            ..VolumeProjection::default()
        },
    ];
    let projected = ProjectedVolumeSource { default_mode: Some(0o644), sources: Some(sources) };
    Volume { name, projected: Some(projected), ..Volume::default() }
}
