//! What pods and volumes refer to.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PersistentVolume, Pod, Volume};

/// What a pod refers to, by name in its namespace.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// Secrets, of environments, volumes and image registries.
    pub secrets: BTreeSet<String>,
    /// ConfigMaps.
    pub config_maps: BTreeSet<String>,
    /// Claims of volumes, generated ones too.
    pub claims: BTreeSet<String>,
    /// Claims of devices.
    pub resource_claims: BTreeSet<String>,
    /// Whom it runs as; empty if nobody.
    pub service_account: String,
    /// Whether it has bundles of trusted certificates.
    pub trust_bundles: bool,
}

impl References {
    /// Looks through a pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let mut found = Self::default();
        let Some(spec) = &pod.spec else { return found };
        let name = pod.metadata.name.as_deref().unwrap_or("");
        found.service_account = spec.service_account_name.clone().unwrap_or_default();
        found.secrets.extend(spec.image_pull_secrets.iter().flatten().map(|secret| secret.name.clone()));
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let ephemeral = spec.ephemeral_containers.iter().flatten();
        let environments = containers.map(|container| (&container.env, &container.env_from));
        for (env, from) in environments.chain(ephemeral.map(|container| (&container.env, &container.env_from))) {
            for source in env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
                found.secrets.extend(source.secret_key_ref.as_ref().map(|key| key.name.clone()));
                found.config_maps.extend(source.config_map_key_ref.as_ref().map(|key| key.name.clone()));
            }
            for source in from.iter().flatten() {
                found.secrets.extend(source.secret_ref.as_ref().map(|secret| secret.name.clone()));
                found.config_maps.extend(source.config_map_ref.as_ref().map(|map| map.name.clone()));
            }
        }
        spec.volumes.iter().flatten().for_each(|volume| found.add_volume(name, volume));
        let wanted = spec.resource_claims.iter().flatten().filter_map(|claim| claim.resource_claim_name.clone());
        let made = pod.status.iter().flat_map(|status| status.resource_claim_statuses.iter().flatten());
        found.resource_claims.extend(wanted.chain(made.filter_map(|claim| claim.resource_claim_name.clone())));
        found
    }

    fn add_volume(&mut self, pod: &str, volume: &Volume) {
        self.claims.extend(volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.clone()));
        self.claims.extend(volume.ephemeral.as_ref().map(|_| format!("{pod}-{}", volume.name)));
        self.config_maps.extend(volume.config_map.as_ref().map(|map| map.name.clone()));
        self.secrets.extend(volume.secret.as_ref().and_then(|secret| secret.secret_name.clone()));
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for source in sources {
            self.secrets.extend(source.secret.as_ref().map(|secret| secret.name.clone()));
            self.config_maps.extend(source.config_map.as_ref().map(|map| map.name.clone()));
            self.trust_bundles |= source.cluster_trust_bundle.is_some();
        }
        let csi = volume.csi.as_ref().and_then(|csi| csi.node_publish_secret_ref.as_ref());
        self.secrets.extend(csi.map(|secret| secret.name.clone()));
        let azure = volume.azure_file.as_ref().map(|file| file.secret_name.clone());
        self.secrets.extend(azure);
        let local = [
            volume.cephfs.as_ref().and_then(|it| it.secret_ref.as_ref()),
            volume.cinder.as_ref().and_then(|it| it.secret_ref.as_ref()),
            volume.flex_volume.as_ref().and_then(|it| it.secret_ref.as_ref()),
            volume.iscsi.as_ref().and_then(|it| it.secret_ref.as_ref()),
            volume.rbd.as_ref().and_then(|it| it.secret_ref.as_ref()),
            volume.scale_io.as_ref().map(|it| &it.secret_ref),
            volume.storageos.as_ref().and_then(|it| it.secret_ref.as_ref()),
        ];
        self.secrets.extend(local.into_iter().flatten().map(|secret| secret.name.clone()));
    }
}

/// The Secrets, by namespace and name, that a node needs to mount a volume.
pub(super) fn volume_secrets(volume: &PersistentVolume) -> Vec<(String, String)> {
    let Some(spec) = &volume.spec else { return Vec::new() };
    let claim = spec.claim_ref.as_ref().and_then(|claim| claim.namespace.clone()).unwrap_or_default();
    let csi = spec.csi.as_ref();
    let references = [
        csi.and_then(|it| it.node_publish_secret_ref.as_ref()),
        csi.and_then(|it| it.node_stage_secret_ref.as_ref()),
        csi.and_then(|it| it.node_expand_secret_ref.as_ref()),
        spec.cephfs.as_ref().and_then(|it| it.secret_ref.as_ref()),
        spec.cinder.as_ref().and_then(|it| it.secret_ref.as_ref()),
        spec.flex_volume.as_ref().and_then(|it| it.secret_ref.as_ref()),
        spec.iscsi.as_ref().and_then(|it| it.secret_ref.as_ref()),
        spec.rbd.as_ref().and_then(|it| it.secret_ref.as_ref()),
        spec.scale_io.as_ref().map(|it| &it.secret_ref),
    ];
    let in_claim = |namespace: Option<&String>| namespace.filter(|it| !it.is_empty()).unwrap_or(&claim).clone();
    let named = references.into_iter().flatten();
    let named = named.map(|it| (in_claim(it.namespace.as_ref()), it.name.clone().unwrap_or_default()));
    let azure = spec.azure_file.as_ref().map(|it| (in_claim(it.secret_namespace.as_ref()), it.secret_name.clone()));
    named.chain(azure).collect()
}
