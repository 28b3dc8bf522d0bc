//! PersistentVolume.

use super::check::{items, text};
use super::volume_sources::{self, validate_outside};
use super::{Ruled, fill, pod_spec, same};
use crate::field::{Errors, Json, Path};
use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, PersistentVolume, PersistentVolumeSpec, SecretReference, VolumeNodeAffinity,
};

const SPEC: Path<'static> = Path::new("spec");
pub(super) const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const INLINE: &str = "may not be specified in the context of inline volumes";

impl Ruled for PersistentVolume {
    fn fill_defaults(&mut self) {
        fill::text(&mut self.status.get_or_insert_default().phase, "Pending");
        let spec = self.spec.get_or_insert_default();
        fill::text(&mut spec.persistent_volume_reclaim_policy, "Retain");
        fill::value(&mut spec.volume_mode, "Filesystem".to_owned());
        fill::canonical_amounts(spec.capacity.as_mut());
        fill_source(spec);
    }

    fn validate(&self, errors: &mut Errors) {
        let none = PersistentVolumeSpec::default();
        validate_spec(self.spec.as_ref().unwrap_or(&none), text(&self.metadata.name), errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        let (Some(new), Some(old)) = (&self.spec, &old.spec) else { return };
        if !same(&kept_source_of(new, old), &source_of(old)) {
            // Upstream appends a dump of the difference.
            let message = "spec.persistentvolumesource is immutable after creation";
            errors.forbidden(&SPEC.field("persistentvolumesource"), message);
        }
        errors.immutable(&Path::new("volumeMode"), &new.volume_mode, &old.volume_mode);
        validate_affinity_update(new.node_affinity.as_ref(), old.node_affinity.as_ref(), errors);
        if old.volume_attributes_class_name.is_some() && new.volume_attributes_class_name.is_none() {
            let path = SPEC.field("volumeAttributesClassName");
            errors.forbidden(&path, "update from non-nil value to nil is forbidden");
        }
    }

    fn prepare_create(&mut self) {
        let status = self.status.get_or_insert_default();
        *status = Default::default();
        status.phase = Some("Pending".to_owned());
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }
}

/// Defaults of volume types that have any.
fn fill_source(spec: &mut PersistentVolumeSpec) {
    if let Some(host_path) = &mut spec.host_path {
        host_path.type_.get_or_insert_default();
    }
    if let Some(iscsi) = &mut spec.iscsi {
        fill::text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut spec.rbd {
        fill::text(&mut rbd.pool, "rbd");
        fill::text(&mut rbd.user, "admin");
        fill::text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(disk) = &mut spec.azure_disk {
        fill::azure_disk(disk);
    }
    if let Some(scale_io) = &mut spec.scale_io {
        fill::text(&mut scale_io.storage_mode, "ThinProvisioned");
        fill::text(&mut scale_io.fs_type, "xfs");
    }
}

/// The spec without all that is not its source; what changes in it is a change of the source.
fn source_of(spec: &PersistentVolumeSpec) -> PersistentVolumeSpec {
    PersistentVolumeSpec {
        access_modes: None,
        capacity: None,
        claim_ref: None,
        mount_options: None,
        node_affinity: None,
        persistent_volume_reclaim_policy: None,
        storage_class_name: None,
        volume_attributes_class_name: None,
        volume_mode: None,
        ..spec.clone()
    }
}

/// The new source with what may be set once put back.
fn kept_source_of(new: &PersistentVolumeSpec, old: &PersistentVolumeSpec) -> PersistentVolumeSpec {
    let mut source = source_of(new);
    if let (Some(new), Some(old)) = (&mut source.csi, &old.csi)
        && old.controller_expand_secret_ref.is_none()
    {
        new.controller_expand_secret_ref = None;
    }
    source
}

/// Labels that were renamed when they left beta; a volume may follow.
const RENAMED_LABELS: &[(&str, &str)] = &[
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
];

fn validate_affinity_update(new: Option<&VolumeNodeAffinity>, old: Option<&VolumeNodeAffinity>, errors: &mut Errors) {
    let Some(old) = old else { return };
    let mut renamed = old.clone();
    let terms = renamed.required.iter_mut().flat_map(|required| &mut required.node_selector_terms);
    for expression in terms.flat_map(|term| term.match_expressions.iter_mut().flatten()) {
        if let Some((_, name)) = RENAMED_LABELS.iter().find(|(beta, _)| *beta == expression.key) {
            expression.key = name.to_string();
        }
    }
    if !new.is_some_and(|new| same(new, old) || same(new, &renamed)) {
        let message = "field is immutable, except for updating from beta label to GA";
        errors.invalid(&Path::new("nodeAffinity"), Json(&new), message);
    }
}

/// Checks access modes; `none` is what to say when there are none.
pub(super) fn validate_access_modes(modes: &[String], none: &str, path: &Path, errors: &mut Errors) {
    if modes.is_empty() {
        errors.required(path, none);
    }
    for mode in modes {
        errors.one_of(path, mode, ACCESS_MODES);
    }
    let single = |mode: &&String| mode.as_str() == "ReadWriteOncePod";
    let others = modes.iter().filter(|mode| ACCESS_MODES.contains(&mode.as_str()) && !single(mode)).count();
    if modes.iter().any(|mode| single(&mode)) && others > 0 {
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn validate_spec(spec: &PersistentVolumeSpec, name: &str, errors: &mut Errors) {
    validate_access_modes(items(&spec.access_modes), "", &SPEC.field("accessModes"), errors);
    validate_capacity(spec, &SPEC.field("capacity"), errors);
    let policy = text(&spec.persistent_volume_reclaim_policy);
    let policy_path = SPEC.field("persistentVolumeReclaimPolicy");
    if !policy.is_empty() {
        errors.one_of(&policy_path, policy, &["Delete", "Recycle", "Retain"]);
    }
    if let Some(affinity) = &spec.node_affinity {
        let path = SPEC.field("nodeAffinity");
        match &affinity.required {
            Some(required) => {
                pod_spec::scheduling::validate_node_selector(required, &path.field("required"), errors);
            }
            None => errors.required(&path.field("required"), "must specify required node constraints"),
        }
    }
    validate_source(spec, name, &SPEC, errors);
    let is_root = |path: &str| path.split('/').all(|step| matches!(step, "" | "."));
    if policy == "Recycle" && spec.host_path.as_ref().is_some_and(|host_path| is_root(&host_path.path)) {
        errors.forbidden(&policy_path, "may not be 'recycle' for a hostPath mount of '/'");
    }
    if !text(&spec.storage_class_name).is_empty() {
        errors.dns_subdomain(&SPEC.field("storageClassName"), text(&spec.storage_class_name));
    }
    errors.any_of(&SPEC.field("volumeMode"), &spec.volume_mode, &["Block", "Filesystem"]);
    validate_attributes_class(spec, &SPEC, errors);
}

/// Checks the spec of a volume that has no object of its own.
pub(super) fn validate_inline_spec(spec: &PersistentVolumeSpec, path: &Path, errors: &mut Errors) {
    let is_given = |list: &Option<fill::ResourceList>| list.as_ref().is_some_and(|list| !list.is_empty());
    for (field, given) in [("claimRef", spec.claim_ref.is_some()), ("capacity", is_given(&spec.capacity))] {
        if given {
            errors.forbidden(&path.field(field), INLINE);
        }
    }
    if spec.csi.is_none() {
        errors.required(&path.field("csi"), "has to be specified in the context of inline volumes");
    }
    validate_access_modes(items(&spec.access_modes), "", &path.field("accessModes"), errors);
    if !matches!(text(&spec.persistent_volume_reclaim_policy), "" | "Retain") {
        let message = "may only be Retain in the context of inline volumes";
        errors.forbidden(&path.field("persistentVolumeReclaimPolicy"), message);
    }
    if spec.node_affinity.is_some() {
        errors.forbidden(&path.field("nodeAffinity"), INLINE);
    }
    validate_source(spec, "", path, errors);
    if !text(&spec.storage_class_name).is_empty() {
        errors.forbidden(&path.field("storageClassName"), INLINE);
    }
    if !matches!(text(&spec.volume_mode), "" | "Filesystem") {
        let message = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.forbidden(&path.field("volumeMode"), message);
    }
    validate_attributes_class(spec, path, errors);
}

fn validate_attributes_class(spec: &PersistentVolumeSpec, path: &Path, errors: &mut Errors) {
    let Some(class) = &spec.volume_attributes_class_name else { return };
    let at = path.field("volumeAttributesClassName");
    match class.as_str() {
        "" => errors.required(&at, "an empty string is disallowed"),
        class => errors.dns_subdomain(&at, class),
    }
    if spec.csi.is_none() {
        errors.required(&path.field("csi"), "has to be specified when using volumeAttributesClassName");
    }
}

fn validate_capacity(spec: &PersistentVolumeSpec, path: &Path, errors: &mut Errors) {
    let Some(capacity) = spec.capacity.as_ref().filter(|capacity| !capacity.is_empty()) else {
        errors.required(path, "");
        return errors.not_supported(path, Json(&spec.capacity), &["storage"]);
    };
    if capacity.len() > 1 || !capacity.contains_key("storage") {
        errors.not_supported(path, Json(capacity), &["storage"]);
    }
    for (name, text) in capacity {
        let path = path.key(name);
        let Some(amount) = errors.quantity(&path, text) else { continue };
        if amount.value() < 0 {
            errors.invalid(&path, amount.value(), "must be a valid resource quantity");
        }
        if amount.is_zero() || amount.is_negative() {
            errors.invalid(&path, amount.to_string(), "must be greater than zero");
        }
    }
}

/// Every type a volume can have: the field's name, and whether it is given. In upstream's order.
fn sources(spec: &PersistentVolumeSpec) -> [(&'static str, bool); 22] {
    [
        ("hostPath", spec.host_path.is_some()),
        ("gcePersistentDisk", spec.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", spec.aws_elastic_block_store.is_some()),
        ("glusterfs", spec.glusterfs.is_some()),
        ("flocker", spec.flocker.is_some()),
        ("nfs", spec.nfs.is_some()),
        ("rbd", spec.rbd.is_some()),
        ("quobyte", spec.quobyte.is_some()),
        ("cephFS", spec.cephfs.is_some()),
        ("iscsi", spec.iscsi.is_some()),
        ("cinder", spec.cinder.is_some()),
        ("fc", spec.fc.is_some()),
        ("flexVolume", spec.flex_volume.is_some()),
        ("azureFile", spec.azure_file.is_some()),
        ("vsphereVolume", spec.vsphere_volume.is_some()),
        ("photonPersistentDisk", spec.photon_persistent_disk.is_some()),
        ("portworxVolume", spec.portworx_volume.is_some()),
        ("azureDisk", spec.azure_disk.is_some()),
        ("scaleIO", spec.scale_io.is_some()),
        ("local", spec.local.is_some()),
        ("storageos", spec.storageos.is_some()),
        ("csi", spec.csi.is_some()),
    ]
}

fn validate_source(spec: &PersistentVolumeSpec, name: &str, path: &Path, errors: &mut Errors) {
    let mut given = sources(spec).into_iter().filter(|(_, given)| *given);
    let Some((first, _)) = given.next() else { return errors.required(path, "must specify a volume type") };
    for (field, _) in given {
        errors.forbidden(&path.field(field), "may not specify more than 1 volume type");
    }
    if let Some(host_path) = spec.host_path.as_ref().filter(|_| first == "hostPath") {
        pod_spec::volume::validate_host_path(host_path, &path.field("hostPath"), errors);
    }
    if let Some(local) = spec.local.as_ref().filter(|_| first == "local") {
        let at = path.field("local").field("path").to_string();
        if errors.given(&Path::new(&at), &local.path) {
            pod_spec::volume::no_backsteps(&local.path, &Path::new(&at), errors);
        }
        if spec.node_affinity.is_none() {
            errors.required(&path.field("nodeAffinity"), "Local volume requires node affinity");
        }
    }
    if let Some(csi) = spec.csi.as_ref().filter(|_| first == "csi") {
        validate_csi(csi, &path.field("csi"), errors);
    }
    validate_outside!(spec, first, path, errors);
    validate_secrets(spec, name, path, errors);
}

fn validate_csi(csi: &CSIPersistentVolumeSource, path: &Path, errors: &mut Errors) {
    errors.driver_name(&path.field("driver"), &csi.driver);
    errors.given(&path.field("volumeHandle"), &csi.volume_handle);
    for (field, secret) in [
        ("controllerPublishSecretRef", &csi.controller_publish_secret_ref),
        ("controllerExpandSecretRef", &csi.controller_expand_secret_ref),
        ("nodePublishSecretRef", &csi.node_publish_secret_ref),
        ("nodeExpandSecretRef", &csi.node_expand_secret_ref),
    ] {
        let Some(secret) = secret else { continue };
        let path = path.field(field);
        if errors.given(&path.field("name"), text(&secret.name)) {
            errors.dns_subdomain(&path.field("name"), text(&secret.name));
        }
        if errors.given(&path.field("namespace"), text(&secret.namespace)) {
            errors.dns_label(&path.field("namespace"), text(&secret.namespace));
        }
    }
}

/// What volumes of objects of their own have beyond those of pods: secrets of other namespaces.
fn validate_secrets(spec: &PersistentVolumeSpec, name: &str, path: &Path, errors: &mut Errors) {
    let place = |secret: &SecretReference| (secret.name.clone(), secret.namespace.clone());
    let iscsi = spec.iscsi.as_ref();
    let secrets = [
        ("iscsi", false, iscsi.and_then(|it| it.secret_ref.as_ref()).map(place)),
        ("cinder", true, spec.cinder.as_ref().and_then(|it| it.secret_ref.as_ref()).map(place)),
        (
            "storageos",
            true,
            spec.storageos
                .as_ref()
                .and_then(|it| it.secret_ref.as_ref())
                .map(|it| (it.name.clone(), it.namespace.clone())),
        ),
    ];
    for (field, in_namespace, secret) in secrets {
        let Some((name, namespace)) = secret else { continue };
        let path = path.field(field);
        let path = path.field("secretRef");
        errors.given(&path.field("name"), text(&name));
        if in_namespace {
            errors.given(&path.field("namespace"), text(&namespace));
        }
    }
    if let Some(iscsi) = iscsi.filter(|it| it.initiator_name.is_some())
        && name.len() + 1 + iscsi.target_portal.len() > 64
    {
        let message = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
        errors.invalid(&path.field("iscsi").field("targetportal"), &iscsi.target_portal, message);
    }
    if let Some(namespace) = spec.glusterfs.as_ref().and_then(|it| it.endpoints_namespace.as_deref()) {
        let path = path.field("glusterfs").field("endpointsNamespace").to_string();
        match namespace {
            "" => {
                let message = "if the endpointnamespace is set, it must be a valid namespace name";
                errors.invalid(&Path::new(&path), namespace, message);
            }
            namespace => errors.dns_label(&Path::new(&path), namespace),
        }
    }
    if spec.azure_file.as_ref().and_then(|it| it.secret_namespace.as_deref()) == Some("") {
        volume_sources::required(&[("secretNamespace", "")], &path.field("azureFile"), errors);
    }
}
