//! One object of every kind, and what is shown of it: wide columns have a `+`. Now is 2026-01-08T00:00:00Z.

use std::sync::Arc;

use coracle_core::{Kinds, Object};
use expect_test::{Expect, expect};
use serde_json::Value;

use super::*;

fn object(yaml: &str) -> Object {
    let mut value: Value = serde_saphyr::from_str(yaml).unwrap();
    let age = value.pointer_mut("/metadata").unwrap().as_object_mut().unwrap();
    age.entry("creationTimestamp").or_insert("2026-01-02T21:00:00Z".into());
    let kind =
        Kinds::with_previews().by_kind(value["apiVersion"].as_str().unwrap(), value["kind"].as_str().unwrap()).cloned();
    let kind = kind.unwrap_or_else(|| panic!("no such kind: {yaml}"));
    let decoded = kind.codec.decode(value.to_string().as_bytes()).unwrap();
    Object::transient(kind, decoded).unwrap()
}

fn now() -> Timestamp {
    "2026-01-08T00:00:00Z".parse().unwrap()
}

fn row(object: &Object) -> String {
    let shown = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    cells(object, now()).iter().map(shown).collect::<Vec<_>>().join(" | ")
}

fn check(yaml: &str, expected: Expect) {
    let object = object(yaml);
    let name = |column: &Column| format!("{}{}", column.name, if column.priority > 0 { "+" } else { "" });
    let header = columns(object.kind()).iter().map(name).collect::<Vec<_>>().join(" | ");
    expected.assert_eq(&format!("{header}\n{}\n", row(&object)));
}

/// A pod named `p` with one container, and the rest of its manifest.
fn check_pod(rest: &str, expected: Expect) {
    let rest = rest.replace("\n    ", "\n");
    let object = object(&format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\n{}\n", rest.trim()));
    expected.assert_eq(&row(&object));
}

#[test]
fn every_cell_has_its_column() {
    let kinds = Kinds::with_previews();
    for kind in kinds.iter().filter(|kind| kind.is_storage_version()) {
        let json =
            format!(r#"{{"apiVersion":"{}","kind":"{}","metadata":{{"name":"x"}}}}"#, kind.api_version(), kind.kind);
        let Ok(value) = kind.codec.decode(json.as_bytes()) else { continue };
        let object = Object::transient(Arc::clone(kind), value).unwrap();
        let printer = rows::printer(kind);
        let cells = (printer.cells)(&object, now()).unwrap_or_else(|| panic!("{} is kept as another type", kind.kind));
        assert_eq!(cells.len(), columns(kind).len(), "{}", kind.kind);
    }
}

#[test]
fn every_description_of_a_field_is_found() {
    for kind in Kinds::with_previews().iter() {
        for column in columns(kind) {
            let is_field = matches!(column.description, Description::Field(..));
            assert!(!is_field || !column.description.text().is_empty(), "{} {}", kind.kind, column.name);
        }
    }
}

#[test]
fn a_row_of_another_type_shows_only_the_name() {
    let autoscaler = object(
        "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {maxReplicas: 1, scaleTargetRef: {kind: a, name: b}}}",
    );
    assert_eq!(row(&autoscaler), "a | null | null | null | null | null | null");
}

#[test]
fn a_pod_that_has_ended_says_so() {
    let ended = |phase: &str| {
        object(&format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, status: {{phase: {phase}}}}}"))
    };
    assert_eq!(conditions(&ended("Running")), None);
    assert_eq!(conditions(&ended("Failed")).unwrap()[0].message, "The pod failed.");
    assert_eq!(conditions(&ended("Succeeded")).unwrap()[0].reason, "Succeeded");
}

#[test]
fn pods() {
    check(
        r#"{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {nodeName: n1, containers: [{name: a}, {name: b}],
            readinessGates: [{conditionType: lb}, {conditionType: dns}]},
          status: {phase: Running, podIPs: [{ip: 10.0.0.1}, {ip: "::1"}], conditions: [{type: lb, status: "True"}],
            containerStatuses: [
              {name: a, ready: true, restartCount: 2, image: i, imageID: i, state: {running: {}},
                lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-07T23:55:00Z"}}},
              {name: b, ready: false, restartCount: 1, image: i, imageID: i, state: {running: {}}}]}}"#,
        expect![[r#"
            Name | Ready | Status | Restarts | Age | IP+ | Node+ | Nominated Node+ | Readiness Gates+
            web | 1/2 | Running | 3 (5m ago) | 5d3h | 10.0.0.1 | n1 | <none> | 1/2
        "#]],
    );
}

#[test]
fn pod_statuses() {
    check_pod(
        "spec: {containers: [{name: a}]}\nstatus: {phase: Pending}",
        expect!["p | 0/1 | Pending | 0 | 5d3h | <none> | <none> | <none> | <none>"],
    );
    check_pod(
        "spec: {containers: [{name: a}]}\nstatus: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]}",
        expect!["p | 0/1 | SchedulingGated | 0 | 5d3h | <none> | <none> | <none> | <none>"],
    );
    check_pod(
        "spec: {containers: [{name: a}]}\nstatus: {phase: Failed, reason: Evicted}",
        expect!["p | 0/1 | Evicted | 0 | 5d3h | <none> | <none> | <none> | <none>"],
    );
    let container = |state: &str| {
        format!(
            "spec: {{containers: [{{name: a}}]}}\nstatus: {{phase: Running, containerStatuses: [{{name: a, image: i, imageID: i, ready: false, restartCount: 0, state: {{{state}}}}}]}}"
        )
    };
    check_pod(
        &container("waiting: {reason: CrashLoopBackOff}"),
        expect!["p | 0/1 | CrashLoopBackOff | 0 | 5d3h | <none> | <none> | <none> | <none>"],
    );
    check_pod(
        &container("terminated: {exitCode: 0, reason: Completed}"),
        expect!["p | 0/1 | Completed | 0 | 5d3h | <none> | <none> | <none> | <none>"],
    );
    check_pod(
        &container("terminated: {exitCode: 137, signal: 9}"),
        expect!["p | 0/1 | Signal:9 | 0 | 5d3h | <none> | <none> | <none> | <none>"],
    );
    check_pod(
        &container("terminated: {exitCode: 3}"),
        expect!["p | 0/1 | ExitCode:3 | 0 | 5d3h | <none> | <none> | <none> | <none>"],
    );
}

#[test]
fn a_pod_with_a_completed_container_runs_while_another_does() {
    let pod = |ready: &str| {
        format!(
            "spec: {{containers: [{{name: a}}, {{name: b}}]}}\nstatus: {{phase: Running, conditions: [{{type: Ready, status: '{ready}'}}], containerStatuses: [\
             {{name: a, image: i, imageID: i, ready: false, restartCount: 0, state: {{terminated: {{exitCode: 0, reason: Completed}}}}}}, \
             {{name: b, image: i, imageID: i, ready: true, restartCount: 0, state: {{running: {{}}}}}}]}}"
        )
    };
    check_pod(&pod("True"), expect!["p | 1/2 | Running | 0 | 5d3h | <none> | <none> | <none> | <none>"]);
    check_pod(&pod("False"), expect!["p | 1/2 | NotReady | 0 | 5d3h | <none> | <none> | <none> | <none>"]);
}

#[test]
fn pods_that_initialize() {
    let init = |state: &str, policy: &str| {
        format!(
            "spec: {{containers: [{{name: a}}], initContainers: [{{name: x{policy}}}, {{name: yy}}]}}\nstatus: {{phase: Pending, \
             initContainerStatuses: [{{name: x, image: i, imageID: i, {state}}}, \
             {{name: yy, image: i, imageID: i, ready: false, restartCount: 4, state: {{waiting: {{reason: PodInitializing}}}}}}]}}"
        )
    };
    let waiting = "ready: false, restartCount: 1, state: {waiting: {reason: PodInitializing}}";
    let failed = "ready: false, restartCount: 1, state: {terminated: {exitCode: 2}}";
    let killed = "ready: false, restartCount: 1, state: {terminated: {exitCode: 2, signal: 9}}";
    let unpullable = "ready: false, restartCount: 1, state: {waiting: {reason: ErrImagePull}}";
    let done = "ready: true, restartCount: 1, state: {terminated: {exitCode: 0}}";
    let up = "ready: true, started: true, restartCount: 1, state: {running: {}}";
    check_pod(&init(waiting, ""), expect!["p | 0/1 | Init:0/2 | 1 | 5d3h | <none> | <none> | <none> | <none>"]);
    check_pod(&init(failed, ""), expect!["p | 0/1 | Init:ExitCode:2 | 1 | 5d3h | <none> | <none> | <none> | <none>"]);
    check_pod(&init(killed, ""), expect!["p | 0/1 | Init:Signal:9 | 1 | 5d3h | <none> | <none> | <none> | <none>"]);
    check_pod(
        &init(unpullable, ""),
        expect!["p | 0/1 | Init:ErrImagePull | 1 | 5d3h | <none> | <none> | <none> | <none>"],
    );
    check_pod(&init(done, ""), expect!["p | 0/1 | Init:1/2 | 5 | 5d3h | <none> | <none> | <none> | <none>"]);
    check_pod(
        &init(up, ", restartPolicy: Always"),
        expect!["p | 1/2 | Init:1/2 | 5 | 5d3h | <none> | <none> | <none> | <none>"],
    );
}

#[test]
fn pods_that_are_deleted() {
    let deleted = |rest: &str| {
        let yaml = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, deletionTimestamp: '2026-01-08T00:00:00Z'}}, spec: {{containers: [{{name: a}}]}}, status: {{{rest}}}}}"
        );
        row(&object(&yaml)).split(" | ").nth(2).unwrap().to_owned()
    };
    assert_eq!(deleted("phase: Running"), "Terminating");
    assert_eq!(deleted("phase: Succeeded"), "Succeeded");
    assert_eq!(deleted("phase: Running, reason: NodeLost"), "Unknown");
}

#[test]
fn nodes() {
    check(
        r#"{apiVersion: v1, kind: Node,
          metadata: {name: n1, labels: {node-role.kubernetes.io/worker: "", node-role.kubernetes.io/: "", kubernetes.io/role: edge}},
          spec: {unschedulable: true},
          status: {conditions: [{type: Ready, status: "False"}], addresses: [{type: InternalIP, address: 10.0.0.1}],
            nodeInfo: {kubeletVersion: v1.36.0, osImage: Linux, kernelVersion: "", containerRuntimeVersion: c, architecture: a,
              bootID: b, kubeProxyVersion: k, machineID: m, operatingSystem: l, systemUUID: s}}}"#,
        expect![[r#"
            Name | Status | Roles | Age | Version | Internal-IP+ | External-IP+ | OS-Image+ | Kernel-Version+ | Container-Runtime+
            n1 | NotReady,SchedulingDisabled | edge,worker | 5d3h | v1.36.0 | 10.0.0.1 | <none> | Linux | <unknown> | c
        "#]],
    );
}

#[test]
fn workloads() {
    let template = "template: {metadata: {labels: {app: web}}, spec: {nodeSelector: {disk: ssd}, containers: [{name: a, image: x:1}, {name: b, image: yy}]}}";
    check(
        &format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: 3, selector: {{matchLabels: {{app: web}}, matchExpressions: [{{key: tier, operator: In, values: [b, a]}}]}}, {template}}}, status: {{readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1}}}}"
        ),
        expect![[r#"
            Name | Ready | Up-to-date | Available | Age | Containers+ | Images+ | Selector+
            web | 1/3 | 2 | 1 | 5d3h | a,b | x:1,yy | app=web,tier in (a,b)
        "#]],
    );
    check(
        &format!(
            "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: web}}, spec: {{replicas: 3, selector: {{matchLabels: {{app: web}}}}, {template}}}, status: {{replicas: 2, readyReplicas: 1}}}}"
        ),
        expect![[r#"
            Name | Desired | Current | Ready | Age | Containers+ | Images+ | Selector+
            web | 3 | 2 | 1 | 5d3h | a,b | x:1,yy | app=web
        "#]],
    );
    check(
        &format!(
            "{{apiVersion: v1, kind: ReplicationController, metadata: {{name: web}}, spec: {{replicas: 3, selector: {{app: web}}, {template}}}}}"
        ),
        expect![[r#"
            Name | Desired | Current | Ready | Age | Containers+ | Images+ | Selector+
            web | 3 | 0 | 0 | 5d3h | a,b | x:1,yy | app=web
        "#]],
    );
    check(
        &format!(
            "{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: db}}, spec: {{serviceName: db, replicas: 3, selector: {{}}, {template}}}, status: {{replicas: 3, readyReplicas: 2}}}}"
        ),
        expect![[r#"
            Name | Ready | Age | Containers+ | Images+
            db | 2/3 | 5d3h | a,b | x:1,yy
        "#]],
    );
    check(
        &format!(
            "{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: agent}}, spec: {{selector: {{}}, {template}}}, status: {{desiredNumberScheduled: 4, currentNumberScheduled: 3, numberReady: 2, updatedNumberScheduled: 1, numberAvailable: 2, numberMisscheduled: 0}}}}"
        ),
        expect![[r#"
            Name | Desired | Current | Ready | Up-to-date | Available | Node Selector | Age | Containers+ | Images+ | Selector+
            agent | 4 | 3 | 2 | 1 | 2 | disk=ssd | 5d3h | a,b | x:1,yy | <none>
        "#]],
    );
    check(
        "{apiVersion: apps/v1, kind: ControllerRevision, metadata: {name: r, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]}, revision: 3}",
        expect![[r#"
            Name | Controller | Revision | Age
            r | statefulset.apps/db | 3 | 5d3h
        "#]],
    );
    check(
        &format!("{{apiVersion: v1, kind: PodTemplate, metadata: {{name: t}}, {template}}}"),
        expect![[r#"
        Name | Containers | Images | Pod Labels
        t | a,b | x:1,yy | app=web
    "#]],
    );
}

#[test]
fn jobs() {
    check(
        "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completions: 2, selector: {matchLabels: {job: j}}, template: {spec: {containers: [{name: a, image: i}]}}}, status: {succeeded: 1, startTime: '2026-01-07T23:00:00Z', completionTime: '2026-01-07T23:00:30Z', conditions: [{type: Complete, status: 'True'}]}}",
        expect![[r#"
            Name | Status | Completions | Duration | Age | Containers+ | Images+ | Selector+
            j | Complete | 1/2 | 30s | 5d3h | a | i | job=j
        "#]],
    );
    check(
        "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {parallelism: 3, template: {spec: {containers: []}}}, status: {startTime: '2026-01-07T23:00:00Z'}}",
        expect![[r#"
            Name | Status | Completions | Duration | Age | Containers+ | Images+ | Selector+
            j | Running | 0/1 of 3 | 60m | 5d3h |  |  | <none>
        "#]],
    );
    check(
        "{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {schedule: '0/5 * * * ?', suspend: false, jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: i}]}}}}}, status: {active: [{name: x}], lastScheduleTime: '2026-01-07T23:59:00Z'}}",
        expect![[r#"
            Name | Schedule | Timezone | Suspend | Active | Last Schedule | Age | Containers+ | Images+ | Selector+
            c | 0/5 * * * ? | <none> | False | 1 | 60s | 5d3h | a | i | <none>
        "#]],
    );
}

#[test]
fn services() {
    check(
        "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: ClusterIP, clusterIPs: [10.0.0.1, '::1'], ports: [{port: 80, protocol: TCP}, {port: 53, nodePort: 30053, protocol: UDP}], selector: {a: b}}}",
        expect![[r#"
            Name | Type | Cluster-IP | External-IP | Port(s) | Age | Selector+
            s | ClusterIP | 10.0.0.1 | <none> | 80/TCP,53:30053/UDP | 5d3h | a=b
        "#]],
    );
    check(
        "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: LoadBalancer, externalIPs: [9.9.9.9]}, status: {loadBalancer: {ingress: [{hostname: z.example.com}, {ip: 2.2.2.2}, {ip: 2.2.2.2}]}}}",
        expect![[r#"
            Name | Type | Cluster-IP | External-IP | Port(s) | Age | Selector+
            s | LoadBalancer | <none> | 2.2.2.2,z.example.com,9.9.9.9 | <none> | 5d3h | <none>
        "#]],
    );
    check(
        "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: LoadBalancer}}",
        expect![[r#"
        Name | Type | Cluster-IP | External-IP | Port(s) | Age | Selector+
        s | LoadBalancer | <none> | <pending> | <none> | 5d3h | <none>
    "#]],
    );
    check(
        "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: ExternalName, externalName: e.com}}",
        expect![[r#"
        Name | Type | Cluster-IP | External-IP | Port(s) | Age | Selector+
        s | ExternalName | <none> | e.com | <none> | 5d3h | <none>
    "#]],
    );
}

#[test]
fn what_stands_behind_services() {
    check(
        "{apiVersion: v1, kind: Endpoints, metadata: {name: e}}",
        expect![[r#"
        Name | Endpoints | Age
        e | <none> | 5d3h
    "#]],
    );
    check(
        "{apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: [{addresses: [{ip: 1.1.1.1}, {ip: '::1'}], ports: [{port: 80}, {port: 81}]}, {addresses: [{ip: 3.3.3.3}]}]}",
        expect![[r#"
            Name | Endpoints | Age
            e | 1.1.1.1:80,[::1]:80,1.1.1.1:81 + 2 more... | 5d3h
        "#]],
    );
    check(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e}, addressType: IPv4, ports: [{port: 80}, {name: any}, {}, {port: 1}], endpoints: [{addresses: [1.1.1.1]}]}",
        expect![[r#"
            Name | AddressType | Ports | Endpoints | Age
            e | IPv4 | 80,any,* + 1 more... | 1.1.1.1 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e}, addressType: IPv4, endpoints: []}",
        expect![[r#"
            Name | AddressType | Ports | Endpoints | Age
            e | IPv4 | <unset> | <unset> | 5d3h
        "#]],
    );
    check(
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {ingressClassName: nginx, tls: [{}], rules: [{host: a}, {host: b}, {host: c}, {host: d}]}, status: {loadBalancer: {ingress: [{ip: 1.1.1.1}]}}}",
        expect![[r#"
            Name | Class | Hosts | Address | Ports | Age
            i | nginx | a,b,c + 1 more... | 1.1.1.1 | 80, 443 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {}}",
        expect![[r#"
        Name | Class | Hosts | Address | Ports | Age
        i | <none> | * |  | 80 | 5d3h
    "#]],
    );
    check(
        "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: i}, spec: {controller: e.com/c, parameters: {apiGroup: e.com, kind: P, name: p}}}",
        expect![[r#"
            Name | Controller | Parameters | Age
            i | e.com/c | P.e.com/p | 5d3h
        "#]],
    );
    check(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: i}, spec: {podSelector: {}}}",
        expect![[r#"
            Name | Pod-Selector | Age
            i | <none> | 5d3h
        "#]],
    );
    check(
        "{apiVersion: networking.k8s.io/v1, kind: IPAddress, metadata: {name: 10.0.0.1}, spec: {parentRef: {resource: services, namespace: default, name: kubernetes}}}",
        expect![[r#"
            Name | ParentRef
            10.0.0.1 | services/default/kubernetes
        "#]],
    );
    check(
        "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: d}, spec: {cidrs: [10.0.0.0/16, 'fd00::/64']}}",
        expect![[r#"
            Name | CIDRs | Age
            d | 10.0.0.0/16,fd00::/64 | 5d3h
        "#]],
    );
}

#[test]
fn the_small_kinds_of_the_core_group() {
    check(
        "{apiVersion: v1, kind: Namespace, metadata: {name: nn}, status: {phase: Active}}",
        expect![[r#"
        Name | Status | Age
        nn | Active | 5d3h
    "#]],
    );
    check(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: b}, binaryData: {c: ZA==}}",
        expect![[r#"
            Name | Data | Age
            c | 2 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: v1, kind: Secret, metadata: {name: s}, type: Opaque, data: {a: ZA==}}",
        expect![[r#"
        Name | Type | Data | Age
        s | Opaque | 1 | 5d3h
    "#]],
    );
    check(
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: s}}",
        expect![[r#"
        Name | Secrets | Age
        s | 0 | 5d3h
    "#]],
    );
    check(
        "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, status: {hard: {requests.cpu: 1000m, limits.cpu: '2', pods: '4'}, used: {requests.cpu: 500m}}}",
        expect![[r#"
            Name | Request | Limit | Age
            q | pods: 0/4, requests.cpu: 500m/1 | limits.cpu: 0/2 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: v1, kind: LimitRange, metadata: {name: l}}",
        expect![[r#"
        Name | Created At
        l | 2026-01-02T21:00:00Z
    "#]],
    );
    check(
        "{apiVersion: v1, kind: ComponentStatus, metadata: {name: etcd}, conditions: [{type: Healthy, status: 'True', message: ok}]}",
        expect![[r#"
            Name | Status | Message | Error
            etcd | Healthy | ok | 
        "#]],
    );
}

#[test]
fn events() {
    check(
        "{apiVersion: v1, kind: Event, metadata: {name: e.1}, type: Normal, reason: Pulled, message: ' done ', involvedObject: {kind: Pod, name: p, fieldPath: 'spec.containers{a}'}, source: {component: kubelet, host: n1}, firstTimestamp: '2026-01-07T23:00:00Z', lastTimestamp: '2026-01-07T23:59:00Z', count: 7}",
        expect![[r#"
            Last Seen | Type | Reason | Object | Subobject+ | Source+ | Message | First Seen+ | Count+ | Name+
            60s | Normal | Pulled | pod/p | spec.containers{a} | kubelet, n1 | done | 60m | 7 | e.1
        "#]],
    );
    check(
        "{apiVersion: v1, kind: Event, metadata: {name: e.2}, involvedObject: {kind: Node}, eventTime: '2026-01-07T23:00:00.000000Z', reportingComponent: c, reportingInstance: i, series: {count: 3, lastObservedTime: '2026-01-07T23:30:00.000000Z'}}",
        expect![[r#"
            Last Seen | Type | Reason | Object | Subobject+ | Source+ | Message | First Seen+ | Count+ | Name+
            30m |  |  | node |  | c, i |  | 60m | 3 | e.2
        "#]],
    );
}

#[test]
fn volumes() {
    check(
        "{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}, spec: {capacity: {storage: 1024Mi}, accessModes: [ReadWriteMany, ReadWriteOnce], persistentVolumeReclaimPolicy: Retain, claimRef: {namespace: d, name: c}, storageClassName: fast, volumeMode: Block}, status: {phase: Bound}}",
        expect![[r#"
            Name | Capacity | Access Modes | Reclaim Policy | Status | Claim | StorageClass | VolumeAttributesClass | Reason | Age | VolumeMode+
            v | 1Gi | RWO,RWX | Retain | Bound | d/c | fast | <unset> |  | 5d3h | Block
        "#]],
    );
    check(
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c, annotations: {volume.beta.kubernetes.io/storage-class: old}}, spec: {volumeName: v, storageClassName: fast}, status: {phase: Bound, capacity: {storage: 1Gi}, accessModes: [ReadWriteOncePod]}}",
        expect![[r#"
            Name | Status | Volume | Capacity | Access Modes | StorageClass | VolumeAttributesClass | Age | VolumeMode+
            c | Bound | v | 1Gi | RWOP | old | <unset> | 5d3h | <unset>
        "#]],
    );
    check(
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c}, spec: {resources: {requests: {storage: 1Gi}}}, status: {phase: Pending}}",
        expect![[r#"
            Name | Status | Volume | Capacity | Access Modes | StorageClass | VolumeAttributesClass | Age | VolumeMode+
            c | Pending |  |  |  |  | <unset> | 5d3h | <unset>
        "#]],
    );
    check(
        "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}, provisioner: p}",
        expect![[r#"
            Name | Provisioner | ReclaimPolicy | VolumeBindingMode | AllowVolumeExpansion | Age
            s (default) | p | Delete | Immediate | false | 5d3h
        "#]],
    );
    check(
        "{apiVersion: storage.k8s.io/v1, kind: VolumeAttributesClass, metadata: {name: s}, driverName: d}",
        expect![[r#"
            Name | DriverName | Age
            s | d | 5d3h
        "#]],
    );
    check(
        "{apiVersion: storage.k8s.io/v1, kind: VolumeAttachment, metadata: {name: a}, spec: {attacher: d, nodeName: nn, source: {persistentVolumeName: v}}, status: {attached: true}}",
        expect![[r#"
            Name | Attacher | PV | Node | Attached | Age
            a | d | v | nn | true | 5d3h
        "#]],
    );
    check(
        "{apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: nn}, spec: {drivers: [{name: d, nodeID: nn}]}}",
        expect![[r#"
            Name | Drivers | Age
            nn | 1 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: d}, spec: {tokenRequests: [{audience: a}, {audience: b}]}}",
        expect![[r#"
            Name | AttachRequired | PodInfoOnMount | StorageCapacity | TokenRequests | RequiresRepublish | Modes | Age
            d | true | false | false | a,b | false | <none> | 5d3h
        "#]],
    );
    check(
        "{apiVersion: storage.k8s.io/v1, kind: CSIStorageCapacity, metadata: {name: c}, storageClassName: s, capacity: 1Gi}",
        expect![[r#"
            Name | StorageClassName | Capacity
            c | s | 1Gi
        "#]],
    );
}

#[test]
fn roles() {
    check(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r}}",
        expect![[r#"
        Name | Created At
        r | 2026-01-02T21:00:00Z
    "#]],
    );
    check(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}, subjects: [{kind: User, name: u}, {kind: User, name: v}, {kind: Group, name: g}, {kind: ServiceAccount, namespace: nn, name: s}]}",
        expect![[r#"
            Name | Role | Age | Users+ | Groups+ | ServiceAccounts+
            b | Role/r | 5d3h | u, v | g | nn/s
        "#]],
    );
    check(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: b}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}}",
        expect![[r#"
            Name | Role | Age | Users+ | Groups+ | ServiceAccounts+
            b | ClusterRole/r | 5d3h |  |  | 
        "#]],
    );
}

#[test]
fn certificates() {
    check(
        "{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: c}, spec: {request: ZA==, signerName: s, username: u, expirationSeconds: 86400}, status: {certificate: ZA==, conditions: [{type: Approved, status: 'True'}]}}",
        expect![[r#"
            Name | Age | SignerName | Requestor | RequestedDuration | Condition
            c | 5d3h | s | u | 24h | Approved,Issued
        "#]],
    );
    check(
        "{apiVersion: certificates.k8s.io/v1beta1, kind: ClusterTrustBundle, metadata: {name: c}, spec: {trustBundle: b}}",
        expect![[r#"
            Name | SignerName
            c | <none>
        "#]],
    );
    check(
        "{apiVersion: certificates.k8s.io/v1beta1, kind: PodCertificateRequest, metadata: {name: c}, spec: {podName: p, podUID: u, serviceAccountName: s, serviceAccountUID: u, nodeName: nn, nodeUID: u, signerName: x, stubPKCS10Request: ZA==}, status: {conditions: [{type: Issued, status: 'True', reason: r, message: m, lastTransitionTime: '2026-01-07T23:00:00Z'}]}}",
        expect![[r#"
            Name | PodName | ServiceAccountName | NodeName | SignerName | State
            c | p | s | nn | x | Issued
        "#]],
    );
}

#[test]
fn admission() {
    check(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: w}, webhooks: []}",
        expect![[r#"
            Name | Webhooks | Age
            w | 0 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: w}}",
        expect![[r#"
        Name | Webhooks | Age
        w | 0 | 5d3h
    "#]],
    );
    check(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: p}, spec: {paramKind: {apiVersion: e.com/v1, kind: Limit}, validations: [{expression: a}]}}",
        expect![[r#"
            Name | Validations | ParamKind | Age
            p | 1 | e.com/v1/Limit | 5d3h
        "#]],
    );
    check(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicy, metadata: {name: p}}",
        expect![[r#"
        Name | Mutations | ParamKind | Age
        p | 0 | <unset> | 5d3h
    "#]],
    );
    check(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: b}, spec: {policyName: p, validationActions: [Deny], paramRef: {name: l}}}",
        expect![[r#"
            Name | PolicyName | ParamRef | Age
            b | p | */l | 5d3h
        "#]],
    );
    check(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, metadata: {name: b}, spec: {policyName: p, paramRef: {selector: {matchLabels: {a: b}, matchExpressions: [{key: k, operator: In, values: [x, z]}]}}}}",
        expect![[r#"
            Name | PolicyName | ParamRef | Age
            b | p | &LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:In,Values:[x z],},},} | 5d3h
        "#]],
    );
}

#[test]
fn autoscalers() {
    let autoscaler = |metrics: &str, current: &str| {
        format!(
            "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: h}}, spec: {{minReplicas: 2, maxReplicas: 9, scaleTargetRef: {{kind: Deployment, name: web}}, metrics: [{metrics}]}}, status: {{desiredReplicas: 0, currentReplicas: 4, currentMetrics: [{current}]}}}}"
        )
    };
    check(
        &autoscaler("", ""),
        expect![[r#"
        Name | Reference | Targets | MinPods | MaxPods | Replicas | Age
        h | Deployment/web | <none> | 2 | 9 | 4 | 5d3h
    "#]],
    );
    let cpu = "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}";
    let cpu_now = "{type: Resource, resource: {name: cpu, current: {averageUtilization: 50, averageValue: 100m}}}";
    let external = "{type: External, external: {metric: {name: q}, target: {type: AverageValue, averageValue: '50'}}}";
    let object = "{type: Object, object: {describedObject: {kind: a, name: b}, metric: {name: q}, target: {type: Value, value: '7'}}}";
    check(
        &autoscaler(&format!("{cpu}, {external}, {object}"), cpu_now),
        expect![[r#"
        Name | Reference | Targets | MinPods | MaxPods | Replicas | Age
        h | Deployment/web | cpu: 50%/80%, <unknown>/50 (avg) + 1 more... | 2 | 9 | 4 | 5d3h
    "#]],
    );
    let pods = "{type: Pods, pods: {metric: {name: q}, target: {type: AverageValue, averageValue: 100m}}}";
    let pods_now = "{type: Pods, pods: {metric: {name: q}, current: {averageValue: 50m}}}";
    check(
        &autoscaler(&format!("{pods}, {object}"), pods_now),
        expect![[r#"
        Name | Reference | Targets | MinPods | MaxPods | Replicas | Age
        h | Deployment/web | 50m/100m, <unknown>/7 | 2 | 9 | 4 | 5d3h
    "#]],
    );
}

#[test]
fn flow_control() {
    check(
        "{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: FlowSchema, metadata: {name: f}, spec: {matchingPrecedence: 100, priorityLevelConfiguration: {name: p}, distinguisherMethod: {type: ByUser}}, status: {conditions: [{type: Dangling, status: 'False'}]}}",
        expect![[r#"
            Name | PriorityLevel | MatchingPrecedence | DistinguisherMethod | Age | MissingPL
            f | p | 100 | ByUser | 5d3h | False
        "#]],
    );
    check(
        "{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: PriorityLevelConfiguration, metadata: {name: p}, spec: {type: Limited, limited: {nominalConcurrencyShares: 5, limitResponse: {type: Reject}}}}",
        expect![[r#"
            Name | Type | NominalConcurrencyShares | Queues | HandSize | QueueLengthLimit | Age
            p | Limited | 5 | <none> | <none> | <none> | 5d3h
        "#]],
    );
}

#[test]
fn devices() {
    check(
        "{apiVersion: resource.k8s.io/v1, kind: DeviceClass, metadata: {name: d}, spec: {}}",
        expect![[r#"
        Name | Age
        d | 5d3h
    "#]],
    );
    check(
        "{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: c}, spec: {}}",
        expect![[r#"
        Name | State | Age
        c | pending | 5d3h
    "#]],
    );
    check(
        "{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: c, deletionTimestamp: '2026-01-07T23:00:00Z'}, spec: {}, status: {allocation: {}, reservedFor: [{resource: pods, name: p, uid: u}]}}",
        expect![[r#"
            Name | State | Age
            c | deleted,allocated,reserved | 5d3h
        "#]],
    );
    check(
        "{apiVersion: resource.k8s.io/v1, kind: ResourceClaimTemplate, metadata: {name: c}, spec: {spec: {}}}",
        expect![[r#"
        Name | Age
        c | 5d3h
    "#]],
    );
    check(
        "{apiVersion: resource.k8s.io/v1, kind: ResourceSlice, metadata: {name: s}, spec: {driver: d, nodeName: nn, pool: {name: p, generation: 1, resourceSliceCount: 1}}}",
        expect![[r#"
            Name | Node | Driver | Pool | Age
            s | nn | d | p | 5d3h
        "#]],
    );
    check(
        "{apiVersion: resource.k8s.io/v1beta2, kind: DeviceTaintRule, metadata: {name: t}, spec: {taint: {key: k, value: v, effect: NoExecute, timeAdded: '2026-01-07T23:00:00Z'}}}",
        expect![[r#"
            Name | Key | Value | Effect | TimeAdded | Age
            t | k | v | NoExecute | 60m | 5d3h
        "#]],
    );
}

#[test]
fn the_cluster_itself() {
    check(
        "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l}, spec: {holderIdentity: h}}",
        expect![[r#"
        Name | Holder | Age
        l | h | 5d3h
    "#]],
    );
    check(
        "{apiVersion: coordination.k8s.io/v1beta1, kind: LeaseCandidate, metadata: {name: l}, spec: {leaseName: x, binaryVersion: 1.36.0, emulationVersion: 1.35.0, strategy: s}}",
        expect![[r#"
            Name | LeaseName | BinaryVersion | EmulationVersion | Age
            l | x | 1.36.0 | 1.35.0 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b}, spec: {minAvailable: 50%}, status: {disruptionsAllowed: 1}}",
        expect![[r#"
            Name | Min Available | Max Unavailable | Allowed Disruptions | Age
            b | 50% | N/A | 1 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: p}, value: 7, globalDefault: true, preemptionPolicy: Never}",
        expect![[r#"
            Name | Value | Global-Default | Age | PreemptionPolicy
            p | 7 | true | 5d3h | Never
        "#]],
    );
    check(
        "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: r}, handler: runc}",
        expect![[r#"
        Name | Handler | Age
        r | runc | 5d3h
    "#]],
    );
    check(
        "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: a}, spec: {groupPriorityMinimum: 1, versionPriority: 1, service: {namespace: nn, name: s}}, status: {conditions: [{type: Available, status: 'False', reason: NoEndpoints}]}}",
        expect![[r#"
            Name | Service | Available | Age
            a | nn/s | False (NoEndpoints) | 5d3h
        "#]],
    );
    check(
        "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: c}, spec: {group: g, scope: Cluster, names: {kind: K, plural: ks}, versions: []}}",
        expect![[r#"
            Name | Created At
            c | 2026-01-02T21:00:00Z
        "#]],
    );
    check(
        "{apiVersion: internal.apiserver.k8s.io/v1alpha1, kind: StorageVersion, metadata: {name: s}, spec: {}, status: {storageVersions: [{apiServerID: a, encodingVersion: v1, decodableVersions: []}]}}",
        expect![[r#"
            Name | CommonEncodingVersion | StorageVersions | Age
            s | <unset> | a=v1 | 5d3h
        "#]],
    );
    check(
        "{apiVersion: storagemigration.k8s.io/v1beta1, kind: StorageVersionMigration, metadata: {name: m}, spec: {resource: {group: apps, resource: deployments}}}",
        expect![[r#"
            Name | Resource
            m | deployments.apps
        "#]],
    );
}

#[test]
fn custom_columns() {
    let definitions = serde_saphyr::from_str::<Vec<_>>(
        r#"
        - {name: Phase, type: string, jsonPath: .status.phase, description: Where it is.}
        - {name: Size, type: integer, jsonPath: .spec.size, priority: 1}
        - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
        - {name: Tags, type: string, jsonPath: .spec.tags}
        - {name: On, type: boolean, jsonPath: .spec.on}
        - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
        - {name: Wrong, type: integer, jsonPath: .status.phase}
        "#,
    );
    let custom = CustomColumns::new(&definitions.unwrap()).unwrap();
    // Any kind will do: what is read is the JSON.
    let object = object("{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}");
    let stored = br#"{"metadata":{"creationTimestamp":"2026-01-07T00:00:00Z"},"spec":{"size":3,"tags":["a"],"on":true},
        "status":{"phase":"Up","conditions":[{"type":"Ready","status":"True"}]}}"#;
    let object = Object::committed(
        object.kind().clone(),
        object.value().duplicate(),
        stored.as_slice().into(),
        "7".parse().unwrap(),
    );
    let rows: Vec<_> = custom
        .columns()
        .iter()
        .zip(custom.cells(&object, now()))
        .map(|(column, cell)| format!("{} {cell}: {}", column.name, column.description.text()))
        .collect();
    expect![[r#"
        Name "c": Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names
        Phase "Up": Where it is.
        Size 3: Custom resource definition column (in JSONPath format): .spec.size
        Ready "True": Custom resource definition column (in JSONPath format): .status.conditions[?(@.type=="Ready")].status
        Tags "[\"a\"]": Custom resource definition column (in JSONPath format): .spec.tags
        On true: Custom resource definition column (in JSONPath format): .spec.on
        Age "24h": Custom resource definition column (in JSONPath format): .metadata.creationTimestamp
        Wrong null: Custom resource definition column (in JSONPath format): .status.phase"#]].assert_eq(&rows.join("\n"));
    let unknown = serde_saphyr::from_str::<Vec<_>>("[{name: A, type: string, jsonPath: ..a}]").unwrap();
    assert_eq!(CustomColumns::new(&unknown).unwrap_err().to_string(), r#"unrecognized column definition "..a""#);
}
