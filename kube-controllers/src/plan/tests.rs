use std::future::Future as _;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll, Waker};

use async_trait::async_trait;
use coracle_core::request::Effect;
use coracle_core::{Clock, Entropy, Feed, Gateway, Happening, Kinds, Reason, Request, Response, Status, World};
use expect_test::{Expect, expect};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Announcement, Plan, Wish, carry_out, summary};
use crate::context::Context;

/// A cluster that writes down what it is asked, and refuses names that begin with a reason.
struct Paper {
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    lines: Mutex<String>,
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        crate::testing::noon()
    }
}

#[async_trait]
impl Gateway for Paper {
    async fn execute(&self, request: Request) -> Result<Response, Status> {
        let name = request.target.name.clone().into_owned();
        *self.lines.lock().unwrap() += &format!("{}\n", summary(&request));
        let refusals = [("missing", Reason::NotFound), ("stale", Reason::Conflict), ("forbidden", Reason::Forbidden)];
        match refusals.into_iter().find(|(prefix, _)| name.starts_with(prefix)) {
            Some((_, reason)) => Err(Status::new(reason, format!("no {name}"))),
            None => Ok(Response { object: None, objects: Vec::new(), effect: Effect::Created, warnings: Vec::new() }),
        }
    }

    async fn execute_all(&self, requests: Vec<Request>) -> Vec<Result<Response, Status>> {
        *self.lines.lock().unwrap() += "together:\n";
        let mut answers = Vec::new();
        for request in requests {
            answers.push(self.execute(request).await);
        }
        answers
    }

    fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn entropy(&self) -> &Arc<Entropy> {
        &self.entropy
    }

    fn record(&self, happening: Happening) {
        *self.lines.lock().unwrap() += &format!("event {}: {}\n", happening.reason, happening.note);
    }
}

fn config_map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

fn create(name: &str) -> Wish {
    let announcement =
        Announcement::about("test", &config_map("me")).done("Made", "made").failed("NotMade", "Error: {}");
    Wish::from(Request::create(config_map(name))).announced(announcement)
}

fn check(plan: Plan, expected: Expect) {
    let paper = Arc::new(Paper {
        feed: Arc::new(Feed::new(World::new(Kinds::builtin()))),
        clock: Arc::new(Noon),
        entropy: Arc::new(Entropy::seeded(1)),
        lines: Mutex::default(),
    });
    let context = Context::new(paper.clone(), "test");
    let Poll::Ready(outcome) = pin!(carry_out(plan, &context)).poll(&mut Task::from_waker(Waker::noop())) else {
        panic!("nothing here waits");
    };
    let outcome =
        outcome.map_or_else(|error| format!("stale: {}, {error}", error.is_stale()), |next| format!("{next:?}"));
    expected.assert_eq(&format!("{}{outcome}\n", paper.lines.lock().unwrap()));
}

#[test]
fn a_slow_start_doubles_and_stops_at_the_first_batch_that_fails() {
    let mut plan = Plan::nothing();
    plan.slow_start(["a", "b", "c", "d", "forbidden", "f", "g", "h"].map(create).into());
    plan.then(Request::delete(&config_map("never")));
    plan.if_failed(|refusal| Some(Request::update_status(config_map(&refusal.message().replace(' ', "-")))));
    check(
        plan,
        expect![[r#"
            together:
            create configmap a
            event Made: made
            together:
            create configmap b
            create configmap c
            event Made: made
            event Made: made
            together:
            create configmap d
            create configmap forbidden
            create configmap f
            create configmap g
            event Made: made
            event NotMade: Error: no forbidden
            event Made: made
            event Made: made
            update configmap/status no-forbidden
            stale: false, no forbidden (403 Forbidden)
        "#]],
    );
}

#[test]
fn what_is_gone_is_deleted_and_what_is_stale_is_planned_again() {
    let mut plan = Plan::nothing();
    plan.then(Request::delete(&config_map("missing")));
    plan.together([Request::update(config_map("stale")), Request::update(config_map("b"))]);
    plan.then(Request::delete(&config_map("never")));
    check(
        plan,
        expect![[r#"
            together:
            delete configmap missing
            together:
            update configmap stale
            update configmap b
            stale: true, decided on what has changed since: no stale (409 Conflict)
        "#]],
    );
}

#[test]
fn the_soonest_wish_to_look_again_counts() {
    let mut plan = Plan::nothing();
    let seconds = |seconds| Some(std::time::Duration::from_secs(seconds));
    plan.look_again(seconds(5)).look_again(None).look_again(seconds(3));
    check(
        plan,
        expect![[r#"
        Next { after: Some(3s), rest: 0ns }
    "#]],
    );
}
