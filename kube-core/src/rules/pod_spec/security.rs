//! Security contexts of pods and containers.

use crate::field::{Errors, Json, Path, format};
use crate::rules::check::{items, text};
use k8s_openapi::api::core::v1::{AppArmorProfile, PodSpec, SeccompProfile, SecurityContext};

pub(super) fn validate_pod(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    let Some(security) = &spec.security_context else { return };
    for (field, id) in
        [("fsGroup", security.fs_group), ("runAsUser", security.run_as_user), ("runAsGroup", security.run_as_group)]
    {
        validate_id(id, &path.field(field), errors);
    }
    for (index, group) in items(&security.supplemental_groups).iter().enumerate() {
        validate_id(Some(*group), &path.field("supplementalGroups").index(index), errors);
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let message = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(&path.field("shareProcessNamespace"), true, message);
    }
    let sysctls = items(&security.sysctls);
    for (index, sysctl) in sysctls.iter().enumerate() {
        let path = path.field("sysctls");
        let path = path.index(index);
        let path = path.field("name");
        if !errors.given(&path, &sysctl.name) {
            continue;
        }
        if !is_sysctl(&sysctl.name) {
            let message = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.invalid(&path, &sysctl.name, message);
        } else if sysctls.iter().take(index).any(|earlier| earlier.name == sysctl.name) {
            errors.duplicate(&path, &sysctl.name);
        }
    }
    errors.any_of(&path.field("fsGroupChangePolicy"), &security.fs_group_change_policy, &["Always", "OnRootMismatch"]);
    validate_seccomp(security.seccomp_profile.as_ref(), &path.field("seccompProfile"), errors);
    validate_app_armor(security.app_armor_profile.as_ref(), &path.field("appArmorProfile"), errors);
    super::windows::validate_options(security.windows_options.as_ref(), path, errors);
    let policies = ["Merge", "Strict"];
    errors.any_of(&path.field("supplementalGroupsPolicy"), &security.supplemental_groups_policy, &policies);
    let policies = ["MountOption", "Recursive"];
    errors.any_of(&path.field("seLinuxChangePolicy"), &security.se_linux_change_policy, &policies);
}

fn is_sysctl(name: &str) -> bool {
    let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(|byte| is_edge(*byte))
            && bytes.last().is_some_and(|byte| is_edge(*byte))
            && bytes.iter().all(|byte| is_edge(*byte) || b"-_".contains(byte))
    };
    name.len() <= 253 && name.split(['.', '/']).all(is_part)
}

fn validate_id(id: Option<i64>, path: &Path, errors: &mut Errors) {
    if let Some(id) = id {
        errors.invalid_each(path, id, format::user_or_group_id(id));
    }
}

pub(super) fn validate_container(security: &SecurityContext, shares_users: bool, path: &Path, errors: &mut Errors) {
    validate_id(security.run_as_user, &path.field("runAsUser"), errors);
    validate_id(security.run_as_group, &path.field("runAsGroup"), errors);
    errors.any_of(&path.field("procMount"), &security.proc_mount, &["Default", "Unmasked"]);
    if shares_users && security.proc_mount.as_deref() == Some("Unmasked") {
        errors.invalid(&path.field("procMount"), "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    }
    validate_seccomp(security.seccomp_profile.as_ref(), &path.field("seccompProfile"), errors);
    if security.allow_privilege_escalation == Some(false) {
        if security.privileged == Some(true) {
            let message = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.invalid(path, Json(security), message);
        }
        let added = security.capabilities.iter().flat_map(|capabilities| items(&capabilities.add));
        for _ in added.filter(|capability| *capability == "CAP_SYS_ADMIN") {
            let message = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.invalid(path, Json(security), message);
        }
    }
    super::windows::validate_options(security.windows_options.as_ref(), path, errors);
    validate_app_armor(security.app_armor_profile.as_ref(), &path.field("appArmorProfile"), errors);
}

fn validate_seccomp(profile: Option<&SeccompProfile>, path: &Path, errors: &mut Errors) {
    let Some(profile) = profile else { return };
    if profile.type_.is_empty() {
        errors.required(&path.field("type"), "type is required when seccompProfile is set");
    } else {
        errors.one_of(&path.field("type"), &profile.type_, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
    let path = path.field("localhostProfile");
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => errors.required(&path, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(file)) => super::volume::descending_path(file, &path, errors),
        (_, Some(_)) => errors.invalid(&path, Json(profile), "can only be set when seccomp type is Localhost"),
        (_, None) => {}
    }
}

fn validate_app_armor(profile: Option<&AppArmorProfile>, path: &Path, errors: &mut Errors) {
    let Some(profile) = profile else { return };
    if profile.type_.is_empty() {
        errors.required(&path.field("type"), "type is required when appArmorProfile is set");
    } else {
        errors.one_of(&path.field("type"), &profile.type_, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
    let (path, name) = (path.field("localhostProfile"), text(&profile.localhost_profile));
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => errors.required(&path, "must be set when AppArmor type is Localhost"),
        ("Localhost", Some(_)) if name.trim() != name => {
            errors.invalid(&path, name, "must not be padded with whitespace");
        }
        ("Localhost", Some(_)) if name.is_empty() => {
            errors.required(&path, "must be set when AppArmor type is Localhost");
        }
        ("Localhost", Some(_)) if name.len() > 4095 => errors.too_long(&path, 4095),
        ("Localhost", Some(_)) | (_, None) => {}
        (_, Some(_)) => errors.invalid(&path, name, "can only be set when AppArmor type is Localhost"),
    }
}
