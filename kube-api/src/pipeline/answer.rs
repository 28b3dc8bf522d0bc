//! What is answered and never kept: reviews and tokens; and what roles and bindings may not be written.

use std::sync::Arc;

use coracle_core::custom::CustomObject;
use coracle_core::rbac::{Access, Place};
use coracle_core::{AnyResource, Body, Effect, Object, Status};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::subresource::order;
use super::{Call, Pipeline, Prepared};
use crate::admission::Operation;
use crate::auth::escalation::{self, Write};
use crate::auth::reviews::Question;
use crate::auth::token::{Asking, claims_for};
use crate::auth::{Decision, forbidden, is_master};

impl Pipeline {
    /// Answers a review.
    pub(super) async fn answer(&self, call: &mut Call<'_>, body: &mut Body) -> Result<Prepared, Status> {
        let mut review = call.take(body)?;
        self.admit_order(call, Operation::Create, None, &mut *review).await?;
        let question =
            Question { auth: &self.auth, world: &call.world, user: call.user, namespace: &call.target.namespace };
        question.answer(&mut *review).await?;
        call.answered(review)
    }

    /// Gives a token of a ServiceAccount.
    pub(super) async fn token(&self, call: &mut Call<'_>, body: &Body) -> Result<Prepared, Status> {
        let tokens = self.auth.tokens.as_ref().ok_or_else(Status::no_such_path)?;
        let mut request: TokenRequest = order(body)?;
        self.admit_order(call, Operation::Create, None, &mut request).await?;
        let (issuer, world, target) = (tokens.issuer(), &call.world, call.target);
        let (id, now) = (self.entropy.uid(), self.clock.now());
        let asking = Asking { issuer, world, namespace: &target.namespace, name: &target.name, id, now };
        let claims = claims_for(asking, &mut request)?;
        let ends = jiff::Timestamp::from_second(claims.expires_at_seconds).map_err(Status::internal)?;
        let token = issuer.issue(&claims).map_err(Status::internal)?;
        request.status = Some(TokenRequestStatus { token: Some(token), expiration_timestamp: Some(Time(ends)) });
        request.metadata.name = Some(target.name.clone().into_owned());
        request.metadata.namespace = Some(target.namespace.clone().into_owned());
        request.metadata.creation_timestamp = Some(self.clock.time());
        call.answered(Box::new(request))
    }

    /// Decides about a stream into something, and answers what is wanted of it now; the stream itself is for others to open.
    pub(super) async fn connect(&self, call: &mut Call<'_>, body: &Body) -> Result<Prepared, Status> {
        call.existing()?;
        let mut options: CustomObject = order(body)?;
        self.admit_order(call, Operation::Connect, None, &mut options).await?;
        call.answered(Box::new(options))
    }

    /// An update or apply that creates is a creation too, and needs the right to create.
    pub(super) async fn allow_creation(&self, call: &Call<'_>) -> Result<(), Status> {
        if !call.options.create_missing || is_master(call.user) {
            return Ok(());
        }
        let access = Access::resource("create", Place::of(call.target));
        match self.auth.authorizer.authorize(call.user, &access).await {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) => Err(forbidden(call.user, &access, &reason)),
        }
    }

    /// Refuses roles and bindings that grant what their writer has not.
    pub(super) async fn refuse_escalation(
        &self,
        call: &Call<'_>,
        old: Option<&Object>,
        value: &dyn AnyResource,
    ) -> Result<(), Status> {
        let write = Write {
            world: &call.world,
            user: call.user,
            target: call.target,
            metadata: value.metadata(),
            authorizer: &*self.auth.authorizer,
        };
        escalation::check(&write, value, old).await
    }
}

impl Call<'_> {
    fn answered(&mut self, value: Box<dyn AnyResource>) -> Result<Prepared, Status> {
        let object = Object::transient(self.kind.clone(), value).map_err(Status::internal)?;
        Ok(self.done(Arc::new(object), Effect::Created))
    }
}
