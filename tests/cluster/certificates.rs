//! CertificateSigningRequests from the question to the door that the certificate opens.

use coracle::Cluster;
use coracle::k8s_openapi::ByteString;
use coracle::k8s_openapi::api::authentication::v1::SelfSubjectReview;
use coracle::k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use coracle::k8s_openapi::api::core::v1::Pod;
use coracle_core::User;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

async fn cluster() -> Cluster {
    Cluster::builder().serve("127.0.0.1:0".parse().unwrap()).start().await.unwrap()
}

fn requests(client: Client) -> Api<CertificateSigningRequest> {
    Api::all(client)
}

/// A request by a key, for a name in groups (two at most).
fn pem(key: &KeyPair, name: &str, groups: &[&str]) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    // rcgen takes one value of each type: the second is of the same type by another name.
    let types = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    for (kind, group) in types.into_iter().zip(groups) {
        params.distinguished_name.push(kind, *group);
    }
    params.serialize_request(key).unwrap().pem().unwrap()
}

fn ask(name: &str, pem: &str, signer: &str, usages: &[&str]) -> CertificateSigningRequest {
    let request = ByteString(pem.as_bytes().to_vec());
    let spec = json!({"request": request, "signerName": signer, "usages": usages, "expirationSeconds": 3600, "username": "liar"});
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

async fn approve(requests: &Api<CertificateSigningRequest>, name: &str) {
    let approved = json!({"type": "Approved", "status": "True", "reason": "KubectlApprove", "message": "yes"});
    let patch = Patch::Merge(json!({"status": {"conditions": [approved]}}));
    requests.patch_subresource("approval", name, &PatchParams::default(), &patch).await.unwrap();
}

/// Waits until a request is answered, by a certificate or a condition of a type.
async fn answered(requests: &Api<CertificateSigningRequest>, name: &str, kind: &str) -> Value {
    let kind = kind.to_owned();
    let done = move |request: Option<&CertificateSigningRequest>| {
        let status = request.and_then(|request| request.status.clone()).unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        (kind.is_empty() && status.certificate.is_some()) || conditions.iter().any(|condition| condition.type_ == kind)
    };
    let request = kube::runtime::wait::await_condition(requests.clone(), name, done).await.unwrap();
    serde_json::to_value(request.unwrap()).unwrap()
}

/// The cluster as the holder of a certificate (base64) and its key.
async fn holder(cluster: &Cluster, certificate: &Value, key: &KeyPair) -> Client {
    let path = std::env::temp_dir().join(format!("coracle-certificates-{}", cluster.address().unwrap().port()));
    cluster.write_kubeconfig(&path).unwrap();
    let mut kubeconfig = Kubeconfig::read_from(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let auth = kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    auth.client_certificate_data = Some(certificate.as_str().unwrap().to_owned());
    let key = serde_json::to_value(ByteString(key.serialize_pem().into_bytes())).unwrap();
    auth.client_key_data = Some(key.as_str().unwrap().to_owned().into());
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn an_approved_request_becomes_a_certificate_that_opens_the_door() {
    let cluster = cluster().await;
    let requests = requests(cluster.kube_client());
    let key = KeyPair::generate().unwrap();
    let text = pem(&key, "jane", &["developers", "testers"]);
    let signer = "kubernetes.io/kube-apiserver-client";
    let created = requests.create(&PostParams::default(), &ask("jane", &text, signer, &["client auth"])).await.unwrap();
    assert_eq!(created.spec.username.as_deref(), Some(&*User::owner().name), "who asks is not for the asker to say");
    approve(&requests, "jane").await;
    let answer = answered(&requests, "jane", "").await;
    let certificate: ByteString = serde_json::from_value(answer["status"]["certificate"].clone()).unwrap();
    let ends = coracle_api::certificates::expires_at(&certificate.0).unwrap();
    let left = ends.duration_since(created.metadata.creation_timestamp.unwrap().0).as_secs();
    assert!((3600..3700).contains(&left), "{left}");

    let jane = holder(&cluster, &answer["status"]["certificate"], &key).await;
    let review = Api::<SelfSubjectReview>::all(jane.clone());
    let review = review.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    let user = review.status.unwrap().user_info.unwrap();
    assert_eq!(user.username.as_deref(), Some("jane"));
    assert_eq!(user.groups.unwrap(), ["developers", "testers", "system:authenticated"]);
    let pods = Api::<Pod>::default_namespaced(jane).list(&Default::default()).await.unwrap_err();
    assert!(pods.to_string().contains("User \"jane\" cannot list resource \"pods\""), "{pods}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_a_signer_does_not_sign_fails_and_bad_requests_are_refused() {
    let cluster = cluster().await;
    let requests = requests(cluster.kube_client());
    let key = KeyPair::generate().unwrap();
    let text = pem(&key, "system:node:n1", &["system:nodes"]);
    let usages = ["digital signature", "server auth"];
    let serving = ask("serving", &text, "kubernetes.io/kubelet-serving", &usages);
    requests.create(&PostParams::default(), &serving).await.unwrap();
    approve(&requests, "serving").await;
    let failed = answered(&requests, "serving", "Failed").await;
    let condition = &failed["status"]["conditions"][1];
    assert_eq!(condition["reason"], "SignerValidationFailure");
    assert_eq!(condition["message"], "DNS or IP subjectAltName is required");

    let masters = pem(&key, "jane", &["people", "system:masters"]);
    let client = "kubernetes.io/kube-apiserver-client";
    let refused = requests.create(&PostParams::default(), &ask("m", &masters, client, &["client auth"])).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("signer with system:masters group is not allowed"), "{refused}");
    // One letter of the subject changed: the signature no longer fits.
    let mut forged = pem(&key, "jane", &[]).into_bytes();
    let at = forged.iter().position(|letter| *letter == b'\n').unwrap() + 45;
    forged[at] = if forged[at] == b'Z' { b'Y' } else { b'Z' };
    let forged = ask("forged", std::str::from_utf8(&forged).unwrap(), client, &["client auth"]);
    let refused = requests.create(&PostParams::default(), &forged).await.unwrap_err().to_string();
    assert!(refused.contains("spec.request: Invalid value"), "{refused}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn client_certificates_of_nodes_are_approved_for_those_who_may_ask() {
    let cluster = cluster().await;
    for role in ["system:node-bootstrapper", "system:certificates.k8s.io:certificatesigningrequests:nodeclient"] {
        let name = role.rsplit(':').next().unwrap();
        let yaml = format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: '{role}'}}\n\
             subjects: [{{kind: User, name: joiner, apiGroup: rbac.authorization.k8s.io}}]\n"
        );
        cluster.api().apply_yaml(&yaml).await.unwrap();
    }
    let joiner = cluster.kube_client_as(User { name: "joiner".to_owned(), ..User::default() });
    let key = KeyPair::generate().unwrap();
    let text = pem(&key, "system:node:n1", &["system:nodes"]);
    let signer = "kubernetes.io/kube-apiserver-client-kubelet";
    let usages = ["digital signature", "client auth"];
    let asked =
        requests(joiner.clone()).create(&PostParams::default(), &ask("n1", &text, signer, &usages)).await.unwrap();
    assert_eq!(asked.spec.username.as_deref(), Some("joiner"));
    let answer = answered(&requests(joiner), "n1", "").await;
    assert_eq!(answer["status"]["conditions"][0]["reason"], "AutoApproved");
    let node = holder(&cluster, &answer["status"]["certificate"], &key).await;
    let nodes = Api::<coracle::k8s_openapi::api::core::v1::Node>::all(node);
    let node = serde_json::from_value(json!({"metadata": {"name": "n1"}})).unwrap();
    nodes.create(&PostParams::default(), &node).await.unwrap();
    cluster.shutdown().await;
}
