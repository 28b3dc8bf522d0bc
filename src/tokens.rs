//! Tokens of ServiceAccounts for the pods of nodes in this process, asked for as any other client would.

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{Action, Body, Gateway, Object, Request, Target};
use coracle_node::volumes::{Token, TokenSource, TokenWish};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;

/// Asks the cluster itself.
pub(crate) struct ClusterTokens(pub(crate) Arc<dyn Gateway>);

#[async_trait]
impl TokenSource for ClusterTokens {
    async fn token(&self, wish: &TokenWish) -> Result<Token, String> {
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(wish.pod.clone()),
            uid: Some(wish.pod_uid.clone()),
        };
        let audience = Some(wish.audience.clone()).filter(|audience| !audience.is_empty());
        let spec = TokenRequestSpec {
            audiences: Some(audience.into_iter().collect()),
            bound_object_ref: Some(bound),
            expiration_seconds: Some(wish.expiration_seconds),
        };
        let body = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let target = Target::named::<ServiceAccount>(&wish.namespace, &wish.service_account).below("token");
        let request = Request::new(target, Action::Create(Body::Value(Box::new(body))));
        let response = self.0.execute(request).await.map_err(|status| status.message().to_owned())?;
        let answer = response.object.as_deref().and_then(Object::get::<TokenRequest>);
        let status = answer.and_then(|answer| answer.status.clone()).unwrap_or_default();
        match (status.token, status.expiration_timestamp) {
            (Some(token), Some(ends)) => Ok(Token { token, expires_at: ends.0 }),
            _ => Err("the answer has no token".to_owned()),
        }
    }
}
