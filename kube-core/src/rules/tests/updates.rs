//! What may change and what may not.

use super::*;
use expect_test::expect;
use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, core::v1 as core, rbac::v1 as rbac, scheduling::v1 as scheduling,
};

const POD: &str =
    "spec: {containers: [{name: c, image: a}], activeDeadlineSeconds: 10, tolerations: [{key: k, operator: Exists}]}";

#[test]
fn pod_spec_stands() {
    check_update::<core::Pod>(
        POD,
        "spec: {containers: [{name: c, image: b}], activeDeadlineSeconds: 5, tolerations: [{key: k, operator: Exists}, {key: m, operator: Exists}]}",
        expect![],
    );
    check_update::<core::Pod>(
        POD,
        "spec: {containers: [{name: c, image: a, command: [x]}], activeDeadlineSeconds: 20}",
        expect![[r#"
            spec.activeDeadlineSeconds: Invalid value: 20: must be less than or equal to previous value
        "#]],
    );
    check_update::<core::Pod>(
        POD,
        "spec: {containers: [{name: c, image: a, command: [x]}]}",
        expect![[r#"
        spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value
        spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds
        spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)
    "#]],
    );
    check_update::<core::Pod>(
        POD,
        "spec: {containers: [{name: c, image: a}, {name: d, image: a}]}",
        expect![[r#"
        spec.containers: Forbidden: pod updates may not add or remove containers
    "#]],
    );
}

#[test]
fn scheduling_gates_only_lift() {
    check_update::<core::Pod>(
        "spec: {containers: [{name: c, image: a}], schedulingGates: [{name: a.b/x}]}",
        "spec: {containers: [{name: c, image: a}], nodeSelector: {disk: ssd}}",
        expect![],
    );
    check_update::<core::Pod>(
        "spec: {containers: [{name: c, image: a}]}",
        "spec: {containers: [{name: c, image: a}], schedulingGates: [{name: a.b/x}]}",
        expect![[r#"
            spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a.b/x'
        "#]],
    );
}

#[test]
fn metadata_that_stands() {
    check_update::<core::ConfigMap>(
        "metadata: {name: a, uid: u1, generation: 5}",
        "metadata: {name: b, uid: u2, labels: {-a: b}}",
        expect![[r#"
            metadata.name: Invalid value: "b": field is immutable
            metadata.uid: Invalid value: "u2": field is immutable
            metadata.labels: Invalid value: "-a": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "#]],
    );
}

#[test]
fn the_doomed_get_no_new_finalizers() {
    let rules = rules_of::<core::ConfigMap>();
    let mut old: core::ConfigMap =
        read("metadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z', generation: 3}");
    (rules.default)(&mut old);
    let mut new: core::ConfigMap = read("metadata: {name: a, uid: '', finalizers: [a.b/c], resourceVersion: '1'}");
    (rules.prepare_update)(&mut new, &old);
    assert_eq!(new.metadata.deletion_timestamp, old.metadata.deletion_timestamp);
    assert_eq!((&new.metadata.uid, new.metadata.generation), (&old.metadata.uid, Some(3)));
    let errors = lines((rules.validate_update)(&new, &old));
    expect![[r#"
            metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a.b/c"}
        "#]]
    .assert_eq(&errors);
}

#[test]
fn config_maps_and_secrets() {
    check_update::<core::ConfigMap>(
        "{immutable: true, data: {a: b}}",
        "{data: {a: c}}",
        expect![[r#"
        immutable: Forbidden: field is immutable when `immutable` is set
        data: Forbidden: field is immutable when `immutable` is set
    "#]],
    );
    check_update::<core::Secret>(
        "{type: a/b, immutable: true}",
        "{type: Opaque, stringData: {a: b}}",
        expect![[r#"
        type: Invalid value: "Opaque": field is immutable
        immutable: Forbidden: field is immutable when `immutable` is set
        data: Forbidden: field is immutable when `immutable` is set
    "#]],
    );
}

#[test]
fn workloads() {
    const TEMPLATE: &str = "template: {metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: c, image: i}]}}";
    check_update::<apps::Deployment>(
        &format!("spec: {{selector: {{matchLabels: {{a: b}}}}, {TEMPLATE}}}"),
        &format!("spec: {{selector: {{matchLabels: {{c: d}}}}, {TEMPLATE}}}"),
        expect![[r#"
            spec.selector: Invalid value: {"matchLabels":{"c":"d"}}: field is immutable
        "#]],
    );
    check_update::<apps::StatefulSet>(
        &format!("spec: {{serviceName: a, selector: {{matchLabels: {{a: b}}}}, {TEMPLATE}}}"),
        &format!(
            "spec: {{serviceName: a, replicas: 5, minReadySeconds: 3, selector: {{matchLabels: {{a: b}}}}, {TEMPLATE}}}"
        ),
        expect![],
    );
    check_update::<apps::StatefulSet>(
        &format!("spec: {{serviceName: a, selector: {{matchLabels: {{a: b}}}}, {TEMPLATE}}}"),
        &format!("spec: {{serviceName: b, selector: {{matchLabels: {{a: b}}}}, {TEMPLATE}}}"),
        expect![[r#"
            spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden
        "#]],
    );
    check_update::<batch::Job>(
        "spec: {manualSelector: true, selector: {matchLabels: {a: b}}, completions: 3, template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}",
        "spec: {manualSelector: true, selector: {matchLabels: {a: b}}, completions: 4, parallelism: 1, template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}",
        expect![[r#"
            spec.completions: Invalid value: 4: field is immutable
        "#]],
    );
    let directed = |cpu: &str| {
        let container = |name: &str| format!("[{{name: {name}, image: i, resources: {{requests: {{cpu: {cpu}}}}}}}]");
        format!(
            "spec: {{suspend: true, manualSelector: true, selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, \
             spec: {{restartPolicy: Never, containers: {}, initContainers: {}}}}}}}",
            container("c"),
            container("first"),
        )
    };
    check_update::<batch::Job>(&directed("1"), &directed("2"), expect![]);
}

#[test]
fn services_keep_their_address() {
    check_update::<core::Service>(
        "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ports: [{port: 80}]}",
        "spec: {clusterIP: 10.0.0.2, clusterIPs: [10.0.0.2], ipFamilies: [IPv4], ports: [{port: 80}]}",
        expect![[r#"
            spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set
        "#]],
    );
    check_update::<core::Service>(
        "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, '::2'], ipFamilies: [IPv4, IPv6], ports: [{port: 80}]}",
        "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ports: [{port: 80}]}",
        expect![[r#"
            spec.ipFamilyPolicy: Invalid value: null: must be set to 'SingleStack' when releasing the secondary clusterIP
            spec.ipFamilyPolicy: Invalid value: null: must be set to 'SingleStack' when releasing the secondary ipFamily
        "#]],
    );
}

#[test]
fn claims_and_others() {
    const CLAIM: &str = "accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}";
    check_update::<core::PersistentVolumeClaim>(
        &format!("spec: {{{CLAIM}}}"),
        &format!("spec: {{{CLAIM}, volumeName: v}}"),
        expect![],
    );
    check_update::<core::PersistentVolumeClaim>(
        &format!("spec: {{{CLAIM}, storageClassName: a}}"),
        "spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}, storageClassName: b}",
        expect![[r#"
            spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims
        "#]],
    );
    check_update::<rbac::RoleBinding>(
        "roleRef: {kind: Role, name: a}",
        "roleRef: {kind: Role, name: b}",
        expect![[r#"
        roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"b"}: cannot change roleRef
    "#]],
    );
    check_update::<scheduling::PriorityClass>(
        "value: 1",
        "{value: 2, preemptionPolicy: Never}",
        expect![[r#"
        value: Forbidden: may not be changed in an update.
        preemptionPolicy: Invalid value: "Never": field is immutable
    "#]],
    );
    check_update::<core::Node>(
        "spec: {podCIDRs: [10.0.0.0/24], providerID: a}",
        "spec: {podCIDRs: [10.0.1.0/24], providerID: b, taints: [{key: a, effect: NoSchedule}, {key: a, effect: NoSchedule}]}",
        expect![[r#"
            spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid
            spec.providerID: Forbidden: node updates may not change providerID except from "" to valid
            metadata.taints[1]: Duplicate value: {"effect":"NoSchedule","key":"a"}: taints must be unique by key and effect pair
        "#]],
    );
}

#[test]
fn generation_counts_changes_of_the_spec() {
    let rules = rules_of::<apps::Deployment>();
    let yaml = |replicas: i32| {
        format!(
            "spec: {{replicas: {replicas}, selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}}}"
        )
    };
    let mut old: apps::Deployment = created(&yaml(1));
    assert_eq!(old.metadata.generation, Some(1));
    old.status = Some(apps::DeploymentStatus { replicas: Some(1), ..Default::default() });
    for (replicas, generation) in [(1, 1), (2, 2)] {
        let mut new: apps::Deployment = read(&yaml(replicas));
        new.metadata.generation = Some(77);
        (rules.default)(&mut new);
        (rules.prepare_update)(&mut new, &old);
        assert_eq!(new.metadata.generation, Some(generation));
        assert_eq!(new.status, old.status, "a writer of the spec cannot touch the status");
        assert_eq!((rules.spec_changed)(&new, &old), replicas == 2);
    }
    let mut status: apps::Deployment = old.clone();
    status.spec.as_mut().unwrap().replicas = Some(9);
    status.status.as_mut().unwrap().ready_replicas = Some(2);
    (rules.prepare_status_update)(&mut status, &old);
    assert_eq!(status.spec, old.spec, "a writer of the status cannot touch the spec");
    status.metadata.resource_version = Some("1".into());
    let errors = (rules.validate_status_update)(&status, &old);
    assert_eq!(errors.to_string(), "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas");
}

#[test]
fn a_container_that_ended_for_good_stays_ended() {
    let rules = rules_of::<core::Pod>();
    let pod = |status: &str, restart_policy: &str| -> core::Pod {
        let mut pod = read(&format!(
            "{{metadata: {{resourceVersion: '1'}}, spec: {{restartPolicy: {restart_policy}, containers: [{{name: c, image: i}}]}}, status: {status}}}"
        ));
        (rules.default)(&mut pod);
        pod
    };
    const ENDED: &str = "{qosClass: BestEffort, containerStatuses: [{name: c, image: i, imageID: i, ready: false, restartCount: 0, state: {terminated: {exitCode: 1}}}]}";
    const RUNS: &str = "{containerStatuses: [{name: c, image: i, imageID: i, ready: true, restartCount: 1, state: {running: {}}}], conditions: [{type: 'a b', status: 'True'}]}";
    for (restart_policy, stays) in [("Never", true), ("OnFailure", false), ("Always", false)] {
        let old = pod(ENDED, restart_policy);
        let mut new = pod(RUNS, restart_policy);
        (rules.prepare_status_update)(&mut new, &old);
        assert_eq!(new.status.as_ref().unwrap().qos_class.as_deref(), Some("BestEffort"));
        let errors = lines((rules.validate_status_update)(&new, &old));
        assert!(errors.starts_with("status.conditions[0].Type: Invalid value: \"a b\": name part must consist of"));
        let forbidden =
            "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state\n";
        assert_eq!(errors.ends_with(forbidden), stays, "{restart_policy}: {errors}");
    }
}

/// A Service that changes its type loses what the new one has not, unless its writer says otherwise.
#[test]
fn a_service_of_another_type_loses_what_that_has_not() {
    let rules = rules_of::<core::Service>();
    let check = |old: &str, new: &str, expected: &str| {
        let common = "clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack";
        let read = |spec: &str| -> core::Service {
            let mut service = read(&format!("{{metadata: {{resourceVersion: '1'}}, spec: {{{spec}, {common}}}}}"));
            (rules.default)(&mut service);
            service
        };
        let (old, mut new) = (read(old), read(new));
        (rules.prepare_update)(&mut new, &old);
        let spec = new.spec.as_ref().unwrap();
        let port = spec.ports.iter().flatten().find_map(|port| port.node_port);
        let left = [
            spec.cluster_ip.clone(),
            port.map(|port| port.to_string()),
            spec.external_traffic_policy.clone(),
            spec.allocate_load_balancer_node_ports.map(|yes| yes.to_string()),
            spec.load_balancer_class.clone(),
            spec.health_check_node_port.map(|port| port.to_string()),
        ];
        let left = left.into_iter().flatten().collect::<Vec<_>>().join(" ");
        assert_eq!(left, expected);
        lines((rules.validate_update)(&new, &old))
    };
    let balanced = "type: LoadBalancer, ports: [{port: 80, nodePort: 30080}], externalTrafficPolicy: Local, \
                    healthCheckNodePort: 31000, loadBalancerClass: a.b/c, allocateLoadBalancerNodePorts: true";
    let with = |kind: &str| balanced.replace("LoadBalancer,", &format!("{kind},"));
    assert_eq!(check(balanced, balanced, "10.96.0.7 30080 Local true a.b/c 31000"), "");
    assert_eq!(check(balanced, &with("NodePort"), "10.96.0.7 30080 Local"), "");
    assert_eq!(check(balanced, &with("ClusterIP"), "10.96.0.7"), "");
    assert_eq!(check(balanced, &with("ExternalName, externalName: a.b"), ""), "");
    let changed = with("ClusterIP").replace("30080", "30081");
    let errors = check(balanced, &changed, "10.96.0.7 30081");
    assert!(errors.contains("may not be used when `type` is 'ClusterIP'"), "{errors}");
}
