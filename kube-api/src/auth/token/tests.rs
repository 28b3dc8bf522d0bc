use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use coracle_core::{Kinds, Status, World};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};
use serde_json::{Value, json};

use super::holder::holder;
use super::key::SigningKey;
use super::*;

const ISSUER: &str = "https://issuer";

fn noon() -> Timestamp {
    "2030-01-01T12:00:00Z".parse().unwrap()
}

fn issuer() -> TokenIssuer {
    TokenIssuer::new(SigningKey::generate().unwrap(), ISSUER)
}

fn read<K: serde::de::DeserializeOwned>(json: Value) -> K {
    serde_json::from_value(json).unwrap()
}

fn account(uid: &str) -> ServiceAccount {
    read(json!({"metadata": {"name": "robot", "namespace": "shop", "uid": uid}}))
}

fn pod(uid: &str, account: &str) -> Pod {
    read(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": uid},
        "spec": {"serviceAccountName": account, "nodeName": "node-1", "containers": []},
    }))
}

fn world() -> World {
    let mut world = World::new(Kinds::builtin());
    world.insert(account("account-1")).unwrap();
    world.insert(pod("pod-1", "robot")).unwrap();
    world.insert(read::<Secret>(json!({"metadata": {"name": "key", "namespace": "shop", "uid": "secret-1"}}))).unwrap();
    world.insert(read::<Node>(json!({"metadata": {"name": "node-1", "uid": "node-uid-1"}}))).unwrap();
    world
}

fn ask(issuer: &TokenIssuer, world: &World, name: &str, spec: Value) -> Result<Claims, Status> {
    let mut request: TokenRequest = read(json!({"metadata": {}, "spec": spec}));
    let asking = Asking { issuer, world, namespace: "shop", name, id: "id-1".to_owned(), now: noon() };
    claims_for(asking, &mut request)
}

fn bound(kind: &str, name: &str, uid: &str) -> Value {
    json!({"audiences": [], "boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid}})
}

#[test]
fn a_token_says_whose_it_is_and_what_it_is_bound_to() {
    let (issuer, world) = (issuer(), world());
    let claims = ask(&issuer, &world, "robot", bound("Pod", "web", "")).unwrap();
    let token = issuer.issue(&claims).unwrap();
    let verified = issuer.verify(&token, noon()).unwrap().unwrap();
    assert_eq!(verified, claims);
    let user = holder(&verified, &world, noon()).unwrap();
    assert_eq!((&*user.name, &*user.uid), ("system:serviceaccount:shop:robot", "account-1"));
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:shop"]);
    let extra: Vec<_> = user.extra.iter().map(|(key, value)| (key.rsplit_once('/').unwrap().1, &*value[0])).collect();
    let expected = [
        ("credential-id", "JTI=id-1"),
        ("node-name", "node-1"),
        ("node-uid", "node-uid-1"),
        ("pod-name", "web"),
        ("pod-uid", "pod-1"),
    ];
    assert_eq!(extra, expected);
}

fn refused(result: Result<Claims, Status>, expected: (u16, &str)) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), status.message()), expected);
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let (issuer, world) = (issuer(), world());
    let ask = |name: &str, spec: Value| ask(&issuer, &world, name, spec);
    refused(ask("nobody", json!({"audiences": []})), (404, "serviceaccounts \"nobody\" not found"));
    refused(ask("robot", bound("Pod", "gone", "")), (404, "pods \"gone\" not found"));
    refused(
        ask("robot", bound("ConfigMap", "x", "")),
        (400, "cannot bind token to object of type /v1, Kind=ConfigMap"),
    );
    refused(
        ask("robot", bound("Pod", "web", "other")),
        (
            409,
            "Operation cannot be fulfilled on Pod \"web\": the UID in the bound object reference (other) does not match \
             the UID in record. The object might have been deleted and then recreated",
        ),
    );
    for (seconds, why) in [(599, "less than 10 minutes"), ((1_i64 << 32) + 1, "larger than 2^32 seconds")] {
        let spec = json!({"audiences": [], "expirationSeconds": seconds});
        let message = format!(
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: {seconds}: may not \
             specify a duration {why}"
        );
        refused(ask("robot", spec), (422, &message));
    }
    let mut other = world.clone();
    other.insert(pod("pod-1", "someone")).unwrap();
    refused(
        super::tests::ask(&issuer, &other, "robot", bound("Pod", "web", "pod-1")),
        (400, "cannot bind token for serviceaccount \"robot\" to pod running with different serviceaccount name."),
    );
}

/// What becomes of a good token when its world changes.
fn check(spec: Value, change: impl FnOnce(&mut World), expected: Result<(), &str>) {
    let mut world = world();
    let claims = ask(&issuer(), &world, "robot", spec).unwrap();
    change(&mut world);
    let told = holder(&claims, &world, noon()).map(|_| ());
    assert_eq!(told, expected.map_err(str::to_owned));
}

fn delete<K: coracle_core::Resource>(world: &mut World, key: &str) {
    let at = world.revision().next();
    world.remove(&coracle_core::GroupResource::of::<K>(), &key.into(), at).unwrap();
}

#[test]
fn tokens_end_with_what_they_are_bound_to() {
    let free = || json!({"audiences": []});
    let gone = Err("service account token has been invalidated");
    check(free(), |_| {}, Ok(()));
    check(free(), |world| delete::<Pod>(world, "shop/web"), Ok(()));
    check(free(), |world| delete::<ServiceAccount>(world, "shop/robot"), Err("serviceaccounts \"robot\" not found"));
    let replaced = "service account UID (account-2) does not match claim (account-1)";
    check(free(), |world| drop(world.insert(account("account-2")).unwrap()), Err(replaced));
    check(bound("Pod", "web", "pod-1"), |world| delete::<Pod>(world, "shop/web"), gone);
    check(bound("Secret", "key", ""), |world| delete::<Secret>(world, "shop/key"), gone);
    check(bound("Node", "node-1", ""), |world| delete::<Node>(world, "node-1"), gone);
    check(bound("Pod", "web", ""), |world| delete::<Node>(world, "node-1"), Ok(()));
    let replaced = "pod UID (pod-2) does not match service account pod ref claim (pod-1)";
    check(bound("Pod", "web", ""), |world| drop(world.insert(pod("pod-2", "robot")).unwrap()), Err(replaced));
    let terminating = |seconds: i64| {
        move |world: &mut World| {
            let mut pod = pod("pod-1", "robot");
            let at = noon() - SignedDuration::from_secs(seconds);
            pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
            world.insert(pod).unwrap();
        }
    };
    check(bound("Pod", "web", ""), terminating(30), Ok(()));
    check(bound("Pod", "web", ""), terminating(61), gone);
}

/// A token from parts that an attacker chose.
fn forge(header: Value, claims: &Claims, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| BASE64.encode(bytes);
    let claims = serde_json::to_vec(claims).unwrap();
    format!("{}.{}.{}", part(header.to_string().as_bytes()), part(&claims), part(signature))
}

#[test]
fn forged_tokens_are_refused() {
    let (issuer, world) = (issuer(), world());
    let claims = ask(&issuer, &world, "robot", json!({"audiences": []})).unwrap();
    let good = issuer.issue(&claims).unwrap();
    let key_id = issuer.keys()["keys"][0]["kid"].as_str().unwrap().to_owned();
    let unverified = Err("the signature of the token cannot be verified");
    let check = |token: &str, expected: Result<bool, &str>| {
        let told = issuer.verify(token, noon()).map(|claims| claims.is_some());
        assert_eq!(told, expected, "{token}");
    };
    check(&good, Ok(true));
    // No signature, and other algorithms.
    for algorithm in ["none", "None", "NONE", "HS256", "RS256", "ES384", ""] {
        check(&forge(json!({"alg": algorithm, "kid": key_id}), &claims, b""), unverified);
    }
    // The public key as the secret of a symmetric algorithm.
    check(&forge(json!({"alg": "HS256", "kid": key_id}), &claims, &[7; 32]), unverified);
    // Another key, with our name for ours.
    let other = TokenIssuer::new(SigningKey::generate().unwrap(), ISSUER);
    check(&other.issue(&claims).unwrap(), unverified);
    let theirs = other.issue(&claims).unwrap();
    let (_, signature) = theirs.rsplit_once('.').unwrap();
    let renamed = forge(json!({"alg": "ES256", "kid": key_id}), &claims, &BASE64.decode(signature).unwrap());
    check(&renamed, unverified);
    // A signature of all zeros is none (CVE-2022-21449), and neither is another token's.
    check(&forge(json!({"alg": "ES256", "kid": key_id}), &claims, &[0; 64]), unverified);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let mut more = claims.clone();
    more.kubernetes.service_account.name = "admin".to_owned();
    let more = BASE64.encode(serde_json::to_vec(&more).unwrap());
    check(&format!("{header}.{more}.{signature}"), unverified);
    // Extensions that must be understood.
    let critical = json!({"alg": "ES256", "kid": key_id, "crit": ["b64"], "b64": false});
    check(&forge(critical, &claims, &BASE64.decode(signature).unwrap()), unverified);
    // Not ours, or no tokens at all.
    let elsewhere = Claims { issuer: "https://elsewhere".to_owned(), ..claims };
    check(&issuer.issue(&elsewhere).unwrap(), Ok(false));
    for text in ["", ".", "..", "a.b.c", "x", &format!("{good}.x"), &good.replace('.', ""), &"a.".repeat(20_000)] {
        check(text, Ok(false));
    }
}

#[test]
fn tokens_have_their_time() {
    let (issuer, world) = (issuer(), world());
    let token = issuer.issue(&ask(&issuer, &world, "robot", json!({"audiences": []})).unwrap()).unwrap();
    let check = |seconds: i64, expected: Result<(), &str>| {
        let told = issuer.verify(&token, noon() + SignedDuration::from_secs(seconds)).map(|_| ());
        assert_eq!(told, expected, "{seconds} s later");
    };
    check(3600, Ok(()));
    check(3660, Ok(()));
    check(3661, Err("service account token has expired"));
    check(-60, Ok(()));
    check(-61, Err("service account token is not valid yet"));
}

#[test]
fn a_kept_key_reads_what_it_signed_before() {
    let issuer = issuer();
    let claims = ask(&issuer, &world(), "robot", json!({"audiences": ["a"]})).unwrap();
    let token = issuer.issue(&claims).unwrap();
    let key = SigningKey::generate().unwrap();
    let again = SigningKey::load(key.pkcs8()).unwrap();
    assert_eq!(key.public(), again.public());
    assert!(again.has_signed(&key.sign(&claims).unwrap()) && !again.has_signed(&token));
    assert!(SigningKey::load(b"no key").is_err());
    assert!(!format!("{key:?}").contains(&BASE64.encode(key.pkcs8())));
}
