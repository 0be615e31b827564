//! Validators of schemas that came before: most callers send the same few over and over.

use std::collections::HashMap;
use std::sync::Arc;

use maof_core::Result;
use parking_lot::Mutex;
use serde_json::Value;

use crate::schema::Schema;

/// Keeps the validators of the schemas that were used last, as far as their sizes go.
///
/// Shared by all tenants: what a schema compiles to depends on nothing else, and who has it has the schema.
#[derive(Debug)]
pub(crate) struct Cache {
    most_bytes: u64,
    most_schema: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each with when it was used last.
    schemas: HashMap<Value, (Arc<Schema>, u64)>,
    bytes: u64,
    uses: u64,
}

impl Cache {
    /// Keeps schemas of `most_bytes` in all, and takes none of more than `most_schema`.
    pub(crate) fn new(most_bytes: u64, most_schema: u64) -> Self {
        Cache { most_bytes, most_schema, kept: Mutex::default() }
    }

    /// The compiled schema.
    ///
    /// # Errors
    /// As [`Schema::compile`].
    pub(crate) fn get(&self, schema: &Value) -> Result<Arc<Schema>> {
        if let Some(known) = self.kept.lock().get(schema) {
            return Ok(known);
        }
        // Not under the lock: two who compile the same one at the same time do no harm.
        let compiled = Arc::new(Schema::compile(schema, self.most_schema)?);
        if compiled.bytes <= self.most_bytes {
            self.kept.lock().put(schema.clone(), &compiled, self.most_bytes);
        }
        Ok(compiled)
    }
}

impl Kept {
    fn get(&mut self, schema: &Value) -> Option<Arc<Schema>> {
        self.uses += 1;
        let (known, used) = self.schemas.get_mut(schema)?;
        *used = self.uses;
        Some(Arc::clone(known))
    }

    fn put(&mut self, schema: Value, compiled: &Arc<Schema>, most: u64) {
        while self.bytes + compiled.bytes > most {
            let oldest =
                self.schemas.iter().min_by_key(|(_, (_, used))| *used).map(|(schema, _)| schema.clone());
            let Some((gone, _)) = oldest.and_then(|oldest| self.schemas.remove(&oldest)) else { break };
            self.bytes -= gone.bytes;
        }
        match self.schemas.insert(schema, (Arc::clone(compiled), self.uses)) {
            Some(_) => {}
            None => self.bytes += compiled.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_schemas_that_were_used_last_are_kept_within_the_bound() {
        let schema = |n: usize| json!({"const": n});
        let bytes = schema(1).to_string().len() as u64;
        let cache = Cache::new(2 * bytes, 100);
        let first = cache.get(&schema(1)).unwrap();
        cache.get(&schema(2)).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.get(&schema(1)).unwrap()), "it was kept");
        cache.get(&schema(3)).unwrap();
        let mut kept: Vec<_> = cache.kept.lock().schemas.keys().cloned().collect();
        kept.sort_by_key(Value::to_string);
        assert_eq!((kept, cache.kept.lock().bytes), (vec![schema(1), schema(3)], 2 * bytes));
    }

    #[test]
    fn nothing_is_kept_of_what_is_too_large_or_wrong() {
        let cache = Cache::new(5, 100);
        assert!(cache.get(&json!({"type": "string"})).is_ok());
        assert!(cache.get(&json!({"type": "strin"})).is_err());
        assert!(cache.kept.lock().schemas.is_empty());
    }
}
