//! Every way in, and who does not get in.

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use coracle_api::auth::token::Claims;
use coracle_api::auth::{Auth, ServiceAccountTokens, SigningKey, TokenIssuer};
use coracle_api::http::body::RequestBody;
use coracle_api::http::{ApiServer, Caller};
use coracle_api::{Client, Ledger, Pipeline, Settings};
use coracle_core::rbac::{default_bindings, default_roles};
use coracle_core::{Clock, Entropy, Gateway, Kinds, Request, User};
use coracle_store::{Memory, Store};
use http_body_util::{BodyExt as _, Full};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use crate::harness::{Answer, Still, pod, read};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings";
const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

struct Guarded {
    server: ApiServer,
    gateway: Arc<dyn Gateway>,
    tokens: Arc<ServiceAccountTokens>,
}

/// Who sends a request: a user of this process, or whoever this token says; no token, nobody.
enum Sender<'a> {
    User(&'a str),
    Token(&'a str),
    Nobody,
}

impl Guarded {
    /// A cluster with the default roles; the namespace `shop` with the ServiceAccount `robot`, who may view it, the pod `web`
    /// and the Secrets `a` and `b`.
    async fn start() -> Self {
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let ledger = Ledger::open(store.clone(), Kinds::builtin()).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let issuer = TokenIssuer::new(SigningKey::generate().unwrap(), ISSUER);
        let tokens = Arc::new(ServiceAccountTokens::new(issuer, ledger.feed().clone(), clock.clone()));
        let auth = Auth::new(ledger.feed().clone()).with_tokens(tokens.clone());
        let settings = Settings { clock, entropy: Arc::new(Entropy::seeded(1)), admission: Vec::new() };
        let gateway: Arc<dyn Gateway> = Arc::new(Pipeline::new(ledger, settings).with_auth(auth.clone()));
        let server = ApiServer::new(gateway.clone(), store).with_auth(auth);
        let guarded = Self { server, gateway, tokens };
        for role in default_roles() {
            guarded.gateway.execute(Request::create(role)).await.unwrap();
        }
        for binding in default_bindings() {
            guarded.gateway.execute(Request::create(binding)).await.unwrap();
        }
        let core = |plural: &str| format!("/api/v1/namespaces/shop/{plural}");
        guarded.make(&core("serviceaccounts"), json!({"metadata": {"name": "robot"}})).await;
        let mut web = pod("web", "");
        web["metadata"]["namespace"] = json!("shop");
        web["spec"]["serviceAccountName"] = json!("robot");
        guarded.make(&core("pods"), web).await;
        for name in ["a", "b"] {
            guarded.make(&core("secrets"), json!({"metadata": {"name": name}})).await;
        }
        guarded.bind("robot-views", "ClusterRole/view", "ServiceAccount/robot").await;
        guarded
    }

    async fn send(
        &self,
        sender: Sender<'_>,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let caller = match sender {
            Sender::User("owner") => Caller::Known(User::owner()),
            Sender::User(name) => Caller::Known(Arc::new(User { name: name.to_owned(), ..User::default() })),
            Sender::Token(token) => {
                request = request.header("authorization", format!("Bearer {token}"));
                Caller::Remote(None)
            }
            Sender::Nobody => Caller::Remote(None),
        };
        let body: RequestBody = Full::new(Bytes::from(body.to_owned())).map_err(|never| match never {}).boxed_unsync();
        read(self.server.handle(request.body(body).unwrap(), caller).await).await
    }

    async fn post(&self, sender: Sender<'_>, target: &str, body: &Value) -> Answer {
        self.send(sender, "POST", target, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// Makes something as the owner.
    async fn make(&self, target: &str, body: Value) -> Value {
        let answer = self.post(Sender::User("owner"), target, &body).await;
        assert_eq!(answer.code, 201, "{}", answer.json());
        answer.json()
    }

    /// Makes a Role in `shop`.
    async fn role(&self, name: &str, rule: Value) {
        self.make(ROLES, json!({"metadata": {"name": name}, "rules": [rule]})).await;
    }

    /// Binds `ClusterRole/view` or `Role/x` in `shop` to `User/jane` or `ServiceAccount/robot`.
    async fn bind(&self, name: &str, role: &str, subject: &str) {
        self.make(BINDINGS, binding(name, role, subject)).await;
    }

    /// What a token of `robot` would say, bound to the pod if so wished.
    async fn token(&self, spec: Value) -> String {
        let answer = self.make("/api/v1/namespaces/shop/serviceaccounts/robot/token", json!({"spec": spec})).await;
        assert_eq!(
            (&answer["kind"], &answer["apiVersion"]),
            (&json!("TokenRequest"), &json!("authentication.k8s.io/v1"))
        );
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// What the holder of a token is told who lists the pods of `shop`.
    async fn code_with(&self, token: &str) -> u16 {
        let answer = self.send(Sender::Token(token), "GET", PODS, &[], "").await;
        assert!(!String::from_utf8_lossy(&answer.body).contains(token), "a token is in an answer");
        answer.code
    }

    fn claims(&self, token: &str) -> Claims {
        self.tokens.issuer().verify(token, Still.now()).unwrap().unwrap()
    }
}

const PODS: &str = "/api/v1/namespaces/shop/pods";

fn binding(name: &str, role: &str, subject: &str) -> Value {
    let (role_kind, role) = role.split_once('/').unwrap();
    let (kind, who) = subject.split_once('/').unwrap();
    json!({
        "metadata": {"name": name}, "subjects": [{"kind": kind, "name": who}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
    })
}

fn bound_to_pod() -> Value {
    json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web"}})
}

#[tokio::test]
async fn nobody_sees_health_and_version_only() {
    let cluster = Guarded::start().await;
    for (method, path, code) in [
        ("GET", "/version", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/livez", 200),
        ("GET", "/healthz/ping", 403),
        ("GET", "/version/x", 403),
        ("GET", "//version", 403),
        ("GET", "/healthz/../metrics", 403),
        ("GET", "/metrics", 403),
        ("GET", "/", 403),
        ("GET", "/api", 403),
        ("GET", "/apis", 403),
        ("GET", "/openapi/v3", 403),
        ("GET", "/openid/v1/jwks", 403),
        ("GET", "/nope", 403),
        ("POST", "/version", 403),
        ("GET", PODS, 403),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 403),
    ] {
        let answer = cluster.send(Sender::Nobody, method, path, &[], "").await;
        assert_eq!(answer.code, code, "{method} {path}");
    }
    let refused = cluster.send(Sender::Nobody, "GET", "/metrics", &[], "").await.json();
    assert_eq!(refused["message"], "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"");
    // Whoever shows something wrong is told so, even where nobody may look.
    assert_eq!(cluster.send(Sender::Token("wrong"), "GET", "/version", &[], "").await.code, 401);
}

#[tokio::test]
async fn a_token_lets_in_as_far_as_its_roles() {
    let cluster = Guarded::start().await;
    let token = cluster.token(json!({})).await;
    for (method, path, code) in [
        ("GET", PODS, 200),
        ("HEAD", "/api/v1/namespaces/shop/pods/web", 200),
        ("GET", "/api/v1/namespaces/shop/pods/web", 200),
        ("GET", "/api", 200),
        ("GET", "/openid/v1/jwks", 200),
        ("GET", "/.well-known/openid-configuration", 200),
        ("GET", "/metrics", 403),
        ("DELETE", "/api/v1/namespaces/shop/pods/web", 403),
        ("DELETE", PODS, 403),
        ("GET", "/api/v1/pods", 403),
        ("GET", "/api/v1/namespaces/default/pods", 403),
        ("GET", "/api/v1/namespaces/shop/secrets", 403),
        ("GET", "/api/v1/namespaces/shop/secrets/a", 403),
        ("GET", "/api/v1/watch/namespaces/shop/secrets", 403),
        // Other spellings of the same.
        ("GET", "//api/v1/namespaces/shop/secrets/a", 403),
        ("GET", "/api//v1/namespaces/shop//secrets", 403),
        ("GET", "/api/v1/namespaces/shop/%73ecrets", 403),
        ("GET", "/api/v1/namespaces/shop/pods/../secrets", 403),
        ("GET", "/api/v1/namespaces/shop/pods%2F..%2Fsecrets", 403),
        ("GET", "/api/v1/namespaces/shop%2Fsecrets/pods", 403),
        ("GET", "/api/v1/namespaces/shop/Secrets", 403),
        // What is below a pod is not the pod.
        ("GET", "/api/v1/namespaces/shop/pods/web/exec", 403),
        ("POST", "/api/v1/namespaces/shop/pods/web/eviction", 403),
        ("POST", "/api/v1/namespaces/shop/pods/web/binding", 403),
        ("PUT", "/api/v1/namespaces/shop/pods/web/status", 403),
        ("PATCH", "/api/v1/namespaces/shop/pods/web/ephemeralcontainers", 403),
        ("POST", "/api/v1/namespaces/shop/serviceaccounts/robot/token", 403),
        ("PUT", "/api/v1/namespaces/shop/finalize", 403),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/view", 403),
    ] {
        let answer = cluster.send(Sender::Token(&token), method, path, &[], "").await;
        assert_eq!(answer.code, code, "{method} {path}");
    }
    let keys = cluster.send(Sender::Token(&token), "GET", "/openid/v1/jwks", &[], "").await.json();
    assert_eq!(keys["keys"][0]["alg"], "ES256");
    assert!(keys["keys"][0].get("d").is_none(), "the private half");
    let refused = cluster.send(Sender::Token(&token), "GET", "/api/v1/namespaces/shop/secrets", &[], "").await.json();
    assert_eq!(
        refused["message"],
        "secrets is forbidden: User \"system:serviceaccount:shop:robot\" cannot list resource \"secrets\" in API group \
         \"\" in the namespace \"shop\""
    );
}

#[tokio::test]
async fn wrong_tokens_do_not_let_in() {
    let cluster = Guarded::start().await;
    let issuer = cluster.tokens.issuer();
    let good = cluster.token(json!({})).await;
    let claims = cluster.claims(&good);
    assert_eq!(cluster.code_with(&good).await, 200);
    let with = |change: fn(&mut Claims)| {
        let mut claims = claims.clone();
        change(&mut claims);
        issuer.issue(&claims).unwrap()
    };
    let part = |json: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string());
    let unsigned = format!("{}.{}.", part(json!({"alg": "none"})), part(serde_json::to_value(&claims).unwrap()));
    let other_key = TokenIssuer::new(SigningKey::generate().unwrap(), ISSUER).issue(&claims).unwrap();
    for (what, token) in [
        ("garbage", "x.y.z".to_owned()),
        ("unsigned", unsigned),
        ("another key", other_key),
        ("another issuer", with(|claims| claims.issuer = "https://elsewhere".to_owned())),
        ("another audience", with(|claims| claims.audiences = vec!["vault".to_owned()])),
        ("no audience", with(|claims| claims.audiences.clear())),
        ("expired", with(|claims| claims.expires_at_seconds -= 2 * 3600)),
        ("not yet", with(|claims| claims.not_before_seconds += 3600)),
        ("another account", with(|claims| claims.kubernetes.service_account.name = "nobody".to_owned())),
        ("another life of it", with(|claims| claims.kubernetes.service_account.uid = "x".to_owned())),
        ("another user", with(|claims| claims.subject = "system:admin".to_owned())),
        ("the first part", good.rsplit_once('.').unwrap().0.to_owned()),
    ] {
        assert_eq!(cluster.code_with(&token).await, 401, "{what}");
    }
    let for_another = cluster.token(json!({"audiences": ["vault"]})).await;
    assert_eq!(cluster.code_with(&for_another).await, 401);
}

#[tokio::test]
async fn tokens_are_revoked_by_deleting_what_they_are_bound_to() {
    let cluster = Guarded::start().await;
    let (free, bound) = (cluster.token(json!({})).await, cluster.token(bound_to_pod()).await);
    assert_eq!((cluster.code_with(&free).await, cluster.code_with(&bound).await), (200, 200));
    let now = "?gracePeriodSeconds=0";
    let secret = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "a"}});
    let with_secret = cluster.token(secret).await;
    assert_eq!(cluster.code_with(&with_secret).await, 200);
    cluster.send(Sender::User("owner"), "DELETE", "/api/v1/namespaces/shop/secrets/a", &[], "").await;
    assert_eq!(cluster.code_with(&with_secret).await, 401);
    cluster.make("/api/v1/namespaces/shop/secrets", json!({"metadata": {"name": "a"}})).await;
    assert_eq!(cluster.code_with(&with_secret).await, 401, "another secret of the same name");
    let gone = cluster.send(Sender::User("owner"), "DELETE", &format!("{PODS}/web{now}"), &[], "").await;
    assert_eq!(gone.code, 200);
    assert_eq!((cluster.code_with(&free).await, cluster.code_with(&bound).await), (200, 401));
    let account = "/api/v1/namespaces/shop/serviceaccounts";
    cluster.send(Sender::User("owner"), "DELETE", &format!("{account}/robot"), &[], "").await;
    assert_eq!(cluster.code_with(&free).await, 401);
    cluster.make(account, json!({"metadata": {"name": "robot"}})).await;
    assert_eq!(cluster.code_with(&free).await, 401, "another account of the same name");
    assert_eq!(cluster.code_with(&cluster.token(json!({})).await).await, 200);
}

#[tokio::test(start_paused = true)]
async fn some_names_are_not_all_names() {
    let cluster = Guarded::start().await;
    let rule = json!({
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"],
        "verbs": ["get", "list", "watch", "update", "patch", "delete", "deletecollection", "create"],
    });
    cluster.role("one", rule).await;
    cluster.bind("one", "Role/one", "User/jane").await;
    let secrets = "/api/v1/namespaces/shop/secrets";
    for (method, path, code) in [
        ("GET", format!("{secrets}/a"), 200),
        ("GET", format!("{secrets}/b"), 403),
        ("GET", secrets.to_owned(), 403),
        ("GET", format!("{secrets}?watch=true"), 403),
        ("GET", format!("{secrets}?fieldSelector=metadata.name%3Da"), 200),
        ("GET", format!("{secrets}?fieldSelector=metadata.name%3Db"), 403),
        ("GET", format!("{secrets}?fieldSelector=metadata.name!%3Da"), 403),
        ("DELETE", secrets.to_owned(), 403),
        ("DELETE", format!("{secrets}/b"), 403),
        ("PATCH", format!("{secrets}/b"), 403),
        ("POST", secrets.to_owned(), 403),
        ("GET", "/api/v1/secrets?fieldSelector=metadata.name%3Da".to_owned(), 403),
    ] {
        let answer = cluster.send(Sender::User("jane"), method, &path, &[], "").await;
        assert_eq!(answer.code, code, "{method} {path}");
    }
    // One name is authorized, and only that one is shown, however the selector is written.
    for (selector, expected) in [
        ("fieldSelector=metadata.name%3Da", vec!["a"]),
        ("fieldSelector=metadata.name%3Da,metadata.name%3Db", vec![]),
        ("fieldSelector=metadata.name%3Da&fieldSelector=metadata.name%3Db", vec!["a"]),
    ] {
        let answer = cluster.send(Sender::User("jane"), "GET", &format!("{secrets}?{selector}"), &[], "").await;
        assert_eq!(answer.names(), expected, "{selector}");
    }
    // The path names one, the selector another.
    let watch = "/api/v1/watch/namespaces/shop/secrets/a?fieldSelector=metadata.name%3Db&timeoutSeconds=1";
    let watched = cluster.send(Sender::User("jane"), "GET", watch, &[], "").await;
    assert_eq!((watched.code, watched.body.len()), (200, 0));
}

/// What `jane` is told who writes a role or binding.
async fn write(cluster: &Guarded, method: &str, target: &str, body: Value) -> (u16, String) {
    let kind = match method {
        "PATCH" => "application/merge-patch+json",
        "APPLY" => "application/apply-patch+yaml",
        _ => "application/json",
    };
    let method = if method == "APPLY" { "PATCH" } else { method };
    let answer = cluster.send(Sender::User("jane"), method, target, &[("content-type", kind)], &body.to_string()).await;
    (answer.code, answer.json()["message"].as_str().unwrap_or("").to_owned())
}

#[tokio::test]
async fn nobody_grants_what_they_have_not() {
    let cluster = Guarded::start().await;
    let all = json!(["get", "create", "update", "patch", "delete"]);
    let group = json!(["rbac.authorization.k8s.io"]);
    cluster.role("writes", json!({"apiGroups": group, "resources": ["roles", "rolebindings"], "verbs": all})).await;
    cluster.bind("writes", "Role/writes", "User/jane").await;
    cluster.bind("views", "ClusterRole/view", "User/jane").await;
    let role = |name: &str, resource: &str| {
        let rule = json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"]});
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": "shop"},
            "rules": [rule],
        })
    };
    let refused = |name: &str, resource: &str| {
        let message = format!(
            "{name} is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not \
             currently held:\n{{APIGroups:[\"\"], Resources:[\"{resource}\"], Verbs:[\"get\"]}}"
        );
        (403, message)
    };
    let ok = |code: u16| (code, String::new());
    let roles = "roles.rbac.authorization.k8s.io \"x\"";
    let of = |name: &str| format!("{ROLES}/{name}");
    assert_eq!(write(&cluster, "POST", ROLES, role("pods", "pods")).await, ok(201));
    assert_eq!(write(&cluster, "POST", ROLES, role("x", "secrets")).await, refused(roles, "secrets"));
    assert_eq!(write(&cluster, "PUT", &of("x"), role("x", "secrets")).await, refused(roles, "secrets"));
    assert_eq!(
        write(&cluster, "APPLY", &(of("x") + "?fieldManager=m"), role("x", "secrets")).await,
        refused(roles, "secrets")
    );
    assert_eq!(
        write(&cluster, "POST", &format!("{ROLES}?dryRun=All"), role("x", "secrets")).await,
        refused(roles, "secrets")
    );
    let pods = roles.replace("\"x\"", "\"pods\"");
    assert_eq!(write(&cluster, "PUT", &of("pods"), role("pods", "secrets")).await, refused(&pods, "secrets"));
    let more = json!({"rules": role("pods", "*")["rules"]});
    assert_eq!(write(&cluster, "PATCH", &of("pods"), more).await, refused(&pods, "*"));
    // What is not about rights may change, whatever the role grants.
    cluster.role("strong", json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})).await;
    assert_eq!(write(&cluster, "PATCH", &of("strong"), json!({"metadata": {"labels": {"a": "b"}}})).await, ok(200));

    // Binding a role is granting it.
    let (code, message) =
        write(&cluster, "POST", BINDINGS, binding("x", "ClusterRole/cluster-admin", "User/jane")).await;
    assert_eq!(code, 403);
    assert!(
        message.starts_with("rolebindings.rbac.authorization.k8s.io \"x\" is forbidden: user \"jane\""),
        "{message}"
    );
    assert!(message.contains("{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}"), "{message}");
    let strong = binding("x", "Role/strong", "User/jane");
    assert_eq!(write(&cluster, "POST", BINDINGS, strong.clone()).await.0, 403);
    assert_eq!(write(&cluster, "PUT", &format!("{BINDINGS}/x"), strong.clone()).await.0, 403);
    assert_eq!(write(&cluster, "POST", BINDINGS, binding("x", "ClusterRole/gone", "User/jane")).await.0, 404);
    assert_eq!(write(&cluster, "POST", BINDINGS, binding("pods", "Role/pods", "User/joe")).await, ok(201));
    // Adding a subject to a strong binding is granting, too.
    cluster.bind("strong", "Role/strong", "User/boss").await;
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(write(&cluster, "PATCH", &format!("{BINDINGS}/strong"), label).await.0, 403);
    assert_eq!(
        write(&cluster, "PATCH", &format!("{BINDINGS}/strong"), json!({"metadata": {"finalizers": ["a.b/c"]}})).await.0,
        200
    );
    let joined = json!({"subjects": [{"kind": "User", "name": "jane"}]});
    assert_eq!(write(&cluster, "PATCH", &format!("{BINDINGS}/strong"), joined).await.0, 403);
    let role_ref = json!({"roleRef": {"kind": "Role", "name": "strong"}});
    assert_eq!(write(&cluster, "PATCH", &format!("{BINDINGS}/pods"), role_ref).await.0, 422);

    // The rights to bind and to escalate, by name.
    let rule = json!({"apiGroups": group, "resources": ["roles"], "verbs": ["bind"], "resourceNames": ["strong"]});
    cluster.role("binds", rule).await;
    cluster.bind("binds", "Role/binds", "User/jane").await;
    assert_eq!(write(&cluster, "POST", BINDINGS, strong).await, ok(201));
}

#[tokio::test]
async fn only_admins_gather_rules_and_creation_needs_its_right() {
    let cluster = Guarded::start().await;
    let group = json!(["rbac.authorization.k8s.io"]);
    let rule = json!({"apiGroups": group, "resources": ["clusterroles"], "verbs": ["get", "update", "patch"]});
    cluster.make(CLUSTER_ROLES, json!({"metadata": {"name": "updates"}, "rules": [rule]})).await;
    let bind = binding("updates", "ClusterRole/updates", "User/jane");
    cluster.make("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", bind).await;
    let empty = |name: &str| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": []});
    let of = |name: &str| format!("{CLUSTER_ROLES}/{name}");
    let may_not_create = "clusterroles.rbac.authorization.k8s.io \"x\" is forbidden: User \"jane\" cannot create resource \
                          \"clusterroles\" in API group \"rbac.authorization.k8s.io\" at the cluster scope";
    assert_eq!(write(&cluster, "PUT", &of("x"), empty("x")).await, (403, may_not_create.to_owned()));
    let apply = of("x") + "?fieldManager=m";
    assert_eq!(write(&cluster, "APPLY", &apply, empty("x")).await, (403, may_not_create.to_owned()));
    cluster.make(CLUSTER_ROLES, empty("x")).await;
    assert_eq!(write(&cluster, "PATCH", &of("x"), json!({"metadata": {"labels": {"a": "b"}}})).await.0, 200);
    let gather = json!({"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}});
    let why = "clusterroles.rbac.authorization.k8s.io \"x\" is forbidden: must have cluster-admin privileges to use an \
               aggregationRule";
    assert_eq!(write(&cluster, "PATCH", &of("x"), gather).await, (403, why.to_owned()));
}

#[tokio::test]
async fn standing_for_others_needs_the_right() {
    let cluster = Guarded::start().await;
    let rule = json!({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["joe"]});
    cluster.make(CLUSTER_ROLES, json!({"metadata": {"name": "is-joe"}, "rules": [rule]})).await;
    let bind = binding("is-joe", "ClusterRole/is-joe", "User/jane");
    cluster.make("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", bind).await;
    cluster.bind("joe", "ClusterRole/view", "User/joe").await;
    let robot = "system:serviceaccount:shop:robot";
    for (user, headers, code) in [
        ("jane", vec![], 403),
        ("jane", vec![("impersonate-user", "joe")], 200),
        ("jane", vec![("impersonate-user", "boss")], 403),
        ("jane", vec![("impersonate-user", robot)], 403),
        ("jane", vec![("impersonate-user", "joe"), ("impersonate-group", "system:masters")], 403),
        ("jane", vec![("impersonate-user", "joe"), ("impersonate-uid", "1")], 403),
        ("jane", vec![("impersonate-user", "joe"), ("impersonate-extra-scopes", "all")], 403),
        ("jane", vec![("impersonate-group", "system:masters")], 400),
        // Of several names the first counts.
        ("jane", vec![("impersonate-user", "joe"), ("impersonate-user", "boss")], 200),
        ("jane", vec![("impersonate-user", "boss"), ("impersonate-user", "joe")], 403),
        ("jane", vec![("impersonate-user", "")], 403),
        ("joe", vec![("impersonate-user", "jane")], 403),
        ("joe", vec![], 200),
        ("owner", vec![("impersonate-user", robot)], 200),
        ("owner", vec![("impersonate-user", "jane")], 403),
        ("owner", vec![("impersonate-user", "system:anonymous")], 403),
    ] {
        let answer = cluster.send(Sender::User(user), "GET", PODS, &headers, "").await;
        assert_eq!(answer.code, code, "{user} {headers:?}");
    }
    let refused = cluster.send(Sender::User("jane"), "GET", PODS, &[("impersonate-user", "boss")], "").await.json();
    let expected = "users \"boss\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the \
                    cluster scope";
    assert_eq!(refused["message"], expected);
}

#[tokio::test]
async fn a_websocket_into_a_container_needs_more_than_a_look() {
    let cluster = Guarded::start().await;
    cluster.role("looks", json!({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]})).await;
    cluster.bind("looks", "Role/looks", "User/jane").await;
    let exec = "/api/v1/namespaces/shop/pods/web/exec?command=x";
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    let refused = cluster.send(Sender::User("jane"), "GET", exec, &upgrade, "").await;
    assert_eq!(refused.code, 403);
    assert!(refused.json()["message"].as_str().unwrap().contains("cannot create resource \"pods/exec\""));
}

#[tokio::test]
async fn reviews_are_answered() {
    let cluster = Guarded::start().await;
    cluster.bind("jane", "ClusterRole/view", "User/jane").await;
    let authorization = |plural: &str| format!("/apis/authorization.k8s.io/v1/{plural}");
    let ask = async |who: &str, target: String, spec: Value| {
        let answer = cluster.post(Sender::User(who), &target, &json!({"spec": spec})).await;
        (answer.code, answer.json())
    };
    let place = |verb: &str, resource: &str| json!({"verb": verb, "resource": resource, "namespace": "shop"});
    // Of oneself.
    for (verb, resource, allowed) in [("get", "pods", true), ("get", "secrets", false), ("delete", "pods", false)] {
        let spec = json!({"resourceAttributes": place(verb, resource)});
        let (code, told) = ask("jane", authorization("selfsubjectaccessreviews"), spec).await;
        assert_eq!((code, &told["status"]["allowed"]), (201, &json!(allowed)), "{verb} {resource}");
        assert_eq!(told["kind"], "SelfSubjectAccessReview");
        let why = "RBAC: allowed by RoleBinding \"jane/shop\" of ClusterRole \"view\" to User \"jane\"";
        assert_eq!(told["status"]["reason"], if allowed { json!(why) } else { Value::Null });
    }
    let path = json!({"nonResourceAttributes": {"verb": "get", "path": "/version"}});
    assert_eq!(ask("jane", authorization("selfsubjectaccessreviews"), path).await.1["status"]["allowed"], true);
    let (code, told) = ask("jane", authorization("selfsubjectaccessreviews"), json!({})).await;
    let why = "SelfSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec: Invalid value: null: exactly one of \
               nonResourceAttributes or resourceAttributes must be specified";
    assert_eq!((code, &told["message"]), (422, &json!(why)));

    // Of others: not everyone may ask.
    let spec = json!({"resourceAttributes": place("list", "pods"), "user": "jane"});
    assert_eq!(ask("jane", authorization("subjectaccessreviews"), spec.clone()).await.0, 403);
    assert_eq!(ask("owner", authorization("subjectaccessreviews"), spec.clone()).await.1["status"]["allowed"], true);
    let masters = json!({"resourceAttributes": place("list", "secrets"), "groups": ["system:masters"]});
    assert_eq!(ask("owner", authorization("subjectaccessreviews"), masters).await.1["status"]["allowed"], true);
    let nobody = json!({"resourceAttributes": place("list", "pods")});
    assert_eq!(ask("owner", authorization("subjectaccessreviews"), nobody).await.0, 422);
    let local = |namespace: &str| authorization(&format!("namespaces/{namespace}/localsubjectaccessreviews"));
    assert_eq!(ask("owner", local("shop"), spec.clone()).await.1["status"]["allowed"], true);
    let (code, told) = ask("owner", local("default"), spec).await;
    let why = "spec.resourceAttributes.namespace must match namespace: default";
    assert_eq!((code, &told["message"]), (400, &json!(why)));

    // All rules, and who one is.
    let (_, told) = ask("jane", authorization("selfsubjectrulesreviews"), json!({"namespace": "shop"})).await;
    assert_eq!(told["status"]["incomplete"], false);
    let rules = told["status"]["resourceRules"].to_string();
    assert!(rules.contains("\"pods/log\"") && rules.contains("selfsubjectreviews") && !rules.contains("\"secrets\""));
    assert!(told["status"]["nonResourceRules"].to_string().contains("/healthz"));
    let (_, told) = ask("jane", authorization("selfsubjectrulesreviews"), json!({"namespace": "default"})).await;
    assert!(!told["status"]["resourceRules"].to_string().contains("\"pods/log\""));
    assert_eq!(ask("jane", authorization("selfsubjectrulesreviews"), json!({})).await.0, 400);
    let me = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let told = cluster.post(Sender::User("jane"), me, &json!({})).await.json();
    assert_eq!(told["status"]["userInfo"], json!({"username": "jane", "groups": ["system:authenticated"]}));

    // Nothing of it is kept, and nothing else can be done with it.
    for method in ["GET", "DELETE"] {
        let target = authorization("selfsubjectaccessreviews");
        assert_eq!(cluster.send(Sender::User("owner"), method, &target, &[], "").await.code, 405);
    }
}

#[tokio::test]
async fn tokens_are_reviewed() {
    let cluster = Guarded::start().await;
    let ask = async |token: &str, audiences: Value| {
        let spec = json!({"token": token, "audiences": audiences});
        let target = "/apis/authentication.k8s.io/v1/tokenreviews";
        let told = cluster.make(target, json!({"spec": spec})).await;
        assert!(!told.to_string().contains(token), "a token is in an answer");
        told["status"].clone()
    };
    let (own, vault) = (cluster.token(bound_to_pod()).await, cluster.token(json!({"audiences": ["vault", "x"]})).await);
    let told = ask(&own, json!([])).await;
    assert_eq!((&told["authenticated"], &told["audiences"]), (&json!(true), &json!([ISSUER])));
    assert_eq!(told["user"]["username"], "system:serviceaccount:shop:robot");
    let groups = json!(["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]);
    assert_eq!(told["user"]["groups"], groups);
    assert_eq!(told["user"]["extra"]["authentication.kubernetes.io/pod-name"], json!(["web"]));
    assert_eq!(ask(&vault, json!(["vault"])).await["audiences"], json!(["vault"]));
    let told = ask(&vault, json!([])).await;
    let why = format!(
        "[invalid bearer token, token audiences [\"vault\" \"x\"] is invalid for the target audiences [\"{ISSUER}\"]]"
    );
    assert_eq!((&told["authenticated"], &told["error"]), (&Value::Null, &json!(why)));
    assert_eq!(ask("nonsense", json!([])).await["error"], "invalid bearer token");
    let empty = cluster.post(Sender::User("owner"), "/apis/authentication.k8s.io/v1/tokenreviews", &json!({})).await;
    assert_eq!(empty.code, 400);
    let target = "/apis/authentication.k8s.io/v1/tokenreviews";
    let jane = cluster.post(Sender::User("jane"), target, &json!({"spec": {"token": own}})).await;
    assert_eq!(jane.code, 403);
}

#[tokio::test]
async fn a_handle_in_process_can_be_limited_too() {
    let cluster = Guarded::start().await;
    cluster.bind("jane", "ClusterRole/view", "User/jane").await;
    let owner = Client::new(cluster.gateway.clone());
    let map = |name: &str| ConfigMap {
        metadata: serde_json::from_value(json!({"name": name, "namespace": "shop"})).unwrap(),
        ..ConfigMap::default()
    };
    owner.namespaced("shop").create(map("one")).await.unwrap();
    let jane = owner.impersonate("jane", &[]);
    let maps = jane.namespaced::<ConfigMap>("shop");
    let secrets = jane.namespaced::<Secret>("shop");
    assert_eq!((maps.list().len(), maps.watch().0.len()), (1, 1));
    assert!(maps.get("one").is_ok());
    assert_eq!(maps.create(map("two")).await.unwrap_err().code(), 403);
    assert_eq!(maps.delete("one").await.unwrap_err().code(), 403);
    assert_eq!(maps.edit("one", |_| {}).await.unwrap_err().code(), 403);
    assert_eq!(secrets.get("a").unwrap_err().code(), 403);
    assert_eq!(secrets.list_labeled("").unwrap_err().code(), 403);
    assert_eq!(secrets.until("a", |_| true).await.unwrap_err().code(), 403);
    let (seen, mut changes) = secrets.watch();
    assert_eq!((secrets.list().len(), seen.len()), (0, 0));
    assert_eq!(changes.next().await.unwrap_err().code(), 403);
    assert_eq!(jane.namespaced::<ConfigMap>("default").list_labeled("").unwrap_err().code(), 403);
    assert_eq!(jane.all::<ConfigMap>().list().len(), 0);
    assert!(jane.world().get::<Secret>("shop", "a").is_none());
    let answers = jane.execute_all(vec![Request::create(map("three")), Request::create(map("four"))]).await;
    assert!(answers.iter().all(Result::is_err));
    // Groups count.
    let boss = owner.impersonate("boss", &["system:masters"]);
    assert!(boss.namespaced::<Secret>("shop").get("a").is_ok() && boss.world().get::<Secret>("shop", "a").is_some());
}
