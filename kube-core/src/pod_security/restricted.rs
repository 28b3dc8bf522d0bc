//! What is not good practice.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Volume;

use super::baseline::{self, added_capabilities, must_not_add};
use super::subject::{Subject, Violation, containers, plural, quoted, setters};

pub(super) fn privilege_escalation(subject: Subject<'_>) -> Option<Violation> {
    let bad = subject.named(|part| part.security.and_then(|it| it.allow_privilege_escalation) != Some(false));
    if bad.is_empty() {
        return None;
    }
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&bad));
    Violation::new("allowPrivilegeEscalation != false", detail)
}

pub(super) fn privilege_escalation_but_on_windows(subject: Subject<'_>) -> Option<Violation> {
    if subject.is_windows() { None } else { privilege_escalation(subject) }
}

pub(super) fn capabilities(subject: Subject<'_>) -> Option<Violation> {
    let keeps = subject.named(|part| {
        let drop = part.security.and_then(|it| it.capabilities.as_ref()?.drop.as_ref());
        !drop.into_iter().flatten().any(|name| name == "ALL")
    });
    let (adds, added) = added_capabilities(subject, &["NET_BIND_SERVICE"]);
    let keeps = (!keeps.is_empty())
        .then(|| format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeps)));
    let adds = (!adds.is_empty()).then(|| must_not_add(&adds, added));
    let wrong: Vec<_> = keeps.into_iter().chain(adds).collect();
    if wrong.is_empty() { None } else { Violation::new("unrestricted capabilities", wrong.join("; ")) }
}

pub(super) fn capabilities_but_on_windows(subject: Subject<'_>) -> Option<Violation> {
    if subject.is_windows() { None } else { capabilities(subject) }
}

pub(super) fn volumes(subject: Subject<'_>) -> Option<Violation> {
    let volumes = subject.spec.volumes.iter().flatten();
    let bad: Vec<_> = volumes.filter_map(|volume| Some((volume.name.as_str(), forbidden_source(volume)?))).collect();
    if bad.is_empty() {
        return None;
    }
    let (names, sources): (Vec<_>, BTreeSet<_>) = bad.into_iter().unzip();
    let detail = format!(
        "{} {} {} {} {}",
        plural(names.len(), "volume", "volumes"),
        quoted(&names),
        plural(names.len(), "uses", "use"),
        plural(sources.len(), "restricted volume type", "restricted volume types"),
        quoted(sources)
    );
    Violation::new("restricted volume types", detail)
}

/// The source of a volume, if it is none of those that are allowed.
fn forbidden_source(volume: &Volume) -> Option<&'static str> {
    let allowed = volume.config_map.is_some()
        || volume.csi.is_some()
        || volume.downward_api.is_some()
        || volume.empty_dir.is_some()
        || volume.ephemeral.is_some()
        || volume.image.is_some()
        || volume.persistent_volume_claim.is_some()
        || volume.projected.is_some()
        || volume.secret.is_some();
    if allowed {
        return None;
    }
    let sources = [
        (volume.host_path.is_some(), "hostPath"),
        (volume.gce_persistent_disk.is_some(), "gcePersistentDisk"),
        (volume.aws_elastic_block_store.is_some(), "awsElasticBlockStore"),
        (volume.git_repo.is_some(), "gitRepo"),
        (volume.nfs.is_some(), "nfs"),
        (volume.iscsi.is_some(), "iscsi"),
        (volume.glusterfs.is_some(), "glusterfs"),
        (volume.rbd.is_some(), "rbd"),
        (volume.flex_volume.is_some(), "flexVolume"),
        (volume.cinder.is_some(), "cinder"),
        (volume.cephfs.is_some(), "cephfs"),
        (volume.flocker.is_some(), "flocker"),
        (volume.fc.is_some(), "fc"),
        (volume.azure_file.is_some(), "azureFile"),
        (volume.vsphere_volume.is_some(), "vsphereVolume"),
        (volume.quobyte.is_some(), "quobyte"),
        (volume.azure_disk.is_some(), "azureDisk"),
        (volume.photon_persistent_disk.is_some(), "photonPersistentDisk"),
        (volume.portworx_volume.is_some(), "portworxVolume"),
        (volume.scale_io.is_some(), "scaleIO"),
        (volume.storageos.is_some(), "storageos"),
    ];
    Some(sources.into_iter().find(|(is, _)| *is).map_or("unknown", |(_, name)| name))
}

pub(super) fn run_as_non_root(subject: Subject<'_>) -> Option<Violation> {
    const REASON: &str = "runAsNonRoot != true";
    let of_pod = subject.security().and_then(|it| it.run_as_non_root);
    let says = |part: &super::subject::Part<'_>| part.security.and_then(|it| it.run_as_non_root);
    let setters = setters(of_pod == Some(false), &subject.named(|part| says(part) == Some(false)));
    if !setters.is_empty() {
        let setters = setters.join(" and ");
        return Violation::new(REASON, format!("{setters} must not set securityContext.runAsNonRoot=false"));
    }
    let silent = subject.named(|part| says(part).is_none() && of_pod != Some(true));
    if silent.is_empty() {
        return None;
    }
    Violation::new(REASON, format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&silent)))
}

pub(super) fn run_as_non_root_of_host_users(subject: Subject<'_>) -> Option<Violation> {
    if subject.has_own_users() { None } else { run_as_non_root(subject) }
}

pub(super) fn run_as_user(subject: Subject<'_>) -> Option<Violation> {
    let of_pod = subject.security().and_then(|it| it.run_as_user);
    let root = subject.named(|part| part.security.and_then(|it| it.run_as_user) == Some(0));
    let setters = setters(of_pod == Some(0), &root);
    if setters.is_empty() {
        return None;
    }
    Violation::new("runAsUser=0", format!("{} must not set runAsUser=0", setters.join(" and ")))
}

pub(super) fn run_as_user_of_host_users(subject: Subject<'_>) -> Option<Violation> {
    if subject.has_own_users() { None } else { run_as_user(subject) }
}

pub(super) fn seccomp_profile(subject: Subject<'_>) -> Option<Violation> {
    if let Some(violation) = baseline::seccomp_profile(subject) {
        return Some(violation);
    }
    if subject.security().is_some_and(|it| it.seccomp_profile.is_some()) {
        return None;
    }
    let silent = subject.named(|part| part.security.is_none_or(|it| it.seccomp_profile.is_none()));
    if silent.is_empty() {
        return None;
    }
    let who = containers(&silent);
    let detail =
        format!("pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"");
    Violation::new("seccompProfile", detail)
}

pub(super) fn seccomp_but_on_windows(subject: Subject<'_>) -> Option<Violation> {
    if subject.is_windows() { None } else { seccomp_profile(subject) }
}
