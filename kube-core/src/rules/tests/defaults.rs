//! What is filled in, seen as the YAML-like JSON of small objects.

use super::*;
use expect_test::{Expect, expect};
use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v2 as autoscaling, batch::v1 as batch, core::v1 as core,
    networking::v1 as networking,
};
use proptest::prelude::*;

/// The object after a create, without its metadata.
fn check_created<K: Ruled + DeserializeOwned + serde::Serialize>(yaml: &str, expected: Expect) {
    let mut value = serde_json::to_value(created::<K>(yaml)).unwrap();
    for field in ["metadata", "apiVersion", "kind"] {
        value.as_object_mut().unwrap().remove(field);
    }
    expected.assert_eq(&serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn pod() {
    check_created::<core::Pod>(
        "spec:
           hostNetwork: true
           serviceAccount: builder
           volumes: [{name: a}, {name: b, secret: {secretName: s}}, {name: c, hostPath: {path: /x}}]
           containers:
           - name: web
             image: nginx
             ports: [{containerPort: 80}]
             env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
             resources: {limits: {cpu: 1000m, memory: 1024Mi}}
             livenessProbe: {httpGet: {port: 80}}",
        expect![[r#"
            {
              "spec": {
                "containers": [
                  {
                    "env": [
                      {
                        "name": "IP",
                        "valueFrom": {
                          "fieldRef": {
                            "apiVersion": "v1",
                            "fieldPath": "status.podIP"
                          }
                        }
                      }
                    ],
                    "image": "nginx",
                    "imagePullPolicy": "Always",
                    "livenessProbe": {
                      "failureThreshold": 3,
                      "httpGet": {
                        "path": "/",
                        "port": 80,
                        "scheme": "HTTP"
                      },
                      "periodSeconds": 10,
                      "successThreshold": 1,
                      "timeoutSeconds": 1
                    },
                    "name": "web",
                    "ports": [
                      {
                        "containerPort": 80,
                        "hostPort": 80,
                        "protocol": "TCP"
                      }
                    ],
                    "resources": {
                      "limits": {
                        "cpu": "1",
                        "memory": "1Gi"
                      },
                      "requests": {
                        "cpu": "1",
                        "memory": "1Gi"
                      }
                    },
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File"
                  }
                ],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "hostNetwork": true,
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "serviceAccount": "builder",
                "serviceAccountName": "builder",
                "terminationGracePeriodSeconds": 30,
                "volumes": [
                  {
                    "emptyDir": {},
                    "name": "a"
                  },
                  {
                    "name": "b",
                    "secret": {
                      "defaultMode": 420,
                      "secretName": "s"
                    }
                  },
                  {
                    "hostPath": {
                      "path": "/x",
                      "type": ""
                    },
                    "name": "c"
                  }
                ]
              },
              "status": {
                "phase": "Pending",
                "qosClass": "Guaranteed"
              }
            }"#]],
    );
}

#[test]
fn deployment_and_template() {
    check_created::<apps::Deployment>(
        "spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: 'r:5000/n@sha256:0'}]}}}",
        expect![[r#"
            {
              "spec": {
                "progressDeadlineSeconds": 600,
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "selector": {
                  "matchLabels": {
                    "a": "b"
                  }
                },
                "strategy": {
                  "rollingUpdate": {
                    "maxSurge": "25%",
                    "maxUnavailable": "25%"
                  },
                  "type": "RollingUpdate"
                },
                "template": {
                  "metadata": {
                    "labels": {
                      "a": "b"
                    }
                  },
                  "spec": {
                    "containers": [
                      {
                        "image": "r:5000/n@sha256:0",
                        "imagePullPolicy": "IfNotPresent",
                        "name": "c",
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File"
                      }
                    ],
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Always",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30
                  }
                }
              },
              "status": {}
            }"#]],
    );
}

#[test]
fn job_gets_a_selector() {
    check_created::<batch::Job>(
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: n:latest}]}}}",
        expect![[r#"
            {
              "spec": {
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "completions": 1,
                "manualSelector": false,
                "parallelism": 1,
                "podReplacementPolicy": "TerminatingOrFailed",
                "selector": {
                  "matchLabels": {
                    "batch.kubernetes.io/controller-uid": "1-2-3"
                  }
                },
                "suspend": false,
                "template": {
                  "metadata": {
                    "labels": {
                      "batch.kubernetes.io/controller-uid": "1-2-3",
                      "batch.kubernetes.io/job-name": "it",
                      "controller-uid": "1-2-3",
                      "job-name": "it"
                    }
                  },
                  "spec": {
                    "containers": [
                      {
                        "image": "n:latest",
                        "imagePullPolicy": "Always",
                        "name": "c",
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File"
                      }
                    ],
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Never",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30
                  }
                }
              },
              "status": {}
            }"#]],
    );
}

#[test]
fn others() {
    check_created::<core::Service>(
        "spec: {ports: [{port: 80}], type: LoadBalancer}",
        expect![[r#"
            {
              "spec": {
                "allocateLoadBalancerNodePorts": true,
                "externalTrafficPolicy": "Cluster",
                "internalTrafficPolicy": "Cluster",
                "ports": [
                  {
                    "port": 80,
                    "protocol": "TCP",
                    "targetPort": 80
                  }
                ],
                "sessionAffinity": "None",
                "type": "LoadBalancer"
              },
              "status": {
                "loadBalancer": {}
              }
            }"#]],
    );
    check_created::<core::Secret>(
        "{stringData: {a: b}, data: {c: ZA==}}",
        expect![[r#"
        {
          "data": {
            "a": "Yg==",
            "c": "ZA=="
          },
          "type": "Opaque"
        }"#]],
    );
    check_created::<networking::NetworkPolicy>(
        "spec: {egress: [{ports: [{port: 1}]}], podSelector: {}}",
        expect![[r#"
        {
          "spec": {
            "egress": [
              {
                "ports": [
                  {
                    "port": 1,
                    "protocol": "TCP"
                  }
                ]
              }
            ],
            "podSelector": {},
            "policyTypes": [
              "Ingress",
              "Egress"
            ]
          }
        }"#]],
    );
    check_created::<autoscaling::HorizontalPodAutoscaler>(
        "spec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: web}, behavior: {scaleDown: {selectPolicy: Min}}}",
        expect![[r#"
            {
              "spec": {
                "behavior": {
                  "scaleDown": {
                    "policies": [
                      {
                        "periodSeconds": 15,
                        "type": "Percent",
                        "value": 100
                      }
                    ],
                    "selectPolicy": "Min"
                  },
                  "scaleUp": {
                    "policies": [
                      {
                        "periodSeconds": 15,
                        "type": "Pods",
                        "value": 4
                      },
                      {
                        "periodSeconds": 15,
                        "type": "Percent",
                        "value": 100
                      }
                    ],
                    "selectPolicy": "Max",
                    "stabilizationWindowSeconds": 0
                  }
                },
                "maxReplicas": 3,
                "metrics": [
                  {
                    "resource": {
                      "name": "cpu",
                      "target": {
                        "averageUtilization": 80,
                        "type": "Utilization"
                      }
                    },
                    "type": "Resource"
                  }
                ],
                "minReplicas": 1,
                "scaleTargetRef": {
                  "kind": "Deployment",
                  "name": "web"
                }
              },
              "status": {
                "desiredReplicas": 0
              }
            }"#]],
    );
    check_created::<core::LimitRange>(
        "spec: {limits: [{type: Container, max: {cpu: 2}, min: {memory: 1Mi}}]}",
        expect![[r#"
            {
              "spec": {
                "limits": [
                  {
                    "default": {
                      "cpu": "2"
                    },
                    "defaultRequest": {
                      "cpu": "2",
                      "memory": "1Mi"
                    },
                    "max": {
                      "cpu": "2"
                    },
                    "min": {
                      "memory": "1Mi"
                    },
                    "type": "Container"
                  }
                ]
              }
            }"#]],
    );
    let namespace: core::Namespace = created("metadata: {name: shop}");
    assert_eq!(namespace.metadata.labels.unwrap()["kubernetes.io/metadata.name"], "shop");
    assert_eq!(namespace.spec.unwrap().finalizers.unwrap(), ["kubernetes"]);
}

#[test]
fn image_tags() {
    use crate::rules::pod_spec::defaults::is_latest;
    for (image, latest) in [
        ("nginx", true),
        ("nginx:latest", true),
        ("nginx:1", false),
        ("r:5000/nginx", true),
        ("r:5000/nginx:2", false),
        ("nginx@sha256:0", false),
        ("nginx:latest@sha256:0", true),
        ("", false),
    ] {
        assert_eq!(is_latest(image), latest, "{image}");
    }
}

#[test]
fn quality_of_service_classes() {
    for (resources, class) in [
        ("[{}]", "BestEffort"),
        ("[{requests: {cpu: 1}}]", "Burstable"),
        ("[{limits: {cpu: 1, memory: 1Gi}}]", "Guaranteed"),
        ("[{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}]", "Burstable"),
        ("[{limits: {cpu: 1, memory: 1Gi}}, {}]", "Burstable"),
        ("[{requests: {cpu: 0}}]", "BestEffort"),
        ("[{requests: {example.com/gpu: 1}, limits: {example.com/gpu: 1}}]", "BestEffort"),
    ] {
        let list: Vec<Value> = serde_saphyr::from_str(resources).unwrap();
        let containers: Vec<_> =
            list.into_iter().map(|it| serde_json::json!({"name": "c", "image": "i", "resources": it})).collect();
        let mut pod: core::Pod = typed(serde_json::json!({"spec": {"containers": containers}}));
        prepare(&mut pod, rules_of::<core::Pod>());
        assert_eq!(pod.status.unwrap().qos_class.unwrap(), class, "{resources}");
    }
}

#[test]
fn label_keys_become_requirements_of_the_pod_itself() {
    let pod: core::Pod = created(
        "
         metadata: {labels: {app: web, version: v2}}
         spec:
           containers: [{name: c, image: i}]
           topologySpreadConstraints:
           - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [version, absent]}",
    );
    let constraint = pod.spec.unwrap().topology_spread_constraints.unwrap().remove(0);
    let selector = crate::selector::Selector::from_label_selector(constraint.label_selector.as_ref()).unwrap();
    assert_eq!(selector.to_string(), "app=web,version in (v2)");
}

proptest! {
    /// Whatever a container lacks, filling in twice is filling in once.
    #[test]
    fn defaults_settle(
        image in "[a-z]{0,3}(:[a-z]{1,6})?",
        cpu in "[0-9]{1,4}m?",
        host_network: bool,
        period in proptest::option::of(0i32..20),
        policy in proptest::option::of("Always|Never|"),
    ) {
        let mut pod: core::Pod = typed(serde_json::json!({"spec": {
            "hostNetwork": host_network,
            "restartPolicy": policy,
            "containers": [{
                "name": "c", "image": image, "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": cpu}},
                "livenessProbe": {"exec": {"command": ["x"]}, "periodSeconds": period},
            }],
        }}));
        pod.fill_defaults();
        let once = pod.clone();
        pod.fill_defaults();
        prop_assert_eq!(pod, once);
    }
}
