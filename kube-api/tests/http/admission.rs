//! The built-in admission plugins and the Node authorizer, by what clients see of them.

use coracle_core::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::harness::{Answer, CONFIG_MAPS, Cluster};

const PODS: &str = "/api/v1/namespaces/default/pods";
const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const JSON: (&str, &str) = ("content-type", "application/json");
const MERGE: (&str, &str) = ("content-type", "application/merge-patch+json");

impl Cluster {
    async fn try_post(&self, target: &str, body: &Value) -> Answer {
        self.ask("POST", target, &[JSON], body.to_string()).await
    }

    async fn merge(&self, target: &str, body: &Value) -> Answer {
        self.ask("PATCH", target, &[MERGE], body.to_string()).await
    }

    /// Creates something that is refused in these words.
    #[track_caller]
    fn refuses(&self, target: &str, body: &Value, message: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let answer = self.try_post(target, body).await;
            assert_eq!(answer.json()["message"], message, "{place}");
            assert_eq!(answer.code, 403, "{place}");
        }
    }

    /// What a node asks.
    async fn as_node(&self, node: &str, method: &str, target: &str, body: &Value) -> (u16, String) {
        let user = format!("system:node:{node}");
        let headers = [
            if method == "PATCH" { MERGE } else { JSON },
            ("impersonate-user", user.as_str()),
            ("impersonate-group", "system:nodes"),
        ];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.ask(method, target, &headers, body).await;
        let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
        (answer.code, message)
    }
}

fn pod(name: &str, resources: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "x", "resources": resources}]}})
}

fn quota(hard: Value) -> Value {
    json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})
}

#[tokio::test]
async fn quotas_say_what_is_exceeded() {
    let cluster = Cluster::admitting().await;
    cluster.post(QUOTAS, &quota(json!({"requests.cpu": "1", "limits.memory": "1Gi", "count/jobs.batch": "0"}))).await;
    cluster
        .refuses(
            PODS,
            &pod("a", json!({"requests": {"cpu": "1"}})),
            "pods \"a\" is forbidden: failed quota: q: must specify limits.memory for: main",
        )
        .await;
    let asks = json!({"requests": {"cpu": "600m"}, "limits": {"cpu": "600m", "memory": "512Mi"}});
    cluster.post(PODS, &pod("a", asks.clone())).await;
    cluster
        .refuses(
            PODS,
            &pod("b", asks.clone()),
            "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: \
             requests.cpu=1",
        )
        .await;
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}}});
    cluster
        .refuses(
            "/apis/batch/v1/namespaces/default/jobs",
            &job,
            "jobs.batch \"j\" is forbidden: exceeded quota: q, requested: count/jobs.batch=1, used: count/jobs.batch=0, \
             limited: count/jobs.batch=0",
        )
        .await;
    // What is over or gone makes room, and resizing needs it.
    cluster.merge(&format!("{PODS}/a/status"), &json!({"status": {"phase": "Succeeded"}})).await;
    cluster.post(PODS, &pod("b", asks)).await;
    let more = json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}}]}});
    let headers = [("content-type", "application/strategic-merge-patch+json")];
    let answer = cluster.ask("PATCH", &format!("{PODS}/b/resize"), &headers, more.to_string()).await;
    assert_eq!(
        answer.json()["message"],
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=1400m, used: requests.cpu=600m, limited: \
         requests.cpu=1"
    );
}

fn config_map(name: usize) -> Request {
    let metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        name: Some(format!("m{name}")),
        namespace: Some("default".to_owned()),
        ..Default::default()
    };
    Request::create(ConfigMap { metadata, ..ConfigMap::default() })
}

/// However many ask at once, together or apart: exactly as many are let in as there is room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quotas_are_exact_under_concurrency() {
    let cluster = Cluster::admitting().await;
    cluster.post(QUOTAS, &quota(json!({"configmaps": "10"}))).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let gateway = cluster.gateway.clone();
            tokio::spawn(async move {
                let answers = if task % 2 == 0 {
                    gateway.execute_all((0..8).map(|n| config_map(task * 8 + n)).collect()).await
                } else {
                    let mut answers = Vec::new();
                    for n in 0..8 {
                        answers.push(gateway.execute(config_map(task * 8 + n)).await);
                    }
                    answers
                };
                answers.iter().filter(|answer| answer.is_ok()).count()
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += task.await.unwrap();
    }
    let maps = cluster.get(CONFIG_MAPS).await.names();
    assert_eq!((made, maps.len()), (10, 10));
    // A dry run takes no room; a name that is taken gives its room back.
    let first = maps.first().unwrap().clone();
    cluster.ask("DELETE", &format!("{CONFIG_MAPS}/{first}"), &[], "").await;
    let new = json!({"metadata": {"name": "new"}});
    let tried = cluster.try_post(&format!("{CONFIG_MAPS}?dryRun=All"), &new).await;
    let taken = cluster.try_post(CONFIG_MAPS, &json!({"metadata": {"name": maps[1]}})).await;
    assert_eq!((tried.code, taken.code), (201, 409));
    cluster.post(CONFIG_MAPS, &new).await;
    assert_eq!(cluster.try_post(CONFIG_MAPS, &json!({"metadata": {"name": "newer"}})).await.code, 403);
}

#[tokio::test]
async fn limit_ranges_fill_in_and_refuse() {
    let cluster = Cluster::admitting().await;
    let limits = json!([
        {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
    ]);
    let range = json!({"metadata": {"name": "r"}, "spec": {"limits": limits}});
    cluster.post("/api/v1/namespaces/default/limitranges", &range).await;
    let made = cluster.post(PODS, &pod("a", json!({}))).await;
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}})
    );
    assert_eq!(made["status"]["qosClass"], "Burstable");
    assert_eq!(
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
    );
    cluster
        .refuses(
            PODS,
            &pod("b", json!({"limits": {"cpu": "2"}})),
            "pods \"b\" is forbidden: maximum cpu usage per Container is 1, but limit is 2",
        )
        .await;
    cluster
        .refuses(
            CLAIMS,
            &claim("c", "2Gi"),
            "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request \
             is 2Gi",
        )
        .await;
}

fn claim(name: &str, size: &str) -> Value {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
    json!({"metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn pods_keep_to_the_level_of_their_namespace() {
    let cluster = Cluster::admitting().await;
    let privileged = |name: &str| {
        let mut pod = pod(name, json!({}));
        pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
        pod["spec"]["hostNetwork"] = json!(true);
        pod
    };
    cluster.post(PODS, &privileged("before")).await;
    cluster.post(PODS, &privileged("before-2")).await;
    let namespace = "/api/v1/namespaces/default";
    let label =
        |key: &str, value: &str| json!({"metadata": {"labels": {format!("pod-security.kubernetes.io/{key}"): value}}});
    let wrong = cluster.merge(namespace, &label("enforce", "strict")).await;
    assert_eq!(
        wrong.json()["message"],
        "Namespace \"default\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must \
         be one of privileged, baseline, restricted"
    );
    let headers = [MERGE];
    let answer = cluster.send("PATCH", namespace, &headers, label("enforce", "baseline").to_string()).await;
    let warnings: Vec<_> =
        answer.headers().get_all("warning").iter().map(|it| it.to_str().unwrap().to_owned()).collect();
    assert_eq!(
        warnings,
        [
            "299 - \"existing pods in namespace \\\"default\\\" violate the new PodSecurity enforce level \\\"baseline:latest\\\"\"",
            "299 - \"before (and 1 other pod): host namespaces, privileged\"",
        ]
    );
    cluster
        .refuses(
            PODS,
            &privileged("after"),
            "pods \"after\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true), \
             privileged (container \"main\" must not set securityContext.privileged=true)",
        )
        .await;
    cluster.post(PODS, &pod("plain", json!({}))).await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": privileged("x")["spec"]});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let made = cluster.try_post(deployments, &json!({"metadata": {"name": "d"}, "spec": spec})).await;
    assert_eq!(made.code, 201);
    assert_eq!(
        made.headers["warning"],
        "299 - \"would violate PodSecurity \\\"baseline:latest\\\": host namespaces (hostNetwork=true), privileged (container \
         \\\"main\\\" must not set securityContext.privileged=true)\""
    );
    // What was there before may change in what does not matter.
    assert_eq!(cluster.merge(&format!("{PODS}/before"), &json!({"metadata": {"labels": {"a": "b"}}})).await.code, 200);
    let image = json!([{"op": "replace", "path": "/spec/containers/0/image", "value": "y"}]);
    let headers = [("content-type", "application/json-patch+json")];
    assert_eq!(cluster.ask("PATCH", &format!("{PODS}/before"), &headers, image.to_string()).await.code, 403);
}

#[tokio::test]
async fn classes_are_filled_in() {
    let cluster = Cluster::admitting().await;
    let class = |name: &str, key: &str, more: Value| {
        let mut class = more;
        class["metadata"] =
            json!({"name": name, "annotations": {format!("{key}.kubernetes.io/is-default-class"): "true"}});
        class
    };
    let storage = class("fast", "storageclass", json!({"provisioner": "x"}));
    cluster.post("/apis/storage.k8s.io/v1/storageclasses", &storage).await;
    let made = cluster.post(CLAIMS, &claim("c", "1Gi")).await;
    assert_eq!(made["spec"]["storageClassName"], "fast");
    let bigger = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    let unbound = cluster.merge(&format!("{CLAIMS}/c"), &bigger).await;
    assert_eq!(unbound.code, 422, "{}", unbound.json());
    cluster.merge(&format!("{CLAIMS}/c/status"), &json!({"status": {"phase": "Bound"}})).await;
    let fixed = cluster.merge(&format!("{CLAIMS}/c"), &bigger).await;
    assert_eq!(
        fixed.json()["message"],
        "persistentvolumeclaims \"c\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that \
         provisions the pvc must support resize"
    );
    let ingress = class("web", "ingressclass", json!({"spec": {"controller": "x.io/y"}}));
    cluster.post("/apis/networking.k8s.io/v1/ingressclasses", &ingress).await;
    let backend = json!({"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}});
    let ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
    let made = cluster.post(ingresses, &json!({"metadata": {"name": "i"}, "spec": backend})).await;
    assert_eq!(made["spec"]["ingressClassName"], "web");
}

#[tokio::test]
async fn runtime_classes_have_overhead_and_places() {
    let cluster = Cluster::admitting().await;
    let with_class = |name: &str, class: &str| {
        let mut pod = pod(name, json!({}));
        pod["spec"]["runtimeClassName"] = json!(class);
        pod
    };
    cluster
        .refuses(
            PODS,
            &with_class("a", "none"),
            "pods \"a\" is forbidden: pod rejected: RuntimeClass \"none\" not found",
        )
        .await;
    let class = json!({
        "metadata": {"name": "vm"}, "handler": "vm", "overhead": {"podFixed": {"cpu": "10m"}},
        "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]},
    });
    cluster.post("/apis/node.k8s.io/v1/runtimeclasses", &class).await;
    let made = cluster.post(PODS, &with_class("b", "vm")).await;
    assert_eq!(made["spec"]["overhead"], json!({"cpu": "10m"}));
    assert_eq!(made["spec"]["nodeSelector"], json!({"vm": "yes"}));
    assert!(made["spec"]["tolerations"].as_array().unwrap().contains(&json!({"key": "vm", "operator": "Exists"})));
    let mut alone = pod("c", json!({}));
    alone["spec"]["overhead"] = json!({"cpu": "1"});
    cluster
        .refuses(
            PODS,
            &alone,
            "pods \"c\" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        )
        .await;
}

#[tokio::test]
async fn nodes_see_and_change_only_their_own() {
    let cluster = Cluster::admitting().await;
    cluster.post("/api/v1/namespaces", &json!({"metadata": {"name": "kube-node-lease"}})).await;
    for node in ["n1", "n2"] {
        cluster.post("/api/v1/nodes", &json!({"metadata": {"name": node}})).await;
    }
    let secrets = "/api/v1/namespaces/default/secrets";
    for name in ["mine", "other"] {
        cluster.post(secrets, &json!({"metadata": {"name": name}})).await;
    }
    let mut mine = pod("p", json!({}));
    mine["spec"]["nodeName"] = json!("n1");
    mine["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "mine"}},
        {"name": "w", "persistentVolumeClaim": {"claimName": "c"}}]);
    let mine = cluster.post(PODS, &mine).await;
    let check = async |node: &str, method: &str, target: &str, body: Value, code: u16, message: &str| {
        assert_eq!(cluster.as_node(node, method, target, &body).await, (code, message.to_owned()), "{method} {target}");
    };
    let cannot = |verb: &str, resource: &str, name: &str, place: &str, why: &str| {
        let name = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let base = resource.split('/').next().unwrap();
        format!(
            "{base}{name} is forbidden: User \"system:node:n1\" cannot {verb} resource \"{resource}\" in API group \"\" {place}{why}"
        )
    };
    let here = "in the namespace \"default\"";
    let unrelated = ": no relationship found between node 'n1' and this object";
    check("n1", "GET", &format!("{secrets}/mine"), Value::Null, 200, "").await;
    check(
        "n1",
        "GET",
        &format!("{secrets}/other"),
        Value::Null,
        403,
        &cannot("get", "secrets", "other", here, unrelated),
    )
    .await;
    check("n1", "GET", secrets, Value::Null, 403, &cannot("list", "secrets", "", here, ": No Object name found")).await;
    check("n1", "GET", &format!("{secrets}?fieldSelector=metadata.name%3Dmine"), Value::Null, 200, "").await;
    check("n1", "GET", &format!("{CLAIMS}/c"), Value::Null, 404, "persistentvolumeclaims \"c\" not found").await;
    check("n1", "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", Value::Null, 200, "").await;
    let all = ": can only list/watch pods with spec.nodeName field selector";
    check("n1", "GET", "/api/v1/pods", Value::Null, 403, &cannot("list", "pods", "", "at the cluster scope", all))
        .await;
    check("n1", "GET", "/api/v1/nodes/n1", Value::Null, 200, "").await;
    let other = ": node 'n1' cannot read 'n2', only its own Node object";
    check(
        "n1",
        "GET",
        "/api/v1/nodes/n2",
        Value::Null,
        403,
        &cannot("get", "nodes", "n2", "at the cluster scope", other),
    )
    .await;
    check("n1", "GET", "/api/v1/services", Value::Null, 200, "").await;

    let label = |key: &str| json!({"metadata": {"labels": {key: "x"}}});
    check(
        "n1",
        "PATCH",
        "/api/v1/nodes/n2",
        label("a"),
        403,
        "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"",
    )
    .await;
    check("n1", "PATCH", "/api/v1/nodes/n1", label("kubernetes.io/os"), 200, "").await;
    check(
        "n1",
        "PATCH",
        "/api/v1/nodes/n1",
        label("node-restriction.kubernetes.io/zone"),
        403,
        "nodes \"n1\" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/zone",
    )
    .await;
    let status = json!({"status": {"phase": "Running"}});
    check("n1", "PATCH", &format!("{PODS}/p/status"), status.clone(), 200, "").await;
    check(
        "n2",
        "PATCH",
        &format!("{PODS}/p/status"),
        status,
        403,
        "pods \"p\" is forbidden: node \"n2\" can only update pod status for pods with spec.nodeName set to itself",
    )
    .await;
    check(
        "n2",
        "DELETE",
        &format!("{PODS}/p"),
        Value::Null,
        403,
        "pods \"p\" is forbidden: node \"n2\" can only delete pods with spec.nodeName set to itself",
    )
    .await;
    check(
        "n2",
        "POST",
        &format!("{PODS}/p/eviction"),
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}),
        403,
        "pods \"p\" is forbidden: node n2 can only evict pods with spec.nodeName set to itself",
    )
    .await;
    check(
        "n1",
        "POST",
        PODS,
        pod("new", json!({})),
        403,
        "pods \"new\" is forbidden: pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create \
         mirror pods",
    )
    .await;
    let lease = json!({"metadata": {"name": "n2"}});
    check(
        "n1",
        "POST",
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
        lease,
        403,
        "leases.coordination.k8s.io \"n2\" is forbidden: can only access node lease with the same name as the requesting node",
    )
    .await;
    assert_eq!(mine["spec"]["serviceAccountName"], "default");
    let token = |bound: Value| json!({"spec": {"boundObjectRef": bound}});
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": mine["metadata"]["uid"]});
    let tokens = "/api/v1/namespaces/default/serviceaccounts/default/token";
    check(
        "n1",
        "POST",
        tokens,
        token(Value::Null),
        403,
        "serviceaccounts \"default\" is forbidden: node requested token not bound to a pod",
    )
    .await;
    let (code, message) = cluster.as_node("n2", "POST", tokens, &token(bound)).await;
    assert!(code == 403 && message.ends_with("no relationship found between node 'n2' and this object"), "{message}");
}

/// `0` in the wrapping of a request.
const UNREADABLE: &str =
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUE9PQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K";

#[tokio::test]
async fn signers_are_guarded() {
    let cluster = Cluster::admitting().await;
    let request = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlISk1IRUNBUUF3RHpFTk1Bc0dBMVVFQXd3RWFtRnVaVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSApBMElBQkkrUWRnQVpFd3RIU0hWZ21leVR6VVpONUhmQi9pcDJGMWxVbGcvOTdFTm1qRmZjKzE3ellUaVQwWUF4CjNEUGdaR005YTUyWUMrMWRxazlHbVY5YUF0bWdBREFLQmdncWhrak9QUVFEQWdOSUFEQkZBaUE2dWk2L0xESE4KSzRzSDB1TG9QQXdPR3laOFE0NTR4SWhwZlN0SjV3RHhyd0loQUpvbkR4d1hnbXNxMWhwUEEvWWUrSFFsd1BORwo5aWs5ZHRpdE01QWx1dGtCCi0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let ask = |signer: &str| {
        let spec = json!({"request": request, "signerName": signer, "usages": ["client auth"]});
        json!({"metadata": {"name": "r"}, "spec": spec})
    };
    let mut unreadable = ask("example.com/mine");
    unreadable["spec"]["request"] = json!(UNREADABLE);
    let message = cluster.try_post(requests, &unreadable).await.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("spec.request: Invalid value"), "{message}");
    cluster.post(requests, &ask("example.com/mine")).await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let rule = |resource: &str, verbs: &[&str]| json!({"apiGroups": ["certificates.k8s.io"], "resources": [resource], "verbs": verbs});
    let role = |name: &str, rule: Value| json!({"metadata": {"name": name}, "rules": [rule]});
    let bind = |name: &str| {
        json!({"metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]})
    };
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    cluster.post(roles, &role("approvals", rule("certificatesigningrequests/approval", &["patch", "update"]))).await;
    cluster.post(bindings, &bind("approvals")).await;
    let conditions = json!([{"type": "Approved", "status": "True", "reason": "x", "message": "y"}]);
    let approve = json!({"status": {"conditions": conditions}}).to_string();
    let headers = [MERGE, ("impersonate-user", "jane")];
    let refused = cluster.ask("PATCH", &format!("{requests}/r/approval"), &headers, &approve).await;
    assert_eq!(
        refused.json()["message"],
        "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: user not permitted to approve requests with \
         signerName \"example.com/mine\""
    );
    let mut signers = rule("signers", &["approve"]);
    signers["resourceNames"] = json!(["example.com/*"]);
    cluster.post(roles, &role("signers", signers)).await;
    cluster.post(bindings, &bind("signers")).await;
    assert_eq!(cluster.ask("PATCH", &format!("{requests}/r/approval"), &headers, &approve).await.code, 200);
}

#[tokio::test]
async fn nodes_wait_to_be_seen_ready_where_that_is_wanted() {
    let plugins: Vec<Box<dyn coracle_api::Admission>> = vec![Box::new(coracle_api::admission::TaintNodesByCondition)];
    let cluster = Cluster::of(std::sync::Arc::new(coracle_store::Memory::default()), plugins, |server| server).await;
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    let made = cluster.post("/api/v1/nodes", &json!({"metadata": {"name": "n"}})).await;
    assert_eq!(made["spec"]["taints"], json!([taint]));
    let tainted = json!({"metadata": {"name": "m"}, "spec": {"taints": [taint]}});
    assert_eq!(cluster.post("/api/v1/nodes", &tainted).await["spec"]["taints"], json!([taint]), "once");
}
