//! Ways in that are tried from outside, beyond those that other tests try. Who looks for a way, finds its test here:
//!
//! | way | test |
//! |---|---|
//! | certificates: another authority, expired, not yet valid, of a server | `certificates_that_prove_nothing`, `network` |
//! | ServiceAccount tokens: forged (no algorithm, symmetric, other key, other claims), expired, early, other audience or issuer | `access::wrong_tokens_do_not_let_in`, `auth::token::tests` |
//! | tokens of deleted accounts, pods, secrets | `access::tokens_are_revoked_by_deleting_what_they_are_bound_to` |
//! | tokens of OpenID Connect providers | `calls::oidc`, `auth::oidc::tests` |
//! | webhooks that know tokens and rights, and are down | `auth::webhook::tests` |
//! | roles that escalate: rules, `bind`, `escalate`, aggregation, impersonated users, groups, uids and extra | `access` |
//! | paths: `//`, `..`, `%2f`, letters, subresources, `watch` | `access::a_token_lets_in_as_far_as_its_roles`, `bad_inputs` |
//! | headers: `Impersonate-*` twice, `X-Remote-*`, `Connection`, two lengths | `headers_of_others_say_nothing`, `requests_in_requests`, `aggregation::proxy` |
//! | bodies too deep or too large | `bodies_have_an_end`, `any_body` |
//! | expressions and patterns that burn time | `expressions_have_an_end`, `cel::tests::bombs` |
//! | webhooks that hang, lie, redirect, flood | `calls::admission` |
//! | secrets in logs, refusals and audit records | `secrets_stay_where_they_are`, `audit` |

use std::sync::{Arc, Mutex};

use coracle_api::audit::{Audit, Policy, Record, Sink};
use coracle_api::auth::{Chain, ClientCertificates, StaticTokens};
use coracle_api::http::Caller;
use coracle_api::http::pki::{Authority, Identity};
use coracle_api::http::serve::{Limits, Serving, serve};
use coracle_core::{Clock as _, User};
use coracle_store::Memory;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::custom::until;
use crate::harness::{CONFIG_MAPS, Cluster, Still, read};

const JSON: (&str, &str) = ("content-type", "application/json");

fn admin() -> User {
    User { name: "root".to_owned(), groups: vec!["system:masters".to_owned()], ..User::default() }
}

/// A cluster that knows one token and client certificates.
async fn guarded() -> Cluster {
    let tokens = StaticTokens([("root-token".to_owned(), admin())].into());
    let chain = Chain(vec![Arc::new(ClientCertificates), Arc::new(tokens)]);
    Cluster::with(Arc::new(Memory::default()), |server| server.with_authenticator(chain)).await
}

#[tokio::test]
async fn certificates_that_prove_nothing() {
    let (cluster, now) = (guarded().await, Still.now());
    let authority = Authority::create(now).unwrap();
    let other = Authority::create(now).unwrap();
    let server = authority.server(&["127.0.0.1"], now).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = serve(cluster.server.clone(), listener, authority.tls(&server).ok(), Limits::default()).unwrap();
    let admin = |authority: &Authority, days: i64| {
        authority.client("admin", &["system:masters"], now + SignedDuration::from_hours(24 * days)).unwrap()
    };
    let mut stolen = admin(&authority, 0);
    stolen.key.clone_from(&admin(&other, 0).key);
    for (what, identity, is_let_in) in [
        ("good", admin(&authority, 0), true),
        ("expired", admin(&authority, -5_000), false),
        ("not yet valid", admin(&authority, 5_000), false),
        ("of another authority", admin(&other, 0), false),
        ("a certificate for servers", authority.server(&["admin"], now).unwrap(), false),
        ("without its key", stolen, false),
    ] {
        assert_eq!(lets_in(&serving, &authority, &identity).await, is_let_in, "{what}");
    }
}

/// Whether a request over TLS with this client certificate is answered well.
async fn lets_in(serving: &Serving, authority: &Authority, identity: &Identity) -> bool {
    use kube::client::Body;
    let mut config = kube::Config::new(format!("https://{}", serving.address()).parse().unwrap());
    let (_, root) = x509(authority.certificate());
    config.root_cert = Some(vec![root]);
    let encoded = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    config.auth_info.client_certificate_data = Some(encoded(&identity.certificate));
    config.auth_info.client_key_data = Some(encoded(&identity.key).into());
    let Ok(client) = kube::Client::try_from(config) else { return false };
    let request = http::Request::get("/api/v1/secrets").body(Body::empty()).unwrap();
    client.send(request).await.is_ok_and(|answer| answer.status() == 200)
}

/// A certificate of PEM as it is on the wire.
fn x509(pem: &str) -> ((), Vec<u8>) {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    ((), base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap())
}

#[tokio::test]
async fn headers_of_others_say_nothing() {
    let cluster = guarded().await;
    let ask = async |headers: &[(&str, &str)]| {
        read(cluster.send_as(Caller::Remote(None), "GET", "/api/v1/secrets", headers, "").await).await
    };
    let token = ("authorization", "Bearer root-token");
    for (headers, code) in [
        (vec![token], 200),
        (vec![token, ("connection", "close, Authorization")], 200),
        (vec![("x-remote-user", "root"), ("x-remote-group", "system:masters")], 403),
        (vec![("x-remote-user", "root"), ("x-remote-extra-scopes", "all"), ("x-forwarded-for", "127.0.0.1")], 403),
        (vec![("x-forwarded-client-cert", "Subject=\"CN=admin,O=system:masters\"")], 403),
        (vec![("authorization", "Basic cm9vdDpyb290")], 403),
        (vec![("authorization", "Bearer")], 403),
        (vec![("authorization", "Bearer root-token "), ("authorization", "Bearer x")], 200),
        (vec![("authorization", "Bearer x"), token], 401),
        (vec![("authorization", "Bearer x, Bearer root-token")], 401),
        (vec![("cookie", "token=root-token"), ("proxy-authorization", "Bearer root-token")], 403),
        (vec![token, ("impersonate-user", "jane")], 403),
        (vec![token, ("Impersonate-Group", "system:masters")], 400),
        (vec![("impersonate-user", "root"), ("impersonate-group", "system:masters")], 403),
    ] {
        assert_eq!(ask(&headers).await.code, code, "{headers:?}");
    }
}

/// What comes back for these bytes, as text, until the server ends it or has nothing more to say.
async fn raw(serving: &Serving, bytes: &str) -> String {
    let mut stream = TcpStream::connect(serving.address()).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _refused = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_in_requests() {
    let cluster = guarded().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = serve(cluster.server.clone(), listener, None, Limits::default()).unwrap();
    const HIDDEN: &str = "GET /api/v1/secrets HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let first = |headers: &str| {
        format!("POST {CONFIG_MAPS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer root-token\r\n{headers}\r\n\r\n")
    };
    // Whatever the server takes for a second request, it has no rights of the first.
    for (what, text) in [
        ("both lengths", first("content-length: 5\r\ntransfer-encoding: chunked") + "0\r\n\r\n" + HIDDEN),
        ("both, the other way", first("transfer-encoding: chunked\r\ncontent-length: 80") + "0\r\n\r\n" + HIDDEN),
        ("two lengths", first("content-length: 0\r\ncontent-length: 62") + HIDDEN),
        ("a list of lengths", first("content-length: 0, 62") + HIDDEN),
        ("an unknown coding", first("transfer-encoding: xchunked") + HIDDEN),
        ("a coding after chunked", first("transfer-encoding: chunked, identity") + HIDDEN),
        ("a space before the colon", first("content-length : 62") + HIDDEN),
        ("a folded header", first("x: y\r\n content-length: 62") + HIDDEN),
        ("a bare line feed", first("x: y\ncontent-length: 0") + HIDDEN),
        ("a negative length", first("content-length: -1") + HIDDEN),
        ("a length with a sign", first("content-length: +0") + HIDDEN),
        ("a pipelined one", first("content-length: 0") + HIDDEN),
    ] {
        let answer = raw(&serving, &text).await;
        assert!(!answer.contains("HTTP/1.1 200") && !answer.contains("SecretList"), "{what}: {answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 2, "{what}: {answer}");
    }
    let proof = raw(&serving, &HIDDEN.replace("host: x", "host: x\r\nauthorization: Bearer root-token")).await;
    assert!(proof.contains("HTTP/1.1 200"), "{proof}");
}

#[tokio::test]
async fn bodies_have_an_end() {
    let cluster = Cluster::start().await;
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let of =
        |data: &str| format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"m"}},"data":{data}}}"#);
    let large = of(&json!({"a": "x".repeat(4 << 20)}).to_string());
    let many = format!("[{}]", vec![r#"{"op":"test","path":"/a","value":1}"#; 20_000].join(","));
    let aliases =
        format!("a: &a [x]\n{}", (0..40).map(|index| format!("b{index}: [*a, *a, *a, *a]\n")).collect::<String>());
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, index| {
        let below = index - 1;
        text + &format!("a{index}: &a{index} [*a{below}, *a{below}, *a{below}]\n")
    });
    let map = format!("{CONFIG_MAPS}/m");
    for (what, method, path, content, body, code) in [
        ("deep JSON", "POST", CONFIG_MAPS, "application/json", of(&deep(100_000)), 400),
        ("deep YAML", "POST", CONFIG_MAPS, "application/yaml", of(&deep(100_000)), 400),
        ("a deep merge patch", "PATCH", &*map, "application/merge-patch+json", deep(100_000), 400),
        ("a deep apply", "PATCH", &*map, "application/apply-patch+yaml", of(&deep(100_000)), 400),
        ("large JSON", "POST", CONFIG_MAPS, "application/json", large.clone(), 413),
        ("large YAML", "POST", CONFIG_MAPS, "application/yaml", large, 413),
        ("many operations", "PATCH", &*map, "application/json-patch+json", many, 413),
        ("aliases", "POST", CONFIG_MAPS, "application/yaml", aliases, 400),
        ("aliases of aliases", "POST", CONFIG_MAPS, "application/yaml", bomb, 400),
    ] {
        let path = if content.contains("apply") { format!("{path}?fieldManager=x") } else { path.to_owned() };
        cluster.ask("POST", CONFIG_MAPS, &[JSON], of("{}")).await;
        let answer = cluster.ask(method, &path, &[("content-type", content)], body).await;
        assert_eq!(
            answer.code,
            code,
            "{what}: {}",
            String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>()
        );
    }
}

#[tokio::test]
async fn expressions_have_an_end() {
    let cluster = Cluster::start().await;
    let gateway = cluster.gateway.clone();
    tokio::spawn(async move { coracle_api::custom::run(&*gateway).await });
    let definition = |rule: &str, bounds: Value| {
        let mut value = json!({"type": "array", "items": {"type": "string", "maxLength": 64}, "x-kubernetes-validations": [{"rule": rule}]});
        value.as_object_mut().unwrap().extend(bounds.as_object().unwrap().clone());
        json!({
            "metadata": {"name": "ns.test.io"},
            "spec": {
                "group": "test.io", "scope": "Cluster", "names": {"plural": "ns", "kind": "N"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"value": value}}}}],
            },
        })
        .to_string()
    };
    const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let nested = "self.all(a, self.all(b, self.all(c, self.all(d, a + b + c + d != 'x'))))";
    let refused = cluster.ask("POST", DEFINITIONS, &[JSON], definition(nested, json!({}))).await;
    assert_eq!(refused.code, 422);
    assert!(refused.json()["message"].as_str().unwrap().contains("exceeds budget by factor of"));
    // Cheap enough to be declared; what it really costs is counted.
    let patterns = "self.all(a, a.matches('^(a+)+$') || a.matches('(x|xx)*y'))";
    let made = cluster.ask("POST", DEFINITIONS, &[JSON], definition(patterns, json!({"maxItems": 100}))).await;
    assert_eq!(made.code, 201, "{}", made.json());
    until(&cluster, |world| world.kinds().get("test.io", "v1", "ns").is_some()).await;
    let evil: Vec<String> = (0..100).map(|_| "a".repeat(63) + "!").collect();
    let object = json!({"apiVersion": "test.io/v1", "kind": "N", "metadata": {"name": "n"}, "value": evil}).to_string();
    assert_eq!(cluster.ask("POST", "/apis/test.io/v1/ns", &[JSON], object).await.code, 422);
}

#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

impl Everything {
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

impl Sink for Everything {
    fn record(&self, record: &Record) {
        self.note(&serde_json::to_string(record).unwrap());
    }
}

impl tracing::field::Visit for Everything {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.note(&format!("{field}={value:?}\n"));
    }
}

/// Takes in the whole log, at every level.
impl tracing::Subscriber for Everything {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn secrets_stay_where_they_are() {
    const SECRETS: &str = "/api/v1/namespaces/default/secrets";
    let seen = Everything::default();
    let _log = tracing::subscriber::set_default(seen.clone());
    let policy: Policy = serde_saphyr::from_str("rules: [{level: RequestResponse}]").unwrap();
    let sink = Arc::new(seen.clone());
    let tokens = StaticTokens([("hunter2-token".to_owned(), admin())].into());
    let cluster = Cluster::of(Arc::new(Memory::default()), coracle_api::admission::builtin(), |server| {
        server.with_authenticator(tokens).with_audit(Audit::new(policy, sink))
    })
    .await;
    for object in ["namespaces", "namespaces/default/serviceaccounts"] {
        cluster.post(&format!("/api/v1/{object}"), &json!({"metadata": {"name": "default"}})).await;
    }
    let ask = async |token: &str, method: &str, path: &str, content: &str, body: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", &*authorization), ("content-type", content)];
        read(cluster.send_as(Caller::Remote(None), method, path, &headers, body).await).await
    };
    let json_type = "application/json";
    let one = format!("{SECRETS}/s");
    let secret = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": data}).to_string()
    };
    assert_eq!(ask("hunter2-token", "POST", SECRETS, json_type, &secret(json!({"p": "hunter2"}))).await.code, 201);
    assert!(
        String::from_utf8_lossy(&ask("hunter2-token", "GET", &one, json_type, "").await.body).contains("aHVudGVyMg")
    );
    // Refusals of what has a secret in it: they may name fields, never values.
    let mut refusals = String::new();
    for (token, method, path, content, body) in [
        ("hunter2-wrong", "GET", SECRETS, json_type, String::new()),
        ("hunter2-token", "POST", SECRETS, json_type, secret(json!({"bad key": "hunter2"}))),
        ("hunter2-token", "POST", SECRETS, json_type, secret(json!({"p": "hunter2"}))),
        ("hunter2-token", "PUT", &one, json_type, secret(json!({"p": "hunter2"})).replace("\"s\"", "\"other\"")),
        (
            "hunter2-token",
            "PATCH",
            &one,
            "application/merge-patch+json",
            r#"{"type": "x", "stringData": {"p": "hunter2"}}"#.to_owned(),
        ),
        (
            "hunter2-token",
            "PATCH",
            &one,
            "application/json-patch+json",
            r#"[{"op": "test", "path": "/data/p", "value": "hunter2"}]"#.to_owned(),
        ),
    ] {
        let answer = ask(token, method, path, content, &body).await;
        assert!(answer.code >= 400, "{method} {path} {}", answer.code);
        refusals += &String::from_utf8_lossy(&answer.body);
    }
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}).to_string();
    let made =
        ask("hunter2-token", "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", json_type, &request)
            .await;
    let token = made.json()["status"]["token"].as_str().unwrap().to_owned();
    let review =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}).to_string();
    ask("hunter2-token", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", json_type, &review).await;
    let log = seen.0.lock().unwrap().clone();
    assert!(log.contains("ResponseComplete") && log.contains("secrets"), "the records are there");
    for (what, text) in [("refusals", &refusals), ("logs and records", &log)] {
        for word in ["hunter2", "aHVudGVyMg", token.rsplit('.').next().unwrap()] {
            let at = text.find(word).map(|at| text[at.saturating_sub(300)..].chars().take(400).collect::<String>());
            assert_eq!(at, None, "{word} is in {what}");
        }
    }
}
