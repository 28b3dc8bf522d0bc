//! What the objects of a world say, made ready for requests. Source: `flowcontrol/apf_controller.go`.
//!
//! Levels go on from one configuration to the next by their names. One that is gone is served until its last request is.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::{User, World};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration, PriorityLevelConfigurationSpec};
use tokio::time::Instant;

use super::defaults::{self, CATCH_ALL, EXEMPT};
use super::hand::hash_of_flow;
use super::level::Level;
use super::queues::Shape;
use super::schemas::Schemas;
use super::shares::{Bounds, Shares, balance, divide};
use crate::http::request_info::RequestInfo;

/// A request may be estimated at so much of its level's seats.
const SEATS_MAX_PART: f64 = 0.15;

/// Levels, and who goes to which.
#[derive(Debug, Default)]
pub(super) struct Config {
    schemas: Schemas,
    /// Where each schema leads to, by its name.
    routes: BTreeMap<Arc<str>, Route>,
    pub(super) levels: BTreeMap<Arc<str>, Arc<Level>>,
}

/// Where requests of a schema go to.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) schema: Arc<str>,
    pub(super) level: Arc<Level>,
    /// The widest that requests may be thought to be, if the level says.
    pub(super) seats_max: Option<usize>,
    /// What tells flows apart; nothing if there is only one queue for all.
    distinguisher: Option<Distinguisher>,
    pub(super) marks: Marks,
}

#[derive(Clone, Copy, Debug)]
enum Distinguisher {
    Nothing,
    User,
    Namespace,
}

/// What an answer tells of how its request was judged: uids, since names may be nobody's business.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    schema: HeaderValue,
    level: HeaderValue,
}

impl Marks {
    /// Writes the headers of an answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("x-kubernetes-pf-flowschema-uid"), self.schema.clone());
        headers.insert(HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid"), self.level.clone());
    }
}

/// A level as its object describes it.
struct Plan {
    uid: Option<String>,
    shape: Shape,
    shares: Shares,
}

impl Config {
    /// What a world says. What the server cannot do without is there in any case.
    pub(super) fn of(world: &World, before: &Self, seats: usize, now: Instant) -> Self {
        let mut plans: BTreeMap<Arc<str>, Plan> = BTreeMap::new();
        let imagined = defaults::priority_levels().filter_map(|(level, is_mandatory)| is_mandatory.then_some(level));
        for level in imagined.map(Arc::new).chain(world.list::<PriorityLevelConfiguration>()) {
            let name: Arc<str> = level.metadata.name.as_deref().unwrap_or_default().into();
            plans.extend(plan(&level).map(|plan| (name, plan)));
        }
        let shares: Vec<Shares> = plans.values().map(|plan| plan.shares).collect();
        let bounds: BTreeMap<Arc<str>, Bounds> = plans.keys().cloned().zip(divide(seats, &shares)).collect();
        let levels = plans.iter().zip(bounds.values()).map(|((name, plan), bounds)| {
            let level = before.levels.get(name).cloned();
            let level = level.unwrap_or_else(|| Level::new(name.clone(), plan.shape, now));
            level.reshape(plan.shape, *bounds, now);
            (name.clone(), level)
        });
        let levels: BTreeMap<Arc<str>, Arc<Level>> = levels.collect();
        let schemas = Schemas::new(usable(world, &levels));
        let route = |schema: &Arc<FlowSchema>| route(schema, &plans, &levels, &bounds);
        let routes = schemas.sorted().iter().filter_map(route);
        let routes = routes.map(|route| (route.schema.clone(), route)).collect();
        Self { schemas, routes, levels }
    }

    /// Where a request goes to. Everybody has a group that is meant by `catch-all`; who has none goes there all the same.
    pub(super) fn route(&self, user: &User, info: &RequestInfo) -> Option<&Route> {
        let found = self.schemas.find(user, info).and_then(|schema| schema.metadata.name.as_deref());
        self.routes.get(found.unwrap_or(CATCH_ALL))
    }

    /// Lets levels lend and borrow by what they needed since the last time.
    pub(super) fn balance(&self, now: Instant) {
        let claims: Vec<_> = self.levels.values().map(|level| level.claim(now)).collect();
        for (level, seats) in self.levels.values().zip(balance(&claims)) {
            level.set_limit(seats, now);
        }
    }
}

impl Route {
    /// The hash of the flow that a request belongs to.
    pub(super) fn flow(&self, user: &User, info: &RequestInfo) -> u64 {
        let distinguisher = match self.distinguisher {
            None => return 0,
            Some(Distinguisher::Nothing) => "",
            Some(Distinguisher::User) => &*user.name,
            Some(Distinguisher::Namespace) => &*info.namespace,
        };
        hash_of_flow(&self.schema, distinguisher)
    }
}

/// A level that makes sense; others are as if they were not there.
fn plan(level: &PriorityLevelConfiguration) -> Option<Plan> {
    let spec = level.spec.as_ref()?;
    let is_exempt = level.metadata.name.as_deref() == Some(EXEMPT);
    let number =
        |number: Option<i32>, default: u32| number.and_then(|number| number.try_into().ok()).unwrap_or(default);
    let (shape, shares) = match (&spec.limited, &spec.exempt) {
        (None, Some(exempt)) if is_exempt => {
            let shares = number(exempt.nominal_concurrency_shares, 0);
            (
                Shape::Exempt,
                Shares { shares, lendable_percent: number(exempt.lendable_percent, 0), borrowing_percent: None },
            )
        }
        (Some(limited), None) if !is_exempt => {
            let shares = Shares {
                shares: number(limited.nominal_concurrency_shares, 30),
                lendable_percent: number(limited.lendable_percent, 0),
                borrowing_percent: limited.borrowing_limit_percent.map(|percent| number(Some(percent), 0)),
            };
            (shape(spec)?, shares)
        }
        _ => return None,
    };
    Some(Plan { uid: level.metadata.uid.clone(), shape, shares })
}

fn shape(spec: &PriorityLevelConfigurationSpec) -> Option<Shape> {
    let response = spec.limited.as_ref()?.limit_response.as_ref()?;
    match (&*response.type_, &response.queuing) {
        ("Reject", None) => Some(Shape::Reject),
        ("Queue", Some(queuing)) => Some(Shape::Queue {
            queues: queuing.queues?.try_into().ok().filter(|queues| *queues > 0)?,
            hand: queuing.hand_size?.try_into().ok().filter(|hand| *hand > 0)?,
            length_max: queuing.queue_length_limit?.try_into().ok()?,
        }),
        _ => None,
    }
}

/// The schemas whose level is there, and those that always are.
fn usable(world: &World, levels: &BTreeMap<Arc<str>, Arc<Level>>) -> Vec<Arc<FlowSchema>> {
    let leads = |schema: &Arc<FlowSchema>| levels.contains_key(level_of(schema));
    let mut schemas: Vec<Arc<FlowSchema>> = world.list::<FlowSchema>().filter(leads).collect();
    for (schema, _) in defaults::flow_schemas().filter(|(_, is_mandatory)| *is_mandatory) {
        if !schemas.iter().any(|there| there.metadata.name == schema.metadata.name) {
            schemas.push(Arc::new(schema));
        }
    }
    schemas
}

/// The name of the level that a schema leads to.
pub(super) fn level_of(schema: &FlowSchema) -> &str {
    schema.spec.as_ref().map_or("", |spec| &*spec.priority_level_configuration.name)
}

fn route(
    schema: &Arc<FlowSchema>,
    plans: &BTreeMap<Arc<str>, Plan>,
    levels: &BTreeMap<Arc<str>, Arc<Level>>,
    bounds: &BTreeMap<Arc<str>, Bounds>,
) -> Option<Route> {
    let name = level_of(schema);
    let (plan, level, bounds) = (plans.get(name)?, levels.get(name)?, bounds.get(name)?);
    let uid = |uid: &Option<String>| HeaderValue::from_str(uid.as_deref().unwrap_or_default()).ok();
    let method = schema.spec.as_ref().and_then(|spec| spec.distinguisher_method.as_ref());
    let distinguisher = match method.map(|method| &*method.type_) {
        Some("ByUser") => Distinguisher::User,
        Some("ByNamespace") => Distinguisher::Namespace,
        _ => Distinguisher::Nothing,
    };
    let (deals, seats_max) = match plan.shape {
        Shape::Queue { queues, hand, .. } => (queues > 1, Some(widest(bounds.nominal, hand))),
        Shape::Exempt | Shape::Reject => (false, None),
    };
    Some(Route {
        schema: schema.metadata.name.as_deref().unwrap_or_default().into(),
        level: level.clone(),
        seats_max,
        distinguisher: deals.then_some(distinguisher),
        marks: Marks { schema: uid(&schema.metadata.uid)?, level: uid(&plan.uid)? },
    })
}

/// The widest that one request may be: so that a flow cannot take all seats with a hand full of them.
fn widest(nominal: usize, hand: u32) -> usize {
    let part = (nominal as f64 * SEATS_MAX_PART).ceil() as usize;
    part.min(nominal / hand.max(1) as usize).max(1)
}
