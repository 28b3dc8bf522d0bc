//! Containers of all three sorts: regular, init and ephemeral.

use super::{Context, env, probe, security, volume};
use crate::field::{Errors, Path};
use crate::rules::check::{items, text};
use crate::rules::resources;
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerResizePolicy, ContainerRestartRule, EnvFromSource, EnvVar, EphemeralContainer,
    ResourceRequirements, SecurityContext, VolumeDevice, VolumeMount,
};

/// What every sort of container has.
struct Common<'a> {
    name: &'a str,
    image: &'a str,
    image_pull_policy: &'a str,
    termination_message_policy: &'a str,
    ports: &'a [ContainerPort],
    env: &'a Option<Vec<EnvVar>>,
    env_from: &'a Option<Vec<EnvFromSource>>,
    mounts: &'a [VolumeMount],
    devices: &'a [VolumeDevice],
    resources: Option<&'a ResourceRequirements>,
    resize_policies: &'a [ContainerResizePolicy],
    security_context: Option<&'a SecurityContext>,
}

macro_rules! common {
    ($container:expr) => {
        Common {
            name: &$container.name,
            image: text(&$container.image),
            image_pull_policy: text(&$container.image_pull_policy),
            termination_message_policy: text(&$container.termination_message_policy),
            ports: items(&$container.ports),
            env: &$container.env,
            env_from: &$container.env_from,
            mounts: items(&$container.volume_mounts),
            devices: items(&$container.volume_devices),
            resources: $container.resources.as_ref(),
            resize_policies: items(&$container.resize_policy),
            security_context: $container.security_context.as_ref(),
        }
    };
}

fn validate_common(container: &Common, context: &Context, path: &Path, errors: &mut Errors) {
    if errors.given(&path.field("name"), container.name) {
        errors.dns_label(&path.field("name"), container.name);
    }
    errors.given(&path.field("image"), container.image);
    errors.given_one_of(
        &path.field("terminationMessagePolicy"),
        container.termination_message_policy,
        &["File", "FallbackToLogsOnError"],
    );
    validate_ports(container.ports, &path.field("ports"), errors);
    env::validate_all(container.env, container.env_from, path, errors);
    let privileged = container.security_context.is_some_and(|security| security.privileged == Some(true));
    volume::validate_mounts(
        container.mounts,
        container.devices,
        context,
        privileged,
        &path.field("volumeMounts"),
        errors,
    );
    volume::validate_devices(container.devices, container.mounts, context, &path.field("volumeDevices"), errors);
    let policies = ["Always", "IfNotPresent", "Never"];
    errors.given_one_of(&path.field("imagePullPolicy"), container.image_pull_policy, &policies);
    if let Some(asked) = container.resources {
        resources::validate(asked, &|name| context.has_claim(name), &path.field("resources"), errors);
    }
    validate_resize(container.resize_policies, context, &path.field("resizePolicy"), errors);
    if let Some(security) = container.security_context {
        security::validate_container(
            security,
            context.shares_users_with_host(),
            &path.field("securityContext"),
            errors,
        );
    }
    if context.is_pod() && container.image.trim().len() != container.image.len() {
        errors.invalid(&path.field("image"), container.image, "must not have leading or trailing whitespace");
    }
}

/// Checks the regular containers, of which there must be one.
pub(super) fn validate_containers(context: &Context, path: &Path, errors: &mut Errors) {
    let containers = &context.spec.containers;
    if containers.is_empty() {
        return errors.required(path, "");
    }
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        validate_common(&common!(container), context, &path, errors);
        if containers.iter().take(index).any(|earlier| earlier.name == container.name) {
            errors.duplicate(&path.field("name"), &container.name);
        }
        probe::validate_lifecycle_and_probes(container, context, &path, errors);
        validate_restart_policy(container, &path, errors);
    }
    validate_host_ports(containers, path, errors);
}

/// Checks the init containers; those that restart always are sidecars and may have probes.
pub(super) fn validate_init_containers(context: &Context, path: &Path, errors: &mut Errors) {
    let containers = items(&context.spec.init_containers);
    for (index, container) in containers.iter().enumerate() {
        let item = path.index(index);
        validate_common(&common!(container), context, &item, errors);
        let restarts_always = container.restart_policy.as_deref() == Some("Always");
        if restarts_always && !items(&container.restart_policy_rules).is_empty() {
            let message = "restartPolicyRules are not allowed for init containers with restart policy Always";
            errors.forbidden(&item.field("restartPolicyRules"), message);
        } else if container.restart_policy.is_some() {
            validate_restart_policy(container, &item, errors);
        }
        let mut earlier = context.spec.containers.iter().chain(containers.iter().take(index));
        if earlier.any(|other| other.name == container.name) {
            errors.duplicate(&item.field("name"), &container.name);
        }
        validate_host_ports(std::slice::from_ref(container), path, errors);
        if restarts_always {
            probe::validate_lifecycle_and_probes(container, context, &item, errors);
        } else {
            forbid_lifecycle_and_probes(container, &item, errors);
        }
    }
}

fn forbid_lifecycle_and_probes(container: &Container, path: &Path, errors: &mut Errors) {
    for (field, given) in [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ] {
        if given {
            errors.forbidden(&path.field(field), "may not be set for init containers without restartPolicy=Always");
        }
    }
}

/// Checks the ephemeral containers, which lack much that others have.
pub(super) fn validate_ephemeral_containers(context: &Context, path: &Path, errors: &mut Errors) {
    let containers = items(&context.spec.ephemeral_containers);
    let others = || context.spec.containers.iter().chain(items(&context.spec.init_containers)).map(|it| &it.name);
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        validate_common(&common!(container), context, &path, errors);
        let earlier = containers.iter().take(index).map(|earlier| &earlier.name);
        if others().chain(earlier).any(|name| *name == container.name) {
            errors.duplicate(&path.field("name"), &container.name);
        }
        let target = text(&container.target_container_name);
        if !target.is_empty() && !others().any(|name| name == target) {
            errors.not_found(&path.field("targetContainerName"), target);
        }
        forbid_on_ephemeral(container, &path, errors);
    }
}

fn forbid_on_ephemeral(container: &EphemeralContainer, path: &Path, errors: &mut Errors) {
    const CANNOT: &str = "cannot be set for an Ephemeral Container";
    for (field, given) in [
        ("ports", !items(&container.ports).is_empty()),
        ("resources", container.resources.as_ref().is_some_and(|it| *it != ResourceRequirements::default())),
        ("restartPolicy", container.restart_policy.is_some()),
        ("resizePolicy", !items(&container.resize_policy).is_empty()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
        ("lifecycle", container.lifecycle.is_some()),
    ] {
        if given {
            errors.forbidden(&path.field(field), CANNOT);
        }
    }
    for (index, mount) in items(&container.volume_mounts).iter().enumerate() {
        let path = path.field("volumeMounts");
        let path = path.index(index);
        for (field, value) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
            if !text(value).is_empty() {
                errors.forbidden(&path.field(field), CANNOT);
            }
        }
    }
}

fn validate_ports(ports: &[ContainerPort], path: &Path, errors: &mut Errors) {
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        if !name.is_empty() {
            let messages = crate::field::format::port_name(name);
            if messages.is_empty() && ports.iter().take(index).any(|earlier| text(&earlier.name) == name) {
                errors.duplicate(&path.field("name"), name);
            }
            errors.invalid_each(&path.field("name"), name, messages);
        }
        match port.container_port {
            0 => errors.required(&path.field("containerPort"), ""),
            number => errors.port(&path.field("containerPort"), number),
        }
        if let Some(number) = port.host_port.filter(|number| *number != 0) {
            errors.port(&path.field("hostPort"), number);
        }
        errors.given_one_of(&path.field("protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
    }
}

/// A host port can be taken only once per protocol and address.
fn validate_host_ports(containers: &[Container], path: &Path, errors: &mut Errors) {
    let mut taken: Vec<(&str, &str, i32)> = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        for (port_index, port) in items(&container.ports).iter().enumerate() {
            let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
            let key = (text(&port.protocol), text(&port.host_ip), number);
            if taken.contains(&key) {
                let path = path.index(index);
                let path = path.field("ports");
                let shown = format!("{}/{}/{}", key.0, key.1, key.2);
                errors.duplicate(&path.index(port_index).field("hostPort"), shown);
            } else {
                taken.push(key);
            }
        }
    }
}

fn validate_resize(policies: &[ContainerResizePolicy], context: &Context, path: &Path, errors: &mut Errors) {
    for (index, policy) in policies.iter().enumerate() {
        if policies.iter().take(index).any(|earlier| earlier.resource_name == policy.resource_name) {
            errors.duplicate(&path.index(index), &policy.resource_name);
        }
        errors.given_one_of(path, &policy.resource_name, &["cpu", "memory"]);
        errors.given_one_of(path, &policy.restart_policy, &["NotRequired", "RestartContainer"]);
        if context.spec.restart_policy.as_deref() == Some("Never") && policy.restart_policy != "NotRequired" {
            let message = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.invalid(path, &policy.restart_policy, message);
        }
    }
}

fn validate_restart_policy(container: &Container, path: &Path, errors: &mut Errors) {
    let rules = items(&container.restart_policy_rules);
    match &container.restart_policy {
        None if rules.is_empty() => return,
        None => {
            errors.required(&path.field("restartPolicy"), "must specify restartPolicy when restart rules are used");
        }
        Some(policy) => errors.one_of(&path.field("restartPolicy"), policy, &["Always", "Never", "OnFailure"]),
    }
    let path = path.field("restartPolicyRules");
    if rules.len() > 20 {
        errors.too_long(&path, 20);
    }
    for (index, rule) in rules.iter().enumerate() {
        validate_restart_rule(rule, &path.index(index), errors);
    }
}

fn validate_restart_rule(rule: &ContainerRestartRule, path: &Path, errors: &mut Errors) {
    errors.one_of(&path.field("action"), &rule.action, &["Restart"]);
    let path = path.field("exitCodes");
    match &rule.exit_codes {
        None => errors.required(&path, "must be specified"),
        Some(codes) => {
            errors.one_of(&path.field("operator"), &codes.operator, &["In", "NotIn"]);
            if items(&codes.values).len() > 255 {
                errors.too_long(&path.field("values"), 255);
            }
        }
    }
}

/// Checks what an update of a pod may do to its containers; says whether they can be compared one by one.
pub(in crate::rules) fn validate_update(
    new: &[Container],
    old: &[Container],
    path: &Path,
    errors: &mut Errors,
) -> bool {
    if new.len() != old.len() {
        errors.forbidden(path, "pod updates may not add or remove containers");
        return false;
    }
    true
}
