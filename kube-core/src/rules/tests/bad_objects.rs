//! Bad objects, and what is said about them.

use super::*;
use expect_test::expect;
use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v2 as autoscaling, batch::v1 as batch, coordination::v1 as coordination,
    core::v1 as core, discovery::v1 as discovery, events::v1 as events, networking::v1 as networking, node::v1 as node,
    policy::v1 as policy, rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};

#[test]
fn metadata() {
    check::<core::ConfigMap>(
        "metadata: {name: Bad_Name, namespace: 'a.b', labels: {a/b/c: x, ok: -x}}",
        expect![[r#"
        metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        metadata.namespace: Invalid value: "a.b": must not contain dots
        metadata.labels: Invalid value: "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')
        metadata.labels: Invalid value: "-x": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
    "#]],
    );
    check::<core::ConfigMap>(
        "metadata: {generateName: 'A-', name: '', annotations: {'-': a}, finalizers: [unknown, orphan, foregroundDeletion]}",
        expect![[r#"
            metadata.name: Required value: name or generateName is required
            metadata.annotations: Invalid value: "-": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            metadata.finalizers: Invalid value: ["unknown","orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set
            metadata.finalizers[0]: Invalid value: "unknown": name is neither a standard finalizer name nor is it fully qualified
        "#]],
    );
    check::<core::ConfigMap>(
        "metadata:
           ownerReferences:
           - {apiVersion: v1, kind: Pod, name: a, uid: u, controller: true}
           - {apiVersion: v1, kind: Event, name: '', uid: u, controller: true}",
        expect![[r#"
            metadata.ownerReferences.name: Invalid value: "": must not be empty
            metadata.ownerReferences: Invalid value: {"apiVersion":"v1","controller":true,"kind":"Event","name":"","uid":"u"}: /v1, Kind=Event is disallowed from being an owner
            metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","controller":true,"kind":"Pod","name":"a","uid":"u"},{"apiVersion":"v1","controller":true,"kind":"Event","name":"","uid":"u"}]: Only one reference can have Controller set to true. Found "true" in references for Pod/a and Event/
        "#]],
    );
    check::<core::Node>(
        "metadata: {name: n1, namespace: x}",
        expect![[r#"
        metadata.namespace: Forbidden: not allowed on this type
    "#]],
    );
    check::<core::Namespace>(
        "metadata: {name: a.b}",
        expect![[r#"
        metadata.name: Invalid value: "a.b": must not contain dots
    "#]],
    );
    check::<core::Service>("{metadata: {name: 1a}, spec: {ports: [{port: 1}]}}", expect![]);
    check::<core::Service>(
        "{metadata: {name: a.b}, spec: {ports: [{port: 1}]}}",
        expect![[r#"
        metadata.name: Invalid value: "a.b": must not contain dots
    "#]],
    );
    check::<rbac::Role>(
        "metadata: {name: 'a/b'}",
        expect![[r#"
        metadata.name: Invalid value: "a/b": may not contain '/'
    "#]],
    );
    check::<rbac::Role>("metadata: {name: 'system:node'}", expect![]);
}

fn check_pod(spec: &str, expected: expect_test::Expect) {
    check::<core::Pod>(&format!("spec: {spec}"), expected);
}

#[test]
fn pod() {
    check_pod(
        "{containers: []}",
        expect![[r#"
        spec.containers: Required value
    "#]],
    );
    check_pod(
        "{containers: [{name: '', image: ''}, {name: a.b, image: ' x'}, {name: a.b, image: x}]}",
        expect![[r#"
        spec.containers[0].name: Required value
        spec.containers[0].image: Required value
        spec.containers[1].name: Invalid value: "a.b": must not contain dots
        spec.containers[1].image: Invalid value: " x": must not have leading or trailing whitespace
        spec.containers[2].name: Invalid value: "a.b": must not contain dots
        spec.containers[2].name: Duplicate value: "a.b"
    "#]],
    );
    check_pod(
        "{restartPolicy: Sometimes, dnsPolicy: None, containers: [{name: c, image: i, imagePullPolicy: Maybe, terminationMessagePolicy: Logs}]}",
        expect![[r#"
            spec.containers[0].terminationMessagePolicy: Unsupported value: "Logs": supported values: "File", "FallbackToLogsOnError"
            spec.containers[0].imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"
            spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"
            spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None
        "#]],
    );
    check_pod(
        "{activeDeadlineSeconds: 0, hostname: a.b, nodeName: X, serviceAccountName: a_b, priorityClassName: '-', containers: [{name: c, image: i}]}",
        expect![[r#"
            spec.serviceAccountName: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.nodeName: Invalid value: "X": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.priorityClassName: Invalid value: "-": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.hostname: Invalid value: "a.b": must not contain dots
            spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive
        "#]],
    );
    check_pod(
        "{hostUsers: false, hostNetwork: true, hostPID: true, nodeSelector: {a: '-'}, hostAliases: [{ip: x, hostnames: [A]}], containers: [{name: c, image: i}]}",
        expect![[r#"
            spec.nodeSelector: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            spec.hostNetwork: Forbidden: when `hostUsers` is false
            spec.HostPID: Forbidden: when `hostUsers` is false
            spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
            spec.hostAliases[0].hostnames[0]: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        "#]],
    );
    check_pod(
        "{nodeName: n1, schedulingGates: [{name: a.b/c}, {name: a.b/c}], ephemeralContainers: [{name: c, image: i, ports: [{containerPort: 1}]}], containers: [{name: c, image: i}]}",
        expect![[r#"
            spec.ephemeralContainers[0].ports[0].protocol: Required value
            spec.ephemeralContainers[0].name: Duplicate value: "c"
            spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container
            spec.schedulingGates[1]: Duplicate value: "a.b/c"
            spec.ephemeralContainers: Forbidden: cannot be set on create
            spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared
        "#]],
    );
}

#[test]
fn container_ports_and_environment() {
    check_pod(
        "{containers: [{name: c, image: i, ports: [{name: http, containerPort: 80, hostPort: 80}, {name: http, containerPort: 0}, {name: UPPER--, containerPort: 70000, protocol: ICMP}, {containerPort: 81, hostPort: 80}]}]}",
        expect![[r#"
            spec.containers[0].ports[1].name: Duplicate value: "http"
            spec.containers[0].ports[1].containerPort: Required value
            spec.containers[0].ports[2].name: Invalid value: "UPPER--": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
            spec.containers[0].ports[2].name: Invalid value: "UPPER--": must contain at least one letter (a-z)
            spec.containers[0].ports[2].name: Invalid value: "UPPER--": must not contain consecutive hyphens
            spec.containers[0].ports[2].name: Invalid value: "UPPER--": must not begin or end with a hyphen
            spec.containers[0].ports[2].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive
            spec.containers[0].ports[2].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"
            spec.containers[0].ports[3].hostPort: Duplicate value: "TCP//80"
        "#]],
    );
    check_pod(
        "{containers: [{name: c, image: i, env: [{name: ''}, {name: 'a=b'}, {name: F, valueFrom: {}}, {name: G, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: H, valueFrom: {fieldRef: {fieldPath: spec.nope}}}, {name: I, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}, {name: J, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}, {name: K, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1k}}}, {name: L, valueFrom: {secretKeyRef: {name: A, key: ''}}}, {name: M, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a']\"}}}], envFrom: [{}]}]}",
        expect![[r#"
            spec.containers[0].env[0].name: Required value
            spec.containers[0].env[1].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='
            spec.containers[0].env[2].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`
            spec.containers[0].env[3].valueFrom: Invalid value: "": may not be specified when `value` is not empty
            spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nope": error converting fieldPath: field label not supported: spec.nope
            spec.containers[0].env[5].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"
            spec.containers[0].env[6].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"
            spec.containers[0].env[7].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource
            spec.containers[0].env[8].valueFrom.secretKeyRef.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.containers[0].env[8].valueFrom.secretKeyRef.key: Required value
            spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`
        "#]],
    );
}

#[test]
fn resources() {
    check_pod(
        "{containers: [{name: c, image: i, resources: {limits: {cpu: 1, gpu: 1, memory: -1, example.com/gpu: 500m}, requests: {cpu: 2, hugepages-2Mi: 1Mi, requests.cpu: 1}}}]}",
        expect![[r#"
            spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer
            spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified
            spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers
            spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0
            spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1
            spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "500m": must be an integer
            spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified
            spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers
            spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources
            spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: "1Mi": 1Mi is not positive integer multiple of 2Mi
            spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0
            spec.containers[0].resources.requests[requests.cpu]: Invalid value: "requests.cpu": must be a standard resource for containers
        "#]],
    );
    check_pod(
        "{containers: [{name: c, image: i, resources: {limits: {hugepages-2Mi: 4Mi}}}]}",
        expect![[r#"
        spec.containers[0].resources: Forbidden: HugePages require cpu or memory
    "#]],
    );
    check_pod(
        "{containers: [{name: c, image: i, resources: {limits: {cpu: one}}}]}",
        expect![[r#"
        spec.containers[0].resources.limits[cpu]: Invalid value: "one": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
        spec.containers[0].resources.requests[cpu]: Invalid value: "one": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
    "#]],
    );
}

#[test]
fn probes_and_hooks() {
    check_pod(
        "{containers: [{name: c, image: i, livenessProbe: {exec: {command: []}, successThreshold: 2, periodSeconds: -1}, readinessProbe: {tcpSocket: {port: 0}, httpGet: {port: http--}, terminationGracePeriodSeconds: 1}, startupProbe: {}, lifecycle: {preStop: {sleep: {seconds: 31}}, postStart: {httpGet: {port: 1, scheme: FTP, httpHeaders: [{name: 'a b', value: c}]}}, stopSignal: SIGTERM}}]}",
        expect![[r#"
            spec.containers[0].lifecycle.postStart.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"
            spec.containers[0].lifecycle.postStart.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')
            spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)
            spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`
            spec.containers[0].livenessProbe.exec.command: Required value
            spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0
            spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1
            spec.containers[0].readinessProbe.httpGet.port: Invalid value: "http--": must not contain consecutive hyphens
            spec.containers[0].readinessProbe.httpGet.port: Invalid value: "http--": must not begin or end with a hyphen
            spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type
            spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes
            spec.containers[0].startupProbe: Required value: must specify a handler type
        "#]],
    );
    check_pod(
        "{os: {name: linux}, initContainers: [{name: i, image: i, livenessProbe: {exec: {command: [x]}}}, {name: c, image: i, restartPolicy: Always, lifecycle: {stopSignal: SIGNO}}], containers: [{name: c, image: i}]}",
        expect![[r#"
            spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always
            spec.initContainers[1].name: Duplicate value: "c"
            spec.initContainers[1].lifecycle.stopSignal: Unsupported value: "SIGNO": supported values: "SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO", "SIGIOT", "SIGKILL", "SIGPIPE", "SIGPOLL", "SIGPROF", "SIGPWR", "SIGQUIT", "SIGRTMAX", "SIGRTMAX-1", "SIGRTMAX-10", "SIGRTMAX-11", "SIGRTMAX-12", "SIGRTMAX-13", "SIGRTMAX-14", "SIGRTMAX-2", "SIGRTMAX-3", "SIGRTMAX-4", "SIGRTMAX-5", "SIGRTMAX-6", "SIGRTMAX-7", "SIGRTMAX-8", "SIGRTMAX-9", "SIGRTMIN", "SIGRTMIN+1", "SIGRTMIN+10", "SIGRTMIN+11", "SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15", "SIGRTMIN+2", "SIGRTMIN+3", "SIGRTMIN+4", "SIGRTMIN+5", "SIGRTMIN+6", "SIGRTMIN+7", "SIGRTMIN+8", "SIGRTMIN+9", "SIGSEGV", "SIGSTKFLT", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGWINCH", "SIGXCPU", "SIGXFSZ"
        "#]],
    );
}

#[test]
fn volumes() {
    check_pod(
        "{volumes: [{name: a, emptyDir: {}, hostPath: {path: /}}, {name: a, secret: {}}, {name: B, configMap: {name: '', defaultMode: 512, items: [{key: '', path: ../x, mode: 9999}]}}, {name: h, hostPath: {path: /a/../b, type: Pipe}}, {name: p, persistentVolumeClaim: {claimName: ''}}], containers: [{name: c, image: i, volumeMounts: [{name: nope, mountPath: ''}, {name: h, mountPath: /x, subPath: /y}, {name: h, mountPath: /x, mountPropagation: Bidirectional}], volumeDevices: [{name: h, devicePath: /x}]}]}",
        expect![[r#"
            spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type
            spec.volumes[1].secret.secretName: Required value
            spec.volumes[2].configMap.name: Required value
            spec.volumes[2].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive
            spec.volumes[2].configMap.items[0].key: Required value
            spec.volumes[2].configMap.items[0].path: Invalid value: "../x": must not contain '..'
            spec.volumes[2].configMap.items[0].mode: Invalid value: 9999: must be a number between 0 and 0777 (octal), both inclusive
            spec.volumes[2].name: Invalid value: "B": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.volumes[3].hostPath.path: Invalid value: "/a/../b": must not contain '..'
            spec.volumes[3].hostPath.type: Unsupported value: "Pipe": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"
            spec.volumes[4].persistentVolumeClaim.claimName: Required value
            spec.containers[0].volumeMounts[0].name: Not found: "nope"
            spec.containers[0].volumeMounts[0].mountPath: Required value
            spec.containers[0].volumeMounts[1].name: Not found: "h"
            spec.containers[0].volumeMounts[1].name: Invalid value: "h": must not already exist in volumeDevices
            spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must not already exist as a path in volumeDevices
            spec.containers[0].volumeMounts.subPath: Invalid value: "/y": must be a relative path
            spec.containers[0].volumeMounts[2].name: Not found: "h"
            spec.containers[0].volumeMounts[2].mountPath: Invalid value: "/x": must be unique
            spec.containers[0].volumeMounts[2].name: Invalid value: "h": must not already exist in volumeDevices
            spec.containers[0].volumeMounts[2].mountPath: Invalid value: "/x": must not already exist as a path in volumeDevices
            spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers
            spec.containers[0].volumeDevices[0].name: Not found: "h"
            spec.containers[0].volumeDevices[0].name: Invalid value: "h": must not already exist in volumeMounts
            spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/x": must not already exist as a path in volumeMounts
        "#]],
    );
    check_pod(
        "{volumes: [{name: p, projected: {sources: [{serviceAccountToken: {path: t, expirationSeconds: 5}}, {secret: {name: s, items: [{key: k, path: x}]}, configMap: {name: m, items: [{key: k, path: x}]}}, {downwardAPI: {items: [{path: z}]}}]}}, {name: e, ephemeral: {volumeClaimTemplate: {spec: {}}}}], containers: [{name: c, image: i}]}",
        expect![[r#"
            spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes
            spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set
            spec.volumes[0].projected.sources[1]: Forbidden: may not specify more than 1 volume type per source
            spec.volumes[0].projected: Invalid value: "m": conflicting duplicate paths
            spec.volumes[0].projected.sources[2].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required
            spec.volumes[1].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required
            spec.volumes[1].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value
        "#]],
    );
}

#[test]
fn scheduling_and_security() {
    check_pod(
        "{tolerations: [{key: a, operator: Is}, {operator: Equal}, {key: a, operator: Exists, value: x, tolerationSeconds: 1, effect: Never}], topologySpreadConstraints: [{maxSkew: 0, topologyKey: '', whenUnsatisfiable: Later, minDomains: 1}], containers: [{name: c, image: i}]}",
        expect![[r#"
            spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero
            spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty
            spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Later": supported values: "DoNotSchedule", "ScheduleAnyway"
            spec.topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not Later
            spec.tolerations[0].operator: Unsupported value: "Is": supported values: "Equal", "Exists"
            spec.tolerations[1].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"
            spec.tolerations[2].effect: Invalid value: "Never": effect must be 'NoExecute' when `tolerationSeconds` is set
            spec.tolerations[2].operator: Invalid value: "x": value must be empty when `operator` is 'Exists'
            spec.tolerations[2].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
        "#]],
    );
    check_pod(
        "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In}, {key: b, operator: Gt, values: ['1', '2']}, {key: c, operator: Near}], matchFields: [{key: metadata.uid, operator: Exists}]}]}, preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, preference: {}}]}, podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: '', labelSelector: {matchExpressions: [{key: a, operator: Exists, values: [x]}]}}]}}, containers: [{name: c, image: i}]}",
        expect![[r#"
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[2].operator: Invalid value: "Near": not a valid selector operator
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].operator: Invalid value: "Exists": not a valid selector operator
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key
            spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100
            spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'
            spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty
            spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty
            spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "#]],
    );
    check_pod(
        "{securityContext: {runAsUser: -1, fsGroupChangePolicy: Sometimes, sysctls: [{name: 'A b', value: x}], seccompProfile: {type: Localhost}}, containers: [{name: c, image: i, securityContext: {privileged: true, allowPrivilegeEscalation: false, procMount: Unmasked, runAsGroup: 4294967296, seccompProfile: {type: Mine, localhostProfile: x}}}]}",
        expect![[r#"
            spec.containers[0].securityContext.runAsGroup: Invalid value: 4294967296: must be between 0 and 2147483647, inclusive
            spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`
            spec.containers[0].securityContext.seccompProfile.type: Unsupported value: "Mine": supported values: "Localhost", "RuntimeDefault", "Unconfined"
            spec.containers[0].securityContext.seccompProfile.localhostProfile: Invalid value: {"localhostProfile":"x","type":"Mine"}: can only be set when seccomp type is Localhost
            spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true,"procMount":"Unmasked","runAsGroup":4294967296,"seccompProfile":{"localhostProfile":"x","type":"Mine"}}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true
            spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive
            spec.securityContext.sysctls[0].name: Invalid value: "A b": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$
            spec.securityContext.fsGroupChangePolicy: Unsupported value: "Sometimes": supported values: "Always", "OnRootMismatch"
            spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost
        "#]],
    );
}

const TEMPLATE: &str = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}";

#[test]
fn workloads() {
    check::<apps::Deployment>(
        &format!("spec: {{replicas: -1, selector: {{}}, {TEMPLATE}}}"),
        expect![[r#"
            spec.replicas: Invalid value: -1: must be greater than or equal to 0
            spec.selector: Required value
            spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`
        "#]],
    );
    check::<apps::Deployment>(
        &format!(
            "spec: {{selector: {{matchLabels: {{a: c}}}}, strategy: {{type: Recreate, rollingUpdate: {{}}}}, minReadySeconds: 600, {TEMPLATE}}}"
        ),
        expect![[r#"
            spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`
            spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'
            spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds
        "#]],
    );
    check::<apps::Deployment>(
        &format!(
            "spec: {{selector: {{matchLabels: {{a: b}}}}, strategy: {{rollingUpdate: {{maxSurge: 0, maxUnavailable: 0%}}}}, {TEMPLATE}}}"
        ),
        expect![[r#"
            spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0
        "#]],
    );
    check::<apps::Deployment>(
        &format!(
            "spec: {{selector: {{matchLabels: {{a: b}}}}, strategy: {{rollingUpdate: {{maxSurge: -1, maxUnavailable: 200%}}}}, {TEMPLATE}}}"
        ),
        expect![[r#"
            spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0
            spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "200%": must not be greater than 100%
        "#]],
    );
    check::<apps::Deployment>(
        "spec: {selector: {matchLabels: {a: b}}, strategy: {type: Fast}, template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, activeDeadlineSeconds: 5, containers: [{name: c}]}}}",
        expect![[r#"
            spec.template.spec.containers[0].image: Required value
            spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"
            spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported
            spec.strategy: Unsupported value: {"type":"Fast"}: supported values: "Recreate", "RollingUpdate"
        "#]],
    );
    check::<apps::ReplicaSet>(
        "spec: {selector: {matchExpressions: [{key: a, operator: In, values: []}]}}",
        expect![[r#"
        spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
        spec.template: Required value
    "#]],
    );
    check::<core::ReplicationController>(
        "spec: {replicas: -1, template: {spec: {containers: [{name: c, image: i}]}}}",
        expect![[r#"
            spec.selector: Required value
            spec.replicas: Invalid value: -1: must be greater than or equal to 0
        "#]],
    );
    check::<apps::StatefulSet>(
        &format!(
            "{{metadata: {{name: a.b}}, spec: {{podManagementPolicy: Random, updateStrategy: {{type: OnDelete, rollingUpdate: {{partition: 1}}}}, ordinals: {{start: -1}}, selector: {{matchLabels: {{a: b}}}}, {TEMPLATE}}}}}"
        ),
        expect![[r#"
            metadata.name: Invalid value: "a.b": must not contain dots
            spec.podManagementPolicy: Invalid value: "Random": must be 'OrderedReady' or 'Parallel'
            spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy 'RollingUpdate'
            spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0
        "#]],
    );
    check::<apps::DaemonSet>(
        &format!(
            "spec: {{updateStrategy: {{rollingUpdate: {{maxSurge: 1, maxUnavailable: 1}}}}, selector: {{}}, {TEMPLATE}}}"
        ),
        expect![[r#"
            spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`
            spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero
        "#]],
    );
    check::<apps::ControllerRevision>(
        "revision: -1",
        expect![[r#"
        data: Required value: data is mandatory
        revision: Invalid value: -1: must be greater than or equal to 0
    "#]],
    );
}

#[test]
fn jobs() {
    check::<batch::Job>(
        "spec: {parallelism: -1, template: {spec: {containers: [{name: c, image: i}]}}}",
        expect![[r#"
        spec.parallelism: Invalid value: -1: must be greater than or equal to 0
        spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
    "#]],
    );
    check::<batch::Job>(
        "{metadata: {name: a.b}, spec: {completionMode: Indexed, completions: 3, template: {spec: {restartPolicy: OnFailure, containers: [{name: c, image: i}]}}, podFailurePolicy: {rules: [{action: FailJob}, {action: Stop, onExitCodes: {operator: In, values: [3, 0, 3], containerName: d}}]}, successPolicy: {rules: [{succeededIndexes: '0-9', succeededCount: 9}]}}}",
        expect![[r#"
            spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required
            spec.podFailurePolicy.rules[1].action: Unsupported value: "Stop": supported values: "Count", "FailIndex", "FailJob", "Ignore"
            spec.podFailurePolicy.rules[1].onExitCodes.containerName: Invalid value: "d": must be one of the container or initContainer names in the pod template
            spec.podFailurePolicy.rules[1].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator
            spec.podFailurePolicy.rules[1].onExitCodes.values[2]: Duplicate value: 3
            spec.podFailurePolicy.rules[1].onExitCodes.values: Invalid value: [3,0,3]: must be ordered
            spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-9": error parsing succeededIndexes: too large index: "9"
            spec.successPolicy.rules[0].succeededCount: Invalid value: 9: must be less than or equal to 3 (the number of specified completions)
            spec.successPolicy.rules[0].succeededCount: Invalid value: 9: must be less than or equal to 0 (the number of indexes in the specified succeededIndexes field)
            spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified
            metadata.name: Invalid value: "a.b": will not able to create pod with invalid DNS label: a.b-2
        "#]],
    );
    check::<batch::Job>(
        "spec: {manualSelector: true, backoffLimitPerIndex: 1, template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}",
        expect![[r#"
            spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode
            spec.selector: Required value
        "#]],
    );
    check::<batch::CronJob>(
        "{metadata: {name: an-extremely-long-name-for-a-cron-job-which-does-not-fit}, spec: {schedule: '0 0 * *', timeZone: '../x', concurrencyPolicy: Never, jobTemplate: {spec: {selector: {}, template: {spec: {containers: [{name: c, image: i}]}}}}}}",
        expect![[r#"
            spec.schedule: Invalid value: "0 0 * *": expected exactly 5 fields, found 4: [0 0 * *]
            spec.timeZone: Invalid value: "../x": unknown time zone ../x
            spec.concurrencyPolicy: Unsupported value: "Never": supported values: "Allow", "Forbid", "Replace"
            spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
            spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated
            metadata.name: Invalid value: "an-extremely-long-name-for-a-cron-job-which-does-not-fit": must be no more than 52 characters
        "#]],
    );
}

#[test]
fn services_and_endpoints() {
    check::<core::Service>(
        "{}",
        expect![[r#"
        spec.ports: Required value
    "#]],
    );
    check::<core::Service>(
        "spec: {type: Fancy, sessionAffinity: Cookie, externalTrafficPolicy: Local, ports: [{port: 0}, {name: a, port: 80, protocol: ICMP, targetPort: 'UP'}, {name: a, port: 80, nodePort: 30000}, {name: b, port: 80}]}",
        expect![[r#"
            spec.ports[0].name: Required value
            spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
            spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive
            spec.ports[1].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"
            spec.ports[1].targetPort: Invalid value: "UP": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
            spec.ports[1].targetPort: Invalid value: "UP": must contain at least one letter (a-z)
            spec.ports[2].name: Duplicate value: "a"
            spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"
            spec.type: Unsupported value: "Fancy": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"
            spec.ports[3]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}
            spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services
            spec.internalTrafficPolicy: Required value
        "#]],
    );
    check::<core::Service>(
        "spec: {ports: [{port: 80, nodePort: 30000}], externalIPs: [127.0.0.1, x], loadBalancerSourceRanges: [10.0.0.1/8]}",
        expect![[r#"
            spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
            spec.externalIPs[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
            spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'
            spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'
            spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length
        "#]],
    );
    check::<core::Service>(
        "spec: {type: ExternalName, clusterIPs: [10.0.0.1], externalName: ''}",
        expect![[r#"
        spec.clusterIPs: Forbidden: may not be set for ExternalName services
        spec.externalName: Required value
    "#]],
    );
    check::<core::Service>(
        "spec: {type: NodePort, clusterIP: None, clusterIPs: [None, 10.0.0.1], ipFamilies: [IPv5, IPv4, IPv4], ipFamilyPolicy: Both, ports: [{port: 1}]}",
        expect![[r#"
            spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"
            spec.ipFamilies[2]: Duplicate value: "IPv4"
            spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"
            spec.clusterIPs: Invalid value: ["None","10.0.0.1"]: 'None' must be the first and only value
        "#]],
    );
    check::<core::Service>(
        "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 10.0.0.2], ipFamilies: [IPv6], sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 100000}}, ports: [{port: 1}]}",
        expect![[r#"
            spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 100000: must be greater than 0 and less than 86400
            spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP for each IP family
            spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`
        "#]],
    );
    check::<core::Endpoints>(
        "subsets: [{}, {addresses: [{ip: 127.0.0.1, hostname: A}], ports: [{port: 0}, {port: 1}]}]",
        expect![[r#"
            subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`
            subsets[1].addresses[0].hostname: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            subsets[1].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
            subsets[1].ports[0].name: Required value
            subsets[1].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
            subsets[1].ports[1].name: Required value
        "#]],
    );
    check::<discovery::EndpointSlice>(
        "{addressType: IPv7, endpoints: [{addresses: []}]}",
        expect![[r#"
        addressType: Unsupported value: "IPv7": supported values: "FQDN", "IPv4", "IPv6"
        endpoints[0].addresses: Required value: must contain at least 1 address
    "#]],
    );
    check::<discovery::EndpointSlice>(
        "{addressType: IPv4, endpoints: [{addresses: [x, '::1', 169.254.0.1], hostname: A}], ports: [{name: a, port: 1}, {name: a, port: 2, protocol: X}]}",
        expect![[r#"
            endpoints[0].addresses[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
            endpoints[0].addresses[1]: Invalid value: "::1": must be an IPv4 address
            endpoints[0].addresses[1]: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8, ::1/128)
            endpoints[0].addresses[2]: Invalid value: "169.254.0.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)
            endpoints[0].hostname: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            ports[1].name: Duplicate value: "a"
            ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"
        "#]],
    );
}

#[test]
fn config_maps_secrets_and_accounts() {
    check::<core::ConfigMap>(
        "{data: {a b: c, d: e}, binaryData: {d: ZA==, '..': ZA==}}",
        expect![[r#"
        data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
        data[d]: Invalid value: "d": duplicate of key present in binaryData
        binaryData[..]: Invalid value: "..": must not be '..'
    "#]],
    );
    check::<core::Secret>(
        "{type: kubernetes.io/tls, data: {a/b: ZA==}}",
        expect![[r#"
        data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
        data[tls.crt]: Required value
        data[tls.key]: Required value
    "#]],
    );
    check::<core::Secret>(
        "{type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: '[]'}}",
        expect![[r#"
        data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid type: sequence, expected a map at line 1 column 0
    "#]],
    );
    check::<core::Secret>(
        "{type: kubernetes.io/basic-auth}",
        expect![[r#"
        data[username]: Required value
        data[password]: Required value
    "#]],
    );
    check::<core::Secret>(
        "{type: kubernetes.io/service-account-token}",
        expect![[r#"
        metadata.annotations[kubernetes.io/service-account.name]: Required value
    "#]],
    );
    check::<core::ServiceAccount>(
        "metadata: {name: A}",
        expect![[r#"
        metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
    "#]],
    );
}

#[test]
fn nodes_events_and_leases() {
    check::<core::Node>(
        "{spec: {taints: [{key: 'a b', effect: ''}, {key: a, effect: Never}], podCIDRs: [10.0.0.0/8, 10.1.0.0/16, x]}, status: {capacity: {pods: 1500m, cpu: -1}}}",
        expect![[r#"
            metadata.taints[0].key: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            metadata.taints[0].effect: Required value
            metadata.taints[1].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
            status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0
            status.capacity.pods: Invalid value: "1500m": must be an integer
            status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0
            status.allocatable.pods: Invalid value: "1500m": must be an integer
            spec.podCIDRs[2]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
            spec.podCIDRs: Invalid value: ["10.0.0.0/8","10.1.0.0/16","x"]: may specify no more than one CIDR for each IP family
        "#]],
    );
    check::<core::Event>(
        "{involvedObject: {namespace: other}, metadata: {name: e}}",
        expect![[r#"
        involvedObject.namespace: Invalid value: "other": does not match event.namespace
    "#]],
    );
    check::<events::Event>(
        "{type: Odd, eventTime: '2026-01-01T00:00:00.000000Z', deprecatedCount: 1, series: {count: 1, lastObservedTime: '2026-01-01T00:00:00.000000Z'}}",
        expect![[r#"
            reportingController: Required value
            reportingController: Invalid value: "": name part must be non-empty
            reportingController: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            reportingInstance: Required value
            action: Required value
            reason: Required value
            series.count: Invalid value: "": should be at least 2
            type: Invalid value: "": has invalid value: Odd
            count: Invalid value: "": needs to be unset
        "#]],
    );
    check::<coordination::Lease>(
        "spec: {leaseDurationSeconds: 0, leaseTransitions: -1, preferredHolder: x}",
        expect![[r#"
            spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0
            spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0
            spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined
        "#]],
    );
}

#[test]
fn storage() {
    check::<core::PersistentVolume>(
        "spec: {accessModes: [Often], persistentVolumeReclaimPolicy: Burn, capacity: {cpu: 1}}",
        expect![[r#"
            spec.accessModes: Unsupported value: "Often": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
            spec.capacity: Unsupported value: {"cpu":"1"}: supported values: "storage"
            spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Recycle", "Retain"
            spec: Required value: must specify a volume type
        "#]],
    );
    check::<core::PersistentVolume>(
        "spec: {accessModes: [ReadWriteOnce, ReadWriteOncePod], capacity: {storage: 0}, hostPath: {path: /a/..}, local: {path: ''}}",
        expect![[r#"
            spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes
            spec.capacity[storage]: Invalid value: "0": must be greater than zero
            spec.local: Forbidden: may not specify more than 1 volume type
            spec.hostPath.path: Invalid value: "/a/..": must not contain '..'
        "#]],
    );
    check::<core::PersistentVolumeClaim>(
        "spec: {accessModes: [], storageClassName: A, volumeMode: Odd}",
        expect![[r#"
        spec.accessModes: Required value: at least 1 access mode is required
        spec.resources[storage]: Required value
        spec.storageClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"
    "#]],
    );
    check::<storage::StorageClass>(
        "{provisioner: '', reclaimPolicy: Burn, parameters: {'': x}}",
        expect![[r#"
        provisioner: Required value
        parameters: Invalid value: "": field can not be empty.
        reclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Retain"
    "#]],
    );
}

#[test]
fn policies_and_classes() {
    check::<policy::PodDisruptionBudget>(
        "spec: {minAvailable: 150%, maxUnavailable: -1, selector: {matchLabels: {a: '-'}}}",
        expect![[r#"
            spec: Invalid value: {"maxUnavailable":-1,"minAvailable":"150%","selector":{"matchLabels":{"a":"-"}}}: minAvailable and maxUnavailable cannot be both set
            spec.minAvailable: Invalid value: "150%": must not be greater than 100%
            spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0
            spec.selector.matchLabels: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
        "#]],
    );
    check::<scheduling::PriorityClass>(
        "{value: 2000000000, preemptionPolicy: Maybe}",
        expect![[r#"
        value: Forbidden: maximum allowed value of a user defined priority is 1000000000
        preemptionPolicy: Unsupported value: "Maybe": supported values: "PreemptLowerPriority", "Never"
    "#]],
    );
    check::<scheduling::PriorityClass>(
        "{metadata: {name: system-mine}, value: 5}",
        expect![[r#"
        metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class
    "#]],
    );
    check::<node::RuntimeClass>(
        "handler: A",
        expect![[r#"
        handler: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
    "#]],
    );
    check::<core::LimitRange>(
        "spec: {limits: [{type: Container, min: {cpu: 2}, max: {cpu: 1}}, {type: Pod, default: {cpu: 1}}, {type: Pod, maxLimitRequestRatio: {cpu: 500m}}, {type: PersistentVolumeClaim}, {type: Odd}]}",
        expect![[r#"
            spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1
            spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1
            spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1
            spec.limits[1].default: Forbidden: may not be specified when `type` is 'Pod'
            spec.limits[2].type: Duplicate value: "Pod"
            spec.limits[2].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1
            spec.limits[3].limits: Required value: either minimum or maximum storage value is required, but neither was provided
            spec.limits[4].type: Invalid value: "Odd": must be a standard limit type or fully qualified
        "#]],
    );
    check::<core::ResourceQuota>(
        "spec: {hard: {cpu: 1, gpu: 1, pods: 1500m, count/pods: 5}, scopes: [BestEffort, NotBestEffort, Odd]}",
        expect![[r#"
            spec.hard[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified
            spec.hard[gpu]: Invalid value: "gpu": must be a standard resource for quota
            spec.hard[pods]: Invalid value: "1500m": must be an integer
            spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope applied to resource
            spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope
            spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: conflicting scopes
        "#]],
    );
}

#[test]
fn networking() {
    check::<networking::Ingress>(
        "spec: {}",
        expect![[r#"
        spec: Invalid value: null: either `defaultBackend` or `rules` must be specified
    "#]],
    );
    check::<networking::Ingress>(
        "spec: {ingressClassName: A, defaultBackend: {}, tls: [{hosts: ['*.x', '*x'], secretName: A}], rules: [{host: 10.0.0.1, http: {paths: []}}, {host: A, http: {paths: [{path: a//b, pathType: Exact, backend: {service: {name: a.b, port: {}}}}, {pathType: Odd, backend: {service: {name: a, port: {name: http, number: 1}}}}, {path: /, pathType: '', backend: {}}]}}]}",
        expect![[r#"
            spec.defaultBackend: Invalid value: "": resource or service backend is required
            spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address
            spec.rules[0].http.paths: Required value
            spec.rules[1].host: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.rules[1].http.paths[0].path: Invalid value: "a//b": must be an absolute path
            spec.rules[1].http.paths[0].path: Invalid value: "a//b": must not contain '//'
            spec.rules[1].http.paths[0].backend.service.name: Invalid value: "a.b": must not contain dots
            spec.rules[1].http.paths[0].backend: Required value: port name or number is required
            spec.rules[1].http.paths[1].pathType: Unsupported value: "Odd": supported values: "Exact", "ImplementationSpecific", "Prefix"
            spec.rules[1].http.paths[1].backend: Invalid value: "": cannot set both port name & port number
            spec.rules[1].http.paths[2].pathType: Required value: pathType must be specified
            spec.tls[0].hosts[1]: Invalid value: "*x": a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.tls[0].secretName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.ingressClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        "#]],
    );
    check::<networking::IngressClass>(
        "spec: {controller: x, parameters: {kind: a, name: '', scope: Namespace}}",
        expect![[r#"
            spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")
            spec.parameters.name: Required value
            spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'
        "#]],
    );
    check::<networking::NetworkPolicy>(
        "spec: {podSelector: {}, policyTypes: [In, Ingress], ingress: [{from: [{}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/16]}, podSelector: {}}], ports: [{port: 80, endPort: 70}, {port: http, endPort: 5}, {endPort: 5}, {port: 0, protocol: X}]}]}",
        expect![[r#"
            spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`
            spec.ingress[0].ports[1].endPort: Invalid value: 5: may not be specified when `port` is non-numeric
            spec.ingress[0].ports[2].endPort: Invalid value: 5: may not be specified when `port` is not specified
            spec.ingress[0].ports[3].protocol: Unsupported value: "X": supported values: "TCP", "UDP", "SCTP"
            spec.ingress[0].ports[3].port: Invalid value: 0: must be between 1 and 65535, inclusive
            spec.ingress[0].from[0]: Required value: must specify a peer
            spec.ingress[0].from[1].ipBlock.except[1]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`
            spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer
            spec.policyTypes[0]: Unsupported value: "In": supported values: "Ingress", "Egress"
        "#]],
    );
}

#[test]
fn autoscalers_and_roles() {
    check::<autoscaling::HorizontalPodAutoscaler>(
        "spec: {minReplicas: 5, maxReplicas: 0, scaleTargetRef: {kind: '', name: a/b}, metrics: [{type: Pods, resource: {name: cpu, target: {type: Utilization}}}, {type: Odd}], behavior: {scaleUp: {policies: [{type: X, value: 0, periodSeconds: 9999}], selectPolicy: Mid, stabilizationWindowSeconds: -1}}}",
        expect![[r#"
            spec.maxReplicas: Invalid value: 0: must be greater than 0
            spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`
            spec.scaleTargetRef.kind: Required value
            spec.scaleTargetRef.name: Invalid value: "a/b": may not contain '/'
            spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization
            spec.metrics[0].pods: Required value: must populate information for the given metric source
            spec.metrics[1].type: Unsupported value: "Odd": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"
            spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero
            spec.behavior.scaleUp.selectPolicy: Unsupported value: "Mid": supported values: "Disabled", "Max", "Min"
            spec.behavior.scaleUp.policies[0].type: Unsupported value: "X": supported values: "Percent", "Pods"
            spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero
            spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 9999: must be less than or equal to 1800
        "#]],
    );
    check::<rbac::Role>(
        "rules: [{verbs: []}, {verbs: [get], nonResourceURLs: [/x]}]",
        expect![[r#"
        rules[0].verbs: Required value: verbs must contain at least one value
        rules[0].apiGroups: Required value: resource rules must supply at least one api group
        rules[0].resources: Required value: resource rules must supply at least one resource
        rules[1].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs
    "#]],
    );
    check::<rbac::ClusterRole>(
        "{rules: [{verbs: [get], nonResourceURLs: [/x], resources: [pods]}], aggregationRule: {}}",
        expect![[r#"
            rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs
            aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil
        "#]],
    );
    check::<rbac::ClusterRoleBinding>(
        "{roleRef: {kind: Role, name: ''}, subjects: [{kind: ServiceAccount, name: A}, {kind: User, name: u, apiGroup: x}, {kind: Robot, name: ''}]}",
        expect![[r#"
            roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"
            roleRef.name: Required value
            subjects[0].name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            subjects[0].namespace: Required value
            subjects[1].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"
            subjects[2].name: Required value
            subjects[2].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"
        "#]],
    );
}
