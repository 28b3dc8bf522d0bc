//! One line per check: what is allowed, what is not, and since when.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;

fn pod(spec: Value, annotations: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"annotations": annotations}, "spec": spec})).unwrap()
}

/// What a level at a version says of a pod; `latest` without a version.
fn verdict(level: &str, pod: &Pod) -> String {
    let (level, version) = level.split_once(':').unwrap_or((level, "latest"));
    let labels = [("enforce", level), ("enforce-version", version)];
    let labels = labels.map(|(key, value)| (format!("pod-security.kubernetes.io/{key}"), value.to_owned()));
    let (policy, errors) = Policy::of(Some(&labels.into()), Policy::default());
    assert!(errors.is_empty(), "{errors:?}");
    details(&violations(policy.enforce, &pod.metadata, pod.spec.as_ref().unwrap()))
}

#[track_caller]
fn check(level: &str, spec: Value, expected: &str) {
    assert_eq!(verdict(level, &pod(spec, json!({}))), expected);
}

/// A pod of one container `a` with this field.
fn container(key: &str, value: Value) -> Value {
    json!({"containers": [{"name": "a", key: value}]})
}

fn security(value: Value) -> Value {
    container("securityContext", value)
}

/// A container that is all right at the restricted level, but for this.
fn restricted(key: &str, value: Value) -> Value {
    let mut security_context = json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    security_context[key] = value;
    security(security_context)
}

#[test]
fn privileged_allows_everything() {
    check("privileged", json!({"hostNetwork": true, "containers": []}), "");
}

#[test]
fn baseline() {
    let all = json!({
        "hostNetwork": true, "hostPID": true, "hostIPC": true,
        "initContainers": [{"name": "i", "securityContext": {"privileged": true}}],
        "containers": [{"name": "a", "ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 8, "hostPort": 8}],
            "securityContext": {"capabilities": {"add": ["NET_RAW", "KILL"]}, "procMount": "Unmasked"}}],
        "ephemeralContainers": [{"name": "e", "securityContext": {"privileged": true}}],
        "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
    });
    check(
        "baseline",
        all,
        "non-default capabilities (container \"a\" must not include \"NET_RAW\" in securityContext.capabilities.add), \
         host namespaces (hostNetwork=true, hostPID=true, hostIPC=true), hostPath volumes (volume \"v\"), \
         hostPort (container \"a\" uses hostPorts 8, 80), \
         privileged (containers \"i\", \"e\" must not set securityContext.privileged=true), \
         procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")",
    );
    let host = json!({"httpGet": {"host": "h", "port": 1}});
    check(
        "baseline",
        container("livenessProbe", host.clone()),
        "probe or lifecycle host (container \"a\" uses probe or lifecycle host \"h\")",
    );
    check("baseline:v1.33", container("livenessProbe", host.clone()), "");
    check(
        "baseline",
        container("lifecycle", json!({"preStop": host})),
        "probe or lifecycle host (container \"a\" uses probe or lifecycle host \"h\")",
    );
    check(
        "baseline",
        security(json!({"seLinuxOptions": {"type": "x", "user": "u", "role": "r"}})),
        "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type \"x\"; user may not be set; role \
         may not be set)",
    );
    let engine = security(json!({"seLinuxOptions": {"type": "container_engine_t"}}));
    check("baseline:v1.31", engine.clone(), "");
    check(
        "baseline:v1.30",
        engine,
        "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type \"container_engine_t\")",
    );
    check(
        "baseline",
        json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}},
            "containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}]}),
        "seccompProfile (pod and container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
    );
    check(
        "baseline",
        security(json!({"appArmorProfile": {"type": "Unconfined"}})),
        "forbidden AppArmor profile (container \"a\" must not set AppArmor profile type to \"Unconfined\")",
    );
    check(
        "baseline",
        security(json!({"windowsOptions": {"hostProcess": true}})),
        "hostProcess (container \"a\" must not set securityContext.windowsOptions.hostProcess=true)",
    );
    let tcp = json!({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}, "containers": []});
    check("baseline", tcp.clone(), "");
    check("baseline:v1.31", tcp, "forbidden sysctls (net.ipv4.tcp_rmem)");
    let own_users =
        json!({"hostUsers": false, "containers": [{"name": "a", "securityContext": {"procMount": "Unmasked"}}]});
    check("baseline", own_users.clone(), "");
    check(
        "baseline:v1.34",
        own_users,
        "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")",
    );
}

#[test]
fn annotations_of_old() {
    let key = "container.apparmor.security.beta.kubernetes.io/a";
    let pod_with = |key: &str, value: &str| pod(container("image", json!("x")), json!({key: value}));
    assert_eq!(verdict("baseline", &pod_with(key, "localhost/x")), "");
    assert_eq!(
        verdict("baseline", &pod_with(key, "unconfined")),
        "forbidden AppArmor profile (annotation must not set AppArmor profile type to \
         \"container.apparmor.security.beta.kubernetes.io/a=\"unconfined\"\")"
    );
    let key = "seccomp.security.alpha.kubernetes.io/pod";
    assert_eq!(verdict("baseline", &pod_with(key, "unconfined")), "");
    assert_eq!(
        verdict("baseline:v1.18", &pod_with(key, "unconfined")),
        "seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod=\"unconfined\")"
    );
}

#[test]
fn restricted_asks_for_good_practice() {
    check("restricted", restricted("privileged", json!(false)), "");
    check(
        "restricted",
        container("image", json!("nginx")),
        "allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false), \
         unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]), \
         runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true), \
         seccompProfile (pod or container \"a\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \
         \"Localhost\")",
    );
    check(
        "restricted:v1.7",
        container("image", json!("nginx")),
        "runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true)",
    );
    check(
        "restricted",
        restricted("capabilities", json!({"add": ["KILL", "NET_BIND_SERVICE"]})),
        "unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]; container \"a\" \
         must not include \"KILL\" in securityContext.capabilities.add)",
    );
    check("restricted", restricted("runAsUser", json!(0)), "runAsUser=0 (container \"a\" must not set runAsUser=0)");
    check("restricted:v1.22", restricted("runAsUser", json!(0)), "");
    check(
        "restricted",
        restricted("runAsNonRoot", json!(false)),
        "runAsNonRoot != true (container \"a\" must not set securityContext.runAsNonRoot=false)",
    );
    check(
        "restricted",
        restricted("seccompProfile", json!({"type": "Unconfined"})),
        "seccompProfile (container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
    );
    let mut volumes = restricted("privileged", json!(false));
    volumes["volumes"] = json!([{"name": "h", "hostPath": {"path": "/"}}, {"name": "n", "nfs": {"path": "/", "server": "s"}},
        {"name": "e", "emptyDir": {}}, {"name": "i", "image": {"reference": "x"}}]);
    check(
        "restricted",
        volumes,
        "restricted volume types (volumes \"h\", \"n\" use restricted volume types \"hostPath\", \"nfs\")",
    );
    let mut windows = container("securityContext", json!({"runAsNonRoot": true}));
    windows["os"] = json!({"name": "windows"});
    check("restricted", windows, "");
    let mut own_users = restricted("procMount", json!("Unmasked"));
    own_users["hostUsers"] = json!(false);
    check(
        "restricted",
        own_users,
        "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")",
    );
}

#[test]
fn labels_say_what_is_done() {
    #[track_caller]
    fn check(labels: &[(&str, &str)], expected: &str) {
        let labels =
            labels.iter().map(|(key, value)| (format!("pod-security.kubernetes.io/{key}"), (*value).to_owned()));
        let (policy, errors) = Policy::of(Some(&labels.collect()), Policy::default());
        let causes = errors.to_causes().into_iter().map(|cause| cause.message.unwrap_or_default());
        let said = [policy.enforce, policy.audit, policy.warn].map(|mode| mode.to_string()).join(" ");
        assert_eq!([said].into_iter().chain(causes).collect::<Vec<_>>().join("\n"), expected);
    }
    check(&[], "privileged:latest privileged:latest privileged:latest");
    check(&[("enforce", "baseline"), ("enforce-version", "v1.30")], "baseline:v1.30 privileged:latest baseline:v1.30");
    check(&[("enforce", "baseline"), ("warn", "restricted")], "baseline:latest privileged:latest restricted:latest");
    check(
        &[("enforce", "strict"), ("warn-version", "1.30"), ("audit-version", "v1.01")],
        "restricted:latest privileged:latest privileged:latest\n\
         Invalid value: \"strict\": must be one of privileged, baseline, restricted\n\
         Invalid value: \"v1.01\": must be \"latest\" or \"v1.x\"\n\
         Invalid value: \"1.30\": must be \"latest\" or \"v1.x\"",
    );
}
