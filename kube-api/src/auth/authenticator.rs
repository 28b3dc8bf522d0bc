//! Who asks: a chain of ways to tell.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{Reason, Status, User};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What a caller shows.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The client certificate, DER. The connection has verified it against the cluster's CA.
    pub certificate: Option<&'a [u8]>,
    /// The request's headers.
    pub headers: &'a HeaderMap,
}

impl std::fmt::Debug for Credentials<'_> {
    /// Without the secrets that headers hold.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (certificate, token) = (self.certificate.is_some(), self.bearer_token().is_some());
        formatter.debug_struct("Credentials").field("certificate", &certificate).field("token", &token).finish()
    }
}

impl<'a> Credentials<'a> {
    /// The bearer token, if there is one.
    #[must_use]
    pub fn bearer_token(&self) -> Option<&'a str> {
        let value = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|token| !token.is_empty())
    }
}

/// Tells who a caller is.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The user; `None` if these credentials are of another kind, so that the next in the chain is asked.
    ///
    /// Fails with 401 if they are of this kind and wrong.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>, Status>;
}

/// Asks one after the other. The first that knows the caller decides.
#[derive(Clone, Default)]
pub struct Chain(pub Vec<Arc<dyn Authenticator>>);

#[async_trait]
impl Authenticator for Chain {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>, Status> {
        let mut refused = None;
        for authenticator in &self.0 {
            match authenticator.authenticate(credentials).await {
                Ok(None) => {}
                Ok(Some(user)) => return Ok(Some(user)),
                Err(status) => refused = Some(status),
            }
        }
        refused.map_or(Ok(None), Err)
    }
}

/// Client certificates: the common name (the last, if there are several) is the user, organizations are the groups.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientCertificates;

#[async_trait]
impl Authenticator for ClientCertificates {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>, Status> {
        let Some(der) = credentials.certificate else { return Ok(None) };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| unauthorized())?;
        let subject = certificate.subject();
        let Some(name) = subject.iter_common_name().last().and_then(|name| name.as_str().ok()) else {
            return Err(unauthorized());
        };
        let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
        Ok(Some(User { name: name.to_owned(), groups: groups.map(str::to_owned).collect(), ..User::default() }))
    }
}

/// Bearer tokens that are known beforehand, and their users.
#[derive(Clone, Default)]
pub struct StaticTokens(pub HashMap<String, User>);

impl std::fmt::Debug for StaticTokens {
    /// Without the tokens.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.values().map(|user| &user.name)).finish()
    }
}

#[async_trait]
impl Authenticator for StaticTokens {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>, Status> {
        let Some(token) = credentials.bearer_token() else { return Ok(None) };
        self.0.get(token).cloned().map(Some).ok_or_else(unauthorized)
    }
}

/// 401.
#[must_use]
pub fn unauthorized() -> Status {
    Status::new(Reason::Unauthorized, "Unauthorized")
}

/// The user of a caller nobody knows.
#[must_use]
pub(crate) fn anonymous() -> User {
    let groups = vec!["system:unauthenticated".to_owned()];
    User { name: "system:anonymous".to_owned(), groups, ..User::default() }
}

/// Adds the group that every known user is in; nobody is not known.
pub(crate) fn authenticated(mut user: User) -> User {
    const EVERYONE: &str = "system:authenticated";
    if user.name == "system:anonymous" || user.groups.iter().any(|group| group == "system:unauthenticated") {
        return user;
    }
    if !user.groups.iter().any(|group| group == EVERYONE) {
        user.groups.push(EVERYONE.to_owned());
    }
    user
}
