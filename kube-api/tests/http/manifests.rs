//! Good objects: real manifests in all the forms that clients send, and what defaults make of one object of each kind.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use coracle_core::{Kind, Kinds};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::harness::Cluster;

const STRATEGIC: (&str, &str) = ("content-type", "application/strategic-merge-patch+json");
const APPLY: (&str, &str) = ("content-type", "application/apply-patch+yaml");

pub(crate) fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, found),
            path if path.extension().is_some_and(|extension| extension == "yaml") => found.push(path),
            _ => {}
        }
    }
}

/// Every object of a built-in kind in the manifests beside the repository; none where they are absent.
fn objects() -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/manifests"), &mut found);
    found.sort();
    let kinds = Kinds::builtin();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        documents.into_iter().map(move |document| (path.clone(), document)).collect::<Vec<_>>()
    };
    let is_known = |object: &Value| row(&kinds, object).is_some();
    found.into_iter().flat_map(read).filter(|(_, object)| is_known(object)).collect()
}

fn row(kinds: &Kinds, object: &Value) -> Option<std::sync::Arc<Kind>> {
    kinds.by_kind(object["apiVersion"].as_str()?, object["kind"].as_str()?).cloned()
}

/// Where objects of the kind are, seen from the object's namespace.
fn collection(object: &Value) -> String {
    let kind = row(&Kinds::builtin(), object).unwrap_or_else(|| panic!("{object}"));
    let root = if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", kind.api_version()) };
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let inside = if kind.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
    format!("{root}{inside}/{}", kind.plural)
}

/// The object without what differs each time.
fn settled(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
            metadata.remove(field);
        }
    }
    object
}

#[tokio::test]
async fn manifests_are_taken_in_every_form() {
    let objects = objects();
    for (file, object) in &objects {
        let cluster = Cluster::start().await;
        let (path, name) = (collection(object), object["metadata"]["name"].as_str().unwrap());
        let one = format!("{path}/{name}");
        let what = format!("{} {} in {}", object["kind"], name, file.display());
        let strict = [("content-type", "application/json")];
        let created = cluster.ask("POST", &format!("{path}?fieldValidation=Strict"), &strict, object.to_string()).await;
        assert_eq!(created.code, 201, "{what}: {}", created.json());
        let created = settled(created.json());
        let patched = format!("{one}?fieldValidation=Strict");
        let patched = cluster.ask("PATCH", &patched, &[STRATEGIC], object.to_string()).await;
        assert_eq!(patched.code, 200, "{what}: {}", patched.json());
        assert_eq!(settled(patched.json()), created, "{what}");
        let applied = format!("{one}?fieldManager=test&fieldValidation=Strict");
        // Defaults inside of fields that are owned whole make an apply over another writer's object conflict.
        let forced = format!("{applied}&force=true");
        let over = cluster.ask("PATCH", &forced, &[APPLY], object.to_string()).await;
        assert_eq!(over.code, 200, "{what}: {}", over.json());
        assert_eq!(settled(over.json()), created, "{what}");
        let cluster = Cluster::start().await;
        let fresh = cluster.ask("PATCH", &applied, &[APPLY], object.to_string()).await;
        assert_eq!(fresh.code, 201, "{what}: {}", fresh.json());
        let again = cluster.ask("PATCH", &applied, &[APPLY], object.to_string()).await;
        assert_eq!(again.json(), fresh.json(), "applied twice: {what}");
        assert_eq!(kinds_of_values(&settled(fresh.json())), kinds_of_values(&created), "{what}");
    }
    println!("{} objects", objects.len());
    assert!(objects.is_empty() || objects.len() > 100, "only {} objects", objects.len());
}

/// The object but for what the server draws: addresses and ports of Services, labels and selectors made of a Job's uid.
fn kinds_of_values(object: &Value) -> Value {
    let mut object = object.clone();
    match object["kind"].as_str() {
        Some("Job") => {
            drop(object["spec"].as_object_mut().map(|spec| (spec.remove("selector"), spec.remove("template"))))
        }
        Some("Service") => {
            object["spec"] = json!(object["spec"].as_object().map(|spec| spec.keys().collect::<Vec<_>>()))
        }
        _ => {}
    }
    object
}

/// One small object of each kind that has defaults, or a status from birth.
const SMALL: &[&str] = &[
    "{apiVersion: v1, kind: Pod, spec: {serviceAccountName: a, volumes: [{name: e}, {name: s, secret: {secretName: s}}, {name: c, configMap: {name: c}}, {name: d, downwardAPI: {items: [{path: p, fieldRef: {fieldPath: metadata.name}}]}}, {name: p, projected: {sources: [{serviceAccountToken: {path: t}}]}}, {name: h, hostPath: {path: /}}, {name: v, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}, {name: i, iscsi: {targetPortal: t, iqn: 'iqn.2001-04.a:b', lun: 0}}, {name: r, rbd: {monitors: [m], image: i}}, {name: a, azureDisk: {diskName: d, diskURI: 'https://d'}}, {name: o, image: {reference: 'r:1'}}], containers: [{name: c, image: i, ports: [{containerPort: 80}], livenessProbe: {grpc: {port: 1}}, lifecycle: {preStop: {httpGet: {port: 1}}}, resources: {limits: {cpu: 0.5, memory: 1024Mi}}}], initContainers: [{name: n1, image: 'i:1'}], ephemeralContainers: []}, metadata: {name: x}}",
    "{apiVersion: v1, kind: PodTemplate, template: {spec: {containers: [{name: c, image: i}]}}, metadata: {name: x}}",
    "{apiVersion: v1, kind: ReplicationController, spec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}, metadata: {name: x}}",
    "{apiVersion: apps/v1, kind: ReplicaSet, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}, metadata: {name: x}}",
    "{apiVersion: apps/v1, kind: Deployment, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}, metadata: {name: x}}",
    "{apiVersion: apps/v1, kind: StatefulSet, spec: {serviceName: s, selector: {matchLabels: {a: b}}, volumeClaimTemplates: [{metadata: {name: v}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}], template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}, metadata: {name: x}}",
    "{apiVersion: apps/v1, kind: DaemonSet, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}, metadata: {name: x}}",
    "{apiVersion: apps/v1, kind: ControllerRevision, data: {a: 1}, revision: 1, metadata: {name: x}}",
    "{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}, podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: T}]}]}}, metadata: {name: x}}",
    "{apiVersion: batch/v1, kind: CronJob, spec: {schedule: '@daily', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}, metadata: {name: x}}",
    "{apiVersion: v1, kind: Service, spec: {clusterIP: None, selector: {a: b}, ports: [{port: 80}]}, metadata: {name: x}}",
    "{apiVersion: v1, kind: Service, spec: {type: ExternalName, externalName: example.com}, metadata: {name: external}}",
    "{apiVersion: v1, kind: Endpoints, subsets: [{addresses: [{ip: 1.2.3.4}], ports: [{port: 80}]}], metadata: {name: x}}",
    "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{addresses: [1.2.3.4]}], ports: [{port: 80}], metadata: {name: x}}",
    "{apiVersion: v1, kind: ConfigMap, data: {a: b}, metadata: {name: x}}",
    "{apiVersion: v1, kind: Secret, stringData: {a: b}, metadata: {name: x}}",
    "{apiVersion: v1, kind: Namespace, metadata: {name: x}}",
    "{apiVersion: v1, kind: Node, status: {capacity: {cpu: 4, memory: 1024Mi}}, metadata: {name: x}}",
    "{apiVersion: v1, kind: ServiceAccount, metadata: {name: x}}",
    "{apiVersion: v1, kind: Event, involvedObject: {kind: Pod, namespace: default, name: p}, metadata: {name: x}}",
    "{apiVersion: coordination.k8s.io/v1, kind: Lease, spec: {holderIdentity: me}, metadata: {name: x}}",
    "{apiVersion: v1, kind: PersistentVolume, spec: {capacity: {storage: 1024Mi}, accessModes: [ReadWriteOnce], hostPath: {path: /x}}, metadata: {name: x}}",
    "{apiVersion: v1, kind: PersistentVolumeClaim, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}, metadata: {name: x}}",
    "{apiVersion: v1, kind: LimitRange, spec: {limits: [{type: Container, max: {cpu: 2}, min: {cpu: 1}}]}, metadata: {name: x}}",
    "{apiVersion: v1, kind: ResourceQuota, spec: {hard: {cpu: 1000m}}, metadata: {name: x}}",
    "{apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: p, metadata: {name: x}}",
    "{apiVersion: storage.k8s.io/v1, kind: CSIDriver, spec: {}, metadata: {name: x}}",
    "{apiVersion: storage.k8s.io/v1, kind: CSINode, spec: {drivers: [{name: d, nodeID: n1}]}, metadata: {name: x}}",
    "{apiVersion: storage.k8s.io/v1, kind: CSIStorageCapacity, storageClassName: s, capacity: 1024Mi, metadata: {name: x}}",
    "{apiVersion: storage.k8s.io/v1, kind: VolumeAttachment, spec: {attacher: a, nodeName: n1, source: {persistentVolumeName: v}}, metadata: {name: x}}",
    "{apiVersion: storage.k8s.io/v1, kind: VolumeAttributesClass, driverName: d, parameters: {a: b}, metadata: {name: x}}",
    "{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {minAvailable: 1, selector: {}}, metadata: {name: x}}",
    "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, value: 5, metadata: {name: x}}",
    "{apiVersion: networking.k8s.io/v1, kind: Ingress, spec: {defaultBackend: {service: {name: s, port: {number: 80}}}}, metadata: {name: x}}",
    "{apiVersion: networking.k8s.io/v1, kind: IngressClass, spec: {controller: a.b/c, parameters: {kind: K, name: n1}}, metadata: {name: x}}",
    "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: {podSelector: {}, egress: [{ports: [{port: 1}]}]}, metadata: {name: x}}",
    "{apiVersion: networking.k8s.io/v1, kind: IPAddress, spec: {parentRef: {resource: services, namespace: default, name: s}}, metadata: {name: 10.0.0.1}}",
    "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, spec: {cidrs: [10.0.0.0/8]}, metadata: {name: x}}",
    "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}, behavior: {scaleUp: {}, scaleDown: {stabilizationWindowSeconds: 60}}}, metadata: {name: x}}",
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, roleRef: {kind: ClusterRole, name: view}, subjects: [{kind: User, name: u}, {kind: ServiceAccount, namespace: n1, name: s}], metadata: {name: x}}",
    "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, handler: h, overhead: {podFixed: {cpu: 1000m}}, metadata: {name: x}}",
    "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, webhooks: [{name: a.b.c, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {service: {namespace: n1, name: s}}, rules: [{operations: ['*'], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}], metadata: {name: x}}",
    "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, webhooks: [{name: a.b.c, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: 'https://a/b'}}], metadata: {name: x}}",
    "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, spec: {matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}, validations: [{expression: 'true'}]}, metadata: {name: x}}",
    "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, spec: {policyName: p, validationActions: [Deny], matchResources: {}}, metadata: {name: x}}",
    "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicy, spec: {reinvocationPolicy: Never, matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}, mutations: [{patchType: JSONPatch, jsonPatch: {expression: '[]'}}]}, metadata: {name: x}}",
    "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, spec: {policyName: p}, metadata: {name: x}}",
    "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, spec: {group: g.example.com, version: v1, groupPriorityMinimum: 1, versionPriority: 1, service: {namespace: n1, name: s}}, metadata: {name: v1.g.example.com}}",
    "{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, spec: {signerName: a.b/c, usages: [client auth], request: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlISk1IRUNBUUF3RHpFTk1Bc0dBMVVFQXd3RWFtRnVaVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSApBMElBQkkrUWRnQVpFd3RIU0hWZ21leVR6VVpONUhmQi9pcDJGMWxVbGcvOTdFTm1qRmZjKzE3ellUaVQwWUF4CjNEUGdaR005YTUyWUMrMWRxazlHbVY5YUF0bWdBREFLQmdncWhrak9QUVFEQWdOSUFEQkZBaUE2dWk2L0xESE4KSzRzSDB1TG9QQXdPR3laOFE0NTR4SWhwZlN0SjV3RHhyd0loQUpvbkR4d1hnbXNxMWhwUEEvWWUrSFFsd1BORwo5aWs5ZHRpdE01QWx1dGtCCi0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=}, metadata: {name: x}}",
    "{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: FlowSchema, spec: {priorityLevelConfiguration: {name: p}}, metadata: {name: x}}",
    "{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: PriorityLevelConfiguration, spec: {type: Limited, limited: {limitResponse: {type: Queue, queuing: {}}}}, metadata: {name: x}}",
    "{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, spec: {devices: {requests: [{name: a, exactly: {deviceClassName: c}}, {name: b, firstAvailable: [{name: c, deviceClassName: c, allocationMode: All}]}]}}, metadata: {name: x}}",
    "{apiVersion: resource.k8s.io/v1, kind: ResourceClaimTemplate, spec: {spec: {devices: {requests: [{name: a, exactly: {deviceClassName: c, tolerations: [{key: k}]}}]}}}, metadata: {name: x}}",
    "{apiVersion: resource.k8s.io/v1, kind: DeviceClass, spec: {}, metadata: {name: x}}",
    "{apiVersion: resource.k8s.io/v1, kind: ResourceSlice, spec: {driver: d, pool: {name: p, generation: 1, resourceSliceCount: 1}, allNodes: true, devices: [{name: a}]}, metadata: {name: x}}",
];

#[tokio::test]
async fn defaults_of_each_kind() {
    let cluster = Cluster::start().await;
    let mut told = String::new();
    for yaml in SMALL {
        let object: Value = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"));
        let path = collection(&object);
        let created = cluster.ask("POST", &path, &[("content-type", "application/json")], object.to_string()).await;
        assert_eq!(created.code, 201, "{yaml}: {}", created.json());
        let name = object["metadata"]["name"].as_str().unwrap();
        let read = cluster.get(&format!("{path}/{name}")).await.json();
        assert_eq!(read, created.json(), "{yaml}");
        let text = serde_saphyr::to_string(&settled(read)).unwrap();
        writeln!(told, "---\n{}", text.trim_end()).unwrap();
    }
    expect_file!["defaulted.yaml"].assert_eq(&told);
}
