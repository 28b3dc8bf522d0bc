//! The cluster on a socket: a certificate authority, a serving certificate, a client certificate for the owner.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use coracle_api::auth::{ServiceAccountTokens, SigningKey, TokenIssuer};
use coracle_api::http::ApiServer;
use coracle_api::http::keys::Keys;
use coracle_api::http::kubeconfig::{Credential, Kubeconfig};
use coracle_api::http::pki::{Authority, Identity, PkiError};
use coracle_api::http::serve::{Limits, Serving, serve};
use coracle_core::{Clock, Feed, Gateway, Request, Status, Target};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::net::TcpListener;

/// Names under which the server may be called, beside the address it listens on.
const NAMES: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// The name under which this server calls aggregated ones. Source: kubeadm's front-proxy certificate.
const FRONT_PROXY: &str = "front-proxy-client";

/// The ConfigMap of what aggregated API servers have to know.
const TRUST: &str = "extension-apiserver-authentication";

/// Who makes the tokens of ServiceAccounts, and for whom they are by default. Source: kubeadm's `--service-account-issuer`.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A socket that is bound, before the cluster behind it runs.
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    authority: Arc<Authority>,
    server: Identity,
    owner: Identity,
    /// Who vouches that a request comes from this API server: an authority that signs nothing else.
    front_proxy: Authority,
    /// Taken by [`Door::tokens`].
    tokens: Option<SigningKey>,
}

impl Door {
    /// Binds a socket and makes the certificates, by the keys kept in a folder or by new ones.
    pub(crate) async fn open(address: SocketAddr, keys: Option<&Path>, clock: &dyn Clock) -> io::Result<Self> {
        let refuse = |error: PkiError| io::Error::other(error);
        let listener = TcpListener::bind(address).await?;
        let (address, now) = (listener.local_addr()?, clock.now());
        let Keys { authority, tokens } = match keys {
            Some(folder) => Keys::kept_in(folder, now)?,
            None => Keys::create(now)?,
        };
        let ip = address.ip().to_string();
        let mut names: Vec<&str> = NAMES.iter().copied().filter(|name| *name != ip).collect();
        names.extend([ip.as_str(), "10.96.0.1"]);
        let server = authority.server(&names, now).map_err(refuse)?;
        let owner = authority.client("kubernetes-admin", &["system:masters"], now).map_err(refuse)?;
        let front_proxy = Authority::create(now).map_err(refuse)?;
        let authority = Arc::new(authority);
        Ok(Self { listener, address, authority, server, owner, front_proxy, tokens: Some(tokens) })
    }

    /// Where clients are to call.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who signs the certificates of clients.
    pub(crate) fn authority(&self) -> Arc<Authority> {
        self.authority.clone()
    }

    /// The certificate by which clients know the server, in PEM.
    pub(crate) fn root_ca(&self) -> String {
        self.authority.certificate().to_owned()
    }

    /// The tokens of ServiceAccounts, signed with a key of this door's own. There is one, so later calls give none.
    pub(crate) fn tokens(&mut self, feed: &Arc<Feed>, clock: &Arc<dyn Clock>) -> Option<Arc<ServiceAccountTokens>> {
        let issuer = TokenIssuer::new(self.tokens.take()?, ISSUER);
        Some(Arc::new(ServiceAccountTokens::new(issuer, feed.clone(), clock.clone())))
    }

    /// The certificate by which aggregated API servers know this one.
    pub(crate) fn front_proxy(&self, clock: &dyn Clock) -> io::Result<Identity> {
        self.front_proxy.client(FRONT_PROXY, &[], clock.now()).map_err(io::Error::other)
    }

    /// What aggregated API servers need to know whom to believe. Source: `clusterauthenticationtrust`.
    pub(crate) async fn publish_trust(&self, gateway: &dyn Gateway) -> Result<(), Status> {
        let data = [
            ("client-ca-file", self.root_ca()),
            ("requestheader-allowed-names", format!(r#"["{FRONT_PROXY}"]"#)),
            ("requestheader-client-ca-file", self.front_proxy.certificate().to_owned()),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#.to_owned()),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#.to_owned()),
            ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#.to_owned()),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#.to_owned()),
        ];
        let data: BTreeMap<String, String> = data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let metadata = ObjectMeta {
            name: Some(TRUST.to_owned()),
            namespace: Some("kube-system".to_owned()),
            ..ObjectMeta::default()
        };
        let map = ConfigMap { metadata, data: Some(data.clone()), ..ConfigMap::default() };
        let renew = Request::edit(Target::of(&map), move |map: &mut ConfigMap| {
            map.data = Some(data.clone());
            Ok(())
        });
        match gateway.execute(Request::create(trust_reader())).await {
            Err(status) if !status.is_already_exists() => return Err(status),
            _ => {}
        }
        match gateway.execute(Request::create(map)).await {
            Err(status) if status.is_already_exists() => gateway.execute(renew).await.map(drop),
            answer => answer.map(drop),
        }
    }

    /// Begins to answer.
    pub(crate) fn serve(self, server: Arc<ApiServer>) -> io::Result<Served> {
        let tls = self.authority.tls(&self.server).map_err(io::Error::other)?;
        let kubeconfig = Kubeconfig {
            name: "coracle".to_owned(),
            server: format!("https://{}", self.address),
            authority: Some(self.authority.certificate().to_owned()),
            credential: Credential::Certificate(self.owner),
        };
        Ok(Served { serving: serve(server, self.listener, Some(tls), Limits::default())?, kubeconfig })
    }
}

/// Whom an aggregated API server's ServiceAccount is bound to. Source: `bootstrappolicy.NamespaceRoles`.
fn trust_reader() -> Role {
    let rule = PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        resource_names: Some(vec![TRUST.to_owned()]),
        verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
        ..PolicyRule::default()
    };
    let metadata = ObjectMeta {
        name: Some(format!("{TRUST}-reader")),
        namespace: Some("kube-system".to_owned()),
        labels: Some([("kubernetes.io/bootstrapping".to_owned(), "rbac-defaults".to_owned())].into()),
        ..ObjectMeta::default()
    };
    Role { metadata, rules: Some(vec![rule]) }
}

/// A cluster that listens.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) serving: Serving,
    kubeconfig: Kubeconfig,
}

impl Served {
    /// Writes the owner's kubeconfig, readable by the user only.
    pub(crate) fn write_kubeconfig(&self, path: &Path) -> io::Result<()> {
        self.kubeconfig.write(path)
    }
}
