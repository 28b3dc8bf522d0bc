//! Questions about who one is and what one may do. They are asked by creating an object, answered in its status, never kept.
//! Source: `pkg/registry/authorization`, `pkg/registry/authentication`.

use coracle_core::field::{Errors, Path};
use coracle_core::rbac::{self, Access, Place};
use coracle_core::{AnyResource, Kind, Status, User, World};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use k8s_openapi::api::authentication::v1::{
    SelfSubjectReview, SelfSubjectReviewStatus, TokenReview, TokenReviewStatus, UserInfo,
};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, NonResourceAttributes, NonResourceRule, ResourceAttributes, ResourceRule,
    SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview, SubjectAccessReviewSpec,
    SubjectAccessReviewStatus, SubjectRulesReviewStatus,
};
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::authenticator::{Credentials, authenticated};
use super::authorizer::{Decision, is_master};
use super::{Auth, token};

const KINDS: [(&str, &str); 6] = [
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authentication.k8s.io", "tokenreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
];

/// Whether objects of this kind are answered instead of kept.
pub(crate) fn is_review(kind: &Kind) -> bool {
    KINDS.contains(&(&*kind.group, &*kind.plural))
}

/// Someone's question.
pub(crate) struct Question<'a> {
    pub(crate) auth: &'a Auth,
    pub(crate) world: &'a World,
    pub(crate) user: &'a User,
    pub(crate) namespace: &'a str,
}

impl Question<'_> {
    /// Fills in the answer.
    pub(crate) async fn answer(&self, review: &mut dyn AnyResource) -> Result<(), Status> {
        if let Some(review) = review.as_any_mut().downcast_mut::<SelfSubjectAccessReview>() {
            let spec = &review.spec;
            check_one(
                "SelfSubjectAccessReview",
                &spec.resource_attributes,
                &spec.non_resource_attributes,
                Errors::new(),
            )?;
            let access = access(&spec.resource_attributes, &spec.non_resource_attributes);
            review.status = Some(self.decide(self.user, &access).await);
        } else if let Some(review) = review.as_any_mut().downcast_mut::<SubjectAccessReview>() {
            review.status = Some(self.subject("SubjectAccessReview", &review.spec).await?);
        } else if let Some(review) = review.as_any_mut().downcast_mut::<LocalSubjectAccessReview>() {
            let asked = review.spec.resource_attributes.as_ref().and_then(|place| place.namespace.as_deref());
            if asked.unwrap_or("") != self.namespace {
                let why = format!("spec.resourceAttributes.namespace must match namespace: {}", self.namespace);
                return Err(Status::bad_request(why));
            }
            review.status = Some(self.subject("LocalSubjectAccessReview", &review.spec).await?);
        } else if let Some(review) = review.as_any_mut().downcast_mut::<SelfSubjectRulesReview>() {
            let namespace = review.spec.namespace.as_deref().unwrap_or("");
            if namespace.is_empty() {
                return Err(Status::bad_request("no namespace on request"));
            }
            review.status = Some(self.rules(namespace));
        } else if let Some(review) = review.as_any_mut().downcast_mut::<SelfSubjectReview>() {
            review.status = Some(SelfSubjectReviewStatus { user_info: Some(user_info(self.user)) });
        } else if let Some(review) = review.as_any_mut().downcast_mut::<TokenReview>() {
            review.status = Some(self.token(review).await?);
        } else {
            return Err(Status::method_not_allowed());
        }
        Ok(())
    }

    async fn subject(&self, kind: &str, spec: &SubjectAccessReviewSpec) -> Result<SubjectAccessReviewStatus, Status> {
        let groups = spec.groups.clone().unwrap_or_default();
        let name = spec.user.clone().unwrap_or_default();
        let mut errors = Errors::new();
        if name.is_empty() && groups.is_empty() {
            errors.invalid(&Path::new("spec").field("user"), "", "at least one of user or group must be specified");
        }
        check_one(kind, &spec.resource_attributes, &spec.non_resource_attributes, errors)?;
        let extra = spec.extra.clone().unwrap_or_default();
        let user = User { name, groups, uid: spec.uid.clone().unwrap_or_default(), extra };
        Ok(self.decide(&user, &access(&spec.resource_attributes, &spec.non_resource_attributes)).await)
    }

    async fn decide(&self, user: &User, access: &Access<'_>) -> SubjectAccessReviewStatus {
        let decision = self.auth.authorizer.authorize(user, access).await;
        let allowed = decision.is_allowed();
        let (Decision::Allow(reason) | Decision::Deny(reason)) = decision;
        let reason = Some(reason).filter(|reason| !reason.is_empty());
        SubjectAccessReviewStatus { allowed, reason, ..SubjectAccessReviewStatus::default() }
    }

    /// What roles and bindings say; another authorizer may say more.
    fn rules(&self, namespace: &str) -> SubjectRulesReviewStatus {
        let (mut rules, broken) = rbac::rules_of(self.world, self.user, namespace);
        if is_master(self.user) && !rbac::missing(&rules, &rbac::everything()).is_empty() {
            rules.extend(rbac::everything());
        }
        let (resource, other): (Vec<_>, Vec<_>) =
            rules.into_iter().partition(|rule| rule.non_resource_urls.as_ref().is_none_or(Vec::is_empty));
        SubjectRulesReviewStatus {
            resource_rules: resource.into_iter().map(resource_rule).collect(),
            non_resource_rules: other.into_iter().map(non_resource_rule).collect(),
            incomplete: !broken.is_empty(),
            evaluation_error: (!broken.is_empty()).then(|| broken.join(", ")),
        }
    }

    async fn token(&self, review: &mut TokenReview) -> Result<TokenReviewStatus, Status> {
        // Not shown again, whoever reads the answer.
        let token = std::mem::take(&mut review.spec.token);
        if token.is_empty() {
            return Err(Status::bad_request("token is required for TokenReview in authentication"));
        }
        let audiences = review.spec.audiences.clone().unwrap_or_default();
        let found = match self.of_service_account(&token, &audiences) {
            Some(found) => found,
            None => self.of_others(&token, &audiences).await,
        };
        Ok(match found {
            Ok((user, audiences)) => TokenReviewStatus {
                authenticated: Some(true),
                user: Some(user_info(&authenticated(user))),
                audiences: Some(audiences).filter(|audiences| !audiences.is_empty()),
                error: None,
            },
            Err(why) => TokenReviewStatus { error: Some(why), user: Some(UserInfo::default()), ..Default::default() },
        })
    }

    fn of_service_account(&self, token: &str, audiences: &[String]) -> Option<Result<(User, Vec<String>), String>> {
        let found = self.auth.tokens.as_ref()?.holder(token, audiences).transpose()?;
        Some(found.map_err(|why| format!("[invalid bearer token, {why}]")))
    }

    /// Tokens of other kinds are for the API server alone.
    async fn of_others(&self, token: &str, audiences: &[String]) -> Result<(User, Vec<String>), String> {
        let invalid = || "invalid bearer token".to_owned();
        let own = self.auth.tokens.as_ref().map_or(&[][..], |tokens| tokens.issuer().audiences());
        let shared = token::shared_audiences(own, audiences);
        if !audiences.is_empty() && shared.is_empty() {
            return Err(invalid());
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| invalid())?;
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let credentials = Credentials { certificate: None, headers: &headers };
        match self.auth.authenticator.authenticate(credentials).await {
            Ok(Some(user)) => Ok((user, shared)),
            Ok(None) | Err(_) => Err(invalid()),
        }
    }
}

fn check_one(
    kind: &str,
    resource: &Option<ResourceAttributes>,
    other: &Option<NonResourceAttributes>,
    more: Errors,
) -> Result<(), Status> {
    let mut errors = Errors::new();
    if resource.is_some() == other.is_some() {
        let shown = coracle_core::field::Json(other);
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.invalid(&Path::new("spec"), shown, why);
    }
    let causes: Vec<_> = errors.to_causes().into_iter().chain(more.to_causes()).collect();
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(("authorization.k8s.io", kind), "", causes)) }
}

fn access<'a>(resource: &'a Option<ResourceAttributes>, other: &'a Option<NonResourceAttributes>) -> Access<'a> {
    fn text(text: &Option<String>) -> &str {
        text.as_deref().unwrap_or("")
    }
    if let Some(other) = other {
        return Access::path(text(&other.verb), text(&other.path));
    }
    let Some(asked) = resource else { return Access::path("", "") };
    let place = Place {
        group: text(&asked.group),
        resource: text(&asked.resource),
        subresource: text(&asked.subresource),
        namespace: text(&asked.namespace),
        name: text(&asked.name),
    };
    Access::resource(text(&asked.verb), place)
}

fn user_info(user: &User) -> UserInfo {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    UserInfo {
        username: some(&user.name),
        uid: some(&user.uid),
        groups: Some(user.groups.clone()).filter(|groups| !groups.is_empty()),
        extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
    }
}

fn resource_rule(rule: PolicyRule) -> ResourceRule {
    let PolicyRule { verbs, api_groups, resources, resource_names, .. } = rule;
    ResourceRule { verbs, api_groups, resources, resource_names }
}

fn non_resource_rule(rule: PolicyRule) -> NonResourceRule {
    NonResourceRule { verbs: rule.verbs, non_resource_urls: rule.non_resource_urls }
}
