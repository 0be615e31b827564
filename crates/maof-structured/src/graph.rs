//! A schema as a graph: which schemas judge the same value, and which the values inside it. It bounds what a schema can
//! cost before anything is judged by it, since callers bring schemas of their own.

use std::collections::HashMap;

use maof_core::{Error, Result};
use serde_json::Value;

/// Schemas that may judge one value through one another, each inside the last. What is deeper could exhaust the stack.
const DEEPEST: usize = 32;
/// Schemas that may judge one value, each as often as it does.
const MOST: u64 = 1_000;
/// Regular expressions that a schema may have; each may take some 100 kB once it is compiled.
const MOST_PATTERNS: usize = 64;
/// Levels that a schema, written as JSON, may be nested.
const NESTED: usize = 64;

/// Keywords whose schema judges the same value; those that hold a list of them; those that hold a map of them.
const SAME: [&[&str]; 3] =
    [&["not", "if", "then", "else"], &["allOf", "anyOf", "oneOf"], &["dependentSchemas", "dependencies"]];
/// Keywords whose schema judges values inside; lists; maps.
const INSIDE: [&[&str]; 3] = [
    &[
        "additionalProperties",
        "unevaluatedProperties",
        "propertyNames",
        "items",
        "additionalItems",
        "unevaluatedItems",
        "contains",
    ],
    &["prefixItems", "items"],
    &["properties", "patternProperties"],
];

/// One schema within a schema.
#[derive(Debug, Default)]
struct Node {
    /// Schemas that judge the same value.
    same: Vec<usize>,
    /// Schemas that judge values inside.
    inside: Vec<usize>,
}

/// All schemas within a schema that its root leads to; the root is the first.
#[derive(Debug)]
pub(crate) struct Graph(Vec<Node>);

impl Graph {
    /// The graph of a schema.
    ///
    /// # Errors
    /// `invalid_request` saying where: a reference that leads out of the schema or nowhere, one that leads back to
    /// itself, and a schema that would cost too much to judge by.
    pub(crate) fn of(schema: &Value) -> Result<Graph> {
        if !is_shallow(schema, NESTED) {
            return Err(refused("", "it is nested deeper than 64 levels"));
        }
        let mut reader = Reader { root: schema, nodes: Vec::new(), known: HashMap::new(), patterns: 0 };
        let mut open = vec![String::new()];
        while let Some(place) = open.pop() {
            open.extend(reader.read(&place)?);
        }
        let graph = Graph(reader.nodes);
        let mut seen = vec![None; graph.0.len()];
        for node in 0..graph.0.len() {
            graph.measure(node, 0, &mut seen)?;
        }
        Ok(graph)
    }

    /// How many schemas judge one value from `node` on, each as often as it does, and how many of them each inside
    /// the last. `depth` are above it.
    fn measure(&self, node: usize, depth: usize, seen: &mut [Option<(u64, usize)>]) -> Result<(u64, usize)> {
        // One that leads back to itself without going into the value is never known, and so deeper than any bound.
        let (mut sum, mut longest) = seen[node].unwrap_or((1, 1));
        if depth + longest > DEEPEST {
            let why =
                "schemas that judge the same value lead to one another more than 32 times, or in a circle";
            return Err(refused("", why));
        }
        if seen[node].is_some() {
            return Ok((sum, longest));
        }
        for &next in &self.0[node].same {
            let (more, deeper) = self.measure(next, depth + 1, seen)?;
            sum = sum.saturating_add(more);
            longest = longest.max(deeper + 1);
        }
        if sum > MOST {
            return Err(refused("", "more than 1000 schemas judge the same value"));
        }
        seen[node] = Some((sum, longest));
        Ok((sum, longest))
    }

    /// The most schemas that judge a value of this many levels on the way to one place in it.
    pub(crate) fn effort(&self, levels: usize) -> u64 {
        let mut deeper = vec![0_u64; self.0.len()];
        for _ in 0..=levels {
            let mut now = vec![None; self.0.len()];
            for node in 0..self.0.len() {
                self.unrolled(node, &deeper, &mut now);
            }
            deeper = now.into_iter().map(Option::unwrap_or_default).collect();
        }
        deeper.first().copied().unwrap_or_default()
    }

    /// The effort of `node` where that of values inside is known. As deep as [`DEEPEST`] lets it be.
    fn unrolled(&self, node: usize, deeper: &[u64], now: &mut [Option<u64>]) -> u64 {
        if let Some(known) = now[node] {
            return known;
        }
        let inside = self.0[node].inside.iter().map(|&next| deeper[next]);
        let mut sum = inside.fold(1_u64, u64::saturating_add);
        for &next in &self.0[node].same {
            sum = sum.saturating_add(self.unrolled(next, deeper, now));
        }
        now[node] = Some(sum);
        sum
    }
}

struct Reader<'a> {
    root: &'a Value,
    nodes: Vec<Node>,
    /// The nodes by their JSON pointers.
    known: HashMap<String, usize>,
    patterns: usize,
}

impl Reader<'_> {
    /// The node at this place, and whether it is new.
    fn node(&mut self, place: String) -> (usize, bool) {
        let next = self.nodes.len();
        let node = *self.known.entry(place).or_insert(next);
        if node == next {
            self.nodes.push(Node::default());
        }
        (node, node == next)
    }

    /// Reads the schema at a place; the places that it leads to for the first time.
    fn read(&mut self, place: &str) -> Result<Vec<String>> {
        let root = self.root;
        let Some(Value::Object(schema)) = root.pointer(place) else { return Ok(Vec::new()) };
        let (node, _) = self.node(place.to_owned());
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("$dynamicRef" | "$recursiveRef", _) => {
                    return Err(refused(place, "only `$ref` is followed, no dynamic reference"));
                }
                ("$id" | "id", Value::String(_)) if !place.is_empty() => {
                    return Err(refused(place, "a schema inside another one must have no `$id`"));
                }
                ("pattern", _) => self.patterns += 1,
                ("patternProperties", Value::Object(map)) => self.patterns += map.len(),
                _ => {}
            }
        }
        if self.patterns > MOST_PATTERNS {
            return Err(refused(place, "the schema has more than 64 regular expressions"));
        }
        let mut fresh = Vec::new();
        if let Some(target) = schema.get("$ref") {
            let target = self.target(place, target)?;
            let (next, new) = self.node(target.clone());
            self.nodes[node].same.push(next);
            fresh.extend(new.then_some(target));
        }
        for (keywords, same) in [(SAME, true), (INSIDE, false)] {
            for next in places(place, schema, keywords) {
                let (index, new) = self.node(next.clone());
                let edges = &mut self.nodes[node];
                if same { &mut edges.same } else { &mut edges.inside }.push(index);
                fresh.extend(new.then_some(next));
            }
        }
        Ok(fresh)
    }

    /// The place that a reference leads to.
    fn target(&self, place: &str, target: &Value) -> Result<String> {
        let shown: String = target.as_str().unwrap_or_default().chars().take(100).collect();
        let pointer = target.as_str().and_then(|target| target.strip_prefix('#'));
        let Some(pointer) = pointer.filter(|pointer| pointer.is_empty() || pointer.starts_with('/')) else {
            let why = format!("`$ref: {shown}` leads out of the schema; only `#` and `#/…` are followed");
            return Err(refused(place, &why));
        };
        let pointer = decoded(pointer);
        match self.root.pointer(&pointer) {
            Some(_) => Ok(pointer),
            None => Err(refused(place, &format!("`$ref: {shown}` leads nowhere"))),
        }
    }
}

/// The places of the schemas under these keywords.
fn places(place: &str, schema: &serde_json::Map<String, Value>, keywords: [&[&str]; 3]) -> Vec<String> {
    let [single, lists, maps] = keywords;
    let mut places = Vec::new();
    for keyword in single {
        if schema.get(*keyword).is_some_and(Value::is_object) {
            places.push(format!("{place}/{keyword}"));
        }
    }
    for keyword in lists {
        let length = schema.get(*keyword).and_then(Value::as_array).map_or(0, Vec::len);
        places.extend((0..length).map(|at| format!("{place}/{keyword}/{at}")));
    }
    for keyword in maps {
        let names = schema.get(*keyword).and_then(Value::as_object).into_iter().flatten();
        places.extend(names.map(|(name, _)| format!("{place}/{keyword}/{}", escaped(name))));
    }
    places
}

/// A name as a JSON pointer writes it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The pointer in a URI's fragment, without its percent signs.
fn decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let [first, more @ ..] = rest {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = more.get(if code.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a value is nested no deeper than this. Goes no deeper itself.
pub(crate) fn is_shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_shallow(item, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| is_shallow(field, levels - 1)),
        _ => true,
    }
}

/// The error of a schema, at a place in it.
pub(crate) fn refused(place: &str, why: &str) -> Error {
    let at = if place.is_empty() { "it".to_owned() } else { format!("`{place}`") };
    Error::invalid_request(format!("the JSON schema cannot be used: at {at}: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Part of what a schema is refused with; none where it is taken.
    fn check(schema: Value, expect: Option<&str>) {
        let found = Graph::of(&schema).err().map(|error| error.message().to_owned());
        match (&found, expect) {
            (None, None) => {}
            (Some(message), Some(part)) => assert!(message.contains(part), "{schema}: {message}"),
            _ => panic!("{schema}: {found:?}"),
        }
    }

    #[test]
    fn references_stay_inside_the_schema() {
        check(json!({"$ref": "#/$defs/a%20b", "$defs": {"a b": {"type": "string"}}}), None);
        check(json!({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}), None);
        check(
            json!({"$ref": "https://example.com/x.json"}),
            Some("`$ref: https://example.com/x.json` leads out"),
        );
        check(
            json!({"items": {"$ref": "file:///etc/passwd"}}),
            Some("at `/items`: `$ref: file:///etc/passwd`"),
        );
        check(json!({"$ref": "other.json#/a"}), Some("leads out"));
        check(json!({"$ref": "#anchor"}), Some("leads out"));
        check(json!({"$ref": "#/$defs/none"}), Some("leads nowhere"));
        check(json!({"$ref": 7}), Some("leads out"));
        check(json!({"$dynamicRef": "#a"}), Some("dynamic"));
        check(json!({"$id": "https://example.com/mine", "$ref": "#/$defs/a", "$defs": {"a": {}}}), None);
        check(json!({"properties": {"a": {"$id": "https://example.com/a"}}}), Some("`/properties/a`"));
        check(json!({"properties": {"$id": {"type": "string"}}}), None);
    }

    #[test]
    fn a_schema_may_hold_itself_but_not_judge_by_itself() {
        check(json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}), None);
        check(json!({"$ref": "#"}), Some("circle"));
        let mutual = json!({"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}});
        check(json!({"items": {"$ref": "#/$defs/a"}, "$defs": mutual}), Some("circle"));
    }

    /// `levels` schemas, each of which refers to the next `width` times.
    fn laughs(levels: usize, width: usize) -> Value {
        let link = |at: usize| {
            let next = json!({"$ref": format!("#/$defs/{}", at + 1)});
            (at.to_string(), json!({"allOf": vec![next; width]}))
        };
        let mut defs: serde_json::Map<String, Value> = (0..levels).map(link).collect();
        defs.insert(levels.to_string(), json!({"type": "string"}));
        json!({"$ref": "#/$defs/0", "$defs": defs})
    }

    #[test]
    fn what_would_cost_too_much_is_refused() {
        check(laughs(4, 3), None);
        check(laughs(9, 3), Some("more than 1000"));
        check(laughs(10, 1), None);
        check(laughs(40, 1), Some("more than 32"));
        let patterns = |n: usize| json!({"anyOf": vec![json!({"pattern": "a"}); n]});
        check(patterns(64), None);
        check(patterns(65), Some("64 regular"));
        let nested = |n: usize| (0..n).fold(json!({}), |inner, _| json!({"items": inner}));
        check(nested(60), None);
        check(nested(70), Some("64 levels"));
    }

    #[test]
    fn the_effort_grows_with_the_levels_where_schemas_double() {
        let effort = |schema: Value, levels| Graph::of(&schema).unwrap().effort(levels);
        let plain = json!({"properties": {"a": {"type": "string"}}});
        assert_eq!([effort(plain.clone(), 0), effort(plain.clone(), 1), effort(plain, 9)], [1, 2, 2]);
        let twice = || json!({"properties": {"a": {"$ref": "#"}}});
        let double = json!({"anyOf": [twice(), twice()]});
        assert_eq!(effort(double.clone(), 0), 3);
        assert_eq!(effort(double.clone(), 1), 11);
        assert!(effort(double, 64) > 1 << 60);
    }
}
