//! Over TCP and TLS, with certificates, tokens and a kubeconfig.

use std::sync::Arc;

use coracle_api::auth::{Chain, ClientCertificates, StaticTokens};
use coracle_api::http::kubeconfig::{Credential, Kubeconfig};
use coracle_api::http::pki::{Authority, Identity};
use coracle_api::http::serve::{Limits, Serving, serve};
use coracle_core::{Clock as _, User};
use coracle_store::Memory;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{ListParams, WatchParams};
use kube::{Api, Client, Config};
use tokio::net::TcpListener;

use crate::harness::{Cluster, Still};

struct Network {
    cluster: Cluster,
    authority: Authority,
    serving: Serving,
}

impl Network {
    async fn start() -> Self {
        let user = |name: &str, groups: &[&str]| User {
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..User::default()
        };
        let tokens = StaticTokens(
            [
                ("root-token".to_owned(), user("root", &["system:masters"])),
                ("jane-token".to_owned(), user("jane", &[])),
            ]
            .into(),
        );
        let chain = Chain(vec![Arc::new(ClientCertificates), Arc::new(tokens)]);
        let cluster = Cluster::with(Arc::new(Memory::default()), |server| server.with_authenticator(chain)).await;
        let authority = Authority::create(Still.now()).unwrap();
        let authority = Authority::load(authority.identity()).unwrap();
        let identity = authority.server(&["127.0.0.1", "localhost"], Still.now()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = authority.tls(&identity).unwrap();
        let serving = serve(cluster.server.clone(), listener, Some(tls), Limits::default()).unwrap();
        Self { cluster, authority, serving }
    }

    fn kubeconfig(&self, credential: Credential) -> Kubeconfig {
        Kubeconfig {
            name: "test".to_owned(),
            server: format!("https://{}", self.serving.address()),
            authority: Some(self.authority.certificate().to_owned()),
            credential,
        }
    }

    async fn client(&self, credential: Credential) -> Client {
        let yaml = self.kubeconfig(credential).to_yaml().unwrap();
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&yaml).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    fn certificate(&self, user: &str, groups: &[&str]) -> Credential {
        Credential::Certificate(self.authority.client(user, groups, Still.now()).unwrap())
    }
}

async fn check(network: &Network, credential: Credential, expected: Result<(), (u16, &str)>) {
    let pods: Api<Pod> = Api::namespaced(network.client(credential).await, "default");
    match (pods.list(&ListParams::default()).await, expected) {
        (Ok(_), Ok(())) => {}
        (Err(kube::Error::Api(status)), Err(expected)) => assert_eq!((status.code, &*status.message), expected),
        (told, expected) => panic!("{told:?}, expected {expected:?}"),
    }
}

#[tokio::test]
async fn certificates_and_tokens_tell_who_asks() {
    let network = Network::start().await;
    let forbidden = |user: &str| {
        format!(
            "pods is forbidden: User \"{user}\" cannot list resource \"pods\" in API group \"\" in the namespace \
             \"default\""
        )
    };
    check(&network, network.certificate("admin", &["system:masters"]), Ok(())).await;
    check(&network, network.certificate("joe", &["people"]), Err((403, &forbidden("joe")))).await;
    check(&network, Credential::Token("root-token".to_owned()), Ok(())).await;
    check(&network, Credential::Token("jane-token".to_owned()), Err((403, &forbidden("jane")))).await;
    check(&network, Credential::Token("nobody".to_owned()), Err((401, "Unauthorized"))).await;
    let anonymous = network.client(Credential::Token("nobody".to_owned())).await;
    assert_eq!(
        network.client(Credential::Token("root-token".to_owned())).await.apiserver_version().await.unwrap().minor,
        "36"
    );
    assert!(anonymous.apiserver_version().await.is_err());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let network = Network::start().await;
    let other = Authority::create(Still.now()).unwrap();
    let identity: Identity = other.client("admin", &["system:masters"], Still.now()).unwrap();
    let pods: Api<Pod> = Api::default_namespaced(network.client(Credential::Certificate(identity)).await);
    assert!(!matches!(pods.list(&ListParams::default()).await, Ok(_) | Err(kube::Error::Api(_))));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let cluster = Cluster::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = Limits { header_timeout: std::time::Duration::from_millis(50), ..Limits::default() };
    let serving = serve(cluster.server.clone(), listener, None, limits).unwrap();
    for start in ["", "G", "GET / HTTP/1.1\r\nhost:"] {
        let mut stream = tokio::net::TcpStream::connect(serving.address()).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Either an answer that refuses, or just the end; what matters is that it ends.
        let _refused = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{start:?}");
    }
}

#[tokio::test]
async fn impersonation() {
    let network = Network::start().await;
    let mut kubeconfig = kube::config::Kubeconfig::from_yaml(
        &network.kubeconfig(Credential::Token("root-token".to_owned())).to_yaml().unwrap(),
    )
    .unwrap();
    let auth = kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    auth.impersonate = Some("jane".to_owned());
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(Client::try_from(config).unwrap());
    let refused = pods.list(&ListParams::default()).await.unwrap_err();
    assert!(refused.to_string().contains("User \"jane\" cannot list"), "{refused}");
}

#[tokio::test]
async fn watches_cross_the_network_and_end_with_the_server() {
    use futures::{StreamExt as _, TryStreamExt as _};
    let network = Network::start().await;
    let maps: Api<ConfigMap> =
        Api::default_namespaced(network.client(network.certificate("a", &["system:masters"])).await);
    let mut events = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    network.cluster.config_map("a", &[]).await;
    let event = events.try_next().await.unwrap();
    assert!(matches!(event, Some(kube::api::WatchEvent::Added(_))));
    network.serving.shutdown().await;
    assert!(matches!(events.try_next().await, Ok(None) | Err(_)));
    assert!(maps.list(&ListParams::default()).await.is_err());
}

#[cfg(unix)]
#[test]
fn a_kubeconfig_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::temp_dir().join(format!("coracle-kubeconfig-{}", std::process::id()));
    let kubeconfig = Kubeconfig {
        name: "test".to_owned(),
        server: "http://127.0.0.1:1".to_owned(),
        authority: None,
        credential: Credential::Token("t".to_owned()),
    };
    kubeconfig.write(&path).unwrap();
    kubeconfig.write(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let read = kube::config::Kubeconfig::read_from(&path).unwrap();
    assert_eq!(read.current_context.as_deref(), Some("test"));
    std::fs::remove_file(&path).unwrap();
}
