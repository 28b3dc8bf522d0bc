//! What is known to break out of the pod.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{LifecycleHandler, Probe, SELinuxOptions};

use super::subject::{Subject, Violation, containers, plural, quoted, setters};

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Kernel parameters that are safe, in the order in which they were found to be.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

pub(super) fn app_armor_profile(subject: Subject<'_>) -> Option<Violation> {
    const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
    let bad = |kind: &str| !matches!(kind, "RuntimeDefault" | "Localhost");
    let of_pod = subject.security().and_then(|it| it.app_armor_profile.as_ref()).map(|it| it.type_.as_str());
    let (mut setters, values) = subject.wrong(of_pod.filter(|kind| bad(kind)), |security| {
        security.app_armor_profile.as_ref().map(|it| it.type_.as_str()).filter(|kind| bad(kind))
    });
    let fine = |value: &str| matches!(value, "" | "runtime/default") || value.starts_with("localhost/");
    let annotations = subject.metadata.annotations.iter().flatten();
    let annotations = annotations.filter(|(key, value)| key.starts_with(ANNOTATION) && !fine(value));
    let annotations: Vec<_> = annotations.map(|(key, value)| format!("{key}={value:?}")).collect();
    if !annotations.is_empty() {
        setters.push(plural(annotations.len(), "annotation", "annotations").to_owned());
    }
    let reason = plural(values.len() + annotations.len(), "forbidden AppArmor profile", "forbidden AppArmor profiles");
    let (setters, values) =
        ((!setters.is_empty()).then(|| setters.join(" and "))?, values.into_iter().chain(annotations));
    Violation::new(reason, format!("{setters} must not set AppArmor profile type to {}", quoted(values)))
}

pub(super) fn capabilities(subject: Subject<'_>) -> Option<Violation> {
    let (bad, added) = added_capabilities(subject, &CAPABILITIES);
    if bad.is_empty() {
        return None;
    }
    let detail = must_not_add(&bad, added);
    Violation::new("non-default capabilities", detail)
}

pub(super) fn must_not_add(bad: &[&str], added: BTreeSet<&str>) -> String {
    format!("{} must not include {} in securityContext.capabilities.add", containers(bad), quoted(added))
}

/// The containers that add capabilities beyond these, and which.
pub(super) fn added_capabilities<'a>(subject: Subject<'a>, fine: &[&str]) -> (Vec<&'a str>, BTreeSet<&'a str>) {
    let mut added = BTreeSet::new();
    let mut bad = Vec::new();
    for part in subject.parts() {
        let add = part.security.and_then(|it| it.capabilities.as_ref()?.add.as_ref()).into_iter().flatten();
        let wrong: Vec<_> = add.map(String::as_str).filter(|name| !fine.contains(name)).collect();
        if !wrong.is_empty() {
            bad.push(part.name);
            added.extend(wrong);
        }
    }
    (bad, added)
}

pub(super) fn host_namespaces(subject: Subject<'_>) -> Option<Violation> {
    let spec = subject.spec;
    let shared =
        [(spec.host_network, "hostNetwork=true"), (spec.host_pid, "hostPID=true"), (spec.host_ipc, "hostIPC=true")];
    let shared: Vec<_> = shared.into_iter().filter(|(on, _)| *on == Some(true)).map(|(_, text)| text).collect();
    if shared.is_empty() { None } else { Violation::new("host namespaces", shared.join(", ")) }
}

pub(super) fn host_path_volumes(subject: Subject<'_>) -> Option<Violation> {
    let volumes = subject.spec.volumes.iter().flatten().filter(|volume| volume.host_path.is_some());
    let names: Vec<_> = volumes.map(|volume| volume.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    Violation::new("hostPath volumes", format!("{} {}", plural(names.len(), "volume", "volumes"), quoted(names)))
}

pub(super) fn host_ports(subject: Subject<'_>) -> Option<Violation> {
    let mut ports = BTreeSet::new();
    let mut bad = Vec::new();
    for part in subject.parts() {
        let before = bad.len();
        for port in part.ports.iter().filter_map(|port| port.host_port).filter(|port| *port != 0) {
            ports.insert(port.to_string());
            bad.truncate(before);
            bad.push(part.name);
        }
    }
    if bad.is_empty() {
        return None;
    }
    let (use_word, port_word) = (plural(bad.len(), "uses", "use"), plural(ports.len(), "hostPort", "hostPorts"));
    let ports = ports.into_iter().collect::<Vec<_>>().join(", ");
    Violation::new("hostPort", format!("{} {use_word} {port_word} {ports}", containers(&bad)))
}

pub(super) fn probe_hosts(subject: Subject<'_>) -> Option<Violation> {
    fn of_probe(probe: &Probe) -> [Option<&String>; 2] {
        [
            probe.http_get.as_ref().and_then(|get| get.host.as_ref()),
            probe.tcp_socket.as_ref().and_then(|socket| socket.host.as_ref()),
        ]
    }
    fn of_handler(handler: &LifecycleHandler) -> [Option<&String>; 2] {
        [
            handler.http_get.as_ref().and_then(|get| get.host.as_ref()),
            handler.tcp_socket.as_ref().and_then(|socket| socket.host.as_ref()),
        ]
    }
    let (mut bad, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    for part in subject.parts() {
        let hooks = part.lifecycle.map(|lifecycle| [lifecycle.post_start.as_ref(), lifecycle.pre_stop.as_ref()]);
        let of_probes = part.probes.into_iter().flatten().flat_map(of_probe);
        let of_hooks = hooks.into_iter().flatten().flatten().flat_map(of_handler);
        for host in of_probes.chain(of_hooks).flatten().filter(|host| !host.is_empty()) {
            bad.insert(part.name);
            hosts.insert(host.as_str());
        }
    }
    if bad.is_empty() {
        return None;
    }
    let bad: Vec<_> = bad.into_iter().collect();
    let host_word = plural(hosts.len(), "probe or lifecycle host", "probe or lifecycle hosts");
    let use_word = plural(bad.len(), "uses", "use");
    let detail = format!("{} {use_word} {host_word} {}", containers(&bad), quoted(hosts));
    Violation::new("probe or lifecycle host", detail)
}

pub(super) fn privileged(subject: Subject<'_>) -> Option<Violation> {
    let bad = subject.named(|part| part.security.is_some_and(|security| security.privileged == Some(true)));
    if bad.is_empty() {
        return None;
    }
    Violation::new("privileged", format!("{} must not set securityContext.privileged=true", containers(&bad)))
}

pub(super) fn proc_mount(subject: Subject<'_>) -> Option<Violation> {
    let bad = |security: &k8s_openapi::api::core::v1::SecurityContext| {
        security.proc_mount.clone().filter(|mount| mount != "Default")
    };
    let mounts: BTreeSet<_> = subject.parts().filter_map(|part| part.security.and_then(bad)).collect();
    let names = subject.named(|part| part.security.and_then(bad).is_some());
    if names.is_empty() {
        return None;
    }
    let detail = format!("{} must not set securityContext.procMount to {}", containers(&names), quoted(mounts));
    Violation::new("procMount", detail)
}

pub(super) fn proc_mount_of_host_users(subject: Subject<'_>) -> Option<Violation> {
    if subject.has_own_users() { None } else { proc_mount(subject) }
}

pub(super) fn selinux_options(subject: Subject<'_>) -> Option<Violation> {
    selinux(subject, &["", "container_t", "container_init_t", "container_kvm_t"])
}

pub(super) fn selinux_options_with_engine(subject: Subject<'_>) -> Option<Violation> {
    selinux(subject, &["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"])
}

fn selinux(subject: Subject<'_>, types: &[&str]) -> Option<Violation> {
    let (mut bad_types, mut user, mut role) = (BTreeSet::new(), false, false);
    let mut is_bad = |options: &SELinuxOptions| {
        let kind = options.type_.as_deref().unwrap_or("");
        let (has_user, has_role) = (
            options.user.as_ref().is_some_and(|it| !it.is_empty()),
            options.role.as_ref().is_some_and(|it| !it.is_empty()),
        );
        let bad_type = !types.contains(&kind);
        if bad_type {
            bad_types.insert(kind.to_owned());
        }
        user |= has_user;
        role |= has_role;
        bad_type || has_user || has_role
    };
    let pod = subject.security().and_then(|it| it.se_linux_options.as_ref()).is_some_and(&mut is_bad);
    let parts = subject
        .parts()
        .filter(|part| part.security.and_then(|it| it.se_linux_options.as_ref()).is_some_and(&mut is_bad));
    let bad: Vec<_> = parts.map(|part| part.name).collect();
    let setters = setters(pod, &bad);
    if setters.is_empty() {
        return None;
    }
    let types =
        (!bad_types.is_empty()).then(|| format!("{} {}", plural(bad_types.len(), "type", "types"), quoted(&bad_types)));
    let user = user.then(|| "user may not be set".to_owned());
    let role = role.then(|| "role may not be set".to_owned());
    let what = types.into_iter().chain(user).chain(role).collect::<Vec<_>>().join("; ");
    let detail = format!("{} set forbidden securityContext.seLinuxOptions: {what}", setters.join(" and "));
    Violation::new("seLinuxOptions", detail)
}

pub(super) fn seccomp_annotations(subject: Subject<'_>) -> Option<Violation> {
    const POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
    let keys = subject.parts().map(|part| format!("container.seccomp.security.alpha.kubernetes.io/{}", part.name));
    let keys: BTreeSet<_> = keys.chain([POD.to_owned()]).collect();
    let annotations = subject.metadata.annotations.as_ref()?;
    let fine = |value: &str| matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
    let found = keys.iter().filter_map(|key| Some((key, annotations.get(key)?)));
    let bad: Vec<_> = found.filter(|(_, value)| !fine(value)).map(|(key, value)| format!("{key}={value:?}")).collect();
    if bad.is_empty() {
        return None;
    }
    let word = plural(bad.len(), "annotation", "annotations");
    Violation::new("seccompProfile", format!("forbidden {word} {}", bad.join(", ")))
}

pub(super) fn seccomp_profile(subject: Subject<'_>) -> Option<Violation> {
    let bad = |kind: &&str| !matches!(*kind, "RuntimeDefault" | "Localhost");
    let of_pod = subject.security().and_then(|it| it.seccomp_profile.as_ref()).map(|it| it.type_.as_str());
    let (setters, values) = subject.wrong(of_pod.filter(bad), |security| {
        security.seccomp_profile.as_ref().map(|it| it.type_.as_str()).filter(bad)
    });
    if setters.is_empty() {
        return None;
    }
    let (setters, values) = (setters.join(" and "), quoted(values));
    Violation::new("seccompProfile", format!("{setters} must not set securityContext.seccompProfile.type to {values}"))
}

/// With so many of the safe ones known.
pub(super) fn sysctls<const KNOWN: usize>(subject: Subject<'_>) -> Option<Violation> {
    let fine = |name: &&str| SYSCTLS.iter().take(KNOWN).any(|safe| safe == name);
    let names = subject.security()?.sysctls.iter().flatten().map(|sysctl| sysctl.name.as_str());
    let bad: Vec<_> = names.filter(|name| !fine(name)).collect();
    if bad.is_empty() { None } else { Violation::new("forbidden sysctls", bad.join(", ")) }
}

pub(super) fn windows_host_process(subject: Subject<'_>) -> Option<Violation> {
    let pod = subject.security().and_then(|it| it.windows_options.as_ref()?.host_process) == Some(true);
    let bad =
        subject.named(|part| part.security.and_then(|it| it.windows_options.as_ref()?.host_process) == Some(true));
    let setters = setters(pod, &bad);
    if setters.is_empty() {
        return None;
    }
    let detail = format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters.join(" and "));
    Violation::new("hostProcess", detail)
}
