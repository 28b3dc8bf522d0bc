//! What is filled into a pod spec. [`fill`] serves templates too; [`fill_pod`] adds what only a pod itself gets.

use crate::rules::fill;
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, DownwardAPIVolumeFile, EnvVar, EphemeralContainer, HTTPGetAction, Lifecycle,
    LifecycleHandler, PersistentVolumeClaimSpec, PodSecurityContext, PodSpec, Probe, ProjectedVolumeSource,
    ResourceRequirements, Volume,
};

/// Permissions of projected files: 0644.
const FILE_MODE: i32 = 0o644;
const TOKEN_SECONDS: i64 = 3600;

/// Defaults of a pod that its template does not get: requests from limits, service links, ports of the host network.
pub(in crate::rules) fn fill_pod(spec: &mut PodSpec) {
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if let Some(resources) = &mut container.resources {
            fill::missing_amounts(&mut resources.requests, resources.limits.as_ref());
        }
        if spec.host_network == Some(true) {
            for port in container.ports.iter_mut().flatten() {
                fill::number(&mut port.host_port, port.container_port);
            }
        }
    }
    fill::value(&mut spec.enable_service_links, true);
    fill(spec);
}

/// Defaults of every pod spec.
pub(in crate::rules) fn fill(spec: &mut PodSpec) {
    fill::text(&mut spec.dns_policy, "ClusterFirst");
    fill::text(&mut spec.restart_policy, "Always");
    fill::value(&mut spec.security_context, PodSecurityContext::default());
    fill::value(&mut spec.termination_grace_period_seconds, 30);
    fill::text(&mut spec.scheduler_name, "default-scheduler");
    fill_service_account(spec);
    spec.volumes.iter_mut().flatten().for_each(fill_volume);
    spec.init_containers.iter_mut().flatten().for_each(fill_container);
    spec.containers.iter_mut().for_each(fill_container);
    spec.ephemeral_containers.iter_mut().flatten().for_each(fill_ephemeral_container);
    fill::canonical_amounts(spec.overhead.as_mut());
    fill_resources(&mut spec.resources);
}

/// The old name of the field follows the new one, which it fills in when given alone.
fn fill_service_account(spec: &mut PodSpec) {
    if spec.service_account_name.as_deref().unwrap_or("").is_empty() {
        spec.service_account_name = spec.service_account.clone().filter(|name| !name.is_empty());
    }
    if spec.service_account != spec.service_account_name {
        spec.service_account = spec.service_account_name.clone();
    }
}

fn fill_container(container: &mut Container) {
    fill_image_pull_policy(container.image.as_deref(), &mut container.image_pull_policy);
    fill::text(&mut container.termination_message_path, "/dev/termination-log");
    fill::text(&mut container.termination_message_policy, "File");
    container.ports.iter_mut().flatten().for_each(fill_port);
    container.env.iter_mut().flatten().for_each(fill_env);
    fill::value(&mut container.resources, ResourceRequirements::default());
    fill_resources(&mut container.resources);
    let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(fill_probe);
    container.lifecycle.iter_mut().for_each(fill_lifecycle);
}

/// An ephemeral container shares a container's fields, not its type.
fn fill_ephemeral_container(container: &mut EphemeralContainer) {
    fill_image_pull_policy(container.image.as_deref(), &mut container.image_pull_policy);
    fill::text(&mut container.termination_message_path, "/dev/termination-log");
    fill::text(&mut container.termination_message_policy, "File");
    container.env.iter_mut().flatten().for_each(fill_env);
    fill::value(&mut container.resources, ResourceRequirements::default());
}

fn fill_image_pull_policy(image: Option<&str>, policy: &mut Option<String>) {
    let default = if is_latest(image.unwrap_or("")) { "Always" } else { "IfNotPresent" };
    fill::text(policy, default);
}

/// Whether an image is tagged `latest`, or neither tagged nor pinned by a digest.
pub(in crate::rules) fn is_latest(image: &str) -> bool {
    let (named, digest) = image.split_once('@').map_or((image, ""), |(named, digest)| (named, digest));
    let last = named.rsplit('/').next().unwrap_or("");
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_empty() && !image.is_empty(),
    }
}

fn fill_port(port: &mut ContainerPort) {
    fill::text(&mut port.protocol, "TCP");
}

fn fill_env(variable: &mut EnvVar) {
    let Some(source) = &mut variable.value_from else { return };
    if let Some(field) = &mut source.field_ref {
        fill::text(&mut field.api_version, "v1");
    }
    if let Some(file) = &mut source.file_key_ref {
        fill::value(&mut file.optional, false);
    }
}

fn fill_resources(resources: &mut Option<ResourceRequirements>) {
    if let Some(resources) = resources {
        fill::canonical_amounts(resources.limits.as_mut());
        fill::canonical_amounts(resources.requests.as_mut());
    }
}

fn fill_probe(probe: &mut Probe) {
    fill::number(&mut probe.timeout_seconds, 1);
    fill::number(&mut probe.period_seconds, 10);
    fill::number(&mut probe.success_threshold, 1);
    fill::number(&mut probe.failure_threshold, 3);
    probe.http_get.iter_mut().for_each(fill_http_get);
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn fill_lifecycle(lifecycle: &mut Lifecycle) {
    let handlers = [&mut lifecycle.post_start, &mut lifecycle.pre_stop];
    let http = handlers.into_iter().flatten().filter_map(|handler: &mut LifecycleHandler| handler.http_get.as_mut());
    http.for_each(fill_http_get);
}

fn fill_http_get(action: &mut HTTPGetAction) {
    fill::text(&mut action.path, "/");
    fill::text(&mut action.scheme, "HTTP");
}

fn fill_volume(volume: &mut Volume) {
    if !super::volume::sources(volume).into_iter().any(|(_, given)| given) {
        volume.empty_dir = Some(Default::default());
    }
    if let Some(host_path) = &mut volume.host_path {
        host_path.type_.get_or_insert_default();
    }
    if let Some(secret) = &mut volume.secret {
        fill::value(&mut secret.default_mode, FILE_MODE);
    }
    if let Some(config_map) = &mut volume.config_map {
        fill::value(&mut config_map.default_mode, FILE_MODE);
    }
    if let Some(downward) = &mut volume.downward_api {
        fill::value(&mut downward.default_mode, FILE_MODE);
        downward.items.iter_mut().flatten().for_each(fill_downward_file);
    }
    if let Some(projected) = &mut volume.projected {
        fill_projected(projected);
    }
    if let Some(image) = &mut volume.image {
        fill_image_pull_policy(image.reference.as_deref(), &mut image.pull_policy);
    }
    if let Some(template) = volume.ephemeral.as_mut().and_then(|ephemeral| ephemeral.volume_claim_template.as_mut()) {
        fill_claim(&mut template.spec);
    }
    fill_network_volumes(volume);
}

/// Defaults of volume types that a cluster brings from outside.
fn fill_network_volumes(volume: &mut Volume) {
    if let Some(iscsi) = &mut volume.iscsi {
        fill::text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut volume.rbd {
        fill::text(&mut rbd.pool, "rbd");
        fill::text(&mut rbd.user, "admin");
        fill::text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(disk) = &mut volume.azure_disk {
        fill::azure_disk(disk);
    }
    if let Some(scale_io) = &mut volume.scale_io {
        fill::text(&mut scale_io.storage_mode, "ThinProvisioned");
        fill::text(&mut scale_io.fs_type, "xfs");
    }
}

fn fill_projected(projected: &mut ProjectedVolumeSource) {
    fill::value(&mut projected.default_mode, FILE_MODE);
    for source in projected.sources.iter_mut().flatten() {
        if let Some(downward) = &mut source.downward_api {
            downward.items.iter_mut().flatten().for_each(fill_downward_file);
        }
        if let Some(token) = &mut source.service_account_token {
            fill::value(&mut token.expiration_seconds, TOKEN_SECONDS);
        }
    }
}

fn fill_downward_file(file: &mut DownwardAPIVolumeFile) {
    if let Some(field) = &mut file.field_ref {
        fill::text(&mut field.api_version, "v1");
    }
}

/// Defaults of a claim for a volume, alone or inside another object.
pub(in crate::rules) fn fill_claim(spec: &mut PersistentVolumeClaimSpec) {
    fill::value(&mut spec.volume_mode, "Filesystem".to_owned());
    if let Some(resources) = &mut spec.resources {
        fill::canonical_amounts(resources.limits.as_mut());
        fill::canonical_amounts(resources.requests.as_mut());
    }
}
