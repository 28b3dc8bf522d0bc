//! The authorizer's answers. Expressions cannot wait for an authorizer that may: what they ask is noted, asked when they are
//! done, and then they are evaluated again. Most ask nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use coracle_core::User;
use coracle_core::cel::{self, Who};
use coracle_core::rbac::{Access, Place};

use super::super::Attributes;
use crate::auth::{self, is_master};

/// What is known about the rights of users, for one request.
pub(in super::super) struct Answers<'a> {
    user: &'a User,
    authorizer: &'a dyn auth::Authorizer,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    known: Vec<(Question, cel::Decision)>,
    wanted: Option<Question>,
}

type Question = (Who, cel::Attributes);

impl<'a> Answers<'a> {
    pub(in super::super) fn new(attributes: &Attributes<'a>) -> Self {
        Self { user: attributes.user, authorizer: attributes.authorizer, asked: Mutex::default() }
    }

    /// Does something that evaluates expressions until it asks nothing new. Each time it comes at least one question further.
    pub(in super::super) async fn settle<T>(&self, work: impl Fn() -> T) -> T {
        loop {
            let result = work();
            let Some(question) = self.asked().wanted.take() else { return result };
            let decision = self.ask(&question).await;
            self.asked().known.push((question, decision));
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, (who, what): &Question) -> cel::Decision {
        let account;
        let user = match who {
            Who::Requester => self.user,
            Who::ServiceAccount(namespace, name) => {
                account = service_account(namespace, name);
                &account
            }
        };
        let place = Place {
            group: &what.group,
            resource: &what.resource,
            subresource: &what.subresource,
            namespace: &what.namespace,
            name: &what.name,
        };
        let access = match &what.path {
            Some(path) => Access::path(&what.verb, path),
            None => Access::resource(&what.verb, place).choosing(&what.field_selector),
        };
        if is_master(user) {
            return cel::Decision { allowed: true, ..cel::Decision::default() };
        }
        match self.authorizer.authorize(user, &access).await {
            auth::Decision::Allow(reason) => cel::Decision { allowed: true, reason, error: None },
            auth::Decision::Deny(reason) => cel::Decision { allowed: false, reason, error: None },
        }
    }
}

impl cel::Authorizer for Answers<'_> {
    fn check(&self, who: &Who, what: &cel::Attributes) -> cel::Decision {
        let mut asked = self.asked();
        let known = asked.known.iter().find(|(question, _)| question.0 == *who && question.1 == *what);
        if let Some((_, decision)) = known {
            return decision.clone();
        }
        asked.wanted.get_or_insert_with(|| (who.clone(), what.clone()));
        cel::Decision::default()
    }
}

fn service_account(namespace: &str, name: &str) -> User {
    User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        groups: vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")],
        ..User::default()
    }
}
