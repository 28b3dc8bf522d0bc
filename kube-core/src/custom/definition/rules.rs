//! The CEL rules of a definition: they compile, and are cheap enough. Source: apiextensions `validation.go`
//! (`ValidateCustomResourceDefinitionOpenAPISchema`), `cel_validation.go`.

use serde_json::json;

use super::super::rules::{self, Rule};
use super::super::structural::{Additional, Structural};
use crate::cel::{REQUEST_BYTES_MAX, Shape, Type};
use crate::field::{Errors, Json, Path};

/// What one expression may cost at most. Source: apiextensions `StaticEstimatedCostLimit`.
const COST_MAX: u64 = 10_000_000;
/// What all expressions of a schema may cost at most. Source: `StaticEstimatedCRDCostLimit`.
const TOTAL_COST_MAX: u64 = 100_000_000;
/// How many of the dearest expressions are named when all together are too dear.
const DEAREST: usize = 4;

/// Checks the rules of a schema that is otherwise good. `path` is the place of the schema.
pub(super) fn check(schema: &Structural, path: &Path, errors: &mut Errors) {
    let mut found = Found { errors, costs: Vec::new() };
    found.place(schema, Some(1), None, path);
    let total = found.costs.iter().fold(0_u64, |total, (_, cost)| total.saturating_add(*cost));
    if total <= TOTAL_COST_MAX {
        return;
    }
    found.costs.sort_by(|(_, one), (_, other)| other.cmp(one));
    for (place, _) in found.costs.iter().take(DEAREST).filter(|(_, cost)| *cost > TOTAL_COST_MAX / 100) {
        let why = "contributed to estimated rule & messageExpression cost total exceeding cost limit for entire OpenAPIv3 schema";
        found.errors.forbidden(&Path::new(place), why);
    }
    let what = "x-kubernetes-validations estimated rule & messageExpression cost total for entire OpenAPIv3 schema";
    found.errors.forbidden(path, too_dear(what, total, TOTAL_COST_MAX));
}

struct Found<'e> {
    errors: &'e mut Errors,
    costs: Vec<(String, u64)>,
}

impl Found<'_> {
    /// `count` is how often the place is in an object, if that is bounded; `uncorrelatable` the list above that has no keys.
    fn place(&mut self, schema: &Structural, count: Option<u64>, uncorrelatable: Option<&str>, path: &Path) {
        self.rules(schema, count, uncorrelatable, &path.field("x-kubernetes-validations"));
        let properties = path.field("properties");
        for (name, field) in &schema.properties {
            self.place(field, count, uncorrelatable, &properties.key(name));
        }
        let most = |max: Option<i64>| Some(count?.saturating_mul(u64::try_from(max?).unwrap_or(0)));
        if let Additional::Schema(values) = &schema.additional {
            self.place(values, most(schema.checks.properties_max), uncorrelatable, &path.field("additionalProperties"));
        }
        if let Some(items) = &schema.items {
            let here = path.to_string();
            let list = (schema.list_type != "map").then_some(here.as_str());
            self.place(items, most(schema.checks.items_max), uncorrelatable.or(list), &path.field("items"));
        }
    }

    fn rules(&mut self, schema: &Structural, count: Option<u64>, uncorrelatable: Option<&str>, path: &Path) {
        if schema.rules.is_empty() {
            return;
        }
        let (rules, Some(shape)) = rules::compiled(schema) else {
            let what = "rule declared on schema that does not support validation rules";
            let why = format!(
                "{what} type: '{}' x-kubernetes-preserve-unknown-fields: '{}'",
                schema.type_, schema.preserves_unknown
            );
            return self.errors.internal(path, why);
        };
        for (index, rule) in rules.iter().enumerate() {
            self.rule(rule, uncorrelatable, &path.index(index));
            let count = count.unwrap_or_else(|| count_max(&shape));
            self.cost(rule, count, &path.index(index));
        }
    }

    fn rule(&mut self, rule: &Rule, uncorrelatable: Option<&str>, path: &Path) {
        let source = &rule.source;
        let shown = json!({
            "Rule": source.rule, "Message": source.message.as_deref().unwrap_or(""),
            "MessageExpression": source.message_expression.as_deref().unwrap_or(""), "Reason": source.reason,
            "FieldPath": source.field_path.as_deref().unwrap_or(""), "OptionalOldSelf": source.optional_old_self,
        });
        let place = path.field("rule");
        match &rule.program {
            Err(_) if source.rule.trim().is_empty() => {}
            Err(why) => self.errors.invalid(&place, Json(&shown), format!("compilation failed: {why}")),
            Ok(program) if !matches!(program.type_of(), Type::Bool) => {
                self.errors.invalid(&place, Json(&shown), "cel expression must evaluate to a bool");
            }
            Ok(_) => {}
        }
        if let (true, Some(list), None | Some(false)) = (rule.is_transition(), uncorrelatable, source.optional_old_self)
        {
            let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}");
            self.errors.invalid(&place, &source.rule, why);
        }
        if let (Some(flag), false, Ok(_)) = (source.optional_old_self, rule.is_transition(), &rule.program) {
            self.errors.invalid(&path.field("optionalOldSelf"), flag, "may not be set if oldSelf is not used in rule");
        }
        let place = path.field("messageExpression");
        match &rule.message {
            Some(Err(why)) => {
                self.errors.invalid(&place, Json(&shown), format!("messageExpression compilation failed: {why}"));
            }
            Some(Ok(program)) if !matches!(program.type_of(), Type::String) => {
                self.errors.invalid(&place, Json(&shown), "messageExpression must evaluate to a string");
            }
            _ => {}
        }
        if let Err(why) = &rule.path {
            let place = path.field("fieldPath");
            self.errors.invalid(&place, &source.field_path, format!("fieldPath must be a valid path: {why}"));
        }
    }

    fn cost(&mut self, rule: &Rule, count: u64, path: &Path) {
        let programs = [
            ("rule", "estimated rule cost", Some(&rule.program)),
            ("messageExpression", "estimated messageExpression cost", rule.message.as_ref()),
        ];
        for (field, what, program) in programs {
            let Some(Ok(program)) = program else { continue };
            let cost = program.cost_max().saturating_mul(count);
            let place = path.field(field);
            if cost > COST_MAX {
                self.errors.forbidden(&place, too_dear(what, cost, COST_MAX));
            }
            self.costs.push((place.to_string(), cost));
        }
    }
}

/// How often a place can be in one request, where nothing else bounds it. Source: apiserver `common.MaxCardinality`.
fn count_max(shape: &Shape) -> u64 {
    REQUEST_BYTES_MAX / (shape.bytes_min + 1)
}

fn too_dear(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        over if over > 100.0 => "more than 100x".to_owned(),
        close if close < 1.5 => format!("{close:.6}x"),
        other => format!("{other:.1}x"),
    };
    let hint = "try simplifying the rule(s), or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are \
                declared";
    format!("{what} exceeds budget by factor of {factor} ({hint})")
}
